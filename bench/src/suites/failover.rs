//! From SIGKILL of the leader to the next accepted write, default settings.

use std::time::Instant;

use crate::bar::Bar;
use crate::bar::Bound::AtMost;
use crate::bar::Metric::Amount;
use crate::load::{self, Put};
use crate::ours::client;
use crate::ours::cluster::{Cluster, Mode};
use crate::sample::Missing::Failed;
use crate::sample::{Measured, Points, Sample};
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

    fn ours(&self, plan: &Plan) -> Measured {
        let mut cluster = Cluster::start::<3>(&plan.dir, Mode::Plain, &[])?;
        load::on_one_thread(async {
            let leader = cluster.leader().await?;
            load::closed_loop(&client::connect(&[leader], 1), 1, &[], plan).await?;
            let survivors = client::probes(&cluster.others(leader)).await.map_err(Failed)?;
            let killed = Instant::now();
            cluster.kill(leader)?;
            until_accepted(killed, &survivors).await
        })?
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        use crate::peers::etcd;
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
            let killed = Instant::now();
            cluster.kill(leader)?;
            until_accepted(killed, &survivors).await
        })?
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

async fn until_accepted<C: Put>(killed: Instant, survivors: &[C]) -> Measured {
    let took = load::until_accepted(killed, survivors).await?;
    Ok(Points::from([("kill".to_owned(), Sample::amount(took.as_secs_f64()))]))
}
