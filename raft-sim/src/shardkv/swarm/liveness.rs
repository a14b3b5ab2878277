//! [`Rest`]: the faults have ended, but that a minority may take no part; everything comes to rest, each in bounded
//! time.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_core::GroupId;
use shardctrler::{ClerkError, ConfigNumber, Configuration};
use shardkv::Phase;

use super::operators::Operators;
use super::plan::ShardPlan;
use crate::cluster::Wire;
use crate::kv::{Crew, Job};
use crate::shardkv::ShardCluster;
use crate::swarm::{Absence, Dice, Failure, Nodes, Tally, Ward, check};

/// What the operators have begun is done, or known not to be.
const CHANGES_MAX: Duration = Duration::from_secs(30);
/// All groups are at the newest configuration: so long, and for each configuration that one is behind as long again.
const SETTLED_MAX: Duration = Duration::from_secs(20);
const SETTLED_EACH: Duration = Duration::from_secs(3);
/// By when every call has returned, after the groups have settled.
const CALLS_MAX: Duration = Duration::from_secs(10);
/// Over streams, that much later: until broken ones are noticed.
const STREAMS_MORE: Duration = Duration::from_secs(6);
/// By when all replicas have applied the same, when all are there.
const CONVERGED_MAX: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// A cluster that comes to rest.
pub(super) struct Rest<'a> {
    pub(super) plan: &'a ShardPlan,
    pub(super) cluster: &'a mut ShardCluster,
    pub(super) crew: &'a mut Crew,
    pub(super) operators: &'a Operators,
    pub(super) ward: &'a mut Ward,
    pub(super) tally: &'a mut Tally,
}

