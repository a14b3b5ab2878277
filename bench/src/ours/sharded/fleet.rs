//! Three processes, each with a replica of the controller and of two groups that own shards.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raft_core::{Address, Caller, GroupId, NodeId, Role};
use raft_transport::{CallerConfig, Carrier, GroupCaller, NetCaller, TokioNetwork, group_address};
use shardctrler::{Configuration, Group};
use shardkv::{NodeStatus, Phase};

use crate::ours::cluster::{Cluster, Mode};
use crate::sample::Missing;

const CONTROLLER: GroupId = GroupId(0);
/// The groups that own shards.
pub(super) const FIRST: GroupId = GroupId(1);
pub(super) const SECOND: GroupId = GroupId(2);
/// Longer than it takes to elect a leader.
const ELECTION: Duration = Duration::from_secs(2);
/// Far longer than anything that is waited for takes.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) struct Fleet {
    cluster: Cluster,
    nodes: Vec<(NodeId, Address)>,
    controller: shardctrler::Clerk,
}

/// A caller with a connection of its own to each node. Within a runtime only.
fn caller(seed: u64) -> Arc<dyn Caller> {
    let caller =
        NetCaller::new(CallerConfig::new(seed), Carrier::plaintext(Arc::new(TokioNetwork)));
    Arc::new(GroupCaller::new(Arc::new(caller)))
}

impl Fleet {
    /// Starts it with empty data directories in `dir`. No group has joined. Within a runtime only.
    pub(super) fn start(dir: &Path) -> Result<Self, Missing> {
        let groups = "0=1+2+3,1=1+2+3,2=1+2+3";
        let flags = ["--groups", groups, "--snapshot-after", "16MiB"];
        let cluster = Cluster::start::<3>(dir, Mode::Sharded, &flags)?;
        let addresses = cluster.addresses();
        let nodes: Vec<_> = (1..)
            .map(NodeId)
            .zip(addresses.iter().map(|at| Address::from(at.to_string())))
            .collect();
        let endpoints = nodes.iter().map(|(_, at)| group_address(at, CONTROLLER));
        let mut config = shardctrler::ClerkConfig::default();
        config.deadline = LIMIT;
        let controller = shardctrler::Clerk::new(caller(1), endpoints, config);
        Ok(Self { cluster, nodes, controller })
    }

    /// Waits until one node leads both groups. The leader of the second is stopped for a while when it is another
    /// one than that of the first, as often as need be.
    pub(super) async fn together(&self, clerk: &shardkv::Clerk) -> Result<(), Missing> {
        let begun = Instant::now();
        loop {
            let (first, second) =
                (self.leader(clerk, FIRST).await, self.leader(clerk, SECOND).await);
            match (first, second) {
                (Some(first), Some(second)) if first == second => return Ok(()),
                (Some(_), Some(second)) => {
                    let server = self.cluster.server(second);
                    let server = server.ok_or(Missing::Failed("an unknown node leads".into()))?;
                    server.pause()?;
                    tokio::time::sleep(ELECTION).await;
                    server.resume()?;
                }
                _ => {}
            }
            if begun.elapsed() > LIMIT {
                return Err(Missing::Failed("the groups do not get the same leader".into()));
            }
            tokio::time::sleep(ELECTION).await;
        }
    }

    /// The leader of a group, when all nodes agree on it.
    async fn leader(&self, clerk: &shardkv::Clerk, group: GroupId) -> Option<NodeId> {
        let all = self.status(clerk, group).await;
        let leader = all.first()?.leader;
        let agreed = all.len() == self.nodes.len() && all.iter().all(|it| it.leader == leader);
        leader.filter(|_| agreed)
    }

    pub(super) fn controller(&self) -> &shardctrler::Clerk {
        &self.controller
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.cluster.pids()
    }

    /// A client over connections of its own. Within a runtime only.
    pub(super) fn clerk(&self, seed: u64) -> shardkv::Clerk {
        let mut config = shardkv::ClerkConfig::default();
        config.calls.seed = seed;
        shardkv::Clerk::new(caller(seed), self.controller.clone(), config)
    }

    /// The group joins.
    pub(super) async fn join(&self, group: GroupId) -> Result<(), Missing> {
        let servers = self.nodes.iter().map(|(id, at)| (*id, group_address(at, group)));
        let groups = [(group, Group::new(servers))].into();
        self.controller.join(groups).await?;
        Ok(())
    }

    /// The group leaves.
    pub(super) async fn leave(&self, group: GroupId) -> Result<(), Missing> {
        self.controller.leave([group]).await?;
        Ok(())
    }

    /// What the nodes say of a group; those that say nothing are left out.
    async fn status(&self, clerk: &shardkv::Clerk, group: GroupId) -> Vec<NodeStatus> {
        let mut all = Vec::new();
        for (_, at) in &self.nodes {
            all.extend(clerk.status(&group_address(at, group)).await);
        }
        all
    }

    /// Whether the group's leader serves a shard in its own right.
    pub(super) async fn serves(&self, clerk: &shardkv::Clerk, group: GroupId) -> bool {
        let served =
            |status: &NodeStatus| status.shards.iter().any(|it| it.phase == Phase::Serving);
        let all = self.status(clerk, group).await;
        all.iter().any(|status| status.role == Role::Leader && served(status))
    }

    /// Waits until every shard is where the newest configuration has it, on every node, and nowhere else.
    pub(super) async fn settle(
        &mut self,
        clerk: &shardkv::Clerk,
    ) -> Result<Configuration, Missing> {
        let begun = Instant::now();
        self.cluster.check()?;
        let config = self.controller.newest().await?;
        while !self.is_settled(clerk, &config).await {
            if begun.elapsed() > LIMIT {
                return Err(Missing::Failed(format!("the moves took longer than {LIMIT:?}")));
            }
            // Not often: it is asked while the writers are measured.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(config)
    }

    async fn is_settled(&self, clerk: &shardkv::Clerk, config: &Configuration) -> bool {
        for group in config.groups().keys() {
            let all = self.status(clerk, *group).await;
            let settled = |status: &NodeStatus| {
                let here = status.shards.iter().all(|it| it.phase == Phase::Serving);
                let count = status.shards.len() == config.shards_of(*group).count();
                status.number == config.number() && here && count
            };
            if all.len() < self.nodes.len() || !all.iter().all(settled) {
                return false;
            }
        }
        true
    }

    /// Bytes of keys and values, of all replicas of all groups.
    pub(super) async fn state_bytes(&self, clerk: &shardkv::Clerk) -> io::Result<u64> {
        let mut bytes = 0;
        for group in [FIRST, SECOND] {
            let all = self.status(clerk, group).await;
            if all.len() < self.nodes.len() {
                return Err(io::Error::other("a node does not answer"));
            }
            bytes += all.iter().flat_map(|status| &status.shards).map(|it| it.bytes).sum::<u64>();
        }
        Ok(bytes)
    }
}
