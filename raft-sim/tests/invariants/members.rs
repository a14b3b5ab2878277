//! Memberships.

use raft_core::{Entry, LogIndex, Membership, NodeId, Payload, Suffix, Term};
use raft_sim::watch::Event;

use crate::story::*;

fn change(term: u64, index: u64, membership: Membership) -> Entry {
    Entry { id: id(term, index), payload: Payload::Membership(Box::new(membership)) }
}

fn joint() -> Membership {
    Membership { outgoing: [1, 2, 3].map(NodeId).into(), ..voters(&[3, 4, 5]) }
}

#[test]
fn membership_safety_quorums_meet() {
    let mut story = Story::with_entries();
    story.append(1, vec![change(1, 4, joint())]).holds();
    let mut story = Story::with_entries();
    story.append(1, vec![change(1, 4, voters(&[3, 4, 5]))]).breaks("membership-safety");
}

#[test]
fn membership_safety_one_at_a_time() {
    let mut story = Story::with_entries();
    story.append(1, vec![change(1, 4, voters(&[1, 2, 3, 4]))]).holds();
    story.append(1, vec![change(1, 5, voters(&[1, 2, 3, 4, 5]))]).breaks("membership-safety");
}

#[test]
fn membership_safety_in_effect() {
    let four = || voters(&[1, 2, 3, 4]);
    let show = |story: &mut Story, membership: Membership| {
        story.show(2, |s| {
            (s.term, s.last) = (Term(1), id(1, 4));
            s.membership = membership.into();
        });
    };
    let mut story = Story::with_entries();
    story.append(2, vec![change(1, 4, four())]);
    show(&mut story, four());
    story.holds();
    show(&mut story, voters(&[1, 2, 3]));
    story.breaks("membership-safety");
    // Rolled back with the entry.
    let mut story = Story::with_entries();
    story.append(2, vec![change(1, 4, four())]).hard_state(2, 2, 0).append(2, vec![noop(2, 4)]);
    story.show(2, |s| {
        (s.term, s.last) = (Term(2), id(2, 4));
        s.membership = four().into();
    });
    story.breaks("membership-safety");
}

#[test]
fn membership_safety_in_snapshots() {
    let changed = || {
        let mut story = Story::with_entries();
        let entries = vec![change(1, 4, voters(&[1, 2, 3, 4])), entry(1, 5)];
        for node in 1..=3 {
            story.append(node, entries.clone());
        }
        story.heartbeat(1, 1, 5);
        let view = story.watch.view(GROUP, |view| view.commit);
        assert_eq!(view, LogIndex(5));
        story
    };
    let with = |membership| raft_core::SnapshotMeta { last: id(1, 5), membership };
    changed().event(1, Event::SnapshotTaken(&with(voters(&[1, 2, 3, 4])))).holds();
    changed().event(1, Event::SnapshotTaken(&with(voters(&[1, 2, 3])))).breaks("membership-safety");
    let op = receive(with(voters(&[1, 2, 3])), Suffix::Keep);
    changed().event(2, Event::Submitted(&op)).breaks("membership-safety");
}

#[test]
fn quorums_are_those_of_the_membership_in_effect() {
    let mut story = Story::with_entries();
    for node in 1..=2 {
        story.append(node, vec![change(1, 4, voters(&[1, 2, 3, 4]))]);
    }
    // Two of four.
    story.heartbeat(1, 1, 4).breaks("commit-quorum");
}
