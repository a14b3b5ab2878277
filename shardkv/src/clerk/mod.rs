//! [`Clerk`]: the client. Cheap to clone; any number of calls at once.
//!
//! It is made of [`kv::rpc::Calls`], one for each shard that is used: each has a session of its own, opened when
//! the first write of the shard needs it, which moves with the shard. The configuration is remembered, and asked
//! for anew when a server says that the shard is elsewhere, or when a whole group does not answer. A call ends at
//! its deadline with a [`ClerkError`] that says what is certain.

mod pages;
mod protocol;
mod router;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use kv::command::Write;
use kv::rpc::{Calls, CallsConfig, Read, deadline_after, encode, outcome, write_body};
use kv::{
    Appended, Batched, Cause, ClerkError as Error, Deleted, Expect, Limits, Op, Outcome, Page,
    Reply, Scan, Swap, Versioned,
};
use raft_core::{Address, Caller, LogIndex};
use shardctrler::{Configuration, ShardId};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use crate::refusal::Refusal;
use crate::status::{NodeStatus, WireStatus};
use crate::wire::{self, Answer, Kind};

pub use pages::Pages;

use protocol::Sharded;
use router::Router;

/// Why a call has no answer.
pub type ClerkError = Error<Refusal>;

/// The configuration of a [`Clerk`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClerkConfig {
    /// How long a call may take, with all its attempts. Default 10 s.
    pub deadline: Duration,
    /// How each request is tried, and how many of one shard may be in flight.
    pub calls: CallsConfig,
    /// The most calls in flight; more wait, within their deadline. Default 1,024.
    pub in_flight_max: usize,
    /// How long the controller may take to answer, before a call goes on with what is known. Default 2 s.
    pub controller_timeout: Duration,
    /// The servers' limits, so that what they would refuse is not sent.
    pub limits: Limits,
}

impl Default for ClerkConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            calls: CallsConfig::default(),
            in_flight_max: 1_024,
            controller_timeout: Duration::from_secs(2),
            limits: Limits::default(),
        }
    }
}

/// A client of all groups. Clones share the sessions, the configuration and the bound on calls in flight.
#[derive(Clone)]
pub struct Clerk {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    caller: Arc<dyn Caller>,
    config: ClerkConfig,
    router: Arc<Router>,
    slots: Semaphore,
    /// One for each shard that was used.
    lines: Mutex<BTreeMap<ShardId, Arc<Calls<Sharded>>>>,
}

impl Clerk {
    /// A clerk that asks `controller` where shards are, and reaches their groups by `caller`.
    pub fn new(
        caller: Arc<dyn Caller>,
        controller: shardctrler::Clerk,
        config: ClerkConfig,
    ) -> Self {
        let router = Arc::new(Router::new(controller, config.controller_timeout));
        let slots = Semaphore::new(config.in_flight_max.clamp(1, Semaphore::MAX_PERMITS));
        let deadline = config.deadline;
        let shared = Shared { caller, config, router, slots, lines: Mutex::default() };
        Self { shared: Arc::new(shared), deadline }
    }

    /// The same clerk with another deadline for its calls.
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The configuration that the clerk goes by; `None` before the first call.
    pub fn configuration(&self) -> Option<Configuration> {
        self.shared.router.configuration()
    }

