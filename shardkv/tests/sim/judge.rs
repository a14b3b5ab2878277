//! What must hold of all groups at every step. A group is taken to be where the replica is that has applied most:
//! nobody of the group can confirm a read or a write by anything older.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{GroupId, LogIndex};
use shardctrler::{ConfigNumber, ShardId};
use shardkv::{MoveEvent, MoveStep, Phase, ShardStore};

/// Looks at the groups. Clones are the same one.
#[derive(Clone, Default)]
pub struct Judge(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    latest: BTreeMap<GroupId, Latest>,
    /// The digest of a group's state after an entry.
    digests: BTreeMap<(GroupId, LogIndex), u64>,
    /// What a shard was when it was frozen for the configuration of this number.
    frozen: BTreeMap<(ShardId, ConfigNumber), Contents>,
    installed: BTreeSet<(ShardId, ConfigNumber)>,
    /// Shards that somebody has ever had.
    born: BTreeSet<ShardId>,
    steps: BTreeMap<MoveStep, u64>,
    /// What was told and may not have been looked at: a process that dies in a step is not.
    told: BTreeSet<(MoveStep, GroupId, ShardId, ConfigNumber)>,
    keys_moved: u64,
}

#[derive(Clone, Default)]
struct Latest {
    applied: LogIndex,
    number: ConfigNumber,
    shards: BTreeMap<ShardId, Held>,
}

#[derive(Clone, Copy)]
struct Held {
    phase: Phase,
    peer: Option<GroupId>,
    contents: Option<Contents>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Contents {
    keys: usize,
    sessions: usize,
    revision: u64,
    digest: u64,
}

impl Judge {
    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A step of a move was told.
    pub fn step(&self, group: GroupId, event: MoveEvent) {
        self.state(|state| {
            *state.steps.entry(event.step).or_default() += 1;
            if let Some(shard) = event.shard {
                state.told.insert((event.step, group, shard, event.number));
            }
        });
    }

    /// How often a step was told.
    pub fn count(&self, step: MoveStep) -> u64 {
        self.state(|state| state.steps.get(&step).copied().unwrap_or(0))
    }

    /// How many keys were in shards that were installed.
    pub fn keys_moved(&self) -> u64 {
        self.state(|state| state.keys_moved)
    }

    /// A replica has made a step.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn look(&self, group: GroupId, applied: LogIndex, store: &ShardStore) {
        self.state(|state| state.look(group, applied, store));
    }
}

fn seen(store: &ShardStore) -> BTreeMap<ShardId, Held> {
    let held = |shard| {
        store.contents(shard).map(|(contents, revision)| Contents {
            keys: contents.keys(),
            sessions: contents.sessions(),
            revision,
            digest: contents.digest(),
        })
    };
    let states = store.shard_states().into_iter();
    states
        .map(|it| {
            let contents = held(it.shard);
            (it.shard, Held { phase: it.phase, peer: it.peer, contents })
        })
        .collect()
}

impl State {
    fn look(&mut self, group: GroupId, applied: LogIndex, store: &ShardStore) {
        let digest = store.digest();
        let known = *self.digests.entry((group, applied)).or_insert(digest);
        assert_eq!(known, digest, "{group:?}: replicas differ after {applied}");
        let before = self.latest.get(&group).cloned().unwrap_or_default();
        if applied <= before.applied {
            return;
        }
        let now = Latest { applied, number: store.number(), shards: seen(store) };
        let jump = now.number.0.checked_sub(before.number.0);
        let jump = jump.expect("configurations do not go back");
        assert!(jump <= applied.0 - before.applied.0, "{group:?} has skipped a configuration");
        for state in store.shard_states() {
            assert_eq!(state.unequal, 0, "{group:?}: a copy of {} was not equal", state.shard);
        }
        self.check_gone(group, &before, &now);
        self.latest.insert(group, now.clone());
        for (shard, held) in &now.shards {
            self.check_shard(group, *shard, held, now.number);
        }
        self.check_owners();
    }

    /// The old owner lets go only of what the new owner serves.
    fn check_gone(&self, group: GroupId, before: &Latest, now: &Latest) {
        for (shard, held) in &before.shards {
            let (Phase::Leaving | Phase::Frozen, Some(to)) = (held.phase, held.peer) else {
                continue;
            };
            if now.shards.get(shard).is_none_or(|now| now.phase == Phase::Arriving) {
                let there = self.latest.get(&to).expect("the new owner was seen");
                let has = there.shards.get(shard).is_some_and(|it| it.contents.is_some());
                let told = (MoveStep::Installed, to, *shard, before.number);
                let has = has || self.told.contains(&told);
                let passed = there.number > before.number;
                assert!(has || passed, "{group:?} has let go of {shard} before {to:?} has it");
            }
        }
    }

    fn check_shard(&mut self, group: GroupId, shard: ShardId, held: &Held, number: ConfigNumber) {
        let Some(contents) = held.contents else { return };
        self.born.insert(shard);
        match held.phase {
            Phase::Frozen => {
                let key = (shard, number);
                let before = *self.frozen.entry(key).or_insert(contents);
                assert_eq!(before, contents, "{group:?}: {shard} has changed, though frozen");
            }
            Phase::Serving if self.frozen.contains_key(&(shard, number)) => {
                let frozen = self.frozen[&(shard, number)];
                if self.installed.insert((shard, number)) {
                    self.keys_moved += contents.keys as u64;
                    assert!(contents.revision >= frozen.revision, "{shard} went back");
                    if contents.revision == frozen.revision {
                        assert_eq!(contents, frozen, "{shard} arrived as another");
                    }
                }
            }
            _ => {}
        }
    }

    /// Nobody serves what another serves, and nothing is lost.
    fn check_owners(&self) {
        let mut serving: BTreeMap<ShardId, GroupId> = BTreeMap::new();
        let mut somewhere = BTreeSet::new();
        for (group, latest) in &self.latest {
            for (shard, held) in &latest.shards {
                if held.contents.is_some() {
                    somewhere.insert(*shard);
                }
                let number = latest.number;
                if held.phase == Phase::Arriving
                    && self.told.contains(&(MoveStep::Installed, *group, *shard, number))
                {
                    somewhere.insert(*shard);
                }
                let frozen = self.told.contains(&(MoveStep::Frozen, *group, *shard, number));
                if held.phase == Phase::Serving || (held.phase == Phase::Leaving && !frozen) {
                    let other = serving.insert(*shard, *group);
                    assert_eq!(other, None, "{group:?} serves {shard} as well");
                }
            }
        }
        let lost: Vec<_> = self.born.difference(&somewhere).collect();
        assert!(lost.is_empty(), "nobody has {lost:?}");
    }
}
