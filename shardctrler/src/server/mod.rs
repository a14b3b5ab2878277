//! [`ControllerServer`]: answers the requests of clerks on one node.
//!
//! A change is checked, stamped with the log's time and proposed; the answer is what the state machine
//! said when it applied it. A query waits for the core's confirmation (ReadIndex). A watch waits for the
//! next configuration, see [`watchers`]. The first request that a leader gets makes the cluster, if no
//! other leader did.
//!
//! Nothing is kept per request but its future: the bounds on what is in flight are the group's and the
//! watchers', and say `Overloaded`. Every request has a deadline: the client's, and never more than the
//! server's own.

mod watchers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kv::rpc::{self, Directory, LogClock, Replicated};
use raft_core::node::Group;
use raft_core::{Address, BoxFuture, NodeId, Service};
use tokio::time::timeout;

use crate::command;
use crate::config::Configuration;
use crate::controller::Controller;
use crate::refusal::Refusal;
use crate::settings::{CONFIGURATION_BYTES_MAX, Settings};
use crate::status::{NodeStatus, WireStatus};
use crate::wire::{self, Answer, Fault, Kind, Read};

use watchers::Watchers;

/// The configuration of a [`ControllerServer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What the cluster is made with, if this node is the first to lead the group.
    pub settings: Settings,
    /// How long a session lives unused, by the log's time. Carried by the command that opens a session,
    /// so nodes may differ. At most 49 days. Default one hour.
    pub session_ttl: Duration,
    /// The longest that a request may wait here, whatever its client says. Default 30 s.
    pub deadline_max: Duration,
    /// The most clients that may wait for the next configuration. Default 1,024.
    pub watchers_max: usize,
}

impl ServerConfig {
    /// The defaults, for a cluster that is to be made like this.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            session_ttl: Duration::from_secs(3600),
            deadline_max: Duration::from_secs(30),
            watchers_max: 1_024,
        }
    }
}

/// Serves one controller group. Cheap to clone.
pub struct ControllerServer<R = Group<Controller>> {
    shared: Arc<Shared<R>>,
}

impl<R> Clone for ControllerServer<R> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

struct Shared<R> {
    replica: R,
    config: ServerConfig,
    clock: LogClock,
    directory: Directory,
    watchers: Watchers,
    /// Whether the cluster was seen to be made: it stays so.
    founded: AtomicBool,
}

impl<R: Replicated<Controller>> ControllerServer<R> {
    /// Serves `replica`. `addresses` says where clients reach the nodes, for hints at the leader.
    pub fn new(
        replica: R,
        addresses: impl IntoIterator<Item = (NodeId, Address)>,
        config: ServerConfig,
    ) -> Self {
        let shared = Shared {
            replica,
            clock: LogClock::default(),
            directory: Directory::new(addresses),
            watchers: Watchers::new(config.watchers_max),
            founded: AtomicBool::new(false),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the addresses, after the membership of the controller group has changed.
    pub fn set_addresses(&self, addresses: impl IntoIterator<Item = (NodeId, Address)>) {
        self.shared.directory.replace(addresses);
    }

    /// What this node says of itself.
    pub fn status(&self) -> NodeStatus {
        self.shared.status()
    }
}

impl<R: Replicated<Controller>> Service for ControllerServer<R> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let shared = self.shared.clone();
        Box::pin(async move { shared.answer(&request).await.unwrap_or_else(fault) })
    }
}

fn fault(fault: Fault) -> Bytes {
    wire::reply(&Answer::Fault(fault)).into()
}

fn too_large(bytes: u64, bytes_max: u64) -> Refusal {
    Refusal::CommandTooLarge { bytes, bytes_max }
}

impl<R: Replicated<Controller>> Shared<R> {
    async fn answer(&self, request: &Bytes) -> Result<Bytes, Fault> {
        let (kind, budget, body) = wire::read_request(request).map_err(|_| Fault::Malformed)?;
        let deadline = budget.min(self.config.deadline_max);
        match kind {
            Kind::Change => {
                check_change(body)?;
                self.found(deadline).await?;
                self.propose(command::from_body(self.stamp(), body), deadline).await
            }
            Kind::OpenSession => {
                self.found(deadline).await?;
                let ttl_ms = u32::try_from(self.config.session_ttl.as_millis()).unwrap_or(u32::MAX);
                self.propose(command::open_session(self.stamp(), ttl_ms), deadline).await
            }
            Kind::Read => {
                let read = rpc::decode(body).map_err(|_| Fault::Malformed)?;
                self.found(deadline).await?;
                self.read(read, deadline).await
            }
            Kind::Status => {
                Ok(wire::reply(&Answer::Status(WireStatus::from(&self.status()))).into())
            }
        }
    }

