//! [`Clerk`]: the client. Cheap to clone; any number of calls at once.
//!
//! It is made of [`kv::rpc::Calls`]: all clones share one session, opened when the first change needs it. A
//! change has a number in the session and keeps it through every attempt, so that it is done once; queries
//! and watches need no session. Calls follow the servers' hints at the leader, try other endpoints when one
//! fails, pause longer after each failure, and end at their deadline with a [`ClerkError`] that says what
//! is certain.
//!
//! Relies on a [`Caller`] that delivers a request at most once, and a call whose future is dropped gives
//! up: it may still be done, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kv::command::SessionId;
use kv::rpc::{self, Calls, CallsConfig, Protocol, Reading, deadline_after};
use kv::{Cause, ClerkError as Error};
use raft_core::{Address, Caller, GroupId, NodeId};
use tokio::time::{Instant, sleep_until};

use crate::change::Change;
use crate::command;
use crate::config::{ConfigNumber, Configuration, Group};
use crate::controller::SESSION_WINDOW;
use crate::raw;
use crate::refusal::Refusal;
use crate::reply::{Outcome, Reply};
use crate::settings::CONFIGURATION_BYTES_MAX;
use crate::shard::ShardId;
use crate::status::NodeStatus;
use crate::wire::{self, Answer, Kind, Read};

/// Why a call has no answer.
pub type ClerkError = Error<Refusal>;

/// The configuration of a [`Clerk`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClerkConfig {
    /// How long a call may take, with all its attempts. Default 10 s.
    pub deadline: Duration,
    /// How each request is tried.
    pub calls: CallsConfig,
}

impl Default for ClerkConfig {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(10), calls: CallsConfig::default() }
    }
}

/// A client of the controller group. Clones share the session, the route and the bound on calls in flight.
#[derive(Clone)]
pub struct Clerk {
    calls: Arc<Calls<Controlling>>,
    deadline: Duration,
}

/// The service, for the calls that its clerk is made of.
struct Controlling;

impl Protocol for Controlling {
    type Refusal = Refusal;
    const WINDOW: u16 = SESSION_WINDOW;

    fn open_session(&self) -> Vec<u8> {
        wire::request(Kind::OpenSession, 0)
    }

    fn opened(reply: &Bytes) -> Reading<SessionId, Refusal> {
        read(reply, |answer| match answer {
            Answer::Done(Reply { index, outcome: Outcome::SessionOpened }) => {
                Some(SessionId(index))
            }
            _ => None,
        })
    }
}

