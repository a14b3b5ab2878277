//! Sections 6 (what concerns elections), 7 with figure 13, and 8 of the extended Raft paper.
//!
//! Sentences without a test here, and why:
//! - 6, the two phases of a change, its no-op, and a leader that is not in the new configuration are in
//!   `paper_section_6.rs`.
//! - 7, when and how a state machine takes its snapshot: the driver's and the state machine's.
//! - 7 / figure 13, step 1 is in `paper_section_5.rs` (`s5_1_requests_of_a_stale_term_are_rejected`).
//! - 8, "the solution is for clients to assign unique serial numbers to every command": the service's.

#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/solo.rs"]
mod solo;

use bytes::Bytes;
use raft_core::*;
use solo::*;

fn members(voters: &[u64], outgoing: &[u64]) -> Membership {
    let mut membership = Membership::of_voters(voters.iter().copied().map(NodeId));
    membership.outgoing = outgoing.iter().copied().map(NodeId).collect();
    membership
}

/// AppendEntries of term one whose only entry, after `prev`, is a membership.
fn append_membership(prev: u64, membership: Membership) -> Message {
    let payload = Payload::Membership(Box::new(membership));
    let prev = if prev == 0 { LogId::ZERO } else { id(prev, 1) };
    let entries = vec![Entry { id: id(prev.index.0 + 1, 1), payload }];
    Message::AppendEntries(AppendEntries { prev, entries, commit: LogIndex::ZERO, round: Round(1) })
}

fn chunk(last: LogId, offset: u64, total: u64, data: &'static str) -> Message {
    let meta = SnapshotMeta { last, membership: members(&[1, 2, 3, 4], &[]) };
    let data = Bytes::from_static(data.as_bytes());
    let chunk = SnapshotChunk { offset, total, data, checksum: 0 };
    Message::InstallSnapshot(InstallSnapshot { meta, chunk, round: Round(1) })
}

fn installed(message: Message) -> InstallProgress {
    match message {
        Message::InstallSnapshotReply(reply) => reply.progress,
        other => panic!("no InstallSnapshotReply: {other:?}"),
    }
}

fn meta(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta { last: id(index, term), membership: members(&[1, 2, 3], &[]) }
}

// 6 Cluster membership changes

/// "Once a given server adds the new configuration entry to its log, it uses that configuration for all
/// future decisions (a server always uses the latest configuration in its log, regardless of whether the
/// entry is committed)."
#[test]
fn s6_a_configuration_counts_once_it_is_in_the_log() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(2, 1, append_membership(0, members(&[1, 2, 3, 4, 5], &[])));
    node.sync();
    assert_eq!((node.commit(), node.raft.status().membership.voters.len()), (0, 5));
    node.messages();
    node.tick(20);
    assert_eq!(node.messages().len(), 4, "it asks the new members, too");
}

/// … and ceases to count when the entry is truncated.
#[test]
fn s6_a_configuration_that_is_truncated_does_not_count() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(2, 1, append_membership(0, members(&[4, 5, 6], &[])));
    node.hear(3, 2, append((0, 0), &[2], 0));
    assert_eq!(node.raft.status().membership, &members(&[1, 2, 3], &[]));
}

/// "Agreement (for elections and entry commitment) requires separate majorities from both the old and new
/// configurations."
#[test]
fn s6_joint_consensus_needs_both_majorities() {
    let persisted = |membership: &Membership| {
        let entry =
            Entry { id: id(1, 1), payload: Payload::Membership(Box::new(membership.clone())) };
        let hard_state = HardState { term: Term(1), voted_for: None };
        Persisted { hard_state, log: vec![entry], ..Persisted::default() }
    };
    let mut node = Solo::boot(3, persisted(&members(&[1, 4, 5], &[1, 2, 3])));
    node.raft.campaign();
    for peer in [2, 4] {
        let reply = PreVoteReply { term: Term(2), granted: true };
        node.hear(peer, 1, Message::PreVoteReply(reply));
    }
    node.sync();
    node.hear(4, 2, vote(true)).hear(5, 2, vote(true));
    assert_eq!(node.role(), Role::Candidate, "all of the new configuration, one of the old");
    node.hear(2, 2, vote(true));
    assert_eq!(node.role(), Role::Leader);
    node.sync();
    node.hear(2, 2, accepted(2)).hear(3, 2, accepted(2));
    assert_eq!(node.commit(), 0, "all of the old configuration, one of the new");
    node.hear(5, 2, accepted(2));
    assert_eq!(node.commit(), 2);
}

