//! Shards that move under load, and several groups in one process.

use crate::bar::Metric::Amount;
use crate::bar::{Bar, Bound};
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// On our own figures.
pub(crate) struct Sharded;

impl Suite for Sharded {
    fn name(&self) -> &'static str {
        "sharded"
    }

    fn about(&self) -> &'static str {
        "3 nodes with 2 groups: shards of 1,000 and of 200,000 keys of 64 B move while 64 clients write to them"
    }

    fn peer_name(&self) -> Option<&'static str> {
        None
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::limit("sharded/pause-small", "small: pause", "ms", 50.0, 25.0),
            Bar::limit("sharded/pause-large", "large: pause", "ms", 50.0, 25.0),
            Bar::limit("sharded/pause-growth", "large pause over small", "x", 2.0, 1.2),
            Bar::limit("sharded/others-p99", "others' p99", "x", 2.0, 1.3),
            Bar {
                name: "sharded/two-groups",
                point: "two over one",
                metric: Amount,
                unit: Some("x"),
                bound: Bound::AtLeast,
                must: 1.0,
                aim: 1.2,
            },
            Bar::limit("sharded/join", "join", "ms", 500.0, 200.0),
            Bar::limit("sharded/state", "state after over before", "x", 1.1, 1.01),
            Bar::limit("sharded/resident", "resident after over before", "x", 1.1, 1.05),
        ]
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    fn ours(&self, plan: &Plan) -> Measured {
        crate::ours::sharded::measure(plan)
    }

    fn peer(&self, _: &Plan) -> Measured {
        Ok(Points::new())
    }
}
