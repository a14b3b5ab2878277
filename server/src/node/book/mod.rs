//! [`AddressBook`]: which nodes there are, where, in which life, and which groups they have. Each node has one.
//!
//! Nothing in it is decided by it: who votes stands in the groups' logs. It says where a node is dialled, and a wrong
//! address costs time. What it does decide is who is let in: a node that lost its directory forgot what it had
//! promised, and is refused under its number until the cluster has given that number away anew.
//!
//! Nodes tell each other what they have in theirs (`keeper`), and each [`Entry`] says itself which of two is the newer.
//! What a node learns is on its disk soon after, not before it counts: it would be told again. So a node that was away for long hears of those who came meanwhile from themselves, which a log could not
//! bring: for whoever is not in the book is not connected.

mod entry;
mod file;

use entry::Standing;
pub(crate) use entry::{Entry, Place};
pub(crate) use file::Raw;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use raft_core::{Address, GroupId, Incarnation, Membership, NodeId};
use raft_storage::DirectoryOrigin;
use raft_transport::{Admission, Peers};
use tokio::sync::watch;

use crate::exit::Failure;

/// The most nodes, and the most groups; what comes after that is not entered.
const ENTRIES_MAX: usize = 1_024;
/// The longest address.
pub(crate) const ADDRESS_BYTES_MAX: usize = 255;

/// What a book has.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Contents {
    pub(crate) nodes: BTreeMap<NodeId, Entry>,
    pub(crate) groups: BTreeMap<GroupId, Place>,
}

/// The book of a node. Kept in its data directory.
pub(crate) struct AddressBook {
    own: NodeId,
    life: Incarnation,
    origin: DirectoryOrigin,
    path: PathBuf,
    held: Mutex<Held>,
    /// What the file has, as far as is known. Held while it is written.
    saved: Mutex<Option<Contents>>,
    version: watch::Sender<u64>,
    /// Whether the cluster knows another life of this node, which came after this one.
    succeeded: watch::Sender<bool>,
}

struct Held {
    contents: Contents,
    /// Where the settings say that nodes are. They may be older than the book, or newer: nobody knows.
    hints: BTreeMap<NodeId, Address>,
    random: Rng,
}

