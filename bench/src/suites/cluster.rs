//! Three server processes over TCP with fsync, loaded from outside.

use crate::bar::Bar;
use crate::bar::Bound::{AtLeast, AtMost};
use crate::bar::Metric::{Cpu, P99, Rate};
use crate::load::{self, Put};
use crate::ours::{client, cluster as ours};
use crate::sample::{Measured, Points};
use crate::suite::{Plan, Suite};

/// Clients with one put outstanding each.
const CLIENTS: [usize; 3] = [16, 64, 256];
/// Connections that the clients share.
const CONNECTIONS: usize = 4;

/// Beside etcd.
pub(crate) struct Cluster;

impl Suite for Cluster {
    fn name(&self) -> &'static str {
        "cluster"
    }

    fn about(&self) -> &'static str {
        "puts of 16 + 256 B, three processes, TCP, fsync, 4 client connections, by clients"
    }

    fn peer_name(&self) -> Option<&'static str> {
        Some("etcd")
    }

    fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::ratio("cluster/16/rate", "16", Rate, AtLeast, 3.0, 6.0),
            Bar::ratio("cluster/64/rate", "64", Rate, AtLeast, 4.0, 8.0),
            Bar::ratio("cluster/256/rate", "256", Rate, AtLeast, 4.0, 10.0),
            Bar::ratio("cluster/16/cpu", "16", Cpu, AtMost, 0.3, 0.1),
            Bar::ratio("cluster/64/cpu", "64", Cpu, AtMost, 0.3, 0.1),
            Bar::ratio("cluster/256/cpu", "256", Cpu, AtMost, 0.3, 0.1),
            Bar::ratio("cluster/64/p99", "64", P99, AtMost, 0.5, 0.2),
        ]
    }

    fn waits_for_the_disk(&self) -> bool {
        true
    }

    fn ours(&self, plan: &Plan) -> Measured {
        let mut cluster = ours::Cluster::start::<3>(&plan.dir, ours::Mode::Plain, &[])?;
        load::on_one_thread(async {
            let (leader, pids) = (cluster.leader().await?, cluster.pids());
            by_clients(&client::connect(&[leader], CONNECTIONS), &pids, plan).await
        })?
    }

    #[cfg(feature = "peers")]
    fn peer(&self, plan: &Plan) -> Measured {
        use crate::peers::etcd;
        let mut cluster = etcd::Cluster::start(&plan.dir)?;
        load::on_one_thread(async {
            let (leader, pids) = (cluster.leader().await?, cluster.pids());
            by_clients(&etcd::connect(leader, CONNECTIONS).await?, &pids, plan).await
        })?
    }

    #[cfg(not(feature = "peers"))]
    fn peer(&self, _: &Plan) -> Measured {
        Err(crate::peers::not_built())
    }
}

async fn by_clients<C: Put>(connections: &[C], pids: &[u32], plan: &Plan) -> Measured {
    let mut points = Points::new();
    for clients in CLIENTS {
        let sample = load::closed_loop(connections, clients, pids, plan).await?;
        points.insert(clients.to_string(), sample);
    }
    Ok(points)
}
