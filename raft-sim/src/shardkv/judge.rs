//! [`Judge`]: compares what the groups are with what they must be, after every step of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_core::{GroupId, LogIndex, NodeId, StateMachine};
use shardctrler::{ConfigNumber, Controller, ShardId};
use shardkv::{MoveEvent, MoveStep, ShardStore};

use super::boot::CONTROLLER;
use super::config::ShardConfig;
use super::model::{Broken, Held, Model};
use crate::cluster::Watched;
use crate::invariants::Invariant;
use crate::kv::{check_whole, same};
use crate::swarm::Tally;
use crate::watch::{At, Event, View, Violation, Watch};

/// How many new states go by between two looks at whole stores.
const WHOLE_EVERY: u64 = 200;

/// Looks at everything. Clones are the same one.
#[derive(Clone)]
pub(super) struct Judge {
    watch: Watch,
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    pub(super) model: Model,
    /// The digest of a group's state after an entry, and who was seen with it.
    digests: BTreeMap<(GroupId, LogIndex), (u64, NodeId)>,
    /// What each replica was when it was last looked at.
    last: BTreeMap<(NodeId, GroupId), (LogIndex, u64)>,
    looks: u64,
    steps: BTreeMap<MoveStep, u64>,
    /// Moves that somebody has begun to drive.
    begun: BTreeSet<(GroupId, ShardId, ConfigNumber)>,
}

