//! What is committed.

use raft_core::{LogIndex, Role, Suffix, Term, WriteOp};
use raft_sim::watch::Event;

use crate::story::*;

/// Node 1 leads term 1 and has entries up to 2 on its disk, which node 2 was given as well.
fn half_replicated() -> Story {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.event(2, Event::Submitted(&WriteOp::Append(vec![noop(1, 1), entry(1, 2)])));
    story
}

#[test]
fn commit_quorum() {
    let mut story = half_replicated();
    story.event(2, Event::Durable(&WriteOp::Append(vec![noop(1, 1), entry(1, 2)])));
    story.heartbeat(1, 1, 2).holds();
    half_replicated().heartbeat(1, 1, 2).breaks("commit-quorum");
    // However it is shown.
    half_replicated().apply(1, 1, 2).breaks("commit-quorum");
    let mut story = half_replicated();
    story.show(1, |s| {
        (s.term, s.role, s.last) = (Term(1), Role::Leader, id(1, 2));
        (s.commit, s.durable) = (LogIndex(2), LogIndex(2));
    });
    story.breaks("commit-quorum");
}

#[test]
fn commit_quorum_counts_disks_and_not_nodes() {
    let mut story = half_replicated();
    story.event(2, Event::Durable(&WriteOp::Append(vec![noop(1, 1), entry(1, 2)])));
    // Down, with what it has.
    story.event(2, Event::Crashed).heartbeat(1, 1, 2).holds();
    let mut story = half_replicated();
    story.event(2, Event::Durable(&WriteOp::Append(vec![noop(1, 1), entry(1, 2)])));
    story.event(2, Event::Wiped).heartbeat(1, 1, 2).breaks("commit-quorum");
}

#[test]
fn commit_quorum_is_of_equal_entries() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.append(2, vec![noop(1, 1), entry(0, 2)]);
    story.heartbeat(1, 1, 2).breaks("commit-quorum");
}

/// Figure 8 of the paper.
#[test]
fn commit_quorum_of_the_own_term() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.elect(3, 2, &[2, 3]).append(3, vec![noop(2, 1)]);
    story.elect(1, 3, &[1, 2]).append(2, vec![noop(1, 1), entry(1, 2)]).holds();
    // Two of three have it, and that is not enough.
    story.heartbeat(1, 3, 2).breaks("commit-quorum");
}

#[test]
fn commit_quorum_with_an_entry_of_the_own_term() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.elect(3, 2, &[2, 3]).append(3, vec![noop(2, 1)]);
    story.elect(1, 3, &[1, 2]).append(1, vec![noop(3, 3)]);
    story.append(2, vec![noop(1, 1), entry(1, 2), noop(3, 3)]).heartbeat(1, 3, 3).holds();
}

#[test]
fn state_machine_safety() {
    let mut story = Story::with_entries();
    story.append(1, vec![entry(1, 4)]).append(2, vec![entry(1, 4)]).heartbeat(1, 1, 4);
    story.apply(1, 1, 4).holds();
    // The same index, of another term.
    story.apply(2, 2, 4).breaks("state-machine-safety");
}

#[test]
fn what_is_committed_is_forgotten_with_the_logs() {
    let mut story = Story::with_entries();
    for node in 1..=3 {
        let content = story.content(1, 3);
        story.event(node, Event::SnapshotMade(content));
        story.event(node, Event::SnapshotTaken(&meta(1, 3)));
        story.write(node, WriteOp::Compact(id(1, 2)));
    }
    story.holds();
    let view = |look: fn(&raft_sim::watch::View) -> Vec<u64>| story.watch.view(GROUP, look);
    assert_eq!(view(|view| view.committed.keys().map(|index| index.0).collect()), [2, 3]);
    assert_eq!(view(|view| view.chains.keys().map(|index| index.0).collect()), [2, 3]);
    // One that has its log from a snapshot counts as well.
    story.write(3, receive(meta(1, 3), Suffix::Keep));
    let floor = story.watch.view(GROUP, |view| view.floor);
    assert_eq!(floor, LogIndex(2));
}
