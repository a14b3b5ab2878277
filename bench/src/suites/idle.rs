//! CPU of a cluster that has nothing to do.

use crate::bar::Bar;
use crate::load;
use crate::measure::Meter;
use crate::ours::cluster::{Cluster, Mode};
use crate::sample::{Measured, Points, Sample};
use crate::suite::{Plan, Suite};

/// On our own figure; etcd's is shown beside it.
pub(crate) struct Idle;

impl Suite for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn about(&self) -> &'static str {
        "CPU of three idle servers together, in percent of a core"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("etcd")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar::limit("idle/cpu", "idle", "% of a core", 1.0, 0.3)]
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut cluster = Cluster::start::<3>(&plan.dir, Mode::Plain, &[])?;
        load::on_one_thread(async {
            cluster.leader().await?;
            idle(&cluster.pids(), plan).await
        })?
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        use crate::peers::etcd;
        let mut cluster = etcd::Cluster::start(&plan.dir)?;
        load::on_one_thread(async {
            cluster.leader().await?;
            idle(&cluster.pids(), plan).await
        })?
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

async fn idle(pids: &[u32], plan: &Plan) -> Measured {
    tokio::time::sleep(plan.warm * 3).await;
    let meter = Meter::of(pids)?;
    tokio::time::sleep(plan.measure * 3).await;
    Ok(Points::from([("idle".to_owned(), Sample::amount(meter.percent()?))]))
}
