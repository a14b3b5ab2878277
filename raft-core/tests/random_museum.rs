//! Schedules that broke this core, or another one (the bug museum of `faults.md`): one test each.

use bytes::Bytes;
use raft_core::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Config, Effects, Entry, Envelope, GroupId,
    HardState, LogId, LogIndex, Membership, Message, NodeId, Payload, Persisted, PreVoteReply,
    Raft, RequestVoteReply, Role, Round, SnapshotMeta, Term,
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

/// A message to node 1 from node 2.
fn from_peer(term: u64, message: Message) -> Envelope {
    Envelope { group: GroupId(1), from: NodeId(2), to: NodeId(1), term: Term(term), message }
}

fn persist(node: &mut Raft) {
    let mut effects = Effects::default();
    node.drain(&mut effects);
    if let Some(write) = effects.writes.last() {
        node.on_persisted(write.seq);
        node.drain(&mut effects);
    }
}

/// Makes `node` a candidate of the next term, whose own vote is durable.
fn candidate(node: &mut Raft) -> u64 {
    let term = node.status().term.0;
    node.campaign();
    let reply = PreVoteReply { term: Term(term + 1), granted: true };
    node.step(from_peer(term, Message::PreVoteReply(reply)));
    persist(node);
    term + 1
}

fn vote(term: u64) -> Envelope {
    from_peer(term, Message::RequestVoteReply(RequestVoteReply { granted: true }))
}

fn acknowledgement(term: u64, matched: u64) -> Envelope {
    let outcome = AppendOutcome::Accepted { matched: LogIndex(matched) };
    let reply = AppendEntriesReply { round: Round(0), outcome };
    from_peer(term, Message::AppendEntriesReply(reply))
}

/// Museum 3: votes of an earlier term count for nothing (andreev-io/little-raft#44).
#[test]
fn a_late_vote_of_an_earlier_term_does_not_count() {
    let mut node = node(1, Persisted::default());
    let early = candidate(&mut node);
    let term = candidate(&mut node);
    node.step(vote(early));
    assert_eq!(node.status().role, Role::Candidate);
    node.step(vote(term));
    assert_eq!(node.status().role, Role::Leader);
}

/// Museum 8: an acknowledgement of a log that was replaced since says nothing about this one (openraft
/// cecb5de8). The same node leads again, and the old answer fits the new log's indexes.
#[test]
fn a_late_acknowledgement_of_an_earlier_term_does_not_count() {
    let mut node = node(1, Persisted::default());
    let early = candidate(&mut node);
    node.step(vote(early));
    persist(&mut node);
    // Its term is over; and it leads again.
    node.step(acknowledgement(early + 1, 0));
    assert_eq!(node.status().role, Role::Follower);
    let term = candidate(&mut node);
    node.step(vote(term));
    persist(&mut node);
    let last = node.status().last;
    node.step(acknowledgement(early, last.index.0));
    assert_eq!(node.status().commit, LogIndex(0));
    node.step(acknowledgement(term, last.index.0));
    assert_eq!(node.status().commit, last.index);
}

/// Museum 9: a leader counts itself when its own disk has the entry (etcd#14370).
#[test]
fn a_single_node_commits_when_it_has_written() {
    let alone = Membership::of_voters([NodeId(1)]);
    let config = Config::new(NodeId(1), GroupId(1));
    let mut node = Raft::new(config, Persisted::default(), &alone).expect("a valid config");
    node.campaign();
    assert_eq!(node.status().role, Role::Candidate, "its own vote is not durable yet");
    let mut effects = Effects::default();
    node.drain(&mut effects);
    node.on_persisted(effects.writes.last().expect("the vote").seq);
    node.drain(&mut effects);
    assert_eq!((node.status().role, node.status().commit), (Role::Leader, LogIndex(0)));
    assert!(effects.applies.is_empty());
    node.on_persisted(effects.writes.last().expect("the first entry").seq);
    assert_eq!(node.status().commit, LogIndex(1));
}

/// One lost message makes one window be sent anew, though all that was behind it is rejected. Found with seed
/// 10,876 of the simulation: every rejection made another window, and so on until the memory was full.
#[test]
fn a_burst_of_rejections_sends_one_window_anew() {
    let mut config = Config::new(NodeId(1), GroupId(1));
    config.append_bytes_max = 1;
    let mut leader = Raft::new(config, Persisted::default(), &voters()).expect("a valid config");
    let term = candidate(&mut leader);
    leader.step(vote(term));
    persist(&mut leader);
    leader.step(acknowledgement(term, 1));
    for _ in 0..20 {
        leader.propose(Bytes::from_static(b"x")).expect("it leads");
    }
    let mut effects = Effects::default();
    leader.drain(&mut effects);
    effects.clear();
    for prev in (2..=20).map(LogIndex) {
        let hint = LogId::new(Term(term), LogIndex(1));
        let outcome = AppendOutcome::Rejected { prev, hint };
        let reply = AppendEntriesReply { round: Round(1), outcome };
        leader.step(from_peer(term, Message::AppendEntriesReply(reply)));
        leader.drain(&mut effects);
        // The answer to the probe, if there was one.
        leader.step(acknowledgement(term, 1));
        leader.drain(&mut effects);
    }
    let sent = effects.messages.iter().filter(|envelope| envelope.to == NodeId(2)).count();
    assert_eq!(sent, 1 + 20, "one probe and one window");
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
