//! [`Operators`]: who change the configuration again and again, at a high rate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft_core::GroupId;
use shardctrler::{Change, Clerk, ClerkError, ConfigNumber, Configuration, Group, ShardId};

use crate::kv::Job;
use crate::shardkv::{ShardCluster, ShardConfig};
use crate::swarm::{Dice, Failure, Span, Tally, millis};

/// What operators do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changes {
    /// How many there are; each makes one change at a time.
    pub operators: u64,
    /// Between two changes of one; the next is back to back with the last in one of four cases.
    pub every: Span,
    /// They wait while a group is so many configurations behind: a run is to come to its end.
    pub behind_max: u64,
}

impl Changes {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        Self {
            operators: dice.between(1, 2),
            every: millis(20, dice.scaled(100, 4000)),
            behind_max: dice.pick(&[1, 3, 10]),
        }
    }
}

/// What the operators and whoever drives the run tell each other.
#[derive(Default)]
struct Board {
    over: AtomicBool,
    wait: AtomicBool,
    done: Mutex<Done>,
}

/// What operators know to have done.
#[derive(Default)]
struct Done {
    counts: Tally,
    /// The configurations that they were told to have made.
    made: BTreeSet<ConfigNumber>,
    /// Changes that may have made one.
    unknown: u64,
    /// What two changes were told to have made.
    twice: Option<ConfigNumber>,
}

impl Board {
    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Operators at work.
pub(super) struct Operators {
    board: Arc<Board>,
    jobs: Vec<Job<()>>,
    behind_max: u64,
}

/// How often an operator who waits looks.
const LOOK: Duration = Duration::from_millis(20);

impl Operators {
    pub(super) fn start(cluster: &mut ShardCluster, changes: &Changes, seed: u64) -> Self {
        let board = Arc::<Board>::default();
        let mut jobs = Vec::new();
        for number in 0..changes.operators {
            let dice = Dice::new(seed ^ number, "operator");
            let (config, changes) = (cluster.config().clone(), changes.clone());
            let board = Arc::clone(&board);
            jobs.push(cluster.operate(|clerk| async move {
                Operator { clerk, dice, config, board }.work(changes).await;
            }));
        }
        Self { board, jobs, behind_max: changes.behind_max }
    }

    /// To be called every now and then: they wait while a group is too far behind.
    pub(super) fn pace(&self, cluster: &ShardCluster) {
        self.board.wait.store(cluster.behind() > self.behind_max, Ordering::Relaxed);
    }

    /// They finish what they do.
    pub(super) fn end(&self) {
        self.board.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn are_done(&self) -> bool {
        self.jobs.iter().all(Job::is_done)
    }

    pub(super) fn counts(&self) -> Tally {
        self.board.done().counts.clone()
    }

    /// There are as many configurations as changes that were made.
    ///
    /// # Errors
    /// When a change was made twice, or not at all, or two are said to have made the same.
    pub(super) fn check(&self, newest: ConfigNumber) -> Result<(), Failure> {
        let done = self.board.done();
        let made = done.made.len() as u64;
        if done.twice.is_none() && (made..=made + done.unknown).contains(&newest.0) {
            return Ok(());
        }
        let (unknown, twice) = (done.unknown, done.twice);
        let what = format!(
            "{newest:?} is the newest after {made} changes and {unknown} in doubt, and {twice:?} was made twice"
        );
        Err(Failure::new("changes-are-made-once", what))
    }
}

struct Operator {
    clerk: Clerk,
    dice: Dice,
    config: ShardConfig,
    board: Arc<Board>,
}

impl Operator {
    async fn work(mut self, changes: Changes) {
        let is_over = |it: &Self| it.board.over.load(Ordering::Relaxed);
        while !is_over(&self) {
            if self.board.wait.load(Ordering::Relaxed) {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            if let Ok(config) = self.clerk.newest().await {
                let (what, change) = self.draw(&config);
                let made = self.clerk.change(&change).await;
                self.note(what, made);
            }
            if !self.dice.percent(25) {
                let pause = self.dice.time(changes.every);
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn note(&self, what: &'static str, made: Result<ConfigNumber, ClerkError>) {
        let mut done = self.board.done();
        match made {
            Ok(number) => {
                done.counts.one(what);
                if !done.made.insert(number) {
                    done.twice = Some(number);
                }
            }
            Err(ClerkError::Refused(_)) => done.counts.one("changes refused"),
            Err(ClerkError::NotDone(_)) => done.counts.one("changes not done"),
            Err(ClerkError::Unknown(_)) => {
                done.counts.one("changes of unknown outcome");
                done.unknown += 1;
            }
        }
    }

    /// Some of these, one at least.
    fn some(&mut self, of: &[GroupId]) -> BTreeSet<GroupId> {
        let count = if self.dice.percent(70) { 1 } else { 1 + self.dice.index(of.len()) };
        let order = self.dice.shuffled(of.len());
        order.into_iter().take(count).map(|at| of[at]).collect()
    }

    /// A change that makes sense with this configuration, or did until somebody else made one.
    fn draw(&mut self, config: &Configuration) -> (&'static str, Change) {
        let all: Vec<GroupId> = self.config.group_ids().collect();
        let (there, absent): (Vec<_>, Vec<_>) =
            all.iter().partition(|group| config.group(**group).is_some());
        match self.dice.index(100) {
            // All groups are away seldom, and not for long.
            _ if there.is_empty() => self.join(&absent),
            ..30 if !absent.is_empty() => self.join(&absent),
            ..65 => {
                let mut some = self.some(&there);
                if some.len() == there.len() && !self.dice.percent(15) {
                    some.pop_last();
                }
                match some.is_empty() {
                    true => self.shift(config, &there),
                    false => ("leaves", Change::Leave(some)),
                }
            }
            65..90 => self.shift(config, &there),
            90..96 => {
                let weights = there.iter().map(|id| (*id, self.dice.between(1, 4) as u32));
                ("rebalances", Change::Rebalance { weights: weights.collect::<BTreeMap<_, _>>() })
            }
            _ => {
                let group = self.dice.pick(&there);
                let servers = self.config.servers(group);
                ("servers set", Change::SetServers { group, servers })
            }
        }
    }

    fn join(&mut self, absent: &[GroupId]) -> (&'static str, Change) {
        let some = self.some(absent).into_iter();
        let groups = some.map(|id| (id, Group::new(self.config.servers(id))));
        ("joins", Change::Join(groups.collect()))
    }

    fn shift(&mut self, config: &Configuration, there: &[GroupId]) -> (&'static str, Change) {
        let shard = self.dice.index(usize::from(config.shard_count().get())) as u16;
        let to = self.dice.pick(there);
        ("moves", Change::Move { shard: ShardId(shard), to })
    }
}
