//! [`ShardCluster`]: a controller, groups of shards, their clients and an operator, in a simulated world.

use std::future::Future;
use std::time::Duration;

use shardctrler::{ConfigNumber, Configuration, Controller};
use shardkv::{MoveStep, ShardStore};

use super::admin::Admin;
use super::boot::{CONTROLLER, controllers, open, shard_groups};
use super::config::ShardConfig;
use super::judge::Judge;
use crate::checker::models::{KvInput, KvOutput};
use crate::cluster::Fleet;
use crate::history::{History, Recorder};
use crate::kv::{Clients, Job, Journal, KvClient, SimClerk, Truth, Wrong, check_history};
use crate::swarm::{Nodes, Tally};
use crate::watch::{Violation, Watch};
use crate::world::Sim;

/// A client's clerk, whose calls go into the history.
pub type ShardClerk = SimClerk<shardkv::Clerk>;

/// Nodes are numbered from 0: those of the controller first, and those of the groups then, in order.
pub struct ShardCluster {
    pub(super) sim: Sim,
    pub(super) config: ShardConfig,
    watch: Watch,
    judge: Judge,
    pub(super) controllers: Fleet<Controller>,
    pub(super) fleets: Vec<Fleet<ShardStore>>,
    clients: Clients<shardkv::Clerk>,
    journal: Journal,
    pub(super) admin: Admin,
}

/// What a run had, that was found to be right.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ShardJudged {
    /// Operations in the history.
    pub operations: usize,
    /// Of them, those of unknown outcome.
    pub unknown: usize,
    /// Calls that certainly had no effect, which are not in the history.
    pub not_done: u64,
    /// Pages of scans.
    pub scans: usize,
}

impl ShardCluster {
    /// A cluster whose nodes run and serve. No group has joined.
    pub fn start(config: ShardConfig) -> Self {
        let mut sim = Sim::new(config.cluster.seed);
        let watch = Watch::new();
        let judge = Judge::new(watch.clone(), &config);
        let controllers = controllers(&mut sim, &watch, &config);
        let fleets = shard_groups(&mut sim, &watch, &judge, &config);
        config.group_ids().for_each(|group| judge.feed(group));
        let looking = judge.clone();
        controllers.watch_nodes(&mut sim, move |_, id, replicas| {
            replicas.values().for_each(|replica| looking.look_at_controller(id, replica));
        });
        for fleet in &fleets {
            let looking = judge.clone();
            fleet.watch_nodes(&mut sim, move |_, id, replicas| {
                replicas.values().for_each(|replica| looking.look(id, replica));
            });
        }
        let trace = sim.trace().clone();
        let journal = Journal::new(Recorder::with_clock(move || trace.now()));
        let clients = Clients::new(open(&config), journal.clone());
        let admin = Admin::start(&mut sim, &config);
        let mut cluster =
            Self { sim, config, watch, judge, controllers, fleets, clients, journal, admin };
        for at in 0..Nodes::len(&cluster) {
            cluster.restart(at);
        }
        cluster
    }

    /// What it is like.
    pub fn config(&self) -> &ShardConfig {
        &self.config
    }

    /// The world.
    pub fn sim(&mut self) -> &mut Sim {
        &mut self.sim
    }

    /// The world and the clients, apart.
    pub fn parts(&mut self) -> (&mut Sim, &mut Clients<shardkv::Clerk>) {
        (&mut self.sim, &mut self.clients)
    }

    /// What was seen.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    // Clients.

    /// A new client.
    pub fn client(&mut self) -> KvClient {
        self.clients.add(&mut self.sim, &[])
    }

    /// Has a client do something. It begins at once, and goes on as time passes.
    ///
    /// # Panics
    /// When the client is of another cluster.
    pub fn spawn<T, F>(&mut self, client: KvClient, script: impl FnOnce(ShardClerk) -> F) -> Job<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        self.clients.spawn(&mut self.sim, client, script)
    }

    /// Lets time pass until the job is done, at most `limit`, and takes its outcome.
    pub fn finish<T>(&mut self, limit: Duration, job: &Job<T>) -> Option<T> {
        let _ = self.sim.run_until(limit, |_| job.is_done());
        job.take()
    }

    /// [`Self::spawn`] and [`Self::finish`] in one.
    pub fn call<T, F>(
        &mut self,
        limit: Duration,
        client: KvClient,
        script: impl FnOnce(ShardClerk) -> F,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = self.spawn(client, script);
        self.finish(limit, &job)
    }

    // What has happened, and what must hold.

    /// The newest configuration that anybody was seen to have.
    pub(super) fn newest_known(&self) -> Option<ConfigNumber> {
        self.judge.state().model.configurations.newest().map(Configuration::number)
    }

    /// How often a step of a move was taken.
    pub fn steps(&self, step: MoveStep) -> u64 {
        self.judge.steps(step)
    }

    /// What has happened to shards, by name.
    pub fn happened(&self) -> Tally {
        self.judge.tally()
    }

    /// What the clients asked and were told so far.
    pub fn history(&self) -> History<KvInput, KvOutput> {
        self.journal.recorder.history()
    }

    /// Nothing that must hold was broken so far, and no node gave up by itself.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Violation> {
        self.watch.verdict()?;
        for at in 0..Nodes::len(self) {
            if let Some(reason) = self.stopped(at) {
                let (invariant, node) = ("no-node-stops".to_owned(), self.id(at));
                return Err(Violation { invariant, group: CONTROLLER, node, what: reason });
            }
        }
        Ok(())
    }

    /// Judges the run so far. Operations that have not returned count as of unknown outcome.
    ///
    /// # Errors
    /// The first thing that is wrong. That the checker does not find out is wrong as well.
    pub fn judge(&self) -> Result<ShardJudged, Wrong> {
        self.check()?;
        self.check_whole()?;
        let history = self.history();
        let state = self.judge.state();
        check_history(&history, &self.journal, &state.model)?;
        let journal = self.journal.state();
        Ok(ShardJudged {
            operations: history.len(),
            unknown: history.unknown(),
            not_done: journal.not_done,
            scans: journal.scans.len(),
        })
    }

    /// Compares the whole of every group that runs with its model.
    fn check_whole(&self) -> Result<(), Violation> {
        let mut state = self.judge.state();
        for group in self.config.group_ids() {
            let last = state.model.groups.get(&group).map(|it| it.last).unwrap_or_default();
            for at in self.nodes_of(group) {
                let Some(replica) = self.replica(at, group) else { continue };
                let found = replica.peek(|applied, machine| match applied.index >= last {
                    true => state.compare(group, machine.inner(), true),
                    false => Ok(()),
                });
                found.map_err(|broken| Violation {
                    invariant: broken.invariant.to_owned(),
                    group,
                    node: self.id(at),
                    what: broken.what,
                })?;
            }
        }
        Ok(())
    }

    /// How many sessions clients have opened, in all shards.
    pub fn sessions_opened(&self) -> u64 {
        let state = self.judge.state();
        state.model.parts().map(|store| store.sessions_so_far().0).sum()
    }
}
