//! Figure 2 of the extended Raft paper, sentence by sentence.
//!
//! What is different here, and why:
//! - "`nextIndex` … (initialized to leader last log index + 1)": the last index before the leader's own first
//!   entry, so that the first message asks about something that a peer may have.
//! - "If votedFor is null or candidateId …": also not while this node knows the leader of the term, which
//!   cannot lose anything, for that term is won already.
//! - "If election timeout elapses …: convert to candidate": to pre-candidate first (thesis, section 9.6).
//! - "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry": by a term at a
//!   time, with the hint of section 5.3.
//! - "respond after entry applied to state machine": the core hands the entry out to be applied; the driver
//!   responds.

#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/solo.rs"]
mod solo;

use raft_core::*;
use solo::*;

/// "Persistent state on all servers: (Updated on stable storage before responding to RPCs)"
#[test]
fn persistent_state_is_updated_on_stable_storage_before_responding_to_rpcs() {
    let mut node = Solo::new(3, 0, &[]);
    node.hear(2, 1, append((0, 0), &[1], 0));
    assert_eq!(node.messages(), []);
    let writes = node.sync();
    assert_eq!(writes[0], WriteOp::HardState(HardState { term: Term(1), voted_for: None }));
    assert_eq!(appended(&writes), [id(1, 1)]);
    let reply = node.messages().pop().expect("a reply").1;
    assert_eq!(outcome(reply), AppendOutcome::Accepted { matched: LogIndex(1) });

    node.tick(20).messages();
    node.hear(3, 2, ask_vote(1, 1));
    assert_eq!(node.messages(), []);
    let voted_for = Some(NodeId(3));
    assert_eq!(node.sync(), [WriteOp::HardState(HardState { term: Term(2), voted_for })]);
    assert_eq!(node.message(), (3, vote(true)));
}

/// "currentTerm: latest term server has seen (initialized to 0 on first boot, increases monotonically)"
#[test]
fn current_term_is_zero_on_first_boot_and_increases_monotonically() {
    let mut node = Solo::new(3, 0, &[]);
    assert_eq!(node.term(), 0);
    for (heard, term) in [(3, 3), (2, 3), (7, 7), (0, 7)] {
        node.hear(2, heard, append((0, 0), &[], 0));
        assert_eq!(node.term(), term);
    }
}

/// "votedFor: candidateId that received vote in current term (or null if none)"
#[test]
fn voted_for_is_of_the_current_term() {
    let mut node = Solo::new(3, 0, &[]);
    assert_eq!(node.raft.status().voted_for, None);
    node.hear(2, 1, ask_vote(0, 0));
    assert_eq!(node.raft.status().voted_for, Some(NodeId(2)));
    node.hear(3, 2, append((0, 0), &[], 0));
    assert_eq!(node.raft.status().voted_for, None);
}

/// "log[]: log entries; each entry contains command for state machine, and term when entry was received by
/// leader (first index is 1)"
#[test]
fn the_first_index_is_one() {
    let mut node = Solo::leader(1, &[]);
    assert_eq!(node.propose("a"), id(2, 1));
    assert_eq!(appended(&node.sync()), [id(1, 1), id(2, 1)]);
}

/// "commitIndex: index of highest log entry known to be committed (initialized to 0, increases
/// monotonically)"
#[test]
fn commit_index_is_zero_at_first_and_increases_monotonically() {
    let mut node = Solo::new(3, 1, &[1, 1, 1]);
    assert_eq!(node.commit(), 0);
    for (leader_commit, commit) in [(2, 2), (1, 2), (0, 2), (3, 3)] {
        node.hear(2, 1, append((3, 1), &[], leader_commit));
        assert_eq!(node.commit(), commit);
    }
}

/// "lastApplied: index of highest log entry applied to state machine (initialized to 0, increases
/// monotonically)"
#[test]
fn last_applied_is_zero_at_first_and_increases_monotonically() {
    let mut node = Solo::new(3, 1, &[1, 1, 1]);
    assert_eq!(node.raft.status().applied, LogIndex(0));
    node.hear(2, 1, append((3, 1), &[], 2));
    assert_eq!(node.applied(), [id(1, 1), id(2, 1)]);
    assert_eq!(node.raft.status().applied, LogIndex(0), "not before it is reported");
    node.raft.on_applied(LogIndex(2));
    assert_eq!(node.raft.status().applied, LogIndex(2));
    node.hear(2, 1, append((3, 1), &[], 3));
    assert_eq!(node.applied(), [id(3, 1)]);
}

