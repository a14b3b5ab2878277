//! A node of a plain cluster: one group, whose service has the node's address itself.

use std::sync::Arc;

use kv::{KvServer, ServerConfig, Store};
use raft_core::Membership;
use tokio::task::JoinSet;

use super::describe::Local;
use super::host::Host;
use super::replica::Replica;
use super::setup::{group_config, not_started, store_config};
use crate::config::PLAIN;
use crate::exit::Failure;

pub(super) async fn replica(host: &Host, initial: Membership) -> Result<Replica, Failure> {
    let store = store_config(&host.config);
    let of = group_config(&host.config, host.id, PLAIN, initial);
    let group = host.node.add_group(of, Store::new(store.clone())).await.map_err(not_started)?;
    let mut serving = ServerConfig::default();
    serving.store = store;
    serving.session_ttl = host.config.session_ttl.value.0;
    let server = KvServer::new(group.clone(), [], serving);
    let told = server.clone();
    Ok(Replica {
        operated: Arc::new(group.clone()),
        service: Arc::new(server),
        set_addresses: Box::new(move |addresses| told.set_addresses(addresses)),
        local: Local::Plain(group),
        tasks: JoinSet::new(),
    })
}
