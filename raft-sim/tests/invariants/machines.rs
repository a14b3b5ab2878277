//! What state machines are given.

use raft_core::Suffix;
use raft_sim::watch::{Content, Event};

use crate::story::*;

#[test]
fn applied_in_order() {
    let mut story = Story::with_entries();
    story.append(1, vec![entry(1, 4)]).append(2, vec![entry(1, 4)]).heartbeat(1, 1, 4);
    story.apply(1, 1, 4).holds();
    // Twice.
    story.apply(1, 1, 4).breaks("applied-in-order");
}

#[test]
fn applied_in_order_without_gaps() {
    let mut story = Story::with_entries();
    let entries = vec![entry(1, 4), noop(1, 5), entry(1, 6)];
    story.append(1, entries.clone()).append(2, entries).heartbeat(1, 1, 6);
    // A no-op is no command.
    story.apply(1, 1, 4).apply(1, 1, 6).holds();
    story.apply(2, 1, 6).breaks("applied-in-order");
}

#[test]
fn applied_in_order_before_anybody_else() {
    let mut story = Story::with_entries();
    story.append(1, vec![entry(1, 4), entry(1, 5)]).append(2, vec![entry(1, 4), entry(1, 5)]);
    story.apply(1, 1, 5).breaks("applied-in-order");
}

#[test]
fn applied_in_order_across_restarts() {
    let log = vec![noop(1, 1), entry(1, 2), entry(1, 3)];
    let mut story = Story::with_entries();
    story.load(2, persisted(hard_state(1, 1), log.clone()));
    story.apply(2, 1, 2).apply(2, 1, 3).holds();
    let mut story = Story::with_entries();
    story.load(2, persisted(hard_state(1, 1), log)).apply(2, 1, 3).breaks("applied-in-order");
}

#[test]
fn applied_in_order_across_snapshots() {
    let mut story = Story::with_entries();
    let (two, three) = (story.content(1, 2), story.content(1, 3));
    story.event(1, Event::SnapshotMade(two)).event(1, Event::SnapshotMade(three));
    story.write(3, receive(meta(1, 3), Suffix::Keep)).event(3, Event::Restored(three)).holds();
    story.event(3, Event::Restored(two)).breaks("applied-in-order");
}

#[test]
fn equal_states() {
    let mut story = Story::with_entries();
    story.append(1, vec![entry(1, 4)]).append(2, vec![entry(1, 4)]).heartbeat(1, 1, 4);
    story.apply(1, 1, 4).apply(2, 1, 4).holds();
    // A state that is made of something else, although it ends with the same command.
    let odd = Content { chain: raft_sim::watch::Chain(77), ..story.content(1, 4) };
    story.event(1, Event::SnapshotMade(odd)).event(3, Event::Restored(odd)).breaks("equal-states");
}

#[test]
fn snapshot_round_trip() {
    let mut story = Story::with_entries();
    let content = story.content(1, 3);
    story.event(1, Event::SnapshotMade(content)).event(3, Event::Restored(content)).holds();
    // One byte is another.
    let other = Content { checksum: content.checksum ^ 1, ..content };
    story.event(2, Event::Restored(other)).breaks("snapshot-round-trip");
}