impl Judge {
    pub(super) fn new(watch: Watch, config: &ShardConfig) -> Self {
        let state = State {
            model: Model::new(config.shards, &config.store),
            digests: BTreeMap::new(),
            last: BTreeMap::new(),
            looks: 0,
            steps: BTreeMap::new(),
            begun: BTreeSet::new(),
        };
        Self { watch, state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the model get what a group applies.
    pub(super) fn feed(&self, group: GroupId) {
        let feed = Feed { group, state: Arc::clone(&self.state) };
        self.watch.add_invariant(group, Box::new(feed));
    }

    pub(super) fn count(&self, what: &'static str) {
        self.state().model.tally.one(what);
    }

    /// A step of a move was told.
    pub(super) fn step(&self, group: GroupId, event: MoveEvent) {
        let mut state = self.state();
        *state.steps.entry(event.step).or_default() += 1;
        if event.step == MoveStep::Begun
            && let Some(shard) = event.shard
            && !state.begun.insert((group, shard, event.number))
        {
            state.model.tally.one("moves resumed");
        }
    }

    /// How often a step was told.
    pub(super) fn steps(&self, step: MoveStep) -> u64 {
        self.state().steps.get(&step).copied().unwrap_or_default()
    }

    /// What has happened.
    pub(super) fn tally(&self) -> Tally {
        self.state().model.tally.clone()
    }

    fn report(&self, group: GroupId, node: NodeId, found: Result<(), Broken>) {
        if let Err(Broken { invariant, what }) = found {
            let invariant = invariant.to_owned();
            self.watch.report(Violation { invariant, group, node, what });
        }
    }

    /// A replica of the controller has made a step.
    pub(super) fn look_at_controller(&self, node: NodeId, replica: &Watched<Controller>) {
        let mut state = self.state();
        let found = replica.peek(|applied, machine| {
            let controller = machine.inner();
            let now = (applied.index, controller.digest());
            if state.last.insert((node, CONTROLLER), now) == Some(now) {
                return Ok(());
            }
            state.equal(node, CONTROLLER, now)?;
            state.model.configurations.look(node, controller)
        });
        drop(state);
        self.report(CONTROLLER, node, found);
    }

    /// A replica of a group has made a step.
    pub(super) fn look(&self, node: NodeId, replica: &Watched<ShardStore>) {
        let group = replica.id();
        let mut state = self.state();
        let found = replica.peek(|applied, machine| {
            let store = machine.inner();
            let now = (applied.index, store.digest());
            match state.last.insert((node, group), now) == Some(now) {
                true => Ok(()),
                false => state.look(node, group, applied.index, store),
            }
        });
        let earlier = state.model.broken.take();
        drop(state);
        if let Some((group, broken)) = earlier {
            self.report(group, node, Err(broken));
        }
        self.report(group, node, found);
    }
}

impl State {
    /// Replicas that have applied as much are equal.
    fn equal(
        &mut self,
        node: NodeId,
        group: GroupId,
        (applied, digest): (LogIndex, u64),
    ) -> Result<(), Broken> {
        let (first, who) = *self.digests.entry((group, applied)).or_insert((digest, node));
        if first == digest {
            return Ok(());
        }
        let what = format!("at {applied:?} {who:?} has digest {first:x}, {node:?} {digest:x}");
        Err(Broken::new("equal-replicas", what))
    }

    fn look(
        &mut self,
        node: NodeId,
        group: GroupId,
        applied: LogIndex,
        store: &ShardStore,
    ) -> Result<(), Broken> {
        self.equal(node, group, (applied, store.digest()))?;
        self.looks += 1;
        let whole = self.looks.is_multiple_of(WHOLE_EVERY);
        // One that is behind is compared with those before it by its digest.
        match self.model.groups.get(&group).is_some_and(|model| applied >= model.last) {
            true => self.compare(group, store, whole),
            false => Ok(()),
        }
    }

    /// Compares a replica that has applied all that anybody has.
    pub(super) fn compare(
        &mut self,
        group: GroupId,
        store: &ShardStore,
        whole: bool,
    ) -> Result<(), Broken> {
        let Model { groups, shards, .. } = &mut self.model;
        let Some(model) = groups.get(&group) else { return Ok(()) };
        let differs = |what: String| Broken::new("group-is-its-model", what);
        if store.number() != model.number() {
            let (is, must) = (store.number(), model.number());
            return Err(differs(format!("{group:?} is at {is:?}, and should be at {must:?}")));
        }
        let states = store.shard_states();
        let found: BTreeMap<_, _> =
            states.iter().map(|it| (it.shard, (it.phase, it.peer))).collect();
        let expected: BTreeMap<_, _> =
            model.holdings.iter().map(|(shard, held)| (*shard, held.phase())).collect();
        if found != expected {
            let what = format!("{group:?} should have {expected:?}, and has {found:?}");
            return Err(differs(what));
        }
        if let Some(state) = states.iter().find(|state| state.unequal > 0) {
            let what = format!("a copy of {} was not equal in {group:?}", state.shard);
            return Err(Broken::new("shards-arrive-whole", what));
        }
        for (shard, held) in &model.holdings {
            let expected = &mut shards[usize::from(shard.0)];
            let Some((contents, revision)) = store.contents(*shard) else { continue };
            let must = match held {
                Held::Frozen { revision, .. } => *revision,
                _ => expected.last,
            };
            if revision != must.0 {
                let what =
                    format!("{shard} is at {revision} in {group:?}, and should be at {must}");
                return Err(differs(what));
            }
            // What is frozen may have changed at the new owner since.
            if held.is_served() {
                for key in std::mem::take(&mut expected.touched) {
                    same(expected, contents, &key).map_err(differs)?;
                }
                if whole {
                    check_whole(expected, LogIndex(revision), contents)
                        .map_err(|(invariant, what)| Broken::new(invariant, what))?;
                }
            }
        }
        if whole { round_trip(group, store) } else { Ok(()) }
    }
}

/// A snapshot that is restored gives the same snapshot.
fn round_trip(group: GroupId, store: &ShardStore) -> Result<(), Broken> {
    let snapshot = |store: &ShardStore| {
        let (mut source, mut bytes) = (store.snapshot(), Vec::new());
        while let Some(piece) = source.next_chunk(64 << 10) {
            bytes.extend_from_slice(&piece);
        }
        bytes
    };
    let first = snapshot(store);
    let mut restore = store.restore();
    let pushed = first.chunks(1000).try_for_each(|piece| restore.push(piece));
    let wrong = |what: String| Err(Broken::new("snapshot-round-trip", what));
    match pushed.and_then(|()| restore.finish()).map(|restored| snapshot(&restored)) {
        Ok(again) if again == first => Ok(()),
        Ok(_) => wrong(format!("not the same bytes in {group:?}")),
        Err(error) => wrong(format!("in {group:?}: {error}")),
    }
}

/// Gives the model what a group applies.
struct Feed {
    group: GroupId,
    state: Arc<Mutex<State>>,
}

impl Invariant for Feed {
    fn name(&self) -> &'static str {
        "group-is-its-model"
    }

    fn check(&mut self, at: &At<'_>, _: &View) -> Result<(), String> {
        if let Event::Applied(command) = &at.event {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.model.apply(self.group, command);
        }
        Ok(())
    }
}