fn read<T>(reply: &Bytes, accept: impl FnOnce(Answer<'_>) -> Option<T>) -> Reading<T, Refusal> {
    match wire::read_reply(reply) {
        Ok(Answer::Fault(fault)) => Reading::Fault(fault),
        Ok(answer) => accept(answer).map_or(Reading::Nonsense, Reading::Answer),
        Err(_) => Reading::Nonsense,
    }
}

/// A configuration, or that there is none yet.
fn read_configuration(reply: &Bytes) -> Reading<Option<Configuration>, Refusal> {
    read(reply, |answer| match answer {
        Answer::Configuration(encoded) => raw::decode_configuration(encoded).ok().map(Some),
        Answer::Unchanged => Some(None),
        _ => None,
    })
}

impl Clerk {
    /// A clerk for the group whose nodes are at `endpoints`, any of them, in any order.
    pub fn new(
        caller: Arc<dyn Caller>,
        endpoints: impl IntoIterator<Item = Address>,
        config: ClerkConfig,
    ) -> Self {
        let calls = Arc::new(Calls::new(Controlling, caller, endpoints, config.calls));
        Self { calls, deadline: config.deadline }
    }

    /// The same clerk with another deadline for its calls.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// These groups join, and get their part of the shards. Returns the number of the configuration that
    /// this made, as all changes do.
    pub async fn join(&self, groups: BTreeMap<GroupId, Group>) -> Result<ConfigNumber, ClerkError> {
        self.change(&Change::Join(groups)).await
    }

    /// These groups leave, and the others get their shards.
    pub async fn leave(
        &self,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Result<ConfigNumber, ClerkError> {
        self.change(&Change::Leave(groups.into_iter().collect())).await
    }

    /// The shard goes to this group, and stays there until a group joins or leaves.
    pub async fn move_shard(
        &self,
        shard: ShardId,
        to: GroupId,
    ) -> Result<ConfigNumber, ClerkError> {
        self.change(&Change::Move { shard, to }).await
    }

    /// The group has these servers from now on. No shard moves.
    pub async fn set_servers(
        &self,
        group: GroupId,
        servers: BTreeMap<NodeId, Address>,
    ) -> Result<ConfigNumber, ClerkError> {
        self.change(&Change::SetServers { group, servers }).await
    }

    /// The shards are balanced anew, also those that were moved by hand; these groups have other weights
    /// from now on.
    pub async fn rebalance(
        &self,
        weights: BTreeMap<GroupId, u32>,
    ) -> Result<ConfigNumber, ClerkError> {
        self.change(&Change::Rebalance { weights }).await
    }

    /// Does a change, once. Returns the number of the configuration that it made.
    pub async fn change(&self, change: &Change) -> Result<ConfigNumber, ClerkError> {
        let request =
            |ticket| command::change_body(wire::request(Kind::Change, 64), ticket, change);
        let (bytes, bytes_max) = (raw::change_bytes(change), CONFIGURATION_BYTES_MAX);
        if bytes > bytes_max as usize {
            // More than a frame may have, perhaps: it would never arrive.
            let bytes = bytes as u64;
            return Err(Refusal::ConfigurationTooLarge { bytes, bytes_max }.into());
        }
        let done = |reply: &Bytes| {
            read(reply, |answer| match answer {
                Answer::Done(reply) => Some(reply),
                _ => None,
            })
        };
        let reply = self.calls.write(request, self.until(), done).await?;
        match reply.outcome {
            Outcome::Changed(number) => Ok(number),
            Outcome::Refused(refusal) => Err(refusal.into()),
            // The state machine's answer is to another question: what was done is not known.
            Outcome::Founded | Outcome::SessionOpened => Err(Error::Unknown(Cause::Protocol)),
        }
    }

    /// The newest configuration. Linearizable.
    pub async fn newest(&self) -> Result<Configuration, ClerkError> {
        self.query_one(Read::Newest).await
    }

    /// The configuration of this number, or the newest if there is none of this number yet. Linearizable.
    ///
    /// # Errors
    ///
    /// [`Refusal::Compacted`] when it is not kept any more, beside what every call may fail with.
    pub async fn query(&self, number: ConfigNumber) -> Result<Configuration, ClerkError> {
        self.query_one(Read::Number(number)).await
    }

    /// Waits for the configuration after `number`, until shortly before the deadline; `None` when there is
    /// none by then. However often the configuration changes meanwhile, it is the one with the next number.
    ///
    /// # Errors
    ///
    /// [`Refusal::Compacted`] when it is not kept any more, beside what every call may fail with.
    pub async fn watch(&self, number: ConfigNumber) -> Result<Option<Configuration>, ClerkError> {
        let deadline = self.until();
        // Half an attempt: the answer that there is nothing new is back before the attempt is over.
        let round = self.calls.config().attempt_timeout / 2;
        loop {
            let begun = Instant::now();
            let left = deadline.saturating_duration_since(Instant::now());
            // The last round is longer or shorter, so that none is too short for an answer.
            let is_last = left < round + round / 2;
            let wait = if is_last { left / 4 * 3 } else { round };
            let wait_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
            let found = self.read(Read::After { number, wait_ms }, deadline).await?;
            if found.is_some() || is_last {
                return Ok(found);
            }
            // A server that says so without having waited must not make a busy loop.
            sleep_until(begun + self.calls.config().backoff_max.min(round)).await;
        }
    }

    /// What the node at `endpoint` says of itself, leader or not, quorum or not. One attempt.
    pub async fn status(&self, endpoint: &Address) -> Result<NodeStatus, ClerkError> {
        let request = wire::request(Kind::Status, 0);
        let status = |reply: &Bytes| {
            read(reply, |answer| match answer {
                Answer::Status(status) => Some(status.into()),
                _ => None,
            })
        };
        self.calls.ask(endpoint, request, self.deadline, status).await
    }

    fn until(&self) -> Instant {
        deadline_after(self.deadline)
    }

    async fn query_one(&self, read: Read) -> Result<Configuration, ClerkError> {
        let found = self.read(read, self.until()).await?;
        found.ok_or(Error::NotDone(Cause::Protocol))
    }

    async fn read(
        &self,
        read: Read,
        deadline: Instant,
    ) -> Result<Option<Configuration>, ClerkError> {
        let request = rpc::encode(wire::request(Kind::Read, 16), &read);
        self.calls.read(request, deadline, read_configuration).await
    }
}
