//! Bugs on purpose, which the tests must find: see the module of this name in `raft-core`.

/// Whether this process has the bug.
#[cfg(not(planted_bugs))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

#[cfg(planted_bugs)]
macro_rules! planted {
    ($bug:ident) => {
        ::raft_core::PlantedBug::$bug.is_active()
    };
}
