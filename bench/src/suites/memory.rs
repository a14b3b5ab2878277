//! A node with a million keys: resident memory, and what a snapshot does to it and to the puts.

use crate::bar::Bar;
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// On our own figures.
pub(crate) struct Memory;

impl Suite for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> &'static str {
        "a node with 1 million keys of 16 + 64 B: resident memory, also while a snapshot is taken"
    }

    fn peer_name(&self) -> Option<&'static str> {
        None
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::limit("memory/resident", "resident", "MB", 450.0, 350.0),
            Bar::limit("memory/snapshot", "resident, snapshot", "MB", 450.0, 350.0),
            Bar::limit("memory/snapshot-p99", "p99 during over without", "x", 2.0, 1.3),
        ]
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    fn ours(&self, plan: &Plan) -> Measured {
        crate::ours::memory::measure(plan)
    }

    fn peer(&self, _: &Plan) -> Measured {
        Ok(Points::new())
    }
}
