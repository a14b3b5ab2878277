//! What clients are answered.

use std::sync::Arc;

use bytes::Bytes;
use kv::rpc::{self, Found, LogClock, Malformed, Read, Replicated};
use kv::{Blob, Scan, Store};
use raft_core::Role;
use shardctrler::ShardId;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::command;
use crate::refusal::{Output, Refusal};
use crate::status::WireStatus;
use crate::store::ShardStore;
use crate::wire::{self, Answer, Fault, Kind, take_shard};

fn malformed(_: Malformed) -> Fault {
    Fault::Malformed
}

pub(super) fn too_large(bytes: u64, bytes_max: u64) -> Refusal {
    Refusal::Store(kv::Refusal::CommandTooLarge { bytes, bytes_max })
}

impl<R: Replicated<ShardStore>> Shared<R> {
    pub(super) async fn answer(&self, request: &Bytes) -> Bytes {
        let Ok((kind, budget, body)) = wire::read_request(request) else {
            return fault(Fault::Malformed);
        };
        let deadline = Instant::now() + budget.min(self.config.deadline_max);
        if !matches!(kind, Kind::Status) {
            rpc::elected(self.replica.changes()).await;
        }
        let answered = match kind {
            Kind::Write => self.write(body, deadline).await,
            Kind::OpenSession => self.open_session(body, deadline).await,
            Kind::Read => self.read(body, deadline).await,
            Kind::Status => Ok(wire::other_reply(&WireStatus::from(&self.status())).into()),
            Kind::Transfer => return self.receive(body, deadline).await,
        };
        answered.unwrap_or_else(fault)
    }

    /// A node that does not lead may be far behind: it sends clients to the leader and nowhere else.
    pub(super) fn check_leads<T>(&self) -> Result<(), rpc::Fault<T>> {
        let now = *self.replica.changes().borrow();
        match now.role {
            Role::Leader => Ok(()),
            _ => Err(rpc::Fault::NotLeader(self.directory.hint(now.leader))),
        }
    }

    async fn write(&self, body: &[u8], deadline: Instant) -> Result<Bytes, Fault> {
        let (_, write) = rpc::read_write(body).map_err(malformed)?;
        self.settings.store.limits.check_write(&write).map_err(|it| Fault::Refused(it.into()))?;
        self.check_leads()?;
        let shard = self.shard_of(write.ops().iter().map(kv::Op::key))?;
        self.gate(shard, deadline).await?;
        self.check_pace(shard)?;
        self.propose(shard, rpc::from_body(self.stamp(shard), body), deadline).await
    }

    async fn open_session(&self, mut body: &[u8], deadline: Instant) -> Result<Bytes, Fault> {
        let shard = take_shard(&mut body).map_err(malformed)?;
        self.check_leads()?;
        self.gate(shard, deadline).await?;
        self.check_pace(shard)?;
        let ttl_ms = u32::try_from(self.config.session_ttl.as_millis()).unwrap_or(u32::MAX);
        let command = kv::command::open_session(self.stamp(shard), ttl_ms);
        self.propose(shard, command, deadline).await
    }

    /// A shard that changes faster than it can leave takes no changes for a moment.
    fn check_pace(&self, shard: ShardId) -> Result<(), Fault> {
        match self.local().slowed.contains(&shard) {
            true => Err(Fault::Overloaded),
            false => Ok(()),
        }
    }

    /// The one shard of all keys. Of no key at all, the first.
    fn shard_of<'a>(&self, mut keys: impl Iterator<Item = &'a [u8]>) -> Result<ShardId, Fault> {
        let count =
            self.replica.peek(|_, store| store.configuration().map(|config| config.shard_count()));
        let nowhere = kv::rpc::Elsewhere { number: 0, group: None };
        let count = count.ok_or(Fault::WrongGroup(nowhere))?;
        let shard = keys.next().map_or(ShardId(0), |key| count.shard_of(key));
        match keys.all(|key| count.shard_of(key) == shard) {
            true => Ok(shard),
            false => Err(Fault::Refused(Refusal::CrossShard)),
        }
    }

    /// The time of the shard's log, which goes on wherever the shard is.
    fn stamp(&self, shard: ShardId) -> u64 {
        let term = self.replica.changes().borrow().term;
        let (number, log_time) = self.replica.peek(|_, store| {
            let log_time = store.contents(shard).map_or(0, |(store, _)| store.log_time());
            (store.number(), log_time)
        });
        let mut local = self.local();
        let (since, clock) = local.clocks.entry(shard).or_default();
        if *since != number {
            // It may have been elsewhere, where time went on.
            (*since, *clock) = (number, Arc::new(LogClock::default()));
        }
        clock.stamp(term, || log_time)
    }

    async fn propose(
        &self,
        shard: ShardId,
        command: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Fault> {
        let command = command::client(shard, &command);
        match timeout_at(deadline, self.replica.propose(command)).await {
            Ok(Ok(Output::Store(Ok(reply)))) => Ok(rpc::reply(&Answer::Written(reply), 0).into()),
            Ok(Ok(Output::Store(Err(error)))) => Err(Fault::Command(error)),
            Ok(Ok(Output::Elsewhere(elsewhere))) => Err(Fault::WrongGroup(elsewhere)),
            Ok(Ok(_)) => Err(Fault::Malformed),
            Ok(Err(error)) => Err(self.directory.proposal_fault(error, too_large)),
            Err(_) => Err(Fault::Unknown(None)),
        }
    }

    async fn read(&self, mut body: &[u8], deadline: Instant) -> Result<Bytes, Fault> {
        let shard = take_shard(&mut body).map_err(malformed)?;
        let read: Read<'_> = rpc::decode(body).map_err(malformed)?;
        self.check_leads()?;
        match read {
            Read::Get { key } => {
                let limits = &self.settings.store.limits;
                limits.check_key(key).map_err(|it| Fault::Refused(it.into()))?;
                if self.shard_of([key].into_iter())? != shard {
                    return Err(Fault::Malformed);
                }
                let key = Blob::from(key);
                let look = move |store: &Store| store.get(key.as_slice()).cloned();
                let item = self.look(shard, look, deadline).await?;
                let found = item
                    .as_ref()
                    .map(|item| Found { value: item.value.as_slice(), version: item.version });
                let room = found.map_or(0, |found| found.value.len());
                Ok(rpc::reply(&Answer::Value(found), room).into())
            }
            Read::Scan { start, end, after, entries_max, bytes_max } => {
                let (end, after) = (end.map(<[u8]>::to_vec), after.map(<[u8]>::to_vec));
                let scan = Scan { start: start.to_vec(), end, after, entries_max, bytes_max };
                let page = self.look(shard, move |store| store.scan(&scan), deadline).await?;
                Ok(rpc::page_reply::<Refusal>(&page).into())
            }
        }
    }

    /// A linearizable look at a shard, if it is here at the index that the look is confirmed for.
    async fn look<T: Send + 'static>(
        &self,
        shard: ShardId,
        look: impl FnOnce(&Store) -> T + Send + 'static,
        deadline: Instant,
    ) -> Result<T, Fault> {
        self.gate(shard, deadline).await?;
        let read = self.replica.read(move |store| store.serving(shard).map(look));
        match timeout_at(deadline, read).await {
            Ok(Ok(seen)) => seen.map_err(Fault::WrongGroup),
            Ok(Err(error)) => Err(self.directory.query_fault(error)),
            Err(_) => Err(Fault::Deadline),
        }
    }
}

fn fault(fault: Fault) -> Bytes {
    rpc::reply(&Answer::Fault(fault), 0).into()
}
