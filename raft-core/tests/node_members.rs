//! The driver changes members and hands leadership over: one call, from the first learner to the last entry; whoever
//! repeats it goes on where it was left; and a node that is no member any more stops the group.
#![cfg(feature = "node")]

mod node_support;

use std::collections::BTreeSet;
use std::time::Duration;

use node_support::*;
use raft_core::node::{ChangeError, GroupEnd, HandoverError, ProposalError};
use raft_core::*;

const DEADLINE: Duration = Duration::from_secs(30);

/// `size` nodes, the first `voters` of which are members.
async fn cluster(size: usize, voters: usize) -> Cluster {
    let tune = match voters {
        1 => |config: &mut node::GroupConfig| begin_with(config, 1),
        _ => |config: &mut node::GroupConfig| begin_with(config, 3),
    };
    Cluster::tuned(size, |_| {}, tune).await
}

fn begin_with(config: &mut node::GroupConfig, voters: u64) {
    let initial = Membership::of_voters((1..=voters).map(NodeId));
    config.initial = match initial.contains(config.raft.node) {
        true => initial,
        false => Membership::default(),
    };
    config.snapshot_bytes = Some(2000);
    config.raft.trailing_bytes_max = 500;
}

fn voters(positions: &[usize]) -> Target {
    Target::of_voters(positions.iter().copied().map(id))
}