/// "New servers … join the cluster as non-voting members (the leader replicates log entries to them, but
/// they are not considered for majorities)."
#[test]
fn s6_learners_are_not_considered_for_majorities() {
    let mut membership = members(&[1, 2], &[]);
    membership.learners.insert(NodeId(3));
    let persisted =
        Persisted { snapshot: Some(SnapshotMeta { last: id(1, 1), membership }), ..boot(1, 1) };
    let mut node = Solo::boot(2, persisted);
    node.raft.campaign();
    let reply = |granted| Message::PreVoteReply(PreVoteReply { term: Term(2), granted });
    assert!(node.messages().iter().all(|(to, _)| *to == 2), "a learner is not asked");
    node.hear(3, 1, reply(true));
    assert_eq!(node.role(), Role::PreCandidate, "nor does its promise count");
    node.hear(2, 1, reply(true));
    node.sync();
    node.hear(3, 2, vote(true));
    assert_eq!(node.role(), Role::Candidate, "nor its vote");
    node.hear(2, 2, vote(true));
    node.sync();
    node.hear(3, 2, accepted(2));
    assert_eq!(node.commit(), 1, "its copy does not count");
    node.hear(2, 2, accepted(2));
    assert_eq!(node.commit(), 2);
    // Once it knows what is committed.
    let to: Vec<u64> = node.messages().into_iter().map(|(to, _)| to).collect();
    assert!(to.contains(&3), "the leader replicates to it");
}

/// "Servers disregard RequestVote RPCs when they believe a current leader exists. Specifically, if a server
/// receives a RequestVote RPC within the minimum election timeout of hearing from a current leader, it does
/// not update its term or grant its vote."
#[test]
fn s6_votes_are_disregarded_within_the_minimum_timeout_of_a_leader() {
    for (ticks, heeds) in [(0, false), (9, false), (10, true)] {
        let mut node = Solo::new(3, 1, &[]);
        node.hear(2, 1, append((0, 0), &[], 0)).tick(ticks);
        node.messages();
        node.hear(3, 9, ask_vote(9, 8));
        node.sync();
        assert_eq!(node.term() == 9, heeds, "after {ticks} ticks");
        assert_eq!(node.messages().contains(&(3, vote(true))), heeds);
    }
    let mut leader = Solo::leader(1, &[]);
    leader.hear(3, 9, ask_vote(9, 8));
    assert_eq!((leader.role(), leader.term()), (Role::Leader, 1), "a leader believes in itself");
}

/// "This does not affect normal elections, where each server waits at least a minimum election timeout before
/// starting an election": nobody has heard a leader then.
#[test]
fn s6_normal_elections_are_not_affected() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(3, 2, ask_vote(0, 0));
    node.sync();
    assert_eq!(node.message(), (3, vote(true)));
}

// 7 Log compaction

fn boot(index: u64, term: u64) -> Persisted {
    let hard_state = HardState { term: Term(term), voted_for: None };
    let (compacted, snapshot) = (id(index, term), Some(meta(index, term)));
    Persisted { hard_state, snapshot, compacted, log: Vec::new() }
}

/// "Each server takes snapshots independently, covering just the committed entries in its log."
#[test]
fn s7_snapshots_cover_applied_entries_only() {
    let mut node = Solo::new(3, 1, &[1, 1, 1]);
    node.hear(2, 1, append((3, 1), &[], 2));
    assert_eq!(node.raft.snapshot_meta(LogIndex(1)), None, "committed, not applied");
    node.applies();
    node.raft.on_applied(LogIndex(2));
    assert_eq!(node.raft.snapshot_meta(LogIndex(2)), Some(meta(2, 1)));
    assert_eq!(node.raft.snapshot_meta(LogIndex(3)), None);
}