    /// The key's value and version, or `None`. Linearizable.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError> {
        self.shared.config.limits.check_key(key).map_err(Refusal::Store)?;
        let deadline = self.until();
        let shard = self.shard_of(key, deadline).await?;
        self.read(shard, &Read::Get { key }, deadline, outcome::value).await
    }

    /// A page of the entries of one shard, as they are at one moment, linearizable.
    pub async fn scan(&self, shard: ShardId, scan: &Scan) -> Result<Page<Bytes>, ClerkError> {
        let deadline = self.until();
        let count = self.shared.router.shard_count(deadline).await?;
        if !count.contains(shard) {
            return Err(Refusal::NoSuchShard { shard: shard.0, count: count.get() }.into());
        }
        self.read(shard, &Read::from(scan), deadline, outcome::page).await
    }

    /// All pages of a scan over all shards, one by one, in the order of (shard, key). Each is of its own moment.
    pub fn pages(&self, scan: Scan) -> Pages {
        Pages::new(self.clone(), scan)
    }

    /// Sets the key. Returns the index of its shard at which it took effect, which is the value's version.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<LogIndex, ClerkError> {
        outcome::put(self.one(Op::Put { key, value }).await?)
    }

    /// Appends to the key's value; a missing key counts as empty.
    pub async fn append(&self, key: &[u8], value: &[u8]) -> Result<Appended, ClerkError> {
        outcome::append(self.one(Op::Append { key, value }).await?)
    }

    /// Removes the key.
    pub async fn delete(&self, key: &[u8]) -> Result<Deleted, ClerkError> {
        outcome::delete(self.one(Op::Delete { key }).await?)
    }

    /// Sets the key (`then`), or removes it (`None`), if it is as expected.
    pub async fn compare_and_set(
        &self,
        key: &[u8],
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> Result<Swap, ClerkError> {
        outcome::swap(self.one(Op::CompareAndSet { key, expect, then }).await?)
    }

    /// Does all the operations, in order and at one moment, or none of them.
    ///
    /// # Errors
    ///
    /// [`Refusal::CrossShard`] when their keys are not all of one shard, beside what every call may fail with.
    pub async fn batch(&self, ops: &[Op<'_>]) -> Result<Batched, ClerkError> {
        outcome::batch(self.write(&Write::Batch(ops.to_vec())).await?)
    }

    /// What the server at `endpoint` says of its replica, leader or not, quorum or not. One attempt.
    pub async fn status(&self, endpoint: &Address) -> Result<NodeStatus, ClerkError> {
        let request = wire::request(Kind::Status, 0);
        let call = self.shared.caller.call(endpoint, request.into());
        let reply = match timeout(self.deadline, call).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => return Err(Error::NotDone(Cause::Unreachable)),
            Err(_) => return Err(Error::NotDone(Cause::NoReply)),
        };
        let status = wire::read_other_reply::<WireStatus>(&reply);
        status.map(NodeStatus::from).map_err(|_| Error::NotDone(Cause::Protocol))
    }

    fn until(&self) -> Instant {
        deadline_after(self.deadline)
    }

    async fn one(&self, op: Op<'_>) -> Result<Reply, ClerkError> {
        self.write(&Write::One(op)).await
    }

    async fn shard_of(&self, key: &[u8], deadline: Instant) -> Result<ShardId, ClerkError> {
        Ok(self.shared.router.shard_count(deadline).await?.shard_of(key))
    }

    async fn write(&self, write: &Write<'_>) -> Result<Reply, ClerkError> {
        self.shared.config.limits.check_write(write).map_err(Refusal::Store)?;
        let deadline = self.until();
        let count = self.shared.router.shard_count(deadline).await?;
        let mut keys = write.ops().iter().map(Op::key);
        let shard = keys.next().map_or(ShardId(0), |key| count.shard_of(key));
        if keys.any(|key| count.shard_of(key) != shard) {
            return Err(Refusal::CrossShard.into());
        }
        let request =
            |ticket| write_body(wire::request(Kind::Write, 64 + write.bytes()), ticket, write);
        let _slot = self.slot(deadline).await?;
        let calls = self.calls(shard);
        let reply = calls.write(request, deadline, outcome::read(outcome::written)).await?;
        match reply.outcome {
            Outcome::Refused(refusal) => Err(Refusal::Store(refusal).into()),
            _ => Ok(reply),
        }
    }

    async fn read<T>(
        &self,
        shard: ShardId,
        read: &Read<'_>,
        deadline: Instant,
        accept: impl Fn(Answer<'_>, &Bytes) -> Option<T>,
    ) -> Result<T, ClerkError> {
        let request = encode(wire::shard_request(Kind::Read, shard, 32), read);
        let _slot = self.slot(deadline).await?;
        self.calls(shard).read(request, deadline, outcome::read(accept)).await
    }

    async fn slot(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ClerkError> {
        match timeout_at(deadline, self.shared.slots.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::NotDone(Cause::InFlight)),
        }
    }

    fn calls(&self, shard: ShardId) -> Arc<Calls<Sharded>> {
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(shard).or_insert_with(|| {
            let router = Arc::clone(&self.shared.router);
            let endpoints = router.endpoints(shard, None);
            let caller = Arc::clone(&self.shared.caller);
            let mut config = self.shared.config.calls.clone();
            config.seed = config.seed.wrapping_add(u64::from(shard.0));
            Arc::new(Calls::new(Sharded { shard, router }, caller, endpoints, config))
        });
        Arc::clone(line)
    }
}
