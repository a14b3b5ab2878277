//! Section 5 of the extended Raft paper: elections, replication, safety, and timing. What figure 2 says as
//! well is in `paper_figure_2.rs`.
//!
//! Sentences without a test here, and why:
//! - 5.1 "Servers retry RPCs if they do not receive a response in a timely manner, and they issue RPCs in
//!   parallel": votes are not asked for again within an election; a request that is lost is made good by the
//!   next election, which begins with PreVote and so raises no term. Appends: see section 5.3 and 5.5 below.
//! - 5.2 "Raft uses randomized election timeouts … a fixed interval (e.g., 150–300 ms)": ticks, in
//!   `[election_ticks, 2 * election_ticks)`, below.
//! - 5.3 "even after it has responded to the client": responding is the driver's.
//! - 5.4.3, the safety argument, is for the exhaustive walks and the simulator to check.

#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/solo.rs"]
mod solo;

use std::collections::BTreeSet;

use bytes::Bytes;
use cluster::Cluster;
use raft_core::*;
use solo::*;

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

fn led_by_node_1() -> Cluster {
    let mut cluster = Cluster::new(3, 0, |_| {});
    cluster.campaign(N1);
    cluster.stabilize(&[N1, N2, N3]);
    assert_eq!(cluster.status(N1).role, Role::Leader);
    cluster
}

// 5.1 Raft basics

/// "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower
/// state."
#[test]
fn s5_1_candidates_and_leaders_of_an_old_term_revert_to_followers() {
    for mut node in [Solo::candidate(3, 2, &[]), Solo::leader(2, &[])] {
        node.hear(3, 3, rejected(0, LogId::ZERO));
        assert_eq!((node.role(), node.term()), (Role::Follower, 3));
    }
}

/// "If a server receives a request with a stale term number, it rejects the request."
#[test]
fn s5_1_requests_of_a_stale_term_are_rejected() {
    let chunk = SnapshotChunk { offset: 0, total: 1, data: Bytes::from_static(b"x"), checksum: 0 };
    let meta = SnapshotMeta { last: id(5, 4), membership: Membership::of_voters([N1, N2, N3]) };
    let install = Message::InstallSnapshot(InstallSnapshot { meta, chunk, round: Round(1) });
    for request in [append((0, 0), &[4], 1), ask_vote(9, 4), install] {
        let mut node = Solo::new(3, 5, &[]);
        node.hear(2, 4, request);
        let reply = node.envelopes().remove(0);
        assert_eq!(reply.term, Term(5), "so that the sender learns of the term: {reply:?}");
        let status = node.raft.status();
        assert_eq!((status.voted_for, status.leader, status.last), (None, None, LogId::ZERO));
        assert_eq!(node.sync(), [], "nothing to remember");
    }
}

/// "Raft RPCs … If … one server's current term is smaller than the other's, then it updates its current term
/// to the larger value", here by what a refusal says, so that a question about a term that is over is not
/// asked again.
#[test]
fn s5_1_a_pre_candidate_updates_its_term_from_a_refusal() {
    let mut node = Solo::new(3, 1, &[]);
    node.tick(20);
    let refusal = PreVoteReply { term: Term(2), granted: false };
    node.hear(2, 6, Message::PreVoteReply(refusal));
    assert_eq!((node.role(), node.term()), (Role::Follower, 6));
}

// 5.2 Leader election

/// "When servers start up, they begin as followers."
#[test]
fn s5_2_servers_begin_as_followers() {
    let voted_for = Some(ME);
    let hard_state = HardState { term: Term(3), voted_for };
    let node = Solo::boot(3, Persisted { hard_state, ..Persisted::default() });
    assert_eq!((node.role(), node.raft.status().leader), (Role::Follower, None));
}

/// "A server remains in follower state as long as it receives valid RPCs from a leader or candidate."
#[test]
fn s5_2_followers_remain_while_they_hear_a_leader() {
    let mut cluster = led_by_node_1();
    cluster.take_trace();
    for _ in 0..100 {
        for node in cluster.nodes() {
            cluster.tick(node);
        }
        cluster.stabilize(&[N1, N2, N3]);
    }
    assert_eq!(cluster.status(N1).role, Role::Leader);
    assert!(!cluster.take_trace().contains("PreVote"), "nobody even asks");
}

