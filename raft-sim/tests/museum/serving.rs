//! What the exhibits about clients share: servers and clerks of the key/value service.

use std::time::Duration;

use kv::ClerkError;
use kv::command::{SessionId, Ticket};
use kv::raw::AttemptError;
use kv::{Op, Reply};
use raft_sim::cluster::address_of;
use raft_sim::kv::{Judged, KvClient, KvCluster, KvConfig};

use super::support::*;

/// Longer than any call of a clerk here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Servers and clerks that do not give up soon.
pub(crate) fn config(seed: u64) -> KvConfig {
    let mut config = KvConfig::new(seed, 3);
    config.clerk.deadline = PATIENCE;
    config.clerk.attempt_timeout = 300 * MS;
    config
}

/// The servers, and who of them leads.
pub(crate) fn serving(config: KvConfig) -> (KvCluster, usize) {
    let mut kv = KvCluster::start(config);
    let leader = await_leader(kv.nodes_mut());
    (kv, leader)
}

/// A client appends.
pub(crate) fn append(kv: &mut KvCluster, client: KvClient, key: &str, value: &str) {
    let (key, value) = (key.to_owned(), value.to_owned());
    let done = kv.call(PATIENCE, client, |mut clerk| async move { clerk.append(key, value).await });
    done.expect("in time").expect("done");
}

/// The value of a key, empty if there is none.
pub(crate) fn value(kv: &mut KvCluster, client: KvClient, key: &str) -> String {
    let key = key.to_owned();
    let read = kv.call(PATIENCE, client, |mut clerk| async move { clerk.get(key).await });
    let found = read.expect("in time").expect("read");
    found.map_or(String::new(), |found| String::from_utf8_lossy(&found.value).into_owned())
}

/// A session, opened at a node.
pub(crate) fn session(kv: &mut KvCluster, client: KvClient, at: usize) -> SessionId {
    let address = address_of(kv.nodes().id(at));
    let opened =
        kv.call(SECOND, client, |clerk| async move { clerk.open_session(&address, SECOND).await });
    opened.expect("in time").expect("a session")
}

/// One attempt to append to `k`, with this ticket.
pub(crate) fn attempt(
    kv: &mut KvCluster,
    client: KvClient,
    at: usize,
    ticket: Ticket,
    value: &str,
) -> Result<Reply, AttemptError> {
    let (address, value) = (address_of(kv.nodes().id(at)), value.to_owned());
    let attempted = kv.call(2 * SECOND, client, |clerk| async move {
        let append = Op::Append { key: b"k", value: value.as_bytes() };
        clerk.attempt(&address, ticket, append, SECOND).await
    });
    attempted.expect("it does not wait for ever")
}

/// Sessions that each node has.
pub(crate) fn sessions(kv: &KvCluster) -> Vec<usize> {
    let nodes = kv.nodes();
    (0..nodes.len()).filter_map(|at| nodes.peek(at, |store| store.sessions())).collect()
}

/// The end of an exhibit: all nodes run and have caught up, and what the clients were told can be explained.
pub(crate) fn judge(kv: &mut KvCluster) -> Judged {
    let nodes = kv.nodes_mut();
    nodes.net().clear_filter();
    nodes.net().heal();
    for at in 0..nodes.len() {
        let host = nodes.host(at);
        nodes.sim().resume(host);
        if !nodes.is_up(at) || nodes.stopped(at).is_some() {
            nodes.reboot(at);
        }
    }
    await_leader(nodes);
    nodes.run_for(SECOND);
    let judged = kv.judge().unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(judged.replicas, kv.nodes().len(), "all have caught up");
    judged
}

/// How often each of these stands in a value.
pub(crate) fn times(value: &str, token: &str) -> usize {
    value.matches(token).count()
}

/// How a call of which one knows the fate has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Done,
    NotDone,
    Unknown,
}

pub(crate) fn fate<T>(result: &Result<T, ClerkError>) -> Fate {
    match result {
        Ok(_) => Fate::Done,
        Err(ClerkError::Unknown(_)) => Fate::Unknown,
        Err(ClerkError::NotDone(_) | ClerkError::Refused(_)) => Fate::NotDone,
    }
}

/// What was appended stands in the value as often as its writer was told.
pub(crate) fn check_fates(value: &str, fates: &[(String, Fate)]) {
    for (token, fate) in fates {
        let (times, may) = (
            times(value, token),
            match fate {
                Fate::Done => 1..=1,
                Fate::NotDone => 0..=0,
                Fate::Unknown => 0..=1,
            },
        );
        assert!(may.contains(&times), "{token} is there {times} times, and is {fate:?}");
    }
}
