//! What the members are to be after a change.

use raft_core::{Membership, NodeId, Target};

use super::super::protocol::{Change, ChangeRefusal, MemberRole};

/// The node that is to be a member, if the change has one, and where it is, if that was said.
pub(super) fn newcomer(change: &Change) -> Option<(u64, Option<&str>)> {
    match change {
        Change::Add { node, address, .. } => Some((*node, address.as_deref())),
        Change::Replace { new, address, .. } => Some((*new, address.as_deref())),
        Change::Promote { .. } | Change::Remove { .. } => None,
    }
}

/// The members at the end of `change`, as far as `membership` is or is becoming something else. What is so already stays:
/// whoever asks again changes nothing.
pub(super) fn target(
    change: &Change,
    membership: &Membership,
    is_known: impl Fn(u64) -> bool,
) -> Result<Target, ChangeRefusal> {
    let mut target = membership.target();
    match change {
        Change::Add { node, role: MemberRole::Learner, .. } => {
            if !target.voters.contains(&NodeId(*node)) {
                target.learners.insert(NodeId(*node));
            }
        }
        Change::Add { node, role: MemberRole::Voter, .. } => promote(&mut target, *node),
        Change::Promote { node } => {
            let id = NodeId(*node);
            if !target.voters.contains(&id) && !target.learners.contains(&id) {
                return Err(ChangeRefusal::NoMember { node: *node });
            }
            promote(&mut target, *node);
        }
        Change::Remove { node } => {
            let is_member = remove(&mut target, *node);
            // One that was removed before is removed.
            if !is_member && !is_known(*node) {
                return Err(ChangeRefusal::NoMember { node: *node });
            }
        }
        Change::Replace { old, new, .. } => {
            let (is_done, was_voter) =
                (target.voters.contains(&NodeId(*new)), target.voters.contains(&NodeId(*old)));
            // One that was replaced before is replaced.
            let was_replaced = is_done && is_known(*old);
            match was_voter {
                false if was_replaced => {}
                false => return Err(ChangeRefusal::NoMember { node: *old }),
                true => {
                    remove(&mut target, *old);
                    promote(&mut target, *new);
                }
            }
        }
    }
    match target.voters.is_empty() {
        true => Err(ChangeRefusal::NoVoter),
        false => Ok(target),
    }
}

fn promote(target: &mut Target, node: u64) {
    target.learners.remove(&NodeId(node));
    target.voters.insert(NodeId(node));
}

fn remove(target: &mut Target, node: u64) -> bool {
    target.voters.remove(&NodeId(node)) | target.learners.remove(&NodeId(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(target: &Target) -> (Vec<u64>, Vec<u64>) {
        let of = |nodes: &std::collections::BTreeSet<NodeId>| nodes.iter().map(|it| it.0).collect();
        (of(&target.voters), of(&target.learners))
    }

    /// Of the voters 1, 2 and 3 and the learner 4; nodes up to 6 are known.
    #[track_caller]
    fn becomes(change: Change, voters: &[u64], learners: &[u64]) {
        let mut membership = Membership::of_voters([1, 2, 3].map(NodeId));
        membership.learners.insert(NodeId(4));
        let known = |node| node <= 6;
        let target = target(&change, &membership, known).unwrap();
        assert_eq!(numbers(&target), (voters.to_vec(), learners.to_vec()), "{change:?}");
        // Asked for again, it is done.
        let after = Membership {
            voters: target.voters.clone(),
            learners: target.learners.clone(),
            ..Membership::default()
        };
        assert_eq!(super::target(&change, &after, known), Ok(target), "{change:?} again");
    }

    fn refused(change: Change) -> ChangeRefusal {
        target(&change, &Membership::of_voters([NodeId(1)]), |_| false).unwrap_err()
    }

    #[test]
    fn each_change_is_what_it_says_and_may_be_repeated() {
        let add = |node, role| Change::Add { node, address: None, role };
        becomes(add(5, MemberRole::Learner), &[1, 2, 3], &[4, 5]);
        becomes(add(5, MemberRole::Voter), &[1, 2, 3, 5], &[4]);
        becomes(add(4, MemberRole::Voter), &[1, 2, 3, 4], &[]);
        becomes(add(1, MemberRole::Learner), &[1, 2, 3], &[4]);
        becomes(Change::Promote { node: 4 }, &[1, 2, 3, 4], &[]);
        becomes(Change::Remove { node: 2 }, &[1, 3], &[4]);
        becomes(Change::Remove { node: 4 }, &[1, 2, 3], &[]);
        becomes(Change::Remove { node: 6 }, &[1, 2, 3], &[4]);
        becomes(Change::Replace { old: 2, new: 5, address: None }, &[1, 3, 5], &[4]);
        becomes(Change::Replace { old: 2, new: 4, address: None }, &[1, 3, 4], &[]);
        becomes(Change::Replace { old: 2, new: 2, address: None }, &[1, 2, 3], &[4]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(refused(Change::Remove { node: 1 }), ChangeRefusal::NoVoter);
        for change in [
            Change::Remove { node: 9 },
            Change::Promote { node: 9 },
            Change::Replace { old: 9, new: 8, address: None },
        ] {
            assert_eq!(refused(change), ChangeRefusal::NoMember { node: 9 });
        }
    }
}