/// "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis."
#[test]
fn s5_2_one_vote_per_term_first_come_first_served() {
    let mut node = Solo::new(5, 1, &[]);
    node.hear(3, 2, ask_vote(0, 0)).hear(2, 2, ask_vote(5, 1)).hear(4, 2, ask_vote(5, 1));
    node.sync();
    assert_eq!(node.messages(), [(3, vote(true)), (2, vote(false)), (4, vote(false))]);
}

/// The same across a restart: the vote is on the disk.
#[test]
fn s5_2_a_restart_does_not_give_the_vote_back() {
    let hard_state = HardState { term: Term(2), voted_for: Some(N3) };
    let mut node = Solo::boot(5, Persisted { hard_state, ..Persisted::default() });
    node.hear(2, 2, ask_vote(5, 1)).hear(3, 2, ask_vote(0, 0));
    assert_eq!(node.messages(), [(2, vote(false)), (3, vote(true))]);
}

/// "The majority rule ensures that at most one candidate can win the election for a particular term": half
/// of the servers is no majority.
#[test]
fn s5_2_half_is_no_majority() {
    let mut node = Solo::candidate(4, 1, &[]);
    node.hear(2, 1, vote(true));
    assert_eq!(node.role(), Role::Candidate);
    node.hear(3, 1, vote(true));
    assert_eq!(node.role(), Role::Leader);
}

/// "If the leader's term (included in its RPC) is at least as large as the candidate's current term, then
/// the candidate recognizes the leader as legitimate and returns to follower state. If the term in the RPC
/// is smaller than the candidate's current term, then the candidate rejects the RPC and continues in
/// candidate state."
#[test]
fn s5_2_candidates_recognise_leaders_of_their_term_or_a_later_one() {
    for (term, role) in [(4, Role::Candidate), (5, Role::Follower), (6, Role::Follower)] {
        let mut node = Solo::candidate(3, 5, &[]);
        node.hear(2, term, append((0, 0), &[], 0));
        assert_eq!(node.role(), role, "a leader of term {term}");
    }
}

/// "Election timeouts are chosen randomly from a fixed interval": each of ten to nineteen ticks occurs, and
/// nothing else.
#[test]
fn s5_2_timeouts_are_drawn_from_the_interval() {
    let timeout = |seed: u64| {
        let mut config = Config::new(ME, GROUP);
        config.seed = seed;
        let initial = Membership::of_voters([N1, N2, N3]);
        let mut raft = Raft::new(config, Persisted::default(), &initial).expect("a good config");
        let ticks = (1..100).find(|_| {
            raft.tick();
            raft.status().role != Role::Follower
        });
        ticks.expect("a timeout")
    };
    let drawn: BTreeSet<u32> = (0..200).map(timeout).collect();
    assert_eq!(drawn, (10..20).collect());
}

/// "Each candidate restarts its randomized election timeout at the start of an election", another one for
/// each term, so that those who split one vote do not split the next.
#[test]
fn s5_2_each_term_has_another_timeout() {
    let timeout = |term: u64| {
        let mut node = Solo::candidate(3, term, &[]);
        (1..100).find(|_| node.tick(1).role() == Role::PreCandidate).expect("a timeout")
    };
    let drawn: BTreeSet<i32> = (1..100).map(timeout).collect();
    assert_eq!(drawn, (10..20).collect());
}

// 5.3 Log replication

/// "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel to
/// each of the other servers to replicate the entry": its own disk is one of those that work in parallel.
#[test]
fn s5_3_the_leader_sends_to_all_in_parallel() {
    let mut node = Solo::leader(1, &[]);
    node.hear(2, 1, accepted(0)).hear(3, 1, accepted(0)).messages();
    node.propose("a");
    let to: Vec<u64> = node.messages().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [2, 3]);
    assert_eq!(appended(&node.sync()), [id(1, 1), id(2, 1)], "written now, and not before");
}

