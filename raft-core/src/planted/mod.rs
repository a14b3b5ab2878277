//! Bugs on purpose: what the tests and the simulator must be able to find.
//!
//! `planted!(Name)` stands where a bug can be switched on. It is the constant `false` unless everything is
//! built with `RUSTFLAGS="--cfg planted_bugs"`, which no feature and no dependant can do; then the
//! environment variable `PLANTED_BUG` names the one bug that the process has. `cargo xtask mutants` shows
//! that each is found.

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
        $crate::PlantedBug::$bug.is_active()
    };
}

#[cfg(planted_bugs)]
mod bugs;

#[cfg(planted_bugs)]
pub use bugs::{PlantedBug, Suite};

#[cfg(planted_bugs)]
impl PlantedBug {
    /// Whether this process has the bug.
    ///
    /// # Panics
    ///
    /// When `PLANTED_BUG` names a bug that does not exist: a run without a bug must not pass for one with it.
    pub fn is_active(self) -> bool {
        use std::sync::OnceLock;
        static ACTIVE: OnceLock<Option<PlantedBug>> = OnceLock::new();
        let read = || {
            let name = std::env::var("PLANTED_BUG").ok().filter(|name| !name.is_empty())?;
            let bug = Self::ALL.iter().find(|bug| bug.name() == name);
            Some(*bug.unwrap_or_else(|| panic!("PLANTED_BUG={name}: there is no such bug")))
        };
        *ACTIVE.get_or_init(read) == Some(self)
    }
}