/// "nextIndex[]: for each server, index of the next log entry to send to that server (initialized to leader
/// last log index + 1)"
#[test]
fn next_index_is_after_the_last_entry_at_first() {
    let mut node = Solo::leader(3, &[1, 1, 2]);
    for (_, message) in node.messages() {
        assert_eq!(sent(message).prev, id(3, 2));
    }
}

/// "matchIndex[]: for each server, index of highest log entry known to be replicated on server (initialized
/// to 0, increases monotonically)"
#[test]
fn match_index_is_zero_at_first_and_increases_monotonically() {
    let mut node = Solo::leader(1, &[]);
    node.sync();
    assert_eq!(node.commit(), 0, "nobody is known to have anything");
    node.propose("a");
    node.hear(2, 1, accepted(2)).hear(2, 1, accepted(1));
    node.sync();
    assert_eq!(node.commit(), 2, "a late reply takes nothing back");
}

/// "AppendEntries RPC 1. Reply false if term < currentTerm (§5.1)"
#[test]
fn append_entries_1_replies_false_if_the_term_is_old() {
    let mut node = Solo::new(3, 5, &[1]);
    node.hear(2, 4, append((1, 1), &[4], 1));
    let reply = node.envelopes().remove(0);
    assert_eq!(reply.term, Term(5), "the leader is to update itself");
    assert!(matches!(outcome(reply.message), AppendOutcome::Rejected { .. }));
    assert_eq!((node.raft.status().last, node.commit()), (id(1, 1), 0));
    assert_eq!(node.raft.status().leader, None);
}

/// "2. Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm (§5.3)"
#[test]
fn append_entries_2_replies_false_if_the_log_does_not_contain_prev() {
    for prev in [(3, 2), (2, 2), (9, 1)] {
        let mut node = Solo::new(3, 2, &[1, 1]);
        node.hear(2, 2, append(prev, &[2], prev.0));
        let reply = outcome(node.message().1);
        assert!(matches!(reply, AppendOutcome::Rejected { prev: p, .. } if p.0 == prev.0));
        assert_eq!((node.raft.status().last, node.commit()), (id(2, 1), 0));
    }
}

/// "3. If an existing entry conflicts with a new one (same index but different terms), delete the existing
/// entry and all that follow it (§5.3)"
#[test]
fn append_entries_3_deletes_from_the_first_conflict_on() {
    let mut node = Solo::new(3, 2, &[1, 1, 1, 1]);
    node.hear(2, 2, append((1, 1), &[1, 2], 0));
    assert_eq!(node.raft.status().last, id(3, 2));
    assert_eq!(appended(&node.sync()), [id(3, 2)], "index 2 did not conflict");
}

/// "4. Append any new entries not already in the log"
#[test]
fn append_entries_4_appends_what_is_not_in_the_log() {
    let mut node = Solo::new(3, 2, &[1, 2, 2]);
    node.hear(2, 2, append((0, 0), &[1], 0));
    assert_eq!(node.raft.status().last, id(3, 2), "a prefix of the log deletes nothing");
    node.hear(2, 2, append((2, 2), &[2, 2, 2], 0));
    assert_eq!(appended(&node.sync()), [id(4, 2), id(5, 2)]);
}

/// "5. If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)"
#[test]
fn append_entries_5_commits_no_further_than_the_last_new_entry() {
    let mut node = Solo::new(3, 2, &[1, 1, 1]);
    node.hear(2, 2, append((1, 1), &[1], 9));
    assert_eq!(node.commit(), 2, "entry 3 may not be the leader's");
    node.hear(2, 2, append((2, 1), &[2], 3));
    assert_eq!(node.commit(), 3);
}

/// "RequestVote RPC 1. Reply false if term < currentTerm (§5.1)"
#[test]
fn request_vote_1_replies_false_if_the_term_is_old() {
    let mut node = Solo::new(3, 5, &[]);
    node.hear(2, 4, ask_vote(9, 4));
    let reply = node.envelopes().remove(0);
    assert_eq!((reply.term, reply.message), (Term(5), vote(false)));
    assert_eq!(node.raft.status().voted_for, None);
}

/// "2. If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log,
/// grant vote (§5.2, §5.4)"
#[test]
fn request_vote_2_grants_one_vote_to_a_log_that_is_up_to_date() {
    let mut node = Solo::new(3, 2, &[1, 2]);
    node.hear(2, 3, ask_vote(1, 1));
    node.sync();
    assert_eq!(node.message(), (2, vote(false)), "its log is behind");
    node.hear(3, 3, ask_vote(2, 2));
    node.sync();
    assert_eq!(node.message(), (3, vote(true)));
    node.hear(3, 3, ask_vote(2, 2));
    assert_eq!(node.message(), (3, vote(true)), "the same candidate again");
    node.hear(2, 3, ask_vote(9, 2));
    assert_eq!(node.message(), (2, vote(false)), "another candidate");
}

