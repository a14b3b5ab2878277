//! The core alone: three nodes on one thread, memory storage, messages handed over as values.

use crate::bar::Bar;
use crate::bar::Bound::AtMost;
use crate::bar::Metric::Cpu;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::{Plan, Suite};

/// Proposals kept outstanding.
const OUTSTANDING: [u64; 3] = [64, 256, 1024];

/// Beside raft-rs.
pub(crate) struct Core;

impl Suite for Core {
    fn name(&self) -> &'static str {
        "core"
    }

    fn about(&self) -> &'static str {
        "the core alone, three nodes on one thread, 256 B, by proposals outstanding"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("raft-rs")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::ratio("core/64/cpu", "64", Cpu, AtMost, 1.0, 0.4),
            Bar::ratio("core/256/cpu", "256", Cpu, AtMost, 1.0, 0.4),
            Bar::ratio("core/1024/cpu", "1024", Cpu, AtMost, 1.0, 0.4),
        ]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        by_outstanding(|outstanding| crate::ours::core::measure(plan, outstanding, 256))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        by_outstanding(|outstanding| crate::peers::raft_rs::measure(plan, outstanding, 256))
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn by_outstanding(measure: impl Fn(u64) -> Result<Sample, Failed>) -> Measured {
    let mut points = Points::new();
    for outstanding in OUTSTANDING {
        let sample = measure(outstanding).map_err(|error| Missing::Failed(error.to_string()))?;
        points.insert(outstanding.to_string(), sample);
    }
    Ok(points)
}
