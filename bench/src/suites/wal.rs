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
/// A group's log is cut after so many batches, or so many bytes of entries: about what the servers around
/// these logs do (ours takes a snapshot each 64 MiB, TiKV cuts at 72 MiB).
const CUT_BATCHES: usize = 4096;
const CUT_BYTES: usize = 64 << 20;
/// Entries that stay behind a cut.
const KEEP: u64 = 1000;

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
        by_point(|groups, appends| crate::ours::wal::measure(plan, groups, appends))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        by_point(|groups, appends| crate::peers::raft_engine::measure(plan, groups, appends))
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

/// What each group appends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appends {
    /// Entries of a batch.
    pub(crate) batch: usize,
    /// Bytes of an entry.
    pub(crate) entry_bytes: usize,
    /// Batches until the log is cut.
    pub(crate) cut_every: u64,
    /// Entries that stay behind a cut.
    pub(crate) keep: u64,
}

fn by_point(measure: impl Fn(u64, Appends) -> Result<Sample, Missing>) -> Measured {
    let mut points = Points::new();
    for (point, groups, batch) in POINTS {
        let cut_every = CUT_BATCHES.min(CUT_BYTES / (batch * ENTRY_BYTES)) as u64;
        let appends = Appends { batch, entry_bytes: ENTRY_BYTES, cut_every, keep: KEEP };
        points.insert(point.to_owned(), measure(groups, appends)?);
    }
    Ok(points)
}
