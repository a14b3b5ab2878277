//! What an operator does, and sees.

use std::future::Future;

use raft_core::GroupId;
use shardctrler::{Change, ConfigNumber, Configuration, ShardId};

use super::fleet::World;
use super::setup::SECOND;

impl World {
    /// Does something with the controller.
    pub fn admin<T, F>(&mut self, call: impl FnOnce(shardctrler::Clerk) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.cluster.operate(call);
        self.finish(&job)
    }

    pub fn change(&mut self, change: Change) -> ConfigNumber {
        self.admin(|clerk| async move { clerk.change(&change).await }).expect("changed")
    }

    pub fn join(&mut self, groups: &[u64]) -> ConfigNumber {
        let change = self.cluster.joining(groups.iter().copied().map(GroupId));
        self.change(change)
    }

    pub fn leave(&mut self, groups: &[u64]) -> ConfigNumber {
        let change = self.cluster.leaving(groups.iter().copied().map(GroupId));
        self.change(change)
    }

    pub fn move_shard(&mut self, shard: u16, to: u64) -> ConfigNumber {
        let change = self.cluster.moving(ShardId(shard), GroupId(to));
        self.change(change)
    }

    pub fn newest(&mut self) -> Configuration {
        self.admin(|clerk| async move { clerk.newest().await }).expect("answered")
    }

    /// Waits until these groups have reached the configuration and everything is where it belongs.
    pub fn settle(&mut self, groups: &[u64], number: ConfigNumber) {
        let groups: Vec<GroupId> = groups.iter().copied().map(GroupId).collect();
        let settled = self.cluster.settle(60 * SECOND, &groups, number);
        self.check();
        settled.unwrap_or_else(|unsettled| panic!("{unsettled}"));
    }

    pub fn is_settled(&self, group: u64, number: ConfigNumber) -> bool {
        self.cluster.is_settled(GroupId(group), number)
    }

    pub fn describe(&self) -> String {
        self.cluster.describe()
    }
}
