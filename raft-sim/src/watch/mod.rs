//! [`Watch`]: sees what nodes do, and checks the invariants at every event.
//!
//! It stands between a node and its world, as wrappers around its storage, its transport and its state machines;
//! the node runs unchanged. What a process does after its death is not seen, because it has no effect.

mod coverage;
mod event;
mod machine;
mod model;
mod print;
mod quorum;
mod storage;
mod transport;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_core::node::GroupStatus;
use raft_core::{GroupId, Membership, NodeId, StateMachine, Storage, Transport};

pub use self::coverage::Coverage;
pub use self::event::{At, Event};
pub use self::machine::{SNAPSHOT_PREFIX_BYTES, WatchedMachine};
pub use self::model::{DiskModel, ModelOp};
pub use self::print::{Carries, Chain, Content, Print};
pub use self::quorum::{is_quorum, quorums_intersect};
pub use self::storage::WatchedStorage;
pub use self::transport::WatchedTransport;
pub use self::view::{Claim, Limits, NodeView, Step, View};

use crate::invariants::{self, Invariant};
use crate::world::Fate;

/// Something that must hold does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The name of the invariant.
    pub invariant: String,
    /// The group.
    pub group: GroupId,
    /// Whose event it was.
    pub node: NodeId,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, group, node, what } = self;
        write!(f, "{invariant}: {what} (seen at {node:?} in {group:?})")
    }
}

impl std::error::Error for Violation {}

/// Sees what nodes do. Clones are the same one.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    groups: BTreeMap<GroupId, Watched>,
    first: Option<Violation>,
}

struct Watched {
    view: View,
    invariants: Vec<Box<dyn Invariant>>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { view: View::default(), invariants: invariants::all() }
    }
}

impl Watch {
    /// Sees nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn event(&self, group: GroupId, at: &At<'_>) {
        let mut state = self.state();
        let State { groups, first } = &mut *state;
        let watched = groups.entry(group).or_default();
        watched.view.learn(at);
        for invariant in &mut watched.invariants {
            if let Err(what) = invariant.check(at, &watched.view)
                && first.is_none()
            {
                let invariant = invariant.name().to_owned();
                *first = Some(Violation { invariant, group, node: at.node, what });
            }
        }
        watched.view.settle(at);
    }

    /// Checks one more invariant of a group from now on.
    pub fn add_invariant(&self, group: GroupId, invariant: Box<dyn Invariant>) {
        let mut state = self.state();
        let watched = state
            .groups
            .entry(group)
            .or_insert_with(|| Watched { view: View::default(), invariants: invariants::all() });
        watched.invariants.push(invariant);
    }

    /// Something that is no invariant of this module is wrong.
    pub fn report(&self, violation: Violation) {
        self.state().first.get_or_insert(violation);
    }

    /// The first violation, if there was one.
    ///
    /// # Errors
    /// That.
    pub fn verdict(&self) -> Result<(), Violation> {
        self.state().first.clone().map_or(Ok(()), Err)
    }

    /// Looks at what is known of a group.
    pub fn view<R>(&self, group: GroupId, look: impl FnOnce(&View) -> R) -> R {
        match self.state().groups.get(&group) {
            Some(watched) => look(&watched.view),
            None => look(&View::default()),
        }
    }

    /// A group begins with these members. Called before its first event.
    pub fn begin(&self, group: GroupId, membership: Membership) {
        self.state().groups.entry(group).or_default().view = View::new(membership);
    }

    /// The queues of a group's replicas have these limits: of all replicas, or the largest of any.
    pub fn limit(&self, group: GroupId, limits: Limits) {
        self.state().groups.entry(group).or_default().view.limits = Some(limits);
    }

    /// How much of everything a group has had.
    pub fn coverage(&self, group: GroupId) -> Coverage {
        self.view(group, |view| view.coverage)
    }

    /// What a node shows of itself.
    pub fn status(&self, node: NodeId, group: GroupId, status: &GroupStatus) {
        self.event(group, &At { node, event: Event::Status(status) });
    }

    /// The node's process has ended, in all groups.
    pub fn crashed(&self, node: NodeId) {
        self.everywhere(node, || Event::Crashed);
    }

    /// The node's disk is gone, in all groups.
    pub fn wiped(&self, node: NodeId) {
        self.everywhere(node, || Event::Wiped);
    }

    fn everywhere(&self, node: NodeId, event: impl Fn() -> Event<'static>) {
        let groups: Vec<GroupId> = self.state().groups.keys().copied().collect();
        for group in groups {
            self.event(group, &At { node, event: event() });
        }
    }

    /// `store`, seen.
    pub fn storage<S: Storage>(&self, node: NodeId, fate: Fate, store: S) -> WatchedStorage<S> {
        WatchedStorage { watch: self.clone(), node, fate, store: Arc::new(store) }
    }

    /// `transport`, seen.
    pub fn transport<T: Transport>(
        &self,
        node: NodeId,
        fate: Fate,
        transport: T,
    ) -> WatchedTransport<T> {
        WatchedTransport { watch: self.clone(), node, fate, transport }
    }

    /// `machine`, seen. Its snapshots are longer by [`SNAPSHOT_PREFIX_BYTES`].
    pub fn machine<S: StateMachine>(
        &self,
        node: NodeId,
        group: GroupId,
        fate: Fate,
        machine: S,
    ) -> WatchedMachine<S> {
        WatchedMachine::new(self.clone(), node, group, fate, machine)
    }
}
