//! [`KvServer`]: answers the requests of clerks on one node.
//!
//! A write is checked, stamped with the log's time and proposed; the answer is what the state machine
//! said when it applied it. A read waits for the core's confirmation (ReadIndex). Nothing is kept per
//! request but its future: the bounds on what is in flight are the group's, and say `Overloaded`.
//! Every request has a deadline: the client's, and never more than the server's own.

mod clock;
mod election;
mod replica;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::Group;
use raft_core::{Address, BoxFuture, NodeId, Service};
use tokio::time::timeout;

use crate::blob::Blob;
use crate::codec;
use crate::command;
use crate::fault::Directory;
use crate::limits::Refusal;
use crate::status::{NodeStatus, WireStatus};
use crate::store::{Scan, Store, StoreConfig};
use crate::wire::{self, Answer, Fault, Found, Kind, Read};

pub use clock::LogClock;
pub use election::elected;
pub use replica::Replica;

/// The configuration of a [`KvServer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What the group's [`Store`]s are bounded by: requests beyond it are refused before the log.
    pub store: StoreConfig,
    /// How long a session lives unused, by the log's time. Carried by the command that opens a session,
    /// so nodes may differ. At most 49 days. Default one hour.
    pub session_ttl: Duration,
    /// The longest that a request may wait here, whatever its client says. Default 30 s.
    pub deadline_max: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            store: StoreConfig::default(),
            session_ttl: Duration::from_secs(3600),
            deadline_max: Duration::from_secs(30),
        }
    }
}

/// Serves one group's store. Cheap to clone.
pub struct KvServer<R = Group<Store>> {
    shared: Arc<Shared<R>>,
}

impl<R> Clone for KvServer<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<R> {
    replica: R,
    config: ServerConfig,
    clock: LogClock,
    directory: Directory,
}

impl<R: Replica> KvServer<R> {
    /// Serves `replica`. `addresses` says where clients reach the nodes, for hints at the leader.
    pub fn new(
        replica: R,
        addresses: impl IntoIterator<Item = (NodeId, Address)>,
        config: ServerConfig,
    ) -> Self {
        let directory = Directory::new(addresses);
        let clock = LogClock::default();
        Self { shared: Arc::new(Shared { replica, config, clock, directory }) }
    }

    /// Replaces the addresses, after the membership has changed.
    pub fn set_addresses(&self, addresses: impl IntoIterator<Item = (NodeId, Address)>) {
        self.shared.directory.replace(addresses);
    }

    /// What this node says of itself.
    pub fn status(&self) -> NodeStatus {
        self.shared.replica.status()
    }
}

impl<R: Replica> Service for KvServer<R> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let shared = self.shared.clone();
        Box::pin(async move { shared.answer(&request).await })
    }
}

impl<R: Replica> Shared<R> {
    async fn answer(&self, request: &Bytes) -> Bytes {
        let Ok((kind, budget, body)) = wire::read_request(request) else {
            return fault(Fault::Malformed);
        };
        let deadline = budget.min(self.config.deadline_max);
        if kind != Kind::Status {
            self.replica.elected().await;
        }
        match kind {
            Kind::Write => match self.check_write(body) {
                Ok(()) => self.propose(command::from_body(self.stamp(), body), deadline).await,
                Err(refused) => fault(refused),
            },
            Kind::OpenSession => {
                let ttl_ms = u32::try_from(self.config.session_ttl.as_millis()).unwrap_or(u32::MAX);
                self.propose(command::open_session(self.stamp(), ttl_ms), deadline).await
            }
            Kind::Read => match codec::decode(body) {
                Ok(read) => self.read(read, deadline).await,
                Err(_) => fault(Fault::Malformed),
            },
            Kind::Status => {
                let status = WireStatus::from(&self.replica.status());
                wire::reply::<Refusal>(&Answer::Status(status), 64).into()
            }
        }
    }

    fn check_write(&self, body: &[u8]) -> Result<(), Fault> {
        let (_, write) = command::read_write(body).map_err(|_| Fault::Malformed)?;
        self.config.store.limits.check_write(&write).map_err(Fault::Refused)
    }

    fn stamp(&self) -> u64 {
        self.clock.stamp(self.replica.term(), || self.replica.log_time())
    }

    async fn propose(&self, command: Bytes, deadline: Duration) -> Bytes {
        match timeout(deadline, self.replica.propose(command)).await {
            Ok(Ok(Ok(reply))) => wire::reply::<Refusal>(&Answer::Written(reply), 0).into(),
            Ok(Ok(Err(error))) => fault(Fault::Command(error)),
            Ok(Err(error)) => fault(self.directory.proposal_fault(error, too_large)),
            Err(_) => fault(Fault::Unknown(None)),
        }
    }

    async fn read(&self, read: Read<'_>, deadline: Duration) -> Bytes {
        match read {
            Read::Get { key } => {
                if let Err(refusal) = self.config.store.limits.check_key(key) {
                    return fault(Fault::Refused(refusal));
                }
                let key = Blob::from(key);
                let look = move |store: &Store| store.get(key.as_slice()).cloned();
                match self.look(look, deadline).await {
                    Ok(item) => {
                        let found = item.as_ref().map(|item| Found {
                            value: item.value.as_slice(),
                            version: item.version,
                        });
                        let room = found.map_or(0, |found| found.value.len());
                        wire::reply::<Refusal>(&Answer::Value(found), room).into()
                    }
                    Err(answer) => fault(answer),
                }
            }
            Read::Scan { start, end, after, entries_max, bytes_max } => {
                let (end, after) = (end.map(<[u8]>::to_vec), after.map(<[u8]>::to_vec));
                let scan = Scan { start: start.to_vec(), end, after, entries_max, bytes_max };
                match self.look(move |store: &Store| store.scan(&scan), deadline).await {
                    Ok(page) => wire::page_reply::<Refusal>(&page).into(),
                    Err(answer) => fault(answer),
                }
            }
        }
    }

    /// A linearizable look at the store. What it returns are refcounts: it is encoded elsewhere.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> T + Send + 'static,
        deadline: Duration,
    ) -> Result<T, Fault> {
        match timeout(deadline, self.replica.read(look)).await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(error)) => Err(self.directory.query_fault(error)),
            Err(_) => Err(Fault::Deadline),
        }
    }
}

fn too_large(bytes: u64, bytes_max: u64) -> Refusal {
    Refusal::CommandTooLarge { bytes, bytes_max }
}

fn fault(fault: Fault) -> Bytes {
    wire::reply(&Answer::Fault(fault), 0).into()
}