/// "Raft also includes … the last included index … the last included term. … These are preserved to support
/// the AppendEntries consistency check for the first log entry following the snapshot." And: "the snapshot
/// also includes the latest configuration in the log as of last included index."
#[test]
fn s7_the_last_included_entry_supports_the_consistency_check() {
    let mut node = Solo::boot(3, boot(5, 2));
    assert_eq!(node.raft.status().membership, &members(&[1, 2, 3], &[]));
    node.hear(2, 2, append((5, 1), &[2], 0));
    assert!(matches!(outcome(node.message().1), AppendOutcome::Rejected { .. }));
    node.hear(2, 2, append((5, 2), &[2], 0));
    assert_eq!(appended(&node.sync()), [id(6, 2)]);
}

/// "Once a server completes writing a snapshot, it may delete all log entries up through the last included
/// index, as well as any prior snapshot."
#[test]
fn s7_a_snapshot_lets_the_log_go() {
    let mut persisted = Persisted { log: entries(0, &[1, 1, 1]), ..Persisted::default() };
    persisted.hard_state.term = Term(1);
    let mut config = Config::new(ME, GROUP);
    config.trailing_bytes_max = 0;
    let mut raft = Raft::new(config, persisted, &members(&[1, 2, 3], &[])).expect("a good config");
    let (mut effects, group) = (Effects::default(), GROUP);
    let (from, term, message) = (NodeId(2), Term(1), append((3, 1), &[], 2));
    raft.step(Envelope { group, from, to: ME, term, message });
    raft.drain(&mut effects);
    raft.on_applied(LogIndex(2));
    let meta = raft.snapshot_meta(LogIndex(2)).expect("it is applied");
    raft.compact(meta);
    effects.clear();
    raft.drain(&mut effects);
    assert_eq!(effects.writes[0].op, WriteOp::Compact(id(2, 1)));
    assert_eq!((raft.status().compacted, raft.status().last), (id(2, 1), id(3, 1)));
}

/// "The leader must occasionally send snapshots to followers that lag behind. This happens when the leader
/// has already discarded the next log entry that it needs to send to a follower."
#[test]
fn s7_followers_that_lag_behind_get_the_snapshot() {
    let mut node = Solo::boot(3, boot(5, 1));
    node.raft.campaign();
    let reply = PreVoteReply { term: Term(2), granted: true };
    node.hear(2, 1, Message::PreVoteReply(reply));
    node.sync();
    node.hear(2, 2, vote(true)).messages();
    assert_eq!(node.snapshots(), [], "not without need");
    node.hear(2, 2, rejected(5, id(3, 1)));
    let requests = node.snapshots();
    assert_eq!((requests.len(), requests[0].to, requests[0].offset), (1, NodeId(2), 0));
    assert_eq!(requests[0].meta, meta(5, 1));
    assert_eq!(node.snapshots(), [], "a chunk at a time");
    node.hear(2, 2, install_reply(id(5, 1), InstallProgress::Receiving { next_offset: 7 }));
    assert_eq!(node.snapshots()[0].offset, 7);
    node.hear(2, 2, install_reply(id(5, 1), InstallProgress::Installed));
    let request = node.messages().into_iter().map(|(_, message)| sent(message));
    assert_eq!(request.last().expect("a question").prev, id(5, 1), "and goes on after it");
}

fn install_reply(last: LogId, progress: InstallProgress) -> Message {
    Message::InstallSnapshotReply(InstallSnapshotReply { round: Round(1), last, progress })
}

