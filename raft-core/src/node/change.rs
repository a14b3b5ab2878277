//! A change of the members from its beginning to its end: what somebody asked for, and which step is next.
//!
//! ```text
//! new voters come as learners -> all have caught up -> joint -> the core leaves it
//! ```
//!
//! Each step is one entry, and what the group is after it says what the next one is. So nothing but the goal has to
//! be remembered: whoever asks for the same again, after a crash of anybody, goes on from there.

use tokio::sync::oneshot;

use super::ChangeError;
use crate::{LogIndex, Membership, MembershipError, Raft, Role, Status, Target};

/// Where the answer goes: the index from which on the members are those that were asked for.
pub(super) type ChangeReply = oneshot::Sender<Result<LogIndex, ChangeError>>;

/// A learner that has not caught up after so many rounds is too slow (thesis, section 4.2.1).
const ROUNDS_MAX: u32 = 10;

/// What somebody asks for.
pub(super) struct Wish {
    pub(super) target: Target,
    /// From which index on the membership is in effect that is to be changed; any, when it is not given.
    pub(super) expected: Option<LogIndex>,
    pub(super) reply: ChangeReply,
}

/// The change that a group is making for somebody; at most one at a time.
#[derive(Default)]
pub(super) struct Change(Option<Making>);

struct Making {
    wish: Wish,
    /// What the members are when the newest step is done. When they are others, others change them.
    asked: Option<Target>,
}

impl Change {
    /// Somebody asks for a change.
    pub(super) fn ask(&mut self, wish: Wish, raft: &mut Raft) {
        if self.0.as_ref().is_some_and(|making| !making.wish.reply.is_closed()) {
            let _ = wish.reply.send(Err(ChangeError::Busy));
            return;
        }
        let (status, expected) = (raft.status(), wish.expected);
        let since = status.membership_since;
        let refusal = match status.role {
            _ if is_done(&status, &wish.target) => None,
            Role::Leader if expected.is_some_and(|expected| expected != since) => {
                Some(MembershipError::Stale { since })
            }
            Role::Leader => wish.target.check().err().map(MembershipError::Target),
            _ => Some(MembershipError::NotLeader { leader: status.leader }),
        };
        match refusal {
            Some(refusal) => drop(wish.reply.send(Err(ChangeError::Refused(refusal)))),
            None => self.0 = Some(Making { wish, asked: None }),
        }
    }

    /// Does what can be done now. Costs nothing while there is no change.
    pub(super) fn advance(&mut self, raft: &mut Raft) {
        let Some(making) = &mut self.0 else { return };
        if making.wish.reply.is_closed() {
            self.0 = None;
            return;
        }
        if let Some(outcome) = making.advance(raft)
            && let Some(making) = self.0.take()
        {
            let _ = making.wish.reply.send(outcome);
        }
    }

    /// The group stops.
    pub(super) fn stop(&mut self) {
        if let Some(making) = self.0.take() {
            let _ = making.wish.reply.send(Err(ChangeError::Stopped));
        }
    }
}

impl Making {
    /// What has come of it; nothing yet, when there is something to wait for.
    fn advance(&mut self, raft: &mut Raft) -> Option<Result<LogIndex, ChangeError>> {
        let status = raft.status();
        if is_done(&status, &self.wish.target) {
            return Some(Ok(status.membership_since));
        }
        if status.role != Role::Leader {
            return Some(Err(ChangeError::LeadershipLost { leader: status.leader }));
        }
        if !is_settled(&status) {
            return None;
        }
        let (since, current) = (status.membership_since, status.membership);
        if self.asked.as_ref().is_some_and(|asked| !asked.is_reached(current)) {
            return Some(Err(ChangeError::Overtaken { since }));
        }
        let step = match self.step(raft, current)? {
            Ok(step) => step,
            Err(error) => return Some(Err(error)),
        };
        match raft.change_membership(since, &step) {
            Ok(_) => self.asked = Some(step),
            Err(MembershipError::NotReady) => {}
            Err(refusal) => return Some(Err(ChangeError::Refused(refusal))),
        }
        None
    }

    /// The members to ask for next; none while new voters are catching up.
    fn step(&self, raft: &Raft, current: &Membership) -> Option<Result<Target, ChangeError>> {
        let target = &self.wish.target;
        let new = || target.voters.iter().filter(|node| !current.voters.contains(node)).copied();
        if new().any(|node| !current.learners.contains(&node)) {
            let mut step = current.target();
            step.learners.extend(new());
            return Some(Ok(step));
        }
        for node in new() {
            let catching_up = raft.catching_up(node)?;
            match catching_up.is_done {
                true => {}
                false if catching_up.rounds >= ROUNDS_MAX => {
                    let rounds = catching_up.rounds;
                    return Some(Err(ChangeError::TooSlow { node, rounds }));
                }
                false => return None,
            }
        }
        Some(Ok(target.clone()))
    }
}

/// Whether no change is under way.
fn is_settled(status: &Status<'_>) -> bool {
    status.membership_since <= status.commit && !status.membership.is_joint()
}

fn is_done(status: &Status<'_>, target: &Target) -> bool {
    is_settled(status) && target.is_reached(status.membership)
}
