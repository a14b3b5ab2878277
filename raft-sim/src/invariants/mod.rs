//! What must hold at every step: one file each, named as in the TLA+ specifications of Raft.

mod election_safety;

use crate::watch::{At, View};

/// Something that must hold.
pub trait Invariant: Send {
    /// Its name, in kebab-case.
    fn name(&self) -> &'static str;

    /// An event has happened. The view has all that is known, with the event; but for what is committed and
    /// who leads, which are as before it.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String>;
}

/// All invariants of a group.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![Box::new(election_safety::ElectionSafety)]
}
