//! [`Remains`]: what is left of a store that nobody needs any more.

use imbl::{OrdMap, OrdSet};

use super::Store;
use super::changes::Touched;
use super::sessions::Session;
use super::table::Item;
use crate::blob::Blob;
use crate::command::SessionId;

/// A store to be freed bit by bit: to drop a large one takes as long as it has entries, and whoever else wants
/// memory meanwhile waits. Dropping the remains frees the rest at once.
pub struct Remains {
    items: <OrdMap<Blob, Item> as IntoIterator>::IntoIter,
    sessions: <OrdMap<SessionId, Session> as IntoIterator>::IntoIter,
    expiry: <OrdSet<(u64, SessionId)> as IntoIterator>::IntoIter,
    numbers: <OrdMap<Touched, u64> as IntoIterator>::IntoIter,
    order: <OrdMap<u64, Touched> as IntoIterator>::IntoIter,
}

impl Remains {
    /// Frees about `count` entries, and at least one. Says whether there may be more.
    pub fn free(&mut self, count: usize) -> bool {
        let mut left = count.max(1);
        left -= self.items.by_ref().take(left).count();
        left -= self.sessions.by_ref().take(left).count();
        left -= self.expiry.by_ref().take(left).count();
        left -= self.numbers.by_ref().take(left).count();
        left -= self.order.by_ref().take(left).count();
        left == 0
    }
}

impl From<Store> for Remains {
    fn from(store: Store) -> Self {
        let (sessions, expiry) = store.sessions.into_parts();
        let (numbers, order) = store.changes.unwrap_or_default().into_parts();
        Self {
            items: store.table.into_items().into_iter(),
            sessions: sessions.into_iter(),
            expiry: expiry.into_iter(),
            numbers: numbers.into_iter(),
            order: order.into_iter(),
        }
    }
}
