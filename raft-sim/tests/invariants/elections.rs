//! Leaders and votes.

use raft_core::{Cause, LogId, Message, RequestVote, Role, Term};

use crate::story::*;

#[test]
fn election_safety() {
    // Two leaders at a time, in different terms.
    Story::with_leader().elect(2, 2, &[2, 3]).heartbeat(1, 1, 0).holds();
    let mut story = Story::with_leader();
    story.heartbeat(2, 1, 0).breaks("election-safety");
    // Who says that it leads counts, before it sends anything.
    let mut story = Story::with_leader();
    story.show(3, |s| (s.term, s.role) = (Term(1), Role::Leader)).breaks("election-safety");
}

#[test]
fn election_safety_is_about_all_times() {
    let mut story = Story::with_leader();
    story.elect(2, 2, &[2, 3]).holds();
    // Term 1 is long over.
    story.heartbeat(3, 1, 0).breaks("election-safety");
}

#[test]
fn elected_by_quorum() {
    Story::new().elect(1, 1, &[1, 2]).holds();
    Story::new().elect(1, 1, &[1]).breaks("elected-by-quorum");
}

#[test]
fn elected_by_quorum_without_those_who_do_not_vote() {
    let mut story = Story::new();
    story.elect(1, 1, &[1, 9]).breaks("elected-by-quorum");
    let mut story = Story::new();
    // The disk is gone, and the vote with it.
    story.hard_state(2, 1, 1).event(2, raft_sim::watch::Event::Wiped);
    story.elect(1, 1, &[1]).breaks("elected-by-quorum");
}

#[test]
fn one_vote() {
    // Another candidate, another term; and the same answer twice.
    let mut story = Story::new();
    story.hard_state(2, 1, 1).vote_for(2, 1, 1).vote_for(2, 1, 1);
    story.hard_state(2, 2, 3).vote_for(2, 3, 2).holds();
    let mut story = Story::new();
    story.hard_state(2, 1, 1).vote_for(2, 1, 1).vote_for(2, 3, 1).breaks("one-vote");
}

#[test]
fn one_vote_across_restarts() {
    let mut story = Story::new();
    // Asked for votes as a candidate, so it has voted for itself.
    story.hard_state(2, 1, 2).send(
        2,
        3,
        1,
        Message::RequestVote(RequestVote { last: LogId::ZERO, cause: Cause::Timeout }),
    );
    story.load(2, persisted(hard_state(1, 2), Vec::new())).holds();
    story.load(2, persisted(hard_state(1, 3), Vec::new())).breaks("one-vote");
}

#[test]
fn monotonic_terms() {
    Story::new().hard_state(1, 3, 0).hard_state(1, 3, 2).hard_state(1, 4, 0).holds();
    Story::new().hard_state(1, 3, 0).hard_state(1, 2, 0).breaks("monotonic");
    // A candidate that steps down in its term keeps its vote.
    Story::new().hard_state(1, 3, 1).hard_state(1, 3, 0).breaks("monotonic");
    let mut story = Story::new();
    story.hard_state(1, 3, 0).load(1, persisted(hard_state(2, 0), Vec::new()));
    story.breaks("monotonic");
}

#[test]
fn monotonic_indexes() {
    let show = |story: &mut Story, commit: u64, applied: u64| {
        story.show(2, |s| {
            (s.term, s.last) = (Term(1), id(1, 3));
            (s.commit.0, s.applied.0) = (commit, applied);
        });
    };
    let mut story = Story::with_entries();
    show(&mut story, 2, 2);
    show(&mut story, 3, 2);
    story.holds();
    show(&mut story, 2, 2);
    story.breaks("monotonic");
    let mut story = Story::with_entries();
    show(&mut story, 3, 3);
    show(&mut story, 3, 2);
    story.breaks("monotonic");
    // A restart begins anew.
    let mut story = Story::with_entries();
    show(&mut story, 3, 3);
    story.load(2, persisted(hard_state(1, 1), vec![noop(1, 1), entry(1, 2), entry(1, 3)]));
    show(&mut story, 0, 0);
    story.holds();
}

#[test]
fn monotonic_from_the_snapshot_on() {
    let mut story = Story::with_entries();
    let content = story.content(1, 2);
    story.event(2, raft_sim::watch::Event::SnapshotMade(content));
    story.event(2, raft_sim::watch::Event::SnapshotTaken(&meta(1, 2)));
    let mut found = persisted(hard_state(1, 1), vec![noop(1, 1), entry(1, 2), entry(1, 3)]);
    found.snapshot = Some(meta(1, 2));
    story.load(2, found).event(2, raft_sim::watch::Event::Restored(content)).holds();
    story.show(2, |s| (s.term, s.last, s.commit.0) = (Term(1), id(1, 3), 1)).breaks("monotonic");
}

#[test]
fn indexes_in_order() {
    let show = |commit: u64, applied: u64, snapshot: u64, durable: u64| {
        let mut story = Story::with_entries();
        let content = story.content(1, 2);
        story.event(2, raft_sim::watch::Event::SnapshotMade(content));
        story.event(2, raft_sim::watch::Event::SnapshotTaken(&meta(1, 2)));
        story.show(2, |s| {
            (s.term, s.last, s.durable.0) = (Term(1), id(1, 3), durable);
            (s.commit.0, s.applied.0) = (commit, applied);
            s.snapshot = (snapshot > 0).then(|| id(1, snapshot));
        });
        story
    };
    show(3, 2, 1, 3).holds();
    show(2, 3, 1, 3).breaks("indexes-in-order");
    show(3, 1, 2, 3).breaks("indexes-in-order");
    show(3, 2, 1, 4).breaks("indexes-in-order");
}

#[test]
fn durable_before_send_votes() {
    let mut story = Story::new();
    story.hard_state(2, 1, 1).vote_for(2, 1, 1).holds();
    // Given to the store, and not acknowledged.
    let op = raft_core::WriteOp::HardState(hard_state(2, 3));
    story.hard_state(2, 2, 0).event(2, raft_sim::watch::Event::Submitted(&op));
    story.vote_for(2, 3, 2).breaks("durable-before-send");
    // Nor does one ask for votes before the own one is durable.
    let mut story = Story::new();
    story.hard_state(2, 1, 0);
    let request = Message::RequestVote(RequestVote { last: LogId::ZERO, cause: Cause::Timeout });
    story.send(2, 3, 1, request).breaks("durable-before-send");
}

#[test]
fn durable_before_send_terms() {
    let mut story = Story::new();
    story.hard_state(2, 1, 0);
    let reply = |granted| Message::RequestVoteReply(raft_core::RequestVoteReply { granted });
    story.send(2, 1, 1, reply(false)).holds();
    story.send(2, 1, 2, reply(false)).breaks("durable-before-send");
}
