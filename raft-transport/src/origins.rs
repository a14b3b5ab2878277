//! A bounded number of connections for each address that they come from: one host, broken or hostile, does not
//! take the places of all others.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raft_core::Address;

pub(crate) struct Origins {
    /// Only of those that have some: it is no longer than the number of connections.
    used: Mutex<BTreeMap<IpAddr, usize>>,
    max: usize,
}

/// A connection's place among those from the same address; dropping it frees it.
pub(crate) struct Place(Option<(Arc<Origins>, IpAddr)>);

impl Origins {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: Mutex::default(), max })
    }

    /// A place for a connection; where networks do not tell where connections come from, there is always one.
    pub(crate) fn take(self: &Arc<Self>, from: &Address) -> Option<Place> {
        let Ok(from) = from.0.parse::<SocketAddr>() else { return Some(Place(None)) };
        // An IPv4 address that is written as one of IPv6 is the same.
        let from = from.ip().to_canonical();
        let mut all = self.used();
        let used = all.get(&from).copied().unwrap_or_default();
        if used >= self.max {
            return None;
        }
        all.insert(from, used + 1);
        Some(Place(Some((Arc::clone(self), from))))
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((origins, from)) = self.0.take() else { return };
        let mut all = origins.used();
        if let Some(used) = all.get_mut(&from) {
            *used -= 1;
            if *used == 0 {
                all.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_places_and_none_is_kept_that_is_not_used() {
        let origins = Origins::new(2);
        let [one, two, mapped, unknown] =
            ["10.0.0.1:5", "10.0.0.2:5", "[::ffff:10.0.0.1]:6", "a name"].map(Address::from);
        let first = origins.take(&one).expect("a place");
        let second = origins.take(&mapped).expect("a place");
        assert!(origins.take(&one).is_none());
        let _others = [two, unknown].map(|other| origins.take(&other).expect("a place"));
        drop(first);
        let third = origins.take(&one).expect("a place again");
        assert!(origins.take(&one).is_none());
        drop((second, third));
        assert_eq!(origins.used().len(), 1);
    }
}
