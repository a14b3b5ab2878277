//! [`Ward`]: takes nodes down, notices those that went down by themselves, and brings all of them up again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::dice::{Dice, Span, millis};
use super::faults::note;
use super::nodes::Nodes;
use super::{Failure, Tally};
use crate::disk::Keep;

/// How a node ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The process, and not the system: what it wrote stays, synced or not.
    Kill,
    /// The power goes: of what was not synced, so much is left.
    PowerLoss(Keep),
}

impl End {
    /// Any of them.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        dice.pick(&[
            Self::Kill,
            Self::PowerLoss(Keep::Nothing),
            Self::PowerLoss(Keep::Everything),
            Self::PowerLoss(Keep::Prefix),
            Self::PowerLoss(Keep::RandomSectors),
        ])
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss(Keep::Nothing) => "power loss, nothing kept",
            Self::PowerLoss(Keep::Everything) => "power loss, everything kept",
            Self::PowerLoss(Keep::Prefix) => "power loss, prefix kept",
            Self::PowerLoss(_) => "power loss, random sectors kept",
        }
    }
}

/// What becomes of nodes that do not run.
pub struct Ward {
    dice: Dice,
    /// When those that are down are started again.
    due: BTreeMap<usize, Duration>,
    /// Effects that were seen in some node, and how often: points to crash at.
    points: BTreeMap<String, u64>,
    /// Nodes that die at a point again when they are started next.
    armed: BTreeSet<usize>,
    /// Nodes whose disks have failed: they may stop by themselves.
    excused: BTreeSet<usize>,
    /// Nodes that stay down.
    resting: BTreeSet<usize>,
    /// Nodes that have lost their disks: they never come back under their names, because they would have forgotten
    /// what they have promised.
    lost: BTreeSet<usize>,
}

/// How long a node that went down by itself stays down.
const BY_ITSELF: Span = millis(10, 2000);
/// The most effects into an incarnation for a crash point.
const NTH_MAX: u64 = 2000;

impl Ward {
    /// All nodes run.
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, "ward"),
            due: BTreeMap::new(),
            points: BTreeMap::new(),
            armed: BTreeSet::new(),
            excused: BTreeSet::new(),
            resting: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    /// A node's disk is gone, and so is the node, for ever.
    #[cfg(feature = "shardkv")]
    pub(crate) fn lose<C: Nodes>(&mut self, cluster: &mut C, tally: &mut Tally, at: usize) {
        note(cluster, tally, "disk lost", Some(at));
        cluster.kill(at);
        self.due.remove(&at);
        self.lost.insert(at);
    }

    /// Whether a node's disk is gone.
    pub fn has_lost(&self, at: usize) -> bool {
        self.lost.contains(&at)
    }

    /// Takes a node down for so long; nothing happens to one that is down.
    pub fn take_down<C: Nodes>(
        &mut self,
        cluster: &mut C,
        tally: &mut Tally,
        at: usize,
        end: End,
        down: Duration,
    ) {
        if !cluster.is_up(at) {
            return;
        }
        self.learn_points(cluster, at);
        note(cluster, tally, end.name(), Some(at));
        self.end(cluster, at, end);
        let until = cluster.sim().now() + down;
        self.due.insert(at, until);
    }

    fn end<C: Nodes>(&mut self, cluster: &mut C, at: usize, end: End) {
        match end {
            End::Kill => cluster.kill(at),
            End::PowerLoss(keep) => cluster.power_loss(at, keep),
        }
    }

    fn learn_points<C: Nodes>(&mut self, cluster: &mut C, at: usize) {
        let host = cluster.host(at);
        for (effect, count) in cluster.sim().reached(host) {
            let known = self.points.entry(effect).or_default();
            *known = (*known).max(count);
        }
    }

    /// The node dies at some effect in its next life.
    pub fn arm(&mut self, at: usize) {
        self.armed.insert(at);
    }

    /// The node's disk fails: it may stop because of that, until the end.
    pub fn excuse(&mut self, at: usize) {
        self.excused.insert(at);
    }

    /// When it has to look after the nodes at the latest.
    pub fn next(&self) -> Option<Duration> {
        self.due.values().min().copied()
    }

    /// Whether a node is down and will be started.
    pub fn is_waiting(&self) -> bool {
        !self.due.is_empty()
    }

    /// Starts the nodes that are due, and deals with those that went down by themselves.
    ///
    /// # Errors
    /// When a node stopped for no reason that was given to it.
    pub fn visit<C: Nodes>(&mut self, cluster: &mut C, tally: &mut Tally) -> Result<(), Failure> {
        let now = cluster.sim().now();
        for at in (0..cluster.len())
            .filter(|at| !self.resting.contains(at) && !self.lost.contains(at))
            .collect::<Vec<_>>()
        {
            if cluster.is_up(at) {
                if let Some(reason) = cluster.stopped(at) {
                    self.stopped(cluster, tally, at, &reason)?;
                }
            } else if let Some(due) = self.due.get(&at).copied() {
                if due <= now {
                    self.start(cluster, tally, at);
                }
            } else {
                note(cluster, tally, "crash at a point", Some(at));
                let end = End::draw(&mut self.dice);
                self.end(cluster, at, end);
                let down = self.dice.time(BY_ITSELF);
                self.due.insert(at, now + down);
                // Again, while it recovers.
                if self.dice.percent(40) {
                    self.arm(at);
                }
            }
        }
        Ok(())
    }

    fn stopped<C: Nodes>(
        &mut self,
        cluster: &mut C,
        tally: &mut Tally,
        at: usize,
        reason: &str,
    ) -> Result<(), Failure> {
        let known = if reason.contains("injected I/O error") {
            "stopped by an I/O error"
        } else if reason.contains("no storage space") {
            "stopped by a full disk"
        } else {
            ""
        };
        if known.is_empty() || !self.excused.contains(&at) {
            let what = format!("{:?}: {reason}", cluster.id(at));
            return Err(Failure::new("no-node-stops", what));
        }
        note(cluster, tally, known, Some(at));
        let end = if self.dice.percent(50) { End::Kill } else { End::draw(&mut self.dice) };
        self.end(cluster, at, end);
        let due = cluster.sim().now() + self.dice.time(BY_ITSELF);
        self.due.insert(at, due);
        Ok(())
    }

    fn start<C: Nodes>(&mut self, cluster: &mut C, tally: &mut Tally, at: usize) {
        self.due.remove(&at);
        if self.armed.remove(&at) && !self.points.is_empty() {
            let names: Vec<&String> = self.points.keys().collect();
            let name = self.dice.pick(&names).clone();
            let count = self.points[&name];
            let nth = self.dice.scaled(1, count.min(NTH_MAX));
            let host = cluster.host(at);
            cluster.sim().crash_at(host, &name, nth);
            note(cluster, tally, "crash point set", Some(at));
        }
        cluster.restart(at);
    }

    /// Nothing is taken down any more: starts all nodes at once, but for those in `without`, which end.
    pub fn discharge<C: Nodes>(
        &mut self,
        cluster: &mut C,
        tally: &mut Tally,
        without: &BTreeSet<usize>,
    ) {
        self.armed.clear();
        self.due.clear();
        self.resting.clone_from(without);
        for at in 0..cluster.len() {
            let host = cluster.host(at);
            cluster.sim().disarm(host);
            if without.contains(&at) || self.lost.contains(&at) {
                cluster.kill(at);
            } else if !cluster.is_up(at) {
                self.start(cluster, tally, at);
            }
        }
    }
}
