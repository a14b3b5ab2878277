//! What must hold of all replicas at every step: numbers without a gap, a history that never changes and is
//! the same everywhere, every shard with a live owner exactly when there are groups, balance, and no more
//! moves than need be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::LogIndex;
use raft_core::node::Group;
use raft_sim::net::HostId;
use raft_sim::watch::WatchedMachine;
use shardctrler::{ConfigNumber, Configuration, Controller, Refusal};

use crate::common::reference;

/// A node's group, as the simulator runs it.
pub type Watched = Group<WatchedMachine<Controller>>;

/// Looks at the replicas. Clones are the same one.
#[derive(Clone, Default)]
pub struct Judge(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replicas: BTreeMap<HostId, Replica>,
    /// Every configuration that any replica ever had.
    configurations: BTreeMap<ConfigNumber, Configuration>,
    /// The digest of the state after an entry.
    digests: BTreeMap<LogIndex, u64>,
    compacted: u64,
}

struct Replica {
    group: Watched,
    /// The last entry that was applied when it was looked at.
    applied: LogIndex,
}

impl Judge {
    /// The process runs this from now on.
    pub fn register(&self, host: HostId, group: Watched) {
        let replica = Replica { group, applied: LogIndex::ZERO };
        self.state(|state| state.replicas.insert(host, replica));
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The process has made a step.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn look(&self, host: HostId) {
        self.state(|state| state.look(host));
    }

    /// All configurations that there were, by number.
    pub fn configurations(&self) -> Vec<Configuration> {
        self.state(|state| state.configurations.values().cloned().collect())
    }

    /// How often a replica was seen without configurations that there were.
    pub fn compacted(&self) -> u64 {
        self.state(|state| state.compacted)
    }
}

impl State {
    fn look(&mut self, host: HostId) {
        let Some(replica) = self.replicas.get_mut(&host) else { return };
        let applied = replica.group.peek(|applied, _| applied.index);
        if applied == replica.applied {
            return;
        }
        replica.applied = applied;
        let group = replica.group.clone();
        group.peek(|_, machine| self.check(host, applied, machine.inner()));
    }

    fn check(&mut self, host: HostId, applied: LogIndex, controller: &Controller) {
        let digest = controller.digest();
        let known = *self.digests.entry(applied).or_insert(digest);
        assert_eq!(known, digest, "{host:?} has another state after {applied}");
        let Some(newest) = controller.newest() else { return };
        let oldest = controller.oldest();
        self.compacted += u64::from(oldest > ConfigNumber::ZERO);
        for number in (oldest.0..=newest.number().0).map(ConfigNumber) {
            let found = controller.configuration(number).expect("kept").expect("there is one");
            assert_eq!(found.number(), number, "{host:?}: the numbers have a gap");
            self.learn(host, found);
        }
        if let Some(gone) = oldest.0.checked_sub(1).map(ConfigNumber) {
            let refusal = Refusal::Compacted { asked: gone, oldest };
            assert_eq!(controller.configuration(gone), Err(refusal));
        }
        assert_eq!(controller.configuration(newest.number().next()), Ok(None));
    }

    fn learn(&mut self, host: HostId, found: Configuration) {
        let number = found.number();
        match self.configurations.get(&number) {
            Some(known) => assert_eq!(known, &found, "{host:?}: the history was changed"),
            None => {
                let before = number.0.checked_sub(1).map(ConfigNumber);
                if let Some(before) = before.and_then(|before| self.configurations.get(&before)) {
                    reference::check_step(before, &found).expect("a right step");
                } else {
                    assert_eq!(number, ConfigNumber::ZERO, "{host:?} has what nobody had before");
                    reference::check(&found).expect("right");
                    assert!(found.groups().is_empty());
                }
                self.configurations.insert(number, found);
            }
        }
    }
}
