//! The driver in process: memory storage, channel transport, writers with one write outstanding each.

use crate::bar::Bar;
use crate::bar::Bound::AtLeast;
use crate::bar::Metric::Rate;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::{Plan, Suite};

/// Writers with one write outstanding each.
const WRITERS: [usize; 4] = [1, 64, 256, 1024];

/// Bytes of a command.
const PAYLOAD_BYTES: usize = 256;

/// Beside openraft.
pub(crate) struct Driver;

impl Suite for Driver {
    fn name(&self) -> &'static str {
        "driver"
    }

    fn about(&self) -> &'static str {
        "the driver in process, three nodes, memory storage, 256 B, by writers"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("openraft")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::ratio("driver/1/rate", "1", Rate, AtLeast, 1.5, 3.0),
            Bar::ratio("driver/64/rate", "64", Rate, AtLeast, 1.3, 2.5),
            Bar::ratio("driver/256/rate", "256", Rate, AtLeast, 1.3, 2.5),
            Bar::ratio("driver/1024/rate", "1024", Rate, AtLeast, 1.3, 2.5),
        ]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        by_writers(|writers| crate::ours::driver::measure(plan, writers, PAYLOAD_BYTES))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        by_writers(|writers| crate::peers::openraft::measure(plan, writers, PAYLOAD_BYTES))
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

fn by_writers(measure: impl Fn(usize) -> Result<Sample, Missing>) -> Measured {
    let mut points = Points::new();
    for writers in WRITERS {
        points.insert(writers.to_string(), measure(writers)?);
    }
    Ok(points)
}
