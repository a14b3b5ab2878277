//! What an operator does, and sees.

use std::future::Future;

use raft_core::GroupId;
use shardctrler::{Change, ConfigNumber, Configuration, Group, ShardId};

use super::fleet::{World, servers};
use super::setup::{Job, MS, SECOND};

impl World {
    /// Does something with the controller.
    pub fn admin<T, F>(&mut self, call: impl FnOnce(shardctrler::Clerk) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let job = self.begin_admin(call);
        self.finish(&job)
    }

    pub fn begin_admin<T, F>(&mut self, call: impl FnOnce(shardctrler::Clerk) -> F) -> Job<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (host, clerk) = self.admin.clone().expect("made at once");
        let job = Job::new();
        let (tell, task) = (job.share(), call(clerk));
        self.sim.within(host, || tokio::spawn(async move { tell.set(task.await) }));
        job
    }

    pub fn change(&mut self, change: Change) -> ConfigNumber {
        self.admin(|clerk| async move { clerk.change(&change).await }).expect("changed")
    }

    pub fn join(&mut self, groups: &[u64]) -> ConfigNumber {
        let group = |id: &u64| (GroupId(*id), Group::new(servers(*id)));
        self.change(Change::Join(groups.iter().map(group).collect()))
    }

    pub fn leave(&mut self, groups: &[u64]) -> ConfigNumber {
        self.change(Change::Leave(groups.iter().map(|id| GroupId(*id)).collect()))
    }

    pub fn move_shard(&mut self, shard: u16, to: u64) -> ConfigNumber {
        self.change(Change::Move { shard: ShardId(shard), to: GroupId(to) })
    }

    pub fn newest(&mut self) -> Configuration {
        self.admin(|clerk| async move { clerk.newest().await }).expect("answered")
    }

    /// Waits until these groups have reached the configuration and everything is where it belongs.
    pub fn settle(&mut self, groups: &[u64], number: ConfigNumber) {
        let until = self.sim.now() + 60 * SECOND;
        while !groups.iter().all(|group| self.is_settled(*group, number)) {
            assert!(self.sim.now() < until, "not settled:\n{}", self.describe());
            self.run_for(20 * MS);
        }
    }

    pub fn is_settled(&self, group: u64, number: ConfigNumber) -> bool {
        self.peek(group, |store| store.number() >= number && store.is_settled()).unwrap_or(false)
    }

    pub fn describe(&self) -> String {
        let mut lines = Vec::new();
        for group in self.groups.keys() {
            lines.push(format!("group {group}, leader {:?}:", self.leader(*group)));
            self.peek(*group, |store| {
                lines.push(format!("  {:?}", store.number()));
                lines.extend(store.shard_states().iter().map(|state| format!("  {state:?}")));
            });
        }
        lines.join("\n")
    }
}