/// "InstallSnapshot RPC … Sent in order": figure 13, steps 2 to 4. "2. Create new snapshot file if first
/// chunk (offset is 0). 3. Write data into snapshot file at given offset. 4. Reply and wait for more data
/// chunks if done is false."
#[test]
fn figure_13_2_to_4_chunks_are_written_in_order_and_answered() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(2, 1, chunk(id(5, 1), 4, 9, "eeee"));
    let receiving = |next_offset| InstallProgress::Receiving { next_offset };
    assert_eq!(installed(node.message().1), receiving(0), "it begins at the beginning");
    for (offset, data, next) in [(0, "abcd", 4), (4, "efgh", 8)] {
        node.hear(2, 1, chunk(id(5, 1), offset, 9, data));
        assert_eq!(node.messages(), [], "not before it is durable");
        let writes = node.sync();
        assert!(matches!(&writes[..], [WriteOp::Receive { chunk, .. }] if chunk.offset == offset));
        assert_eq!(installed(node.message().1), receiving(next));
    }
    assert_eq!((node.applies(), node.commit()), (vec![], 0), "nothing is installed yet");
}

/// "5. Save snapshot file, discard any existing or partial snapshot with a smaller index": a newer snapshot
/// begins anew, an older one is not gone on with.
#[test]
fn figure_13_5_a_newer_snapshot_replaces_a_partial_one() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(2, 1, chunk(id(5, 1), 0, 9, "abcd"));
    node.sync();
    node.messages();
    node.hear(2, 1, chunk(id(7, 1), 0, 3, "xyz"));
    let writes = node.sync();
    assert!(matches!(&writes[..], [WriteOp::Receive { meta, .. }] if meta.last == id(7, 1)));
    assert_eq!(installed(node.message().1), InstallProgress::Installed);
    node.hear(2, 1, chunk(id(5, 1), 4, 9, "efgh"));
    assert_eq!(node.sync(), [], "an old snapshot is of no use any more");
    assert_eq!(node.raft.status().snapshot.expect("a snapshot").last, id(7, 1));
}

/// "6. If existing log entry has same index and term as snapshot's last included entry, retain log entries
/// following it and reply."
#[test]
fn figure_13_6_a_log_that_holds_the_last_included_entry_is_retained() {
    let mut node = Solo::new(3, 2, &[1, 2, 2]);
    node.hear(2, 2, chunk(id(2, 2), 0, 1, "x"));
    let writes = node.sync();
    assert!(matches!(&writes[..], [WriteOp::Receive { suffix: Suffix::Keep, .. }]));
    assert_eq!(installed(node.message().1), InstallProgress::Installed);
    let status = node.raft.status();
    assert_eq!((status.compacted, status.last), (id(2, 2), id(3, 2)));
}

/// "7. Discard the entire log."
#[test]
fn figure_13_7_any_other_log_is_discarded() {
    for log in [&[1, 1, 1][..], &[1], &[]] {
        let mut node = Solo::new(3, 2, log);
        node.hear(2, 2, chunk(id(2, 2), 0, 1, "x"));
        let writes = node.sync();
        assert!(matches!(&writes[..], [WriteOp::Receive { suffix: Suffix::Discard, .. }]));
        let status = node.raft.status();
        assert_eq!((status.compacted, status.last), (id(2, 2), id(2, 2)), "{log:?}");
        node.hear(2, 2, append((2, 2), &[2], 0));
        assert_eq!(appended(&node.sync()), [id(3, 2)], "the log goes on after it");
    }
}

/// "8. Reset state machine using snapshot contents (and load snapshot's cluster configuration)": when the
/// snapshot is durable.
#[test]
fn figure_13_8_the_state_machine_and_the_configuration_are_reset() {
    let mut node = Solo::new(3, 2, &[1]);
    node.hear(2, 2, chunk(id(2, 2), 0, 1, "x"));
    assert_eq!(node.applies(), [], "not before it is durable");
    node.sync();
    let meta = SnapshotMeta { last: id(2, 2), membership: members(&[1, 2, 3, 4], &[]) };
    assert_eq!(node.applies(), [ApplyOp::Restore(meta)]);
    assert_eq!(node.raft.status().membership, &members(&[1, 2, 3, 4], &[]));
    assert_eq!(node.commit(), 2);
    node.raft.on_applied(LogIndex(2));
    node.hear(2, 2, append((2, 2), &[2], 3));
    assert_eq!(node.applied(), [id(3, 2)], "and commands follow it");
}