/// "All Servers: If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state
/// machine (§5.3)"
#[test]
fn all_servers_apply_what_is_committed() {
    let mut follower = Solo::new(3, 1, &[1, 1, 1]);
    follower.hear(2, 1, append((3, 1), &[], 2));
    assert_eq!(follower.applied(), [id(1, 1), id(2, 1)]);
    assert_eq!(follower.applied(), [], "once");

    let mut leader = Solo::leader(2, &[1]);
    leader.sync();
    leader.hear(2, 2, accepted(2));
    assert_eq!(leader.applied(), [id(1, 1), id(2, 2)]);
}

/// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower
/// (§5.1)"
#[test]
fn all_servers_convert_to_followers_in_a_later_term() {
    type Make = fn() -> Solo;
    let nodes: [Make; 3] =
        [|| Solo::new(3, 4, &[]), || Solo::candidate(3, 4, &[]), || Solo::leader(4, &[])];
    let messages = [append((0, 0), &[], 0), accepted(0), vote(false), rejected(1, LogId::ZERO)];
    for node in nodes {
        for message in &messages {
            let mut node = node();
            node.hear(3, 6, message.clone());
            assert_eq!((node.role(), node.term()), (Role::Follower, 6), "{message:?}");
            let stored = node
                .sync()
                .into_iter()
                .any(|op| matches!(op, WriteOp::HardState(state) if state.term == Term(6)));
            assert!(stored, "the term is stored");
        }
    }
}

/// "Followers: Respond to RPCs from candidates and leaders"
#[test]
fn followers_respond_to_rpcs() {
    let mut node = Solo::new(3, 1, &[]);
    node.hear(2, 1, ask_vote(0, 0));
    node.sync();
    assert_eq!(node.message(), (2, vote(true)));
    node.hear(2, 1, append((0, 0), &[], 0));
    assert_eq!(node.message(), (2, accepted(0)));
}

/// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to
/// candidate: convert to candidate"
#[test]
fn followers_convert_when_the_timeout_elapses_and_nothing_else() {
    let asks = |node: &mut Solo| node.role() == Role::PreCandidate;
    let mut node = Solo::new(3, 1, &[]);
    node.tick(20);
    assert!(asks(&mut node));

    let mut node = Solo::new(3, 1, &[]);
    for _ in 0..10 {
        node.hear(2, 1, append((0, 0), &[], 0)).tick(9);
        assert!(!asks(&mut node), "a heartbeat begins the timeout anew");
    }

    let mut node = Solo::new(3, 1, &[]);
    node.tick(9).hear(2, 1, ask_vote(0, 0));
    node.tick(9);
    assert!(!asks(&mut node), "so does a vote that is granted");

    let mut node = Solo::new(3, 1, &[1]);
    node.sync();
    node.tick(9).hear(2, 1, ask_vote(0, 0));
    node.tick(11);
    assert!(asks(&mut node), "a vote that is refused does not");

    let mut node = Solo::new(3, 2, &[]);
    node.tick(9).hear(2, 1, append((0, 0), &[], 0));
    node.tick(11);
    assert!(asks(&mut node), "nor does a leader of an old term");
}

/// "Candidates: On conversion to candidate, start election: increment currentTerm; vote for self; reset
/// election timer; send RequestVote RPCs to all other servers"
#[test]
fn candidates_start_an_election() {
    let mut node = Solo::new(5, 3, &[1, 3]);
    node.tick(20).messages();
    for peer in [2, 3] {
        let reply = PreVoteReply { term: Term(4), granted: true };
        node.hear(peer, 3, Message::PreVoteReply(reply));
    }
    assert_eq!((node.role(), node.term()), (Role::Candidate, 4));
    assert_eq!(node.raft.status().voted_for, Some(ME));
    node.sync();
    let requests: Vec<_> = (2..=5).map(|peer| (peer, ask_vote(2, 3))).collect();
    assert_eq!(node.messages(), requests);
    node.tick(9);
    assert_eq!(node.role(), Role::Candidate, "the timer began anew");
}

/// "If votes received from majority of servers: become leader"
#[test]
fn candidates_lead_with_the_votes_of_a_majority() {
    let mut node = Solo::candidate(5, 1, &[]);
    node.hear(2, 1, vote(true)).hear(2, 1, vote(true)).hear(3, 1, vote(false));
    assert_eq!(node.role(), Role::Candidate, "two votes of five");
    node.hear(4, 1, vote(true));
    assert_eq!(node.role(), Role::Leader);
}

