//! [`ShardServers`]: several groups at one address.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;
use kv::Op;
use kv::rpc::{decode, read_write, take};
use raft_core::node::Group;
use raft_core::{BoxFuture, GroupId, Service};
use shardctrler::{ConfigNumber, ShardId};

use super::{Replica, ShardServer};
use crate::store::{Phase, ShardStore};
use crate::transfer::TransferRequest;
use crate::wire::{self, Kind, take_shard};

/// The servers of all groups that a process has replicas of, as one service: one listener for all of them.
///
/// A request of a client is about a shard, not about a group: it goes to the group that has the shard, as far as
/// the replicas here know. If they are behind, it is sent away as by any other server that is. What groups say to
/// each other goes to the group that it is for.
pub struct ShardServers<R = Group<ShardStore>> {
    servers: BTreeMap<GroupId, ShardServer<R>>,
}

impl<R: Replica> ShardServers<R> {
    /// These groups.
    pub fn new(servers: impl IntoIterator<Item = ShardServer<R>>) -> Self {
        let group = |server: &ShardServer<R>| server.shared.settings.group;
        Self { servers: servers.into_iter().map(|server| (group(&server), server)).collect() }
    }

    /// The server of a group.
    pub fn group(&self, group: GroupId) -> Option<&ShardServer<R>> {
        self.servers.get(&group)
    }

    /// Whose the request is; `None` when it makes no sense, or is for a group that is not here.
    fn find(&self, request: &[u8]) -> Option<&ShardServer<R>> {
        let (kind, _, mut body) = wire::read_request(request).ok()?;
        match kind {
            Kind::Write => {
                let (_, write) = read_write(body).ok()?;
                self.with(self.shard_of(write.ops().first().map(Op::key)))
            }
            Kind::OpenSession | Kind::Read => self.with(take_shard(&mut body).ok()?),
            Kind::Status => {
                let group = take(&mut body).ok().map(|group| GroupId(u64::from_le_bytes(group)));
                group.and_then(|group| self.group(group))
            }
            Kind::Transfer => {
                let request: TransferRequest = decode(body).ok()?;
                self.group(request.ask.of().to())
            }
        }
    }

    fn shard_of(&self, key: Option<&[u8]>) -> ShardId {
        let count = self.servers.values().find_map(|server| {
            let count = |store: &ShardStore| Some(store.configuration()?.shard_count());
            server.shared.replica.peek(|_, store| count(store))
        });
        count.zip(key).map_or(ShardId(0), |(count, key)| count.shard_of(key))
    }

    /// The group that has the shard, or will; else the one that knows best where it is.
    fn with(&self, shard: ShardId) -> Option<&ShardServer<R>> {
        let rank = |server: &&ShardServer<R>| -> Reverse<(u8, ConfigNumber)> {
            Reverse(server.shared.replica.peek(|_, store| {
                let rank = match store.shard_state(shard).map(|state| state.phase) {
                    Some(Phase::Serving | Phase::Leaving) => 3,
                    Some(Phase::Arriving) => 2,
                    Some(Phase::Frozen) => 1,
                    None => 0,
                };
                (rank, store.number())
            }))
        };
        self.servers.values().min_by_key(rank)
    }
}

impl<R: Replica> Service for ShardServers<R> {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        match self.find(&request).or_else(|| self.servers.values().next()) {
            Some(server) => server.call(request),
            None => Box::pin(async { wire::malformed() }),
        }
    }
}