    fn stamp(&self) -> u64 {
        let term = self.replica.changes().borrow().term;
        self.clock.stamp(term, || self.replica.peek(|_, controller| controller.log_time()))
    }

    /// Makes the cluster, unless it is made.
    async fn found(&self, deadline: Duration) -> Result<(), Fault> {
        let is_founded = |controller: &Controller| controller.settings().is_some();
        if self.founded.load(Ordering::Relaxed)
            || self.replica.peek(|_, controller| is_founded(controller))
        {
            self.founded.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let command = command::found(self.stamp(), &self.config.settings);
        match timeout(deadline, self.replica.propose(command)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(match self.directory.proposal_fault(error, too_large) {
                // It is the founding that is in doubt: what was asked for is certainly not done.
                Fault::Unknown(hint) => Fault::NotLeader(hint),
                fault => fault,
            }),
            Err(_) => Err(Fault::Deadline),
        }
    }

    async fn propose(&self, command: Bytes, deadline: Duration) -> Result<Bytes, Fault> {
        match timeout(deadline, self.replica.propose(command)).await {
            Ok(Ok(Ok(reply))) => Ok(wire::reply(&Answer::Done(reply)).into()),
            Ok(Ok(Err(error))) => Err(Fault::Command(error)),
            Ok(Err(error)) => Err(self.directory.proposal_fault(error, too_large)),
            Err(_) => Err(Fault::Unknown(None)),
        }
    }

    async fn read(&self, read: Read, deadline: Duration) -> Result<Bytes, Fault> {
        let look = match read {
            Read::After { number, wait_ms } => {
                let wait = deadline.min(Duration::from_millis(u64::from(wait_ms)));
                return self.watch(number, wait, deadline).await;
            }
            Read::Newest => None,
            Read::Number(number) => Some(number),
        };
        let look = move |controller: &Controller| {
            let newest = controller.newest().map(Configuration::number).unwrap_or_default();
            controller.encoded(look.unwrap_or(newest).min(newest))
        };
        let found = self.look(look, deadline).await?;
        found.map_err(Fault::Refused)?.map(|it| configuration(&it)).ok_or(Fault::Deadline)
    }

    /// A linearizable look at the controller. What it returns are refcounts: it is encoded elsewhere.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
        deadline: Duration,
    ) -> Result<T, Fault> {
        match timeout(deadline, self.replica.read(look)).await {
            Ok(Ok(seen)) => Ok(seen),
            Ok(Err(error)) => Err(self.directory.query_fault(error)),
            Err(_) => Err(Fault::Deadline),
        }
    }

    fn status(&self) -> NodeStatus {
        let group = self.replica.status();
        let watchers = self.watchers.waiting() as u64;
        self.replica.peek(|applied, controller| NodeStatus {
            role: group.role,
            term: group.term,
            leader: group.leader,
            commit: group.commit.max(applied.index),
            applied,
            last: group.last,
            durable: group.durable,
            snapshot: group.snapshot,
            log_bytes: group.log_bytes,
            cluster: controller.settings().map(|settings| (settings.cluster, settings.shards)),
            newest: controller.newest().map(Configuration::number).unwrap_or_default(),
            oldest: controller.oldest(),
            sessions: controller.sessions() as u64,
            watchers,
            log_time: controller.log_time(),
            digest: controller.digest(),
        })
    }
}

/// What need not enter the log to be refused: the limits are the state machine's to check.
fn check_change(body: &[u8]) -> Result<(), Fault> {
    let (bytes, bytes_max) = (body.len(), CONFIGURATION_BYTES_MAX);
    if bytes > bytes_max as usize {
        let bytes = bytes as u64;
        return Err(Fault::Refused(Refusal::ConfigurationTooLarge { bytes, bytes_max }));
    }
    command::read_change(body).map(|_| ()).map_err(|_| Fault::Malformed)
}

fn configuration(encoded: &Bytes) -> Bytes {
    wire::reply(&Answer::Configuration(encoded)).into()
}
