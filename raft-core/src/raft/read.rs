//! Linearizable reads without a log entry: ReadIndex (thesis, section 6.4).
//!
//! A read takes the commit index of the moment it is begun, and may be served from a state that has
//! applied it, once a quorum has confirmed that this node still led after that moment. All reads of a turn
//! share one round of confirmations. A leader that has committed nothing in its term yet does not know the
//! commit index; its reads wait until it does.

use super::{Raft, RoleState};
use crate::{LogIndex, ReadError, ReadId, ReadReady, Round};

/// A read that waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct PendingRead {
    id: ReadId,
    /// The round that must be confirmed, and the index to be applied; none while the read waits for the
    /// first commit of the term.
    begun: Option<(Round, LogIndex)>,
}

impl Raft {
    /// Begins a linearizable read, on the leader. It comes out of [`drain`](Self::drain) as a
    /// [`ReadReady`] when it is confirmed. When the role changes first, it never does.
    ///
    /// # Errors
    /// The read was not begun.
    pub fn read_index(&mut self) -> Result<ReadId, ReadError> {
        let hint = self.leader();
        let RoleState::Leader(leading) = &mut self.role else {
            return Err(ReadError::NotLeader { leader: hint });
        };
        let reads_max = self.config.reads_max;
        if leading.reads.len() >= reads_max {
            return Err(ReadError::Overloaded { reads_max });
        }
        self.next_read = ReadId(self.next_read.0 + 1);
        leading.reads.push_back(PendingRead { id: self.next_read, begun: None });
        Ok(self.next_read)
    }

    /// Gives the reads of this turn their index and a round of their own.
    pub(super) fn begin_reads(&mut self) {
        let RoleState::Leader(leading) = &mut self.role else { return };
        if (self.commit < leading.term_start && !planted!(ReadBeforeFirstCommit))
            || leading.reads.back().is_none_or(|read| read.begun.is_some())
        {
            return;
        }
        leading.begin_round();
        let begun = Some((leading.round, self.commit));
        let waiting = leading.reads.iter_mut().rev().take_while(|read| read.begun.is_none());
        waiting.for_each(|read| read.begun = begun);
    }

    /// Hands out the reads that a quorum has confirmed.
    pub(super) fn confirm_reads(&mut self) {
        let RoleState::Leader(leading) = &mut self.role else { return };
        if leading.reads.front().is_none_or(|read| read.begun.is_none()) {
            return;
        }
        let membership = self.memberships.current();
        let mut confirmed = leading.confirmed_round(self.config.node, membership);
        if planted!(ReadWithoutQuorum) {
            confirmed = leading.round;
        }
        let group = self.config.group;
        while let Some(read) = leading.reads.front()
            && let Some((round, index)) = read.begun
            && round <= confirmed
        {
            self.out.read(ReadReady { group, id: read.id, index });
            leading.reads.pop_front();
        }
    }
}
