//! [`AddressBook`]: who belongs to the cluster, and where.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_core::{Address, Incarnation, NodeId};
use raft_transport::{Admission, Peers};

/// The nodes of the cluster, their addresses, and which life of its data directory each was last seen in.
///
/// A node that lost its directory forgot what it had voted for and acknowledged: as the same member again it
/// could undo what was committed. Whoever has seen it before refuses it.
#[derive(Default)]
pub(crate) struct AddressBook {
    entries: Mutex<BTreeMap<NodeId, Entry>>,
}

struct Entry {
    address: Address,
    seen: Option<Incarnation>,
}

impl AddressBook {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<NodeId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a node, or gives it another address.
    pub(crate) fn enter(&self, node: NodeId, address: Address) {
        let mut entries = self.entries();
        let seen = entries.get(&node).and_then(|entry| entry.seen);
        entries.insert(node, Entry { address, seen });
    }

    /// All nodes and addresses.
    pub(crate) fn all(&self) -> Vec<(NodeId, Address)> {
        self.entries().iter().map(|(node, entry)| (*node, entry.address.clone())).collect()
    }
}

impl Peers for AddressBook {
    fn address(&self, node: NodeId) -> Option<Address> {
        self.entries().get(&node).map(|entry| entry.address.clone())
    }

    fn admit(&self, node: NodeId, incarnation: Incarnation) -> Admission {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&node) else {
            return Admission::UnknownNode;
        };
        match *entry.seen.get_or_insert(incarnation) {
            seen if seen == incarnation => Admission::Admitted,
            _ => {
                tracing::error!(
                    "node {} lost its data directory and is not let in: as the same member it could \
                     undo what was committed; give it its directory back",
                    node.0
                );
                Admission::WrongIncarnation
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_in_another_life_and_a_stranger_are_not_let_in() {
        let book = AddressBook::default();
        book.enter(NodeId(1), Address::from("a:1"));
        assert_eq!(book.admit(NodeId(1), Incarnation(7)), Admission::Admitted);
        book.enter(NodeId(1), Address::from("b:1"));
        assert_eq!(book.admit(NodeId(1), Incarnation(7)), Admission::Admitted);
        assert_eq!(book.admit(NodeId(1), Incarnation(8)), Admission::WrongIncarnation);
        assert_eq!(book.admit(NodeId(2), Incarnation(7)), Admission::UnknownNode);
        assert_eq!(book.all(), [(NodeId(1), Address::from("b:1"))]);
    }
}
