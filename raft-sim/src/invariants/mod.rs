//! What must hold at every step: one file each, named as in the TLA+ specifications of Raft where those have it.
//!
//! An [`Invariant`] sees every event together with the [`View`] of what is known. Most look only at what the
//! event has changed ([`Step`](crate::watch::Step)), because they are asked after every event.

mod applied_in_order;
mod bounded_queues;
mod commit_quorum;
mod committed_stays;
mod durable_before_send;
mod durable_survives;
mod elected_by_quorum;
mod election_safety;
mod equal_states;
mod indexes_in_order;
mod leader_append_only;
mod leader_completeness;
mod log_matching;
mod membership_safety;
mod monotonic;
mod one_vote;
mod snapshot_round_trip;
mod state_machine_safety;

use crate::watch::{At, View};

/// Something that must hold.
pub trait Invariant: Send {
    /// Its name, in kebab-case.
    fn name(&self) -> &'static str;

    /// An event has happened. The view has all that is known, with the event; but for what is committed,
    /// what is applied and who leads, which are as before it: [`View::step`] has what the event says of
    /// them.
    ///
    /// # Errors
    /// What is wrong, in one sentence.
    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String>;
}

/// All invariants of a group: those that name the cause before those that see what comes of it, because the
/// first that is broken is reported.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(election_safety::ElectionSafety),
        Box::new(elected_by_quorum::ElectedByQuorum),
        Box::<one_vote::OneVote>::default(),
        Box::<monotonic::Monotonic>::default(),
        Box::new(indexes_in_order::IndexesInOrder),
        Box::<log_matching::LogMatching>::default(),
        Box::new(leader_completeness::LeaderCompleteness),
        Box::new(leader_append_only::LeaderAppendOnly),
        Box::new(commit_quorum::CommitQuorum),
        Box::new(committed_stays::CommittedStays),
        Box::new(state_machine_safety::StateMachineSafety),
        Box::new(applied_in_order::AppliedInOrder),
        Box::new(equal_states::EqualStates),
        Box::new(durable_before_send::DurableBeforeSend),
        Box::new(durable_survives::DurableSurvives),
        Box::<snapshot_round_trip::SnapshotRoundTrip>::default(),
        Box::new(membership_safety::MembershipSafety),
        Box::new(bounded_queues::BoundedQueues),
    ]
}
