//! Schedules that broke this core, or another one (the bug museum of `faults.md`): one test each.

use raft_core::{
    AppendEntries, Config, Effects, Entry, Envelope, GroupId, HardState, LogId, LogIndex,
    Membership, Message, NodeId, Payload, Persisted, Raft, Role, Round, SnapshotMeta, Term,
};

fn entry(term: u64, index: u64) -> Entry {
    Entry { id: LogId::new(Term(term), LogIndex(index)), payload: Payload::Noop }
}

fn voters() -> Membership {
    Membership::of_voters([1, 2, 3].map(NodeId))
}

fn node(id: u64, persisted: Persisted) -> Raft {
    Raft::new(Config::new(NodeId(id), GroupId(1)), persisted, &voters()).expect("a valid config")
}

/// Museum 10: a follower far behind a compacted log gets the snapshot (openraft afd6508b). Found here with
/// seed 16 of the simulation: the leader asked for ever about the entry at its compaction point.
#[test]
fn a_follower_behind_the_compaction_point_gets_the_snapshot() {
    let hard_state = HardState { term: Term(2), voted_for: None };
    let last = LogId::new(Term(2), LogIndex(6));
    let ahead = Persisted {
        hard_state,
        snapshot: Some(SnapshotMeta { last, membership: voters() }),
        compacted: LogId::new(Term(2), LogIndex(5)),
        log: (6..9).map(|index| entry(2, index)).collect(),
    };
    let behind =
        Persisted { hard_state, log: vec![entry(2, 1), entry(2, 2)], ..Persisted::default() };
    let mut nodes = [node(1, ahead), node(2, behind)];
    nodes[0].campaign();
    exchange(&mut nodes, |_, effects| {
        effects.snapshots.iter().any(|request| (request.to, request.meta.last) == (NodeId(2), last))
    });
}

/// A group whose whole log is unapplied after a restart, and longer than followers may have unapplied, must
/// be able to commit it. Found with seed 410 of the simulation: the followers were overloaded for ever, and
/// refused the one entry with which the leader could have committed the rest.
#[test]
fn a_long_log_is_no_overload_after_a_restart() {
    let hard_state = HardState { term: Term(1), voted_for: None };
    let log: Vec<Entry> = (1..30).map(|index| entry(1, index)).collect();
    let mut nodes = [1, 2].map(|id| {
        let mut config = Config::new(NodeId(id), GroupId(1));
        (config.command_bytes_max, config.in_flight_bytes_max) = (64, 600);
        let persisted = Persisted { hard_state, log: log.clone(), ..Persisted::default() };
        Raft::new(config, persisted, &voters()).expect("a valid config")
    });
    nodes[0].campaign();
    exchange(&mut nodes, |nodes, _| nodes.iter().all(|node| node.status().commit == LogIndex(30)));
}

/// A follower may apply what a quorum has before its own disk has it; a snapshot of that would be ahead of the
/// log on the disk, and after a crash the node could not start. Found with seed 867 of the simulation.
#[test]
fn no_snapshot_of_what_is_not_durable_here() {
    let mut follower = node(2, Persisted::default());
    let append = AppendEntries {
        prev: LogId::ZERO,
        entries: vec![entry(1, 1)],
        commit: LogIndex(1),
        round: Round(1),
    };
    follower.step(Envelope {
        group: GroupId(1),
        from: NodeId(1),
        to: NodeId(2),
        term: Term(1),
        message: Message::AppendEntries(append),
    });
    let mut effects = Effects::default();
    follower.drain(&mut effects);
    follower.on_applied(LogIndex(1));
    assert_eq!(follower.snapshot_meta(LogIndex(1)), None);
    follower.on_persisted(effects.writes.last().expect("the entry").seq);
    assert!(follower.snapshot_meta(LogIndex(1)).is_some());
}

/// Two nodes of three talk, and write at once, until `done`.
fn exchange(nodes: &mut [Raft; 2], done: impl Fn(&[Raft; 2], &Effects) -> bool) {
    for _ in 0..50 {
        let mut effects = Effects::default();
        for node in nodes.iter_mut() {
            let writes = effects.writes.len();
            node.drain(&mut effects);
            if let Some(write) = effects.writes[writes..].last() {
                node.on_persisted(write.seq);
                node.drain(&mut effects);
            }
        }
        if done(nodes, &effects) {
            return;
        }
        for envelope in effects.messages.into_iter().filter(|envelope| envelope.to.0 <= 2) {
            nodes[envelope.to.0 as usize - 1].step(envelope);
        }
        if nodes[0].status().role == Role::Leader {
            nodes[0].tick();
        }
    }
    panic!("it never happens");
}
