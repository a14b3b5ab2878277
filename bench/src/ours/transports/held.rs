//! Thousands of connections that say nothing: what a node needs for them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::Caller;
use raft_transport::{CallerConfig, NetCaller};
use tokio::task::JoinSet;

use super::{Over, Pair, memory_mb};
use crate::load;
use crate::sample::{Missing, Sample};
use crate::suite::Plan;

/// Handshakes at a time: fewer than a node allows.
const AT_A_TIME: usize = 64;

/// The resident memory of a node that holds them, in megabytes. All that are not refused count as held.
pub(crate) fn measure(plan: &Plan, over: Over) -> Result<Sample, Missing> {
    let connections = if plan.quick { 500 } else { 10_000 };
    load::on_one_thread(async {
        let pair = Pair::start(over, Path::new(&plan.dir)).await?;
        let mut config = CallerConfig::new(1);
        config.connections = connections;
        config.unused_max = Duration::from_secs(3600);
        let caller = Arc::new(NetCaller::new(config, over.carrier(&plan.dir, "client-bench")?));
        let (mut calling, mut failed) = (JoinSet::new(), 0);
        for _ in 0..connections {
            while calling.len() >= AT_A_TIME {
                failed += usize::from(!matches!(calling.join_next().await, Some(Ok(true))));
            }
            let (caller, address) = (Arc::clone(&caller), pair.far_address.clone());
            calling.spawn(async move { caller.call(&address, Bytes::new()).await.is_ok() });
        }
        while let Some(called) = calling.join_next().await {
            failed += usize::from(!matches!(called, Ok(true)));
        }
        if failed > connections / 100 {
            let fds = "perhaps `ulimit -n` is too low";
            let error = format!("{failed} of {connections} connections failed; {fds}");
            return Err(io::Error::other(error).into());
        }
        tokio::time::sleep(plan.warm).await;
        Ok(Sample::amount(memory_mb(pair.far_pid(), "VmRSS")?))
    })?
}
