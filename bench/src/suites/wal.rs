//! Append and sync of the write-ahead log.

use crate::bar::Bar;
use crate::bar::Bound::AtLeast;
use crate::bar::Metric::Rate;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::{Plan, Suite};

/// Name of the point, groups that append at once, entries a batch.
const POINTS: [(&str, u64, usize); 4] =
    [("batch 1", 1, 1), ("batch 16", 1, 16), ("batch 256", 1, 256), ("16 groups", 16, 1)];

/// Bytes of an entry.
const ENTRY_BYTES: usize = 256;

/// Beside raft-engine.
pub(crate) struct Wal;

impl Suite for Wal {
    fn name(&self) -> &'static str {
        "wal"
    }

    fn about(&self) -> &'static str {
        "append and sync of the log, entries of 256 B: by batch, and 16 groups at once with batches of one"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("raft-engine")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::ratio("wal/1/rate", "batch 1", Rate, AtLeast, 0.95, 1.0),
            Bar::ratio("wal/16/rate", "batch 16", Rate, AtLeast, 1.0, 1.3),
            Bar::ratio("wal/256/rate", "batch 256", Rate, AtLeast, 1.0, 1.3),
            Bar::ratio("wal/16-groups/rate", "16 groups", Rate, AtLeast, 1.5, 2.5),
        ]
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    fn ours(&self, plan: &Plan) -> Measured {
        by_point(|groups, batch| crate::ours::wal::measure(plan, groups, batch, ENTRY_BYTES))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        by_point(|groups, batch| {
            crate::peers::raft_engine::measure(plan, groups, batch, ENTRY_BYTES)
        })
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

fn by_point(measure: impl Fn(u64, usize) -> Result<Sample, Missing>) -> Measured {
    let mut points = Points::new();
    for (point, groups, batch) in POINTS {
        points.insert(point.to_owned(), measure(groups, batch)?);
    }
    Ok(points)
}