impl Rest<'_> {
    /// Until all is quiet.
    ///
    /// # Errors
    /// What did not happen in time, or what was broken.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let mut dice = Dice::new(self.plan.setting.seed, "liveness");
        let absence = Absence::draw(self.plan.faults.minority, &mut dice, self.cluster, self.ward);
        absence.begin(self.cluster, self.ward, self.tally);
        self.operators.end();
        let (sim, clients) = self.cluster.parts();
        self.crew.calm(sim, clients);
        let config = self.last_configuration()?;
        self.settle(&config)?;
        let more = self.streams(STREAMS_MORE);
        self.wait(
            "liveness-calls",
            CALLS_MAX + more,
            |rest| rest.crew.is_done(),
            |rest| format!("{:?}\n{}", rest.crew.waiting(), rest.cluster.describe()),
        )?;
        absence.end(self.cluster, self.ward, self.tally);
        self.converge()?;
        self.nothing_is_left(&config)
    }

    fn streams(&self, more: Duration) -> Duration {
        if self.plan.setting.wire == Wire::Streams { more } else { Duration::ZERO }
    }

    /// Lets a little time pass. A node may yet stop because of what its disk did before, and is started again.
    fn step(&mut self) -> Result<(), Failure> {
        self.cluster.sim().run_for(STEP);
        self.ward.visit(self.cluster, self.tally)?;
        check(self.cluster)
    }

    fn wait(
        &mut self,
        by: &str,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
        describe: impl Fn(&Self) -> String,
    ) -> Result<(), Failure> {
        let until = self.cluster.sim().now() + limit;
        while !condition(self) {
            if self.cluster.sim().now() >= until {
                return Err(Failure::new(by, format!("not within {limit:?}: {}", describe(self))));
            }
            self.step()?;
        }
        Ok(())
    }

    fn finish<T>(&mut self, what: &str, job: &Job<Result<T, ClerkError>>) -> Result<T, Failure> {
        let limit = CHANGES_MAX + self.streams(STREAMS_MORE);
        self.wait("liveness-changes", limit, |_| job.is_done(), |_| what.to_owned())?;
        let failed = |error: String| Failure::new("liveness-changes", format!("{what}: {error}"));
        match job.take() {
            Some(Ok(done)) => Ok(done),
            Some(Err(error)) => Err(failed(error.to_string())),
            None => Err(failed("no answer".to_owned())),
        }
    }

    /// The operators have ended, and a group is there for the clients.
    fn last_configuration(&mut self) -> Result<Configuration, Failure> {
        let limit = CHANGES_MAX + self.streams(STREAMS_MORE);
        let what = "the operators wait for the controller".to_owned();
        self.wait("liveness-changes", limit, |rest| rest.operators.are_done(), |_| what.clone())?;
        let newest = self.cluster.newest();
        let config = self.finish("the newest configuration", &newest)?;
        self.operators.check(config.number())?;
        if !config.groups().is_empty() {
            return Ok(config);
        }
        let join = self.cluster.change(self.cluster.joining([GroupId(1)]));
        self.finish("the last join", &join)?;
        let newest = self.cluster.newest();
        self.finish("the newest configuration", &newest)
    }

    /// All groups reach the configuration, and all that moves arrives.
    fn settle(&mut self, config: &Configuration) -> Result<(), Failure> {
        let number = config.number();
        let behind = self.cluster.behind_of(number);
        let limit = SETTLED_MAX + self.streams(STREAMS_MORE) + SETTLED_EACH * behind as u32;
        let groups: Vec<GroupId> = self.cluster.config().group_ids().collect();
        self.wait(
            "liveness-settled",
            limit,
            |rest| groups.iter().all(|group| rest.cluster.is_settled(*group, number)),
            |rest| format!("{behind} behind {number:?}:\n{}", rest.cluster.describe()),
        )
    }

    /// All replicas have applied the same.
    fn converge(&mut self) -> Result<(), Failure> {
        let groups: Vec<GroupId> = self.cluster.config().group_ids().collect();
        let lost = |rest: &Self, at: &usize| rest.ward.has_lost(*at);
        let same = |rest: &Self, group: GroupId| {
            let nodes = rest.cluster.nodes_of(group).into_iter().filter(|at| !lost(rest, at));
            let states: BTreeSet<_> = nodes
                .map(|at| {
                    let replica = rest.cluster.replica(at, group)?;
                    let status = replica.status();
                    let digest = replica.peek(|_, machine| machine.inner().digest());
                    (status.applied == status.last.index).then_some((status.applied, digest))
                })
                .collect();
            states.len() == 1 && !states.contains(&None)
        };
        self.wait(
            "liveness-convergence",
            CONVERGED_MAX,
            |rest| groups.iter().all(|group| same(rest, *group)),
            |rest| {
                let of = |group: GroupId| {
                    let nodes = rest.cluster.nodes_of(group).into_iter();
                    nodes.map(move |at| (group, at))
                };
                let all = groups.iter().flat_map(|group| of(*group)).map(|(group, at)| {
                    let status = rest.cluster.replica(at, group).map(|it| it.status());
                    format!("{group:?} {at}: {status:?}\n")
                });
                all.collect()
            },
        )
    }

    /// Groups have what the configuration gives them and nothing else, and nodes have nothing left to do.
    fn nothing_is_left(&mut self, config: &Configuration) -> Result<(), Failure> {
        for group in self.cluster.config().group_ids() {
            let held = self.cluster.peek(group, |store| {
                let states = store.shard_states();
                states.iter().map(|it| (it.shard, it.phase)).collect::<Vec<_>>()
            });
            let given: Vec<_> =
                config.shards_of(group).map(|shard| (shard, Phase::Serving)).collect();
            if held.as_ref() != Some(&given) {
                let what = format!("{group:?} is given {given:?}, and has {held:?}");
                return Err(Failure::new("liveness-leftovers", what));
            }
        }
        let nodes = Nodes::len(self.cluster);
        let peers = self.plan.setting.nodes as usize - 1;
        let clients = self.crew.counts().get("clients killed").copied().unwrap_or_default()
            as usize
            + self.plan.load.clients;
        // The loop, an applier, a writer, a snapshot; a server that follows; and for each peer, each other node and each
        // client a few.
        let tasks_max =
            (16 + 4 * self.plan.sharding.groups as usize) + 6 * (peers + nodes) + 3 * clients;
        for at in 0..nodes {
            let (id, host) = (self.cluster.id(at), self.cluster.host(at));
            let tasks = self.cluster.sim().tasks(host);
            if tasks > tasks_max {
                let what = format!("{id:?} has {tasks} tasks, of {tasks_max}");
                return Err(Failure::new("liveness-leftovers", what));
            }
        }
        Ok(())
    }
}

impl ShardCluster {
    /// How many configurations the group is behind that has not come as far as the others.
    pub(super) fn behind(&self) -> u64 {
        let newest = self.newest_known().unwrap_or_default();
        self.behind_of(newest)
    }

    fn behind_of(&self, newest: ConfigNumber) -> u64 {
        let groups = self.config().group_ids();
        let reached = groups.filter_map(|group| self.peek(group, |store| store.number())).min();
        newest.0.saturating_sub(reached.unwrap_or_default().0)
    }
}
