//! One client's put over the machine's own floor for a durable three-way write.

use crate::bar::Bar;
use crate::bar::Bound::AtMost;
use crate::bar::Metric::P50;
use crate::load;
use crate::ours::client;
use crate::ours::cluster::{Cluster, Mode};
use crate::peers::floor;
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// Beside the floor.
pub(crate) struct Latency;

impl Suite for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn about(&self) -> &'static str {
        "one client's median put over the floor: a three-way TCP write with one fdatasync each"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("floor")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar::ratio("latency/1/p50", "1 client", P50, AtMost, 2.0, 1.4)]
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut cluster = Cluster::start::<3>(&plan.dir, Mode::Plain, &[])?;
        load::on_one_thread(async {
            let (leader, pids) = (cluster.leader().await?, cluster.pids());
            let connections = client::connect(&[leader], 1);
            let sample = load::closed_loop(&connections, 1, &pids, plan).await?;
            Ok(Points::from([("1 client".to_owned(), sample)]))
        })?
    }

    fn peer(&self, plan: &Plan) -> Measured {
        Ok(Points::from([("1 client".to_owned(), floor::measure(plan, 1)?)]))
    }
}
