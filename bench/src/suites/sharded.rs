//! Three servers with a controller and two groups: what a shard's move costs whoever uses it, and others.

use crate::bar::Bar;
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// On our own figures.
pub(crate) struct Sharded;

impl Suite for Sharded {
    fn name(&self) -> &'static str {
        "sharded"
    }

    fn about(&self) -> &'static str {
        "shards of 1,000 and of 200,000 keys of 64 B that move under 64 clients; two groups beside one"
    }

    fn peer_name(&self) -> Option<&'static str> {
        None
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::limit("sharded/pause-small", "pause, 1000 keys", "ms", 50.0, 20.0),
            Bar::limit("sharded/pause-large", "pause, 200000 keys", "ms", 50.0, 20.0),
            Bar::limit("sharded/pause-ratio", "pause, large over small", "x", 2.0, 1.3),
            Bar::limit("sharded/others-p99", "p99 of others, during over without", "x", 2.0, 1.3),
            Bar::limit("sharded/two-groups", "rate of one group over two", "x", 1.0, 0.9),
            Bar::limit("sharded/join", "join to first shard", "ms", 500.0, 200.0),
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
