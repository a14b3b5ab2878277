//! What must hold of the stores after every step: see the list in the [module](super).

use std::collections::BTreeMap;

use bytes::Bytes;
use kv::Store;
use raft_core::node::Group;
use raft_core::{LogIndex, NodeId, StateMachine};

use super::model::{SharedModel, StoreModel};
use crate::cluster::GROUP;
use crate::watch::{Violation, Watch, WatchedMachine};

/// How many new states go by between two looks at a whole state: both take time in proportion to it.
const WHOLE_EVERY: u64 = 200;

pub(super) struct Replicas {
    watch: Watch,
    model: SharedModel,
    /// The digest of the state after each index at which somebody was seen, and who it was.
    digests: BTreeMap<LogIndex, (u64, NodeId)>,
    /// What each node was when it was last looked at.
    last: BTreeMap<NodeId, (LogIndex, u64)>,
    looks: u64,
}

impl Replicas {
    pub(super) fn new(watch: Watch, model: SharedModel) -> Self {
        let (digests, last) = (BTreeMap::new(), BTreeMap::new());
        Self { watch, model, digests, last, looks: 0 }
    }

    /// Looks at a node after a step.
    pub(super) fn look(&mut self, node: NodeId, group: &Group<WatchedMachine<Store>>) {
        let found = group.peek(|applied, machine| {
            let now = (applied.index, machine.inner().digest());
            if self.last.insert(node, now) == Some(now) {
                return Ok(());
            }
            self.looks += 1;
            let whole = self.looks.is_multiple_of(WHOLE_EVERY);
            self.check(node, applied.index, machine.inner(), whole)
        });
        if let Err((invariant, what)) = found {
            let invariant = invariant.to_owned();
            self.watch.report(Violation { invariant, group: GROUP, node, what });
        }
    }

    fn check(
        &mut self,
        node: NodeId,
        applied: LogIndex,
        store: &Store,
        whole: bool,
    ) -> Result<(), (&'static str, String)> {
        let digest = store.digest();
        let (first, who) = *self.digests.entry(applied).or_insert((digest, node));
        if first != digest {
            let what = format!("at {applied:?} {who:?} has digest {first:x}, {node:?} {digest:x}");
            return Err(("equal-replicas", what));
        }
        let mut model = self.model.look();
        // One that is behind is compared with those before it by its digest.
        if applied >= model.last {
            let touched = std::mem::take(&mut model.touched);
            for key in touched {
                same(&model, store, &key).map_err(|what| ("store-is-its-model", what))?;
            }
        }
        if whole { check_whole(&model, applied, store) } else { Ok(()) }
    }
}

pub(crate) fn same(model: &StoreModel, store: &Store, key: &Bytes) -> Result<(), String> {
    let expected = model.items.get(key);
    let found = store.get(key);
    let equal = match (expected, found) {
        (None, None) => true,
        (Some(expected), Some(found)) => {
            expected.value == found.value.as_slice() && expected.version == found.version
        }
        _ => false,
    };
    match equal {
        true => Ok(()),
        false => Err(format!(
            "after {:?} the key {key:?} should be {expected:?} and is {found:?}",
            model.last
        )),
    }
}

/// Compares all of a state with what it must be.
pub(crate) fn check_whole(
    model: &StoreModel,
    applied: LogIndex,
    store: &Store,
) -> Result<(), (&'static str, String)> {
    let (kept, computed) = (store.digest(), store.recomputed_digest());
    if kept != computed {
        let what = format!("at {applied:?} it is {kept:x} and should be {computed:x}");
        return Err(("digest-is-of-the-state", what));
    }
    if applied >= model.last {
        let found = (store.keys(), store.sessions());
        let expected = (model.items.len(), model.sessions());
        if found != expected {
            let what = format!("keys and sessions should be {expected:?} and are {found:?}");
            return Err(("store-is-its-model", what));
        }
        for key in model.items.keys() {
            same(model, store, key).map_err(|what| ("store-is-its-model", what))?;
        }
    }
    let first = snapshot(store);
    let mut restore = store.restore();
    let pushed = first.chunks(1000).try_for_each(|piece| restore.push(piece));
    let again = pushed.and_then(|()| restore.finish()).map(|restored| snapshot(&restored));
    match again {
        Ok(again) if again == first => Ok(()),
        Ok(_) => Err(("snapshot-round-trip", format!("not the same bytes at {applied:?}"))),
        Err(error) => Err(("snapshot-round-trip", format!("at {applied:?}: {error}"))),
    }
}

/// All bytes of a snapshot.
pub(super) fn snapshot(store: &Store) -> Vec<u8> {
    let mut source = store.snapshot();
    let mut bytes = Vec::new();
    while let Some(piece) = source.next_chunk(64 << 10) {
        bytes.extend_from_slice(&piece);
    }
    bytes
}
