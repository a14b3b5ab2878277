//! What survives on disks.

use raft_core::{Entry, Persisted, Suffix, WriteOp};
use raft_sim::watch::Event;

use crate::story::*;

fn log() -> Vec<Entry> {
    vec![noop(1, 1), entry(1, 2), entry(1, 3)]
}

#[test]
fn durable_survives() {
    let mut story = Story::with_entries();
    story.load(3, persisted(hard_state(1, 0), log())).holds();
    let mut story = Story::with_entries();
    story.load(3, persisted(hard_state(1, 0), log()[..2].to_vec())).breaks("durable-survives");
}

#[test]
fn durable_survives_with_a_prefix_of_what_was_under_way() {
    let rewritten = vec![noop(1, 1), entry(1, 2), noop(2, 3), entry(2, 4)];
    let verdict = |found: Persisted| {
        let mut story = Story::new();
        story.hard_state(3, 1, 0).append(3, log());
        story.event(3, Event::Submitted(&WriteOp::HardState(hard_state(2, 2))));
        story.event(3, Event::Submitted(&WriteOp::Append(vec![noop(2, 3), entry(2, 4)])));
        story.load(3, found);
        story
    };
    verdict(persisted(hard_state(1, 0), log())).holds();
    verdict(persisted(hard_state(2, 2), log())).holds();
    verdict(persisted(hard_state(2, 2), rewritten.clone())).holds();
    // Not a prefix: the second write without the first, or half of it.
    verdict(persisted(hard_state(1, 0), rewritten.clone())).breaks("durable-survives");
    verdict(persisted(hard_state(2, 2), rewritten[..3].to_vec())).breaks("durable-survives");
}

#[test]
fn durable_survives_nothing_is_invented() {
    let mut story = Story::with_entries();
    let more = [log(), vec![entry(1, 4)]].concat();
    story.load(3, persisted(hard_state(1, 0), more)).breaks("durable-survives");
}

#[test]
fn durable_survives_compaction() {
    let compacted = || {
        let mut story = Story::with_entries();
        let content = story.content(1, 3);
        story.event(3, Event::SnapshotMade(content)).event(3, Event::SnapshotTaken(&meta(1, 3)));
        story.write(3, WriteOp::Compact(id(1, 2)));
        story
    };
    let found = Persisted {
        hard_state: hard_state(1, 0),
        snapshot: Some(meta(1, 3)),
        compacted: id(1, 2),
        log: log()[2..].to_vec(),
    };
    compacted().load(3, found.clone()).holds();
    // A store may keep more than it has to.
    let more = Persisted { compacted: id(0, 0), log: log(), ..found.clone() };
    compacted().load(3, more).holds();
    let older = Persisted { snapshot: Some(meta(1, 2)), ..found.clone() };
    compacted().load(3, older).breaks("durable-survives");
    let nothing = Persisted { snapshot: Some(meta(1, 3)), log: Vec::new(), ..found };
    compacted().load(3, nothing).breaks("durable-survives");
}

#[test]
fn durable_survives_a_snapshot_that_is_there_before_the_log_says_so() {
    let interrupted = |suffix| {
        let mut story = Story::with_entries();
        for node in 1..=2 {
            story.append(node, vec![entry(1, 4)]);
        }
        story.heartbeat(1, 1, 4);
        let content = {
            story.apply(1, 1, 4);
            story.content(1, 4)
        };
        story.event(1, Event::SnapshotMade(content));
        story.event(3, Event::Submitted(&receive(meta(1, 4), suffix)));
        story
    };
    let discarded = Persisted {
        hard_state: hard_state(1, 0),
        snapshot: Some(meta(1, 4)),
        compacted: id(1, 4),
        log: Vec::new(),
    };
    interrupted(Suffix::Discard).load(3, discarded).holds();
    // The snapshot is there, and not the record of the log that goes with it.
    let not_discarded = Persisted {
        hard_state: hard_state(1, 0),
        snapshot: Some(meta(1, 4)),
        compacted: id(0, 0),
        log: log(),
    };
    interrupted(Suffix::Keep).load(3, not_discarded).holds();
}
