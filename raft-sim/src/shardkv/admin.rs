//! What an operator does, and sees.

use std::future::Future;
use std::time::Duration;

use raft_core::GroupId;
use shardctrler::{Change, Clerk, ClerkError, ConfigNumber, Configuration, Group, ShardId};

use super::boot::controller_clerk;
use super::cluster::ShardCluster;
use super::config::ShardConfig;
use super::nodes::describe;
use crate::kv::Job;
use crate::net::HostId;
use crate::world::Sim;

/// The operator: a process with a clerk of the controller.
pub(super) struct Admin {
    pub(super) host: HostId,
    clerk: Clerk,
}

/// How often it is looked whether the groups have settled.
const STEP: Duration = Duration::from_millis(20);

impl Admin {
    pub(super) fn start(sim: &mut Sim, config: &ShardConfig) -> Self {
        let host = sim.add_host("admin");
        let mut clerk = None;
        sim.start(host, |process| {
            clerk = Some(controller_clerk(&process, config));
            std::future::pending()
        });
        Self { host, clerk: clerk.expect("made when the process starts") }
    }
}

/// What did not happen in time, and how everything stands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not settled within {limit:?}:\n{standing}")]
pub struct Unsettled {
    /// How long it was waited for.
    pub limit: Duration,
    /// The groups and their shards.
    pub standing: String,
}

impl ShardCluster {
    /// Has the operator do something with the controller. It begins at once, and goes on as time passes.
    pub fn operate<T, F>(&mut self, call: impl FnOnce(Clerk) -> F) -> Job<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let doing = call(self.admin.clerk.clone());
        Job::begin(&mut self.sim, self.admin.host, doing)
    }

    /// The process of the operator.
    pub fn operator(&self) -> HostId {
        self.admin.host
    }

    /// Has the operator make a change.
    pub fn change(&mut self, change: Change) -> Job<Result<ConfigNumber, ClerkError>> {
        self.operate(|clerk| async move { clerk.change(&change).await })
    }

    /// The change by which these groups join.
    pub fn joining(&self, groups: impl IntoIterator<Item = GroupId>) -> Change {
        let group = |id| (id, Group::new(self.config().servers(id)));
        Change::Join(groups.into_iter().map(group).collect())
    }

    /// The change by which these groups leave.
    pub fn leaving(&self, groups: impl IntoIterator<Item = GroupId>) -> Change {
        Change::Leave(groups.into_iter().collect())
    }

    /// The change by which a shard goes to this group.
    pub fn moving(&self, shard: ShardId, to: GroupId) -> Change {
        Change::Move { shard, to }
    }

    /// Has the operator ask for the newest configuration.
    pub fn newest(&mut self) -> Job<Result<Configuration, ClerkError>> {
        self.operate(|clerk| async move { clerk.newest().await })
    }

    /// Whether a group has reached this configuration, and everything is where it belongs.
    pub fn is_settled(&self, group: GroupId, number: ConfigNumber) -> bool {
        let there = self.peek(group, |store| store.number() >= number && store.is_settled());
        there.unwrap_or(false)
    }

    /// Lets time pass until these groups have reached the configuration and everything is where it belongs.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub fn settle(
        &mut self,
        limit: Duration,
        groups: &[GroupId],
        number: ConfigNumber,
    ) -> Result<(), Unsettled> {
        let until = self.sim.now() + limit;
        while !groups.iter().all(|group| self.is_settled(*group, number)) {
            if self.sim.now() >= until {
                return Err(Unsettled { limit, standing: self.describe() });
            }
            self.sim.run_for(STEP);
        }
        Ok(())
    }

    /// The groups and their shards, in words.
    pub fn describe(&self) -> String {
        describe(self)
    }
}