/// "If followers crash or run slowly, or if network packets are lost, the leader retries AppendEntries RPCs
/// indefinitely … until all followers eventually store all log entries."
#[test]
fn s5_3_lost_entries_are_sent_until_they_are_stored() {
    let mut cluster = led_by_node_1();
    cluster.propose(N1, &["a", "b"]).expect("a leader");
    for _ in 0..20 {
        cluster.network.retain(|envelope| envelope.to != N3);
        cluster.stabilize(&[N1, N2]);
        cluster.tick(N1);
    }
    assert_eq!(cluster.status(N3).last, id(1, 1));
    cluster.tick(N1);
    cluster.tick(N1);
    cluster.stabilize(&[N1, N2, N3]);
    assert_eq!(cluster.persisted(N3).log.len(), 3);
}

/// "A log entry is committed once the leader that created the entry has replicated it on a majority of the
/// servers. This also commits all preceding entries in the leader's log, including entries created by
/// previous leaders."
#[test]
fn s5_3_committing_commits_all_preceding_entries() {
    let mut node = Solo::leader(3, &[1, 1, 2]);
    node.sync();
    node.hear(3, 3, accepted(4));
    assert_eq!(node.applied(), [id(1, 1), id(2, 1), id(3, 2), id(4, 3)]);
}

/// "The leader keeps track of the highest index it knows to be committed, and it includes that index in
/// future AppendEntries RPCs (including heartbeats) so that the other servers eventually find out."
#[test]
fn s5_3_the_commit_index_is_in_entries_and_heartbeats() {
    let mut node = Solo::leader(1, &[]);
    node.sync();
    node.hear(2, 1, accepted(1)).messages();
    node.propose("a");
    assert_eq!(sent(node.messages().remove(0).1).commit, LogIndex(1));
    node.tick(2);
    assert!(node.messages().into_iter().all(|(_, message)| sent(message).commit == LogIndex(1)));
}

/// "Once a follower learns that a log entry is committed, it applies the entry to its local state machine
/// (in log order)."
#[test]
fn s5_3_followers_apply_in_log_order() {
    let mut cluster = led_by_node_1();
    for batch in [["a", "b"], ["c", "d"], ["e", "f"]] {
        cluster.propose(N1, &batch).expect("a leader");
    }
    cluster.stabilize(&[N1, N2, N3]);
    cluster.tick(N1);
    cluster.tick(N1);
    cluster.stabilize(&[N1, N2, N3]);
    for node in cluster.nodes() {
        assert_eq!(cluster.commands(node), ["a", "b", "c", "d", "e", "f"]);
    }
}

/// "A leader never overwrites or deletes entries in its log": even if a message says that another leads its
/// term.
#[test]
fn s5_3_leaders_never_overwrite_their_log() {
    let mut node = Solo::leader(2, &[1]);
    node.sync();
    node.hear(3, 2, append((0, 0), &[2, 2, 2], 3));
    assert_eq!((node.role(), node.raft.status().last), (Role::Leader, id(2, 2)));
    assert_eq!((node.sync(), node.raft.status().dropped), (vec![], 1));
}

/// "When sending an AppendEntries RPC, the leader includes the index and term of the entry in its log that
/// immediately precedes the new entries."
#[test]
fn s5_3_the_preceding_entry_is_included() {
    let mut node = Solo::leader(4, &[1, 3]);
    node.messages();
    node.hear(2, 4, accepted(2));
    let request = sent(node.message().1);
    assert_eq!((request.prev, request.entries[0].id), (id(2, 3), id(3, 4)));
}

/// "When rejecting an AppendEntries request, the follower can include the term of the conflicting entry and
/// the first index it stores for that term. With this information, the leader can decrement nextIndex to
/// bypass all of the conflicting entries in that term; one AppendEntries RPC will be required for each term
/// with conflicting entries, rather than one RPC per entry." Here it names the last entry it has that could
/// be the leader's.
#[test]
fn s5_3_a_conflict_costs_one_exchange_per_term() {
    let mut follower = Solo::new(3, 5, &[1, 1, 2, 2, 2, 3, 3, 3]);
    follower.hear(2, 5, append((8, 4), &[], 0));
    let expected = AppendOutcome::Rejected { prev: LogIndex(8), hint: id(8, 3) };
    assert_eq!(outcome(follower.message().1), expected);
    follower.hear(2, 5, append((6, 1), &[], 0));
    let expected = AppendOutcome::Rejected { prev: LogIndex(6), hint: id(2, 1) };
    assert_eq!(outcome(follower.message().1), expected, "terms 2 and 3 cannot be the leader's");

    let mut leader = Solo::leader(6, &[1, 1, 1, 4, 4, 4, 5, 5]);
    leader.messages();
    leader.hear(2, 6, rejected(8, id(8, 3)));
    assert_eq!(sent(leader.message().1).prev, id(3, 1), "terms 4 and 5 cannot be the follower's");
}

