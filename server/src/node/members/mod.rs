//! The members of a group, as its leader shows and changes them.
//!
//! ```text
//! who is at the address -> an old life is removed -> learner -> the node gets a replica -> voter
//! ```
//!
//! A member without a replica is an old life of its node, or an attempt that was broken off: it is removed first. So what
//! a directory that was lost has promised is settled before the node says anything again (ADR 0013), and whoever
//! repeats a change goes on where it was left, at this leader or at the next.

mod plan;
mod prepare;
mod show;

use std::time::Duration;

use raft_core::node::ChangeError;
use raft_core::{GroupId, LogIndex, MembershipError, NodeId, Role, Target, TargetError};
use tokio::time::Instant;

use super::host::Host;
use super::protocol::{Asked, ChangeRefusal, Elsewhere, Members};
use super::replica::Replica;
use super::service::elsewhere;

/// The longest that a request waits here, whatever its client says.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What this leader knows.
pub(super) async fn list(host: &Host, group: GroupId) -> Result<Members, Elsewhere> {
    let replica = host.replica(group).ok_or_else(|| elsewhere(host, group, None))?;
    let status = replica.operated.status();
    if status.role != Role::Leader {
        return Err(elsewhere(host, group, status.leader));
    }
    Ok(show::members(host, &status, &replica.operated.progress().await))
}

/// Changes the members, and waits until they are changed; from which index on they are.
pub(super) async fn change(host: &Host, asked: Asked) -> Result<u64, ChangeRefusal> {
    let group = GroupId(asked.group);
    let Some(replica) = host.replica(group) else {
        return Err(ChangeRefusal::Elsewhere(elsewhere(host, group, None)));
    };
    let wait = Duration::from_millis(u64::from(asked.wait_ms)).min(WAIT_MAX);
    let changing = Changing { host, group, replica: &replica, deadline: Instant::now() + wait };
    changing.run(&asked).await
}

/// A change that is being made.
struct Changing<'a> {
    host: &'a Host,
    group: GroupId,
    replica: &'a Replica,
    deadline: Instant,
}

/// Members that were looked at, and what they are to be.
struct Planned {
    since: LogIndex,
    target: Target,
}

impl Changing<'_> {
    async fn run(&self, asked: &Asked) -> Result<u64, ChangeRefusal> {
        self.look(asked, asked.expected)?;
        if let Some((node, address)) = plan::newcomer(&asked.change) {
            self.prepare(NodeId(node), address).await?;
        }
        // Looked at again: it may have changed meanwhile, and only this is compared and set.
        let planned = self.look(asked, None)?;
        self.reach(planned).await
    }

    /// What is to be done, if it can be begun now.
    fn look(&self, asked: &Asked, expected: Option<u64>) -> Result<Planned, ChangeRefusal> {
        let status = self.replica.operated.status();
        if status.role != Role::Leader {
            return Err(self.elsewhere(status.leader));
        }
        let membership = &status.membership;
        let is_known = |node| self.host.book.contents().nodes.contains_key(&NodeId(node));
        let target = plan::target(&asked.change, membership, is_known)?;
        let since = status.membership_since;
        if !target.is_reached(membership) && expected.is_some_and(|expected| expected != since.0) {
            return Err(ChangeRefusal::Stale { since: since.0 });
        }
        let is_settled = since <= status.commit && !membership.is_joint();
        if !is_settled && target != membership.target() {
            return Err(ChangeRefusal::InProgress { since: since.0 });
        }
        Ok(Planned { since, target })
    }

    async fn reach(&self, planned: Planned) -> Result<u64, ChangeRefusal> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let changed = self.replica.operated.change(planned.target, planned.since, left).await;
        changed.map(|since| since.0).map_err(|error| self.refusal(error))
    }

    fn elsewhere(&self, leader: Option<NodeId>) -> ChangeRefusal {
        ChangeRefusal::Elsewhere(elsewhere(self.host, self.group, leader))
    }

    fn refusal(&self, error: ChangeError) -> ChangeRefusal {
        match error {
            ChangeError::Refused(refusal) => self.refused(refusal),
            ChangeError::LeadershipLost { leader } => ChangeRefusal::LeadershipLost {
                hint: match elsewhere(self.host, self.group, leader) {
                    Elsewhere::NotLeader { hint } => hint,
                    Elsewhere::NoSuchGroup { .. } => None,
                },
            },
            ChangeError::Overtaken { since } => ChangeRefusal::Overtaken { since: since.0 },
            ChangeError::TooSlow { node, rounds } => {
                ChangeRefusal::TooSlow { node: node.0, rounds }
            }
            ChangeError::Deadline => ChangeRefusal::Deadline,
            ChangeError::Stopped => ChangeRefusal::LeadershipLost { hint: None },
            _ => ChangeRefusal::Busy,
        }
    }

    fn refused(&self, refusal: MembershipError) -> ChangeRefusal {
        match refusal {
            MembershipError::NotLeader { leader } => self.elsewhere(leader),
            MembershipError::InProgress { index } => ChangeRefusal::InProgress { since: index.0 },
            MembershipError::Stale { since } => ChangeRefusal::Stale { since: since.0 },
            MembershipError::Target(TargetError::NoVoters) => ChangeRefusal::NoVoter,
            MembershipError::Target(TargetError::TooMany { members, members_max }) => {
                ChangeRefusal::TooMany { members: members as u64, members_max: members_max as u64 }
            }
            MembershipError::NotCaughtUp { node } => {
                ChangeRefusal::TooSlow { node: node.0, rounds: 0 }
            }
            _ => ChangeRefusal::NotNow,
        }
    }
}
