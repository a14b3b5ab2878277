//! What logs hold.

use raft_core::{InstallProgress, InstallSnapshotReply, Message, Round, Suffix, Term, WriteOp};
use raft_sim::watch::Event;

use crate::story::*;

#[test]
fn log_matching() {
    // The same index in another term.
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]).append(3, vec![noop(2, 1)]).holds();
    // The same index and term, and something else.
    story.append(2, vec![noop(1, 1), noop(1, 2)]).breaks("log-matching");
}

#[test]
fn log_matching_of_what_is_before() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(2, 2)]).append(2, vec![noop(2, 1)]).holds();
    story.append(2, vec![entry(2, 2)]).breaks("log-matching");
}

#[test]
fn log_matching_of_what_is_loaded() {
    let mut story = Story::with_leader();
    story.append(1, vec![entry(1, 1)]).hard_state(3, 1, 0).holds();
    story.load(3, persisted(hard_state(1, 0), vec![noop(1, 1)])).breaks("log-matching");
}

#[test]
fn leader_completeness() {
    let mut story = Story::with_entries();
    story.elect(2, 2, &[2, 3]).holds();
    // Entries that nobody has committed may be missing.
    let mut story = Story::with_entries();
    story.append(1, vec![entry(1, 4)]).elect(2, 2, &[2, 3]).holds();
    let mut story = Story::with_leader();
    for node in 1..=2 {
        story.append(node, vec![noop(1, 1), entry(1, 2)]);
    }
    story.heartbeat(1, 1, 2);
    story.elect(3, 2, &[3, 2]).breaks("leader-completeness");
}

#[test]
fn leader_completeness_of_a_leader_that_is_late() {
    // Node 3 wins term 2 with its own vote and that of 2, and is not heard of before term 3, in which node 1 commits
    // an entry of term 1.
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.hard_state(3, 2, 3).hard_state(2, 2, 3);
    story.elect(1, 3, &[1, 2]);
    story.append(1, vec![noop(3, 3)]).append(2, vec![noop(1, 1), entry(1, 2), noop(3, 3)]);
    story.heartbeat(1, 3, 3).heartbeat(3, 2, 0).holds();
}

#[test]
fn leader_completeness_counts_what_a_snapshot_has() {
    let mut story = Story::with_entries();
    let content = story.content(1, 3);
    story.event(2, Event::SnapshotMade(content)).event(2, Event::SnapshotTaken(&meta(1, 3)));
    story.write(2, WriteOp::Compact(id(1, 3))).elect(2, 2, &[2, 3]).holds();
}

#[test]
fn leader_append_only() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1)]).append(1, vec![entry(1, 2)]).holds();
    story.append(1, vec![entry(1, 2)]).breaks("leader-append-only");
    // In another term it follows.
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.hard_state(1, 2, 0).append(1, vec![noop(2, 2)]).holds();
}

#[test]
fn committed_stays() {
    let mut story = Story::with_entries();
    story.append(3, vec![entry(1, 4)]).append(3, vec![entry(1, 4)]).holds();
    story.hard_state(3, 2, 0).append(3, vec![noop(2, 3)]).breaks("committed-stays");
    // It is gone as well when nothing takes its place.
    let mut story = Story::with_entries();
    story.append(3, vec![entry(1, 2)]).breaks("committed-stays");
}

#[test]
fn committed_stays_when_a_snapshot_is_installed() {
    let mut story = Story::with_entries();
    story.write(3, receive(meta(1, 2), Suffix::Keep)).holds();
    let mut story = Story::with_entries();
    story.write(3, receive(meta(1, 2), Suffix::Discard)).breaks("committed-stays");
}

#[test]
fn committed_stays_in_snapshots() {
    let mut story = Story::with_entries();
    story.event(1, Event::SnapshotTaken(&meta(1, 3))).holds();
    let op = receive(meta(1, 4), Suffix::Discard);
    story.event(3, Event::Submitted(&op)).breaks("committed-stays");
    let mut story = Story::with_entries();
    let op = receive(meta(2, 3), Suffix::Discard);
    story.event(3, Event::Submitted(&op)).breaks("committed-stays");
}

#[test]
fn durable_before_send_entries() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]);
    story.append(2, vec![noop(1, 1), entry(1, 2)]).accept(2, 1, 1, 2).holds();
    let op = WriteOp::Append(vec![entry(1, 3)]);
    story.event(2, Event::Submitted(&op)).accept(2, 1, 1, 3).breaks("durable-before-send");
}

#[test]
fn durable_before_send_entries_of_the_leader() {
    let mut story = Story::with_leader();
    // What node 2 has at the second place is of an earlier leader.
    story.append(1, vec![noop(1, 1), entry(1, 2)]).append(2, vec![noop(1, 1), entry(0, 2)]);
    story.accept(2, 1, 1, 1).holds();
    story.accept(2, 1, 1, 2).breaks("durable-before-send");
}

#[test]
fn durable_before_send_of_an_earlier_term() {
    let mut story = Story::with_leader();
    story.append(1, vec![noop(1, 1), entry(1, 2)]).append(2, vec![noop(1, 1), entry(1, 2)]);
    // The reply was made, and waited for the disk while all this happened.
    story.hard_state(2, 2, 0).append(2, vec![noop(2, 2)]).accept(2, 1, 1, 2).holds();
}

#[test]
fn durable_before_send_snapshots() {
    let installed = |story: &mut Story, index: u64| {
        let (last, progress) = (id(1, index), InstallProgress::Installed);
        let reply = InstallSnapshotReply { round: Round(1), last, progress };
        story.send(3, 1, 1, Message::InstallSnapshotReply(reply));
    };
    let mut story = Story::with_entries();
    installed(&mut story, 3);
    story.holds();
    let op = receive(meta(1, 4), Suffix::Discard);
    story.append(1, vec![entry(1, 4)]).append(2, vec![entry(1, 4)]).heartbeat(1, 1, 4);
    story.event(3, Event::Submitted(&op));
    installed(&mut story, 4);
    story.breaks("durable-before-send");
}

#[test]
fn bounded_queues() {
    let show = |story: &mut Story, inbox: u64| {
        story.show(1, |s| {
            (s.term, s.role, s.last) = (Term(1), raft_core::Role::Leader, id(1, 9));
            s.inbox_bytes = inbox;
        });
    };
    let mut story = Story::with_leader();
    story.append(1, (1..=12).map(|index| entry(1, index)).collect());
    show(&mut story, 1500);
    story.holds();
    show(&mut story, 1600);
    story.breaks("bounded-queues");
    let mut story = Story::with_leader();
    story.append(1, (1..=20).map(|index| entry(1, index)).collect());
    show(&mut story, 0);
    story.breaks("bounded-queues");
}
