//! A bounded number of connections for each address that they come from: one host, broken or hostile, does not
//! take the places of all others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    pub(crate) fn take(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Place> {
        // An IPv4 address that is written as one of IPv6 is the same.
        let Some(from) = from.map(|address| address.to_canonical()) else {
            return Some(Place(None));
        };
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
        let [one, two]: [IpAddr; 2] =
            ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().expect("one"));
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().expect("one");
        let first = origins.take(Some(one)).expect("a place");
        let second = origins.take(Some(mapped)).expect("a place");
        assert!(origins.take(Some(one)).is_none());
        let _others = (origins.take(Some(two)).expect("a place"), origins.take(None).expect("one"));
        drop(first);
        let third = origins.take(Some(one)).expect("a place again");
        assert!(origins.take(Some(one)).is_none());
        drop((second, third));
        assert_eq!(origins.used().len(), 1);
    }
}