// 5.4.1 Election restriction

/// "If the logs have last entries with different terms, then the log with the later term is more up-to-date.
/// If the logs end with the same term, then whichever log is longer is more up-to-date." And: "the voter
/// denies its vote if its own log is more up-to-date than that of the candidate."
#[test]
fn s5_4_1_voters_compare_the_last_term_then_the_length() {
    let cases = [
        ((1, 3), true),
        ((9, 1), false),
        ((3, 2), true),
        ((4, 2), true),
        ((2, 2), false),
        ((0, 0), false),
    ];
    for ((index, term), granted) in cases {
        let mut node = Solo::new(3, 3, &[1, 2, 2]);
        node.hear(2, 4, ask_vote(index, term));
        node.sync();
        assert_eq!(node.message(), (2, vote(granted)), "a log that ends in {index}@t{term}");

        let mut node = Solo::new(3, 3, &[1, 2, 2]);
        let request = PreVote { term: Term(4), last: id(index, term) };
        node.hear(2, 3, Message::PreVote(request));
        let reply = PreVoteReply { term: Term(4), granted };
        assert_eq!(node.message(), (2, Message::PreVoteReply(reply)), "the same for a pre-vote");
    }
}

// 5.4.2 Committing entries from previous terms

/// "Raft never commits log entries from previous terms by counting replicas. Only log entries from the
/// leader's current term are committed by counting replicas."
#[test]
fn s5_4_2_only_entries_of_the_current_term_are_committed_by_counting() {
    let mut node = Solo::leader(4, &[1, 2]);
    node.sync();
    node.hear(2, 4, accepted(2)).hear(3, 4, accepted(2));
    assert_eq!(node.commit(), 0, "on all three, and not committed");
    node.hear(3, 4, accepted(3));
    assert_eq!(node.commit(), 3);
}

// 5.5 Follower and candidate crashes

/// "If a server crashes after completing an RPC but before responding, then it will receive the same RPC
/// again after it restarts. Raft RPCs are idempotent, so this causes no harm. For example, if a follower
/// receives an AppendEntries request that includes log entries already present in its log, it ignores those
/// entries in the new request."
#[test]
fn s5_5_rpcs_are_idempotent() {
    let mut node = Solo::new(3, 1, &[]);
    let requests = [ask_vote(0, 0), append((0, 0), &[1, 1], 0), append((0, 0), &[1, 1], 1)];
    for request in requests {
        let mut seen = Vec::new();
        for _ in 0..3 {
            node.hear(2, 1, request.clone());
            let writes = node.sync();
            seen.push((node.messages(), writes));
        }
        assert_eq!(seen[1].0, seen[2].0);
        assert_eq!((seen[1].1.len(), seen[2].1.len()), (0, 0), "{request:?} writes once");
    }
    assert_eq!((node.raft.status().last, node.commit()), (id(2, 1), 1));
}

// 5.6 Timing and availability

/// "broadcastTime ≪ electionTimeout": a configuration in which heartbeats come too late to prevent elections
/// is refused.
#[test]
fn s5_6_heartbeats_come_more_often_than_elections() {
    let mut config = Config::new(ME, GROUP);
    assert!(config.heartbeat_ticks * 2 <= config.election_ticks);
    config.heartbeat_ticks = config.election_ticks;
    let initial = Membership::of_voters([N1]);
    let error = Raft::new(config, Persisted::default(), &initial).expect_err("a bad config");
    assert_eq!(error.field, "election_ticks");
}
