//! The members of a group, as its leader knows them.

use raft_core::node::GroupStatus;
use raft_core::{MemberProgress, NodeId, Replication};

use crate::node::host::Host;
use crate::node::protocol::{Copying, Member, Members, Progress, Standing};

pub(super) fn members(host: &Host, status: &GroupStatus, progress: &[MemberProgress]) -> Members {
    let addresses = host.book.addresses();
    let membership = &status.membership;
    let standing = |node: NodeId| {
        let (comes, goes) =
            (membership.voters.contains(&node), membership.outgoing.contains(&node));
        match (membership.is_joint(), comes, goes) {
            (false, true, _) | (true, true, true) => Standing::Voter,
            (true, true, false) => Standing::Coming,
            (_, false, true) => Standing::Leaving,
            (_, false, false) => Standing::Learner,
        }
    };
    let member = |node: NodeId| Member {
        node: node.0,
        address: addresses.get(&node).map(|at| at.0.clone()),
        standing: standing(node),
        progress: progress.iter().find(|it| it.node == node).map(of),
    };
    Members {
        leader: host.id.0,
        term: status.term.0,
        since: status.membership_since.0,
        is_settled: status.membership_since <= status.commit && !membership.is_joint(),
        last: status.last.index.0,
        members: membership.members().map(member).collect(),
    }
}

fn of(progress: &MemberProgress) -> Progress {
    Progress {
        matched: progress.matched.0,
        pending_entries: progress.pending_entries,
        pending_bytes: progress.pending_bytes,
        copying: match progress.replication {
            Replication::Probe => Copying::Probe,
            Replication::Replicate => Copying::Replicate,
            Replication::Snapshot { offset } => Copying::Snapshot { offset },
        },
        rounds: progress.catching_up.map(|it| (it.rounds, it.is_done)),
    }
}