/// "If … the follower receives a snapshot that describes a prefix of its log (due to retransmission or by
/// mistake), then log entries covered by the snapshot are deleted but entries following the snapshot are
/// still valid and must be retained": here covered entries that are committed stay, for there is no need
/// to go back.
#[test]
fn s7_a_snapshot_of_a_committed_prefix_takes_nothing_back() {
    let mut node = Solo::new(3, 1, &[1, 1, 1]);
    node.hear(2, 1, append((3, 1), &[], 3)).messages();
    node.hear(2, 1, chunk(id(2, 1), 0, 1, "x"));
    assert_eq!(installed(node.message().1), InstallProgress::Installed);
    assert_eq!((node.raft.status().last, node.commit(), node.sync()), (id(3, 1), 3, vec![]));
}

// 8 Client interaction

/// "If the client's first choice is not the leader, that server will reject the client's request and supply
/// information about the most recent leader it has heard from."
#[test]
fn s8_followers_name_the_leader() {
    let mut node = Solo::new(3, 1, &[]);
    let refused = node.raft.propose(Bytes::new());
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: None }));
    node.hear(2, 1, append((0, 0), &[], 0));
    let leader = Some(NodeId(2));
    assert_eq!(node.raft.propose(Bytes::new()), Err(ProposeError::NotLeader { leader }));
    assert_eq!(node.raft.read_index(), Err(ReadError::NotLeader { leader }));
}

/// "Raft handles this by having each leader commit a blank no-op entry into the log at the start of its
/// term": to find out which entries are committed.
#[test]
fn s8_a_leader_begins_its_term_with_a_no_op() {
    let mut node = Solo::leader(3, &[1, 2]);
    let writes = node.sync();
    let entry = Entry { id: id(3, 3), payload: Payload::Noop };
    assert_eq!(writes, [WriteOp::Append(vec![entry])]);
    node.hear(2, 3, accepted(3));
    assert_eq!(node.commit(), 3);
}

/// "First, a leader must have the latest information on which entries are committed": a read waits for the
/// no-op.
#[test]
fn s8_reads_wait_for_the_no_op() {
    let mut node = Solo::leader(2, &[1]);
    node.sync();
    node.raft.read_index().expect("a leader");
    node.hear(2, 2, accepted_in(1, 1)).hear(3, 2, accepted_in(1, 1));
    assert_eq!(node.reads(), [], "both follow, and yet the commit index is not known");
    node.hear(2, 2, accepted_in(1, 2));
    assert_eq!(node.reads(), [], "now it is; the confirmation must come after that");
    node.hear(2, 2, accepted_in(2, 2));
    let reads = node.reads();
    assert_eq!((reads.len(), reads[0].index), (1, LogIndex(2)));
}

/// "Second, a leader must check whether it has been deposed before processing a read-only request. … Raft
/// handles this by having the leader exchange heartbeat messages with a majority of the cluster before
/// responding to read-only requests."
#[test]
fn s8_reads_wait_for_heartbeats_with_a_majority() {
    let mut node = Solo::leader(1, &[]);
    node.sync();
    node.hear(2, 1, accepted(1)).messages();
    let read = node.raft.read_index().expect("a leader");
    let rounds: Vec<_> = node.messages().into_iter().map(|(to, m)| (to, sent(m).round)).collect();
    assert_eq!(rounds, [(2, Round(2)), (3, Round(2))]);
    node.hear(2, 1, accepted_in(1, 1)).hear(3, 1, accepted_in(1, 0));
    assert_eq!(node.reads(), [], "answers from before the read prove nothing");
    node.hear(3, 1, accepted_in(2, 0));
    assert_eq!(node.reads(), [ReadReady { group: GROUP, id: read, index: LogIndex(1) }]);

    node.raft.read_index().expect("a leader");
    node.hear(2, 2, vote(false));
    node.hear(2, 1, accepted_in(3, 1)).hear(3, 1, accepted_in(3, 1));
    assert_eq!(node.reads(), [], "deposed meanwhile");
}