/// "If AppendEntries RPC received from new leader: convert to follower"
#[test]
fn candidates_convert_to_followers_of_a_new_leader() {
    let mut node = Solo::candidate(3, 1, &[]);
    node.hear(3, 1, append((0, 0), &[], 0));
    assert_eq!((node.role(), node.raft.status().leader), (Role::Follower, Some(NodeId(3))));
    assert_eq!(node.raft.status().voted_for, Some(ME), "its vote in this term is given");
}

/// "If election timeout elapses: start new election"
#[test]
fn candidates_start_a_new_election_when_the_timeout_elapses() {
    let mut node = Solo::candidate(3, 1, &[]);
    node.tick(20);
    let asked = Message::PreVote(PreVote { term: Term(2), last: LogId::ZERO });
    assert_eq!(node.messages()[0], (2, asked));
}

/// "Leaders: Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server; repeat during
/// idle periods to prevent election timeouts (§5.2)"
#[test]
fn leaders_send_heartbeats() {
    let heartbeats = |node: &mut Solo| {
        let messages = node.messages();
        let all = messages.into_iter().map(|(to, message)| (to, sent(message).entries.len()));
        all.collect::<Vec<_>>()
    };
    let mut node = Solo::leader(1, &[]);
    node.sync();
    assert_eq!(heartbeats(&mut node), [(2, 0), (3, 0)]);
    for _ in 0..3 {
        node.tick(2);
        assert_eq!(heartbeats(&mut node), [(2, 0), (3, 0)]);
    }
}

/// "If command received from client: append entry to local log, respond after entry applied to state machine
/// (§5.3)"
#[test]
fn leaders_append_commands_and_apply_them_when_committed() {
    let mut node = Solo::leader(1, &[]);
    assert_eq!(node.propose("a"), id(2, 1));
    node.sync();
    assert_eq!(node.applied(), []);
    node.hear(2, 1, accepted(2));
    assert_eq!(node.applied(), [id(1, 1), id(2, 1)]);
}

/// "If last log index ≥ nextIndex for a follower: send AppendEntries RPC with log entries starting at
/// nextIndex"
#[test]
fn leaders_send_entries_from_next_index_on() {
    let mut node = Solo::leader(2, &[1]);
    node.messages();
    node.hear(2, 2, accepted(1));
    let (to, message) = node.message();
    let request = sent(message);
    assert_eq!((to, request.prev, request.entries[0].id), (2, id(1, 1), id(2, 2)));
    node.propose("a");
    let request = sent(node.message().1);
    assert_eq!((request.prev, request.entries[0].id), (id(2, 2), id(3, 2)), "and from there on");
}

/// "If successful: update nextIndex and matchIndex for follower (§5.3)"
#[test]
fn leaders_update_next_and_match_index() {
    let mut node = Solo::leader(1, &[]);
    node.sync();
    node.messages();
    node.hear(2, 1, accepted(0)).messages();
    node.hear(2, 1, accepted(1));
    assert_eq!(node.commit(), 1, "matchIndex");
    node.tick(2);
    let (to, message) = node.messages().remove(0);
    assert_eq!((to, sent(message).prev), (2, id(1, 1)), "nextIndex");
}

/// "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (§5.3)"
#[test]
fn leaders_decrement_next_index_and_retry() {
    let mut node = Solo::leader(2, &[1, 1, 1]);
    node.messages();
    node.hear(2, 2, rejected(3, id(1, 1)));
    assert_eq!(sent(node.message().1).prev, id(1, 1));
    node.hear(2, 2, rejected(1, LogId::ZERO));
    assert_eq!(sent(node.message().1).prev, LogId::ZERO);
    node.hear(2, 2, rejected(1, LogId::ZERO));
    assert_eq!(node.messages(), [], "a late refusal of what was given up is no news");
}

/// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
/// currentTerm: set commitIndex = N (§5.3, §5.4)"
#[test]
fn leaders_commit_what_a_majority_has_in_the_current_term() {
    let mut node = Solo::leader(3, &[1, 2]);
    node.sync();
    node.hear(2, 3, accepted(2));
    assert_eq!(node.commit(), 0, "entries of earlier terms do not count");
    node.hear(2, 3, accepted(3));
    assert_eq!(node.commit(), 3);
    node.propose("a");
    node.propose("b");
    node.hear(2, 3, accepted(5));
    assert_eq!(node.commit(), 3, "its own copy is not on disk");
    node.hear(3, 3, accepted(4));
    assert_eq!(node.commit(), 4);
    node.sync();
    assert_eq!(node.commit(), 5);
}