impl AddressBook {
    /// The book in the directory of node `own`, which is in its `life`.
    pub(crate) fn open(
        path: PathBuf,
        own: NodeId,
        life: Incarnation,
        origin: DirectoryOrigin,
        seed: u64,
    ) -> Result<Self, Failure> {
        let contents = file::read(&path)?;
        let (hints, random) = (BTreeMap::new(), Rng::with_seed(seed));
        let held = Mutex::new(Held { contents, hints, random });
        Ok(Self {
            own,
            life,
            origin,
            path,
            held,
            saved: Mutex::new(None),
            version: watch::Sender::new(0),
            succeeded: watch::Sender::new(false),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it has. It is on the disk after the next [`Self::save`].
    fn change<T>(&self, how: impl FnOnce(&mut Contents) -> T) -> T {
        let mut held = self.held();
        let before = held.contents.clone();
        let result = how(&mut held.contents);
        if held.contents != before {
            drop(held);
            self.version.send_modify(|version| *version += 1);
        }
        result
    }

    /// Writes what it has. Blocks for as long as the disk does.
    fn save_now(&self) -> std::io::Result<()> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = self.contents();
        if saved.as_ref() != Some(&contents) {
            file::write(&self.path, &contents)?;
            *saved = Some(contents);
        }
        Ok(())
    }

    /// Writes what it has, on a thread of its own.
    pub(crate) async fn save(self: &Arc<Self>) -> std::io::Result<()> {
        let book = Arc::clone(self);
        let saving = tokio::task::spawn_blocking(move || book.save_now());
        saving.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Counts the changes, for those who wait for one.
    pub(crate) fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn contents(&self) -> Contents {
        self.held().contents.clone()
    }

    /// All that is known, with what the settings say where nothing else is known.
    pub(crate) fn addresses(&self) -> BTreeMap<NodeId, Address> {
        let held = self.held();
        let mut all = held.hints.clone();
        let known = held.contents.nodes.iter();
        all.extend(known.map(|(node, entry)| (*node, entry.address.clone())));
        all
    }

    /// All addresses at which a node may be, also those of the settings.
    pub(crate) fn whereabouts(&self) -> BTreeSet<Address> {
        let held = self.held();
        let known = held.contents.nodes.iter().filter(|(node, _)| **node != self.own);
        let hints = held.hints.iter().filter(|(node, _)| **node != self.own);
        let known = known.map(|(_, entry)| entry.address.clone());
        known.chain(hints.map(|(_, at)| at.clone())).collect()
    }

    /// Where the settings say that a node is.
    pub(crate) fn hint(&self, node: NodeId, address: Address) {
        self.held().hints.insert(node, address);
    }

    /// This node is reached here. Blocks for as long as the disk does.
    pub(crate) fn enter_own(&self, address: Address) -> Result<(), Failure> {
        let (own, life) = (self.own, self.life);
        self.change(|contents| match contents.nodes.get_mut(&own) {
            Some(entry) => entry.move_to(life, address),
            None => _ = contents.nodes.insert(own, Entry::first(address, Some(life))),
        });
        self.save_now().map_err(|error| {
            Failure::refused(format!("cannot write {}: {error}", self.path.display()))
        })
    }

    /// A node was found, in this life. Whether that is the life that has its number; if it had none, it has now.
    pub(crate) fn introduce(&self, node: NodeId, life: Incarnation, address: &Address) -> bool {
        self.change(|contents| {
            let room = contents.nodes.len() < ENTRIES_MAX && address.0.len() <= ADDRESS_BYTES_MAX;
            match contents.nodes.get_mut(&node) {
                Some(entry) => *entry.life.get_or_insert(life) == life,
                None if room => {
                    contents.nodes.insert(node, Entry::first(address.clone(), Some(life)));
                    true
                }
                None => false,
            }
        })
    }

    /// The number is a new life's from now on: what the one before it has promised is settled. On the disk when this
    /// returns.
    pub(crate) async fn succeed(
        self: &Arc<Self>,
        node: NodeId,
        life: Incarnation,
        address: Address,
    ) -> std::io::Result<()> {
        self.change(|contents| match contents.nodes.get_mut(&node) {
            Some(entry) => entry.succeed(life, address),
            None => _ = contents.nodes.insert(node, Entry::first(address, Some(life))),
        });
        self.save().await
    }

    /// A group has these members, as its log says from `since` on.
    pub(crate) fn place(&self, group: GroupId, since: u64, membership: &Membership) {
        let place = Place::new(since, membership);
        self.change(|contents| contents.merge_place(group, &place));
    }

    /// Takes what is newer in what another node has.
    pub(crate) fn merge(&self, theirs: &Contents) {
        let (own, life) = (self.own, self.life);
        let is_succeeded = match self.change(|contents| contents.merge(own, life, theirs)) {
            Standing::Own => false,
            Standing::Succeeded => true,
            // A directory that was just made is not the one that others have seen.
            Standing::Disputed => self.origin == DirectoryOrigin::Created,
        };
        if is_succeeded {
            self.succeeded.send_replace(true);
        }
    }

    /// Whether another directory has this node's number by now.
    pub(crate) fn succeeded(&self) -> watch::Receiver<bool> {
        self.succeeded.subscribe()
    }

    /// Whether some log of the group has said who its members are.
    pub(crate) fn has_members(&self, group: GroupId) -> bool {
        self.held().contents.groups.get(&group).is_some_and(Place::is_of_log)
    }

    /// The members of a group and where they are, as far as is known.
    pub(crate) fn members(&self, group: GroupId) -> Vec<(NodeId, Address)> {
        let addresses = self.addresses();
        let held = self.held();
        let place = held.contents.groups.get(&group);
        let members = place.into_iter().flat_map(Place::members);
        members.filter_map(|node| Some((node, addresses.get(&node)?.clone()))).collect()
    }
}

impl Peers for AddressBook {
    /// Where the node itself says that it is, or the settings: in turn, at random, when they differ.
    fn address(&self, node: NodeId) -> Option<Address> {
        let mut held = self.held();
        let known = held.contents.nodes.get(&node).map(|entry| entry.address.clone());
        let hint = held.hints.get(&node).cloned();
        match (known, hint) {
            (Some(known), Some(hint)) if known != hint => {
                Some(if held.random.bool() { known } else { hint })
            }
            (known, hint) => known.or(hint),
        }
    }

    fn admit(&self, node: NodeId, life: Incarnation) -> Admission {
        let Some(address) = Peers::address(self, node) else { return Admission::UnknownNode };
        let known = self.held().contents.nodes.get(&node).and_then(|entry| entry.life);
        match known {
            Some(known) if known == life => Admission::Admitted,
            Some(_) => {
                tracing::error!(
                    "node {} has another data directory than it had, and is not let in: what it had promised \
                     is lost with that",
                    node.0
                );
                Admission::WrongIncarnation
            }
            None => {
                self.change(|contents| {
                    let entry = contents.nodes.entry(node);
                    entry.or_insert_with(|| Entry::first(address, None)).life = Some(life);
                });
                Admission::Admitted
            }
        }
    }
}

#[cfg(test)]
mod tests;
