//! Append and sync of the write-ahead log.

use crate::bar::Bar;
use crate::bar::Bound::AtLeast;
use crate::bar::Metric::Rate;
use crate::sample::Measured;
use crate::suite::{Plan, Suite};

/// Name of the point, groups that append at once, entries a batch.
#[cfg(feature = "peers")]
const POINTS: [(&str, u64, usize); 4] =
    [("batch 1", 1, 1), ("batch 16", 1, 16), ("batch 256", 1, 256), ("16 groups", 16, 1)];

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

    fn ours(&self, _: &Plan) -> Measured {
        Err(super::not_there_yet("the write-ahead log"))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        let mut points = crate::sample::Points::new();
        for (point, groups, batch) in POINTS {
            let sample = crate::peers::raft_engine::measure(plan, groups, batch, 256)?;
            points.insert(point.to_owned(), sample);
        }
        Ok(points)
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}
