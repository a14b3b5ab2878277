//! What a proxy did.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a proxy did since it was started. Sums are of several.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Default, Debug)]
        pub(super) struct Tally {
            $(pub(super) $name: Count,)*
        }

        impl Tally {
            pub(super) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Sum for Counters {
            fn sum<I: Iterator<Item = Self>>(counters: I) -> Self {
                counters.fold(Self::default(), |a, b| Self { $($name: a.$name + b.$name,)* })
            }
        }
    };
}

counters! {
    /// Connections, or addresses that have sent datagrams.
    connections,
    /// Those that there was no room for, or whose target did not answer.
    refused,
    /// Units that passed as they were.
    passed,
    /// Units that were lost by a rule.
    dropped,
    /// Units that were sent twice.
    duplicated,
    /// Units that came after the one that followed.
    swapped,
    /// Units with a bit that is another.
    flipped,
    /// Units that took longer.
    delayed,
    /// Connections that ended within a unit.
    resets,
    /// Connections of which one way passed nothing any more.
    muted,
    /// Datagrams lost because the way was cut, or because too many were delayed.
    lost,
}

#[derive(Default, Debug)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
