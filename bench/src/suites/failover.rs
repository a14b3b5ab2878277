//! From SIGKILL of the leader to the next accepted write, default settings.

use crate::bar::Bar;
use crate::bar::Bound::AtMost;
use crate::bar::Metric::Amount;
use crate::sample::Measured;
use crate::suite::{Plan, Suite};

/// Beside etcd.
pub(crate) struct Failover;

impl Suite for Failover {
    fn name(&self) -> &'static str {
        "failover"
    }

    fn about(&self) -> &'static str {
        "seconds from SIGKILL of the leader to the next accepted put, default settings"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("etcd")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar::ratio("failover/seconds", "kill", Amount, AtMost, 1.0, 0.6)]
    }

    /// Election timeouts are drawn at random: one failover says little.
    fn pairs(&self) -> usize {
        9
    }

    fn ours(&self, _: &Plan) -> Measured {
        Err(super::not_there_yet("the server"))
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        use crate::sample::{Points, Sample};
        use crate::{load, peers::etcd};
        let mut cluster = etcd::Cluster::start(&plan.dir)?;
        load::on_one_thread(async {
            let leader = cluster.leader().await?;
            let connections = etcd::connect(leader, 1).await?;
            load::closed_loop(&connections, 1, &[], plan).await?;
            // Connected before the kill, so that the handshake is not in the figure.
            let mut survivors = Vec::new();
            for address in cluster.others(leader) {
                survivors.extend(etcd::connect(address, 1).await?);
            }
            let killed = std::time::Instant::now();
            cluster.kill(leader)?;
            let took = load::until_accepted(killed, &survivors).await?;
            Ok(Points::from([("kill".to_owned(), Sample::amount(took.as_secs_f64()))]))
        })?
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}