/// The position of who leads, and knows that it does.
async fn leader(cluster: &Cluster) -> usize {
    within(60, async {
        loop {
            let leads = |status: &node::GroupStatus| {
                status.role == Role::Leader && status.commit.0 > 0 && status.handover.is_none()
            };
            let newest = cluster.running().map(|(_, group)| group.status().term).max();
            let mut all = cluster.running().map(|(at, group)| (at, group.status()));
            if let Some((at, _)) = all.find(|(_, s)| leads(s) && Some(s.term) == newest) {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

/// Asks whoever leads, again and again, as an operator would.
async fn change(cluster: &Cluster, target: &Target) {
    within(120, async {
        loop {
            let at = leader(cluster).await;
            match cluster.group(at).change_membership(target.clone(), None, DEADLINE).await {
                Ok(_) => return,
                Err(ChangeError::Stopped | ChangeError::LeadershipLost { .. }) => {}
                Err(ChangeError::Refused(
                    MembershipError::NotLeader { .. } | MembershipError::TransferInProgress { .. },
                )) => {}
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn propose(cluster: &Cluster, count: usize) {
    for number in 0..count {
        let at = leader(cluster).await;
        within(5, cluster.group(at).propose(bytes(number))).await.unwrap();
    }
}

/// Waits until these nodes, and no others, are members everywhere among them, and have applied the same.
async fn settles(cluster: &Cluster, members: &[usize]) {
    let expected: BTreeSet<NodeId> = members.iter().copied().map(id).collect();
    within(60, async {
        loop {
            let groups = || members.iter().map(|at| cluster.group(*at));
            let agree = groups().all(|group| group.status().membership.voters == expected);
            let mut states = groups().map(|group| group.peek(|at, s| (at, s.commands.clone())));
            let first = states.next().expect("a member");
            if agree && states.all(|state| state == first) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_node_becomes_three_and_one_again() {
    let cluster = cluster(3, 1).await;
    // Enough for snapshots, so that the others get one.
    propose(&cluster, 100).await;
    change(&cluster, &voters(&[0, 1, 2])).await;
    settles(&cluster, &[0, 1, 2]).await;
    propose(&cluster, 10).await;
    assert_eq!(cluster.group(0).progress().await.len(), 2);
    change(&cluster, &voters(&[0])).await;
    for removed in [1, 2] {
        let end = within(5, cluster.group(removed).ended()).await;
        assert!(matches!(end, GroupEnd::Removed { .. }), "{end:?}");
        let late = cluster.group(removed).propose(bytes("x")).await;
        assert_eq!(late, Err(ProposalError::Stopped));
    }
    propose(&cluster, 10).await;
    assert_eq!(cluster.node(1).status().groups, 0, "the node goes on without the group");
}

#[tokio::test(start_paused = true)]
async fn all_three_are_swapped_at_once_and_the_leader_is_among_those_that_go() {
    let cluster = cluster(6, 3).await;
    propose(&cluster, 20).await;
    let old = leader(&cluster).await;
    assert!(old < 3);
    let target = voters(&[3, 4, 5]);
    // The leader itself says that it is done, before it goes; and it answers what it has taken.
    cluster.disks.iter().for_each(|disk| disk.set_delay(Duration::from_millis(5)));
    let group = cluster.group(old).clone();
    let asked = async {
        // In the midst of the proposals.
        tokio::time::sleep(Duration::from_millis(50)).await;
        group.change_membership(target.clone(), None, DEADLINE).await
    };
    let load = async {
        let mut proposals = Vec::new();
        for number in 0..300 {
            proposals.push(group.propose(bytes(number)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (mut applied, mut refused) = (0, 0);
        for proposal in proposals {
            match within(5, proposal).await {
                Ok(_) => applied += 1,
                Err(ProposalError::Rejected(_) | ProposalError::Stopped) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        (applied, refused)
    };
    let (since, (applied, refused)) = tokio::join!(within(60, asked), load);
    assert!(applied > 20 && refused > 20, "{applied} applied, {refused} refused");
    let since = since.unwrap();
    for removed in 0..3 {
        let end = within(5, cluster.group(removed).ended()).await;
        assert_eq!(end, GroupEnd::Removed { since });
    }
    // Nobody waits for a timeout: the one that was asked leads.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(cluster.group(leader(&cluster).await).status().term.0 > 1);
    settles(&cluster, &[3, 4, 5]).await;
    propose(&cluster, 10).await;
    // Done already: to ask again is no harm.
    change(&cluster, &target).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_up_again_after_a_crash_of_its_leader() {
    let mut cluster = cluster(4, 3).await;
    propose(&cluster, 20).await;
    for _ in 0..5 {
        for target in [voters(&[0, 1, 3]), voters(&[1, 2, 3]), voters(&[0, 1, 2])] {
            // Whatever of the change is done then: its leader crashes, and comes back.
            let at = leader(&cluster).await;
            let group = cluster.group(at).clone();
            let asked = target.clone();
            let call = tokio::spawn(async move {
                let _ = group.change_membership(asked, None, DEADLINE).await;
            });
            let delay = Duration::from_millis(cluster.group(at).status().last.index.0 % 120);
            tokio::time::sleep(delay).await;
            cluster.crash(at);
            cluster.start(at).await;
            within(60, call).await.unwrap();
            restart_removed(&mut cluster).await;
            change(&cluster, &target).await;
            restart_removed(&mut cluster).await;
            propose(&cluster, 3).await;
        }
    }
}

/// Whoever runs a node that was removed starts it again, to be a member once more.
async fn restart_removed(cluster: &mut Cluster) {
    for at in 0..cluster.disks.len() {
        if cluster.group(at).status().removed.is_some() {
            cluster.crash(at);
            cluster.start(at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused() {
    let cluster = cluster(4, 3).await;
    let at = leader(&cluster).await;
    let group = cluster.group(at);
    let ask = |target, expected| group.change_membership(target, expected, DEADLINE);
    let refused = |error| Err(ChangeError::Refused(error));
    let none = MembershipError::Target(TargetError::NoVoters);
    assert_eq!(ask(Target::default(), None).await, refused(none));
    let since = group.status().membership_since;
    let stale = ask(voters(&[0, 1]), Some(LogIndex(since.0 + 1))).await;
    assert_eq!(stale, refused(MembershipError::Stale { since }));
    assert_eq!(ask(voters(&[0, 1, 2]), Some(since)).await, Ok(since), "it is so already");
    let other = cluster.group((at + 1) % 3);
    let elsewhere = other.change_membership(voters(&[0]), None, DEADLINE).await;
    let leader = Some(id(at));
    assert_eq!(elsewhere, refused(MembershipError::NotLeader { leader }));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_away_does_not_get_a_vote() {
    let mut cluster = cluster(4, 3).await;
    propose(&cluster, 3).await;
    cluster.crash(3);
    let at = leader(&cluster).await;
    let second = Duration::from_secs(1);
    let target = voters(&[0, 1, 2, 3]);
    let outcome = cluster.group(at).change_membership(target.clone(), None, second).await;
    assert_eq!(outcome, Err(ChangeError::Deadline));
    let membership = cluster.group(at).status().membership;
    assert_eq!((membership.voters.len(), membership.learners.len()), (3, 1), "{membership:?}");
    let progress = cluster.group(at).progress().await;
    assert!(progress.iter().any(|p| p.catching_up.is_some_and(|c| !c.is_done)));
    // One at a time; nobody waits for the first one any more.
    let (one, other) = {
        let group = cluster.group(at);
        let first = group.change_membership(target.clone(), None, second);
        tokio::join!(first, group.change_membership(voters(&[0, 1]), None, second))
    };
    assert_eq!((one, other), (Err(ChangeError::Deadline), Err(ChangeError::Busy)));
    cluster.start(3).await;
    change(&cluster, &target).await;
    settles(&cluster, &[0, 1, 2, 3]).await;
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_over_and_nothing_proposed_is_lost() {
    let cluster = cluster(3, 3).await;
    propose(&cluster, 3).await;
    let mut applied = 3;
    for round in 0..6 {
        let at = leader(&cluster).await;
        let to = (at + 1 + round % 2) % 3;
        let group = cluster.group(at);
        let proposals: Vec<_> = (0..50).map(|number| group.propose(bytes(number))).collect();
        let handover = group.transfer_leadership(id(to));
        let (outcome, refused) = tokio::join!(within(5, handover), async {
            tokio::task::yield_now().await;
            group.propose(bytes("late")).await
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(cluster.group(to).status().role, Role::Leader);
        for proposal in proposals {
            assert!(within(5, proposal).await.is_ok(), "what was appended before is applied");
        }
        let never = matches!(refused, Err(ProposalError::Rejected(_)));
        assert!(never || refused.is_ok(), "{refused:?}");
        applied += 50 + usize::from(refused.is_ok());
    }
    assert_eq!(cluster.converged().await.len(), applied);
}

#[tokio::test(start_paused = true)]
async fn a_handover_that_fails_says_so() {
    let mut cluster = cluster(3, 3).await;
    propose(&cluster, 3).await;
    let at = leader(&cluster).await;
    let (to, other) = ((at + 1) % 3, (at + 2) % 3);
    let nobody = cluster.group(at).transfer_leadership(NodeId(9)).await;
    let refusal = TransferError::NotVoter { node: NodeId(9) };
    assert_eq!(nobody, Err(HandoverError::Refused(refusal)));
    assert_eq!(cluster.group(at).transfer_leadership(id(at)).await, Ok(()), "it leads already");
    let elsewhere = cluster.group(to).transfer_leadership(id(other)).await;
    let refusal = TransferError::NotLeader { leader: Some(id(at)) };
    assert_eq!(elsewhere, Err(HandoverError::Refused(refusal)));
    cluster.crash(to);
    let away = within(5, cluster.group(at).transfer_leadership(id(to))).await;
    assert_eq!(away, Err(HandoverError::GivenUp));
    propose(&cluster, 3).await;
}
