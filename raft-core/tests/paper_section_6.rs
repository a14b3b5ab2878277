//! Section 6 of the extended Raft paper: what a leader does to change the members. What concerns elections, and how a
//! follower takes a configuration, is in `paper_section_6_7_8.rs`; whole changes read as traces in `tests/golden`.

#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/solo.rs"]
mod solo;

use raft_core::*;
use solo::*;

fn membership(voters: &[u64], outgoing: &[u64], learners: &[u64]) -> Membership {
    let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
    Membership { voters: ids(voters), outgoing: ids(outgoing), learners: ids(learners) }
}

fn target(voters: &[u64]) -> Target {
    Target::of_voters(voters.iter().copied().map(NodeId))
}

/// A leader of `members`, in term two, whose first entry, at index two, is committed; its learners have caught up.
fn leader_of(members: Membership) -> Solo {
    let last = id(1, 1);
    let meta = SnapshotMeta { last, membership: members.clone() };
    let hard_state = HardState { term: Term(1), voted_for: None };
    let persisted =
        Persisted { hard_state, snapshot: Some(meta), compacted: last, ..Persisted::default() };
    let mut node = Solo::boot(1, persisted);
    node.raft.campaign();
    let others = || members.members().filter(|node| *node != ME).map(|node| node.0);
    for peer in others() {
        let reply = PreVoteReply { term: Term(2), granted: true };
        node.hear(peer, 1, Message::PreVoteReply(reply));
    }
    node.sync();
    for peer in others() {
        node.hear(peer, 2, vote(true));
    }
    node.sync();
    for _ in 0..2 {
        others().for_each(|peer| {
            node.hear(peer, 2, accepted(2));
        });
    }
    assert_eq!((node.role(), node.commit()), (Role::Leader, 2));
    node.messages();
    node
}

fn change(node: &mut Solo, voters: &[u64]) -> Result<LogId, MembershipError> {
    let since = node.raft.status().membership_since;
    let result = node.raft.change_membership(since, &target(voters));
    node.sync();
    result
}

/// The memberships among the entries that were sent, by receiver.
fn sent_memberships(node: &mut Solo) -> Vec<(u64, Membership)> {
    let messages = node.messages().into_iter();
    let appends = messages.filter_map(|(to, message)| match message {
        Message::AppendEntries(append) => Some((to, append.entries)),
        _ => None,
    });
    let entries = appends.flat_map(|(to, entries)| entries.into_iter().map(move |e| (to, e)));
    let memberships = entries.filter_map(|(to, entry)| match entry.payload {
        Payload::Membership(membership) => Some((to, *membership)),
        _ => None,
    });
    memberships.collect()
}

/// "It stores the configuration for joint consensus (C_old,new in the figure) as a log entry and replicates that entry";
/// "Log entries are replicated to all servers in both configurations."
#[test]
fn s6_the_leader_stores_the_joint_configuration_and_sends_it_to_all_of_both() {
    let mut node = leader_of(membership(&[1, 2, 3], &[], &[4]));
    assert_eq!(change(&mut node, &[1, 2, 4]), Ok(id(3, 2)));
    let joint = membership(&[1, 2, 4], &[1, 2, 3], &[]);
    assert_eq!(node.raft.status().membership, &joint, "in effect at once");
    let sent = [2, 3, 4].map(|to| (to, joint.clone()));
    assert_eq!(sent_memberships(&mut node), sent);
}

/// "Once C_old,new has been committed, neither C_old nor C_new can make decisions without approval of the other … It is
/// now safe for the leader to create a log entry describing C_new and replicate it to the cluster."
#[test]
fn s6_the_new_configuration_follows_when_the_joint_one_is_committed() {
    let mut node = leader_of(membership(&[1, 2, 3], &[], &[4, 5]));
    change(&mut node, &[1, 4, 5]).expect("it leads");
    node.messages();
    // All of the old ones, and only this node of the new ones; then the other way round for the rest.
    node.hear(2, 2, accepted(3)).hear(3, 2, accepted(3));
    assert!(node.raft.status().membership.is_joint() && node.commit() == 2);
    assert_eq!(sent_memberships(&mut node), []);
    node.hear(4, 2, accepted(3));
    assert_eq!(node.commit(), 3);
    let new = membership(&[1, 4, 5], &[], &[]);
    assert_eq!(node.raft.status().membership, &new);
    assert_eq!(sent_memberships(&mut node), [4, 5].map(|to| (to, new.clone())));
    node.sync();
    assert_eq!(node.commit(), 3);
    node.hear(5, 2, accepted(4));
    assert_eq!(node.commit(), 4, "two of the new ones, and none of the old ones that go");
}

/// "Any server from either configuration may serve as leader."
#[test]
fn s6_any_server_of_either_configuration_may_lead() {
    for joint in [membership(&[1, 4, 5], &[2, 3], &[]), membership(&[4, 5], &[1, 2, 3], &[])] {
        let node = leader_of(joint.clone());
        assert_eq!(node.raft.status().membership.outgoing.len(), 0, "which it leaves then");
        assert_eq!(node.raft.status().last, id(3, 2), "{joint:?}");
    }
}

/// "The leader steps down (returns to follower state) once it has committed the C_new log entry. … there will be a period
/// of time … when the leader is managing a cluster that does not include itself; it replicates log entries but does not
/// count itself in majorities."
#[test]
fn s6_a_leader_that_is_not_in_the_new_configuration_steps_down_when_it_is_committed() {
    let mut node = leader_of(membership(&[1, 2, 3], &[], &[]));
    change(&mut node, &[2, 3]).expect("it leads");
    node.hear(2, 2, accepted(3)).hear(3, 2, accepted(3));
    node.sync();
    node.hear(2, 2, accepted(4));
    assert_eq!((node.role(), node.commit()), (Role::Leader, 3), "itself and one of two");
    node.messages();
    node.hear(3, 2, accepted(4));
    assert_eq!((node.role(), node.commit()), (Role::Follower, 4));
    assert_eq!(node.raft.status().removed, Some(LogIndex(4)));
    // Everybody hears what is committed, and one of them that it should lead.
    let messages = node.messages();
    let told = messages.iter().filter(|(_, message)| {
        matches!(message, Message::AppendEntries(append) if append.commit == LogIndex(4))
    });
    assert_eq!(told.count(), 2);
    let asked = |(_, message): &&(u64, Message)| matches!(message, Message::TimeoutNow(_));
    assert_eq!(messages.iter().filter(asked).count(), 1);
    node.tick(60);
    assert_eq!(node.messages(), [], "it campaigns no more");
}

/// A change is begun only by a leader that has committed an entry of its own term (Ongaro's correction of July 2015), and
/// one at a time.
#[test]
fn s6_one_change_at_a_time_and_none_before_the_first_commit() {
    let mut node = Solo::leader(1, &[]);
    node.sync();
    assert_eq!(change(&mut node, &[1, 2]), Err(MembershipError::NotReady));
    node.hear(2, 1, accepted(1));
    assert_eq!(change(&mut node, &[1, 2]), Ok(id(2, 1)));
    let index = LogIndex(2);
    assert_eq!(change(&mut node, &[1]), Err(MembershipError::InProgress { index }));
    node.hear(2, 1, accepted(2));
    let index = LogIndex(3);
    assert_eq!(change(&mut node, &[1]), Err(MembershipError::InProgress { index }));
    node.hear(2, 1, accepted(3));
    assert_eq!(change(&mut node, &[1]), Ok(id(4, 1)));
}
