//! [`Line`]: the numbers of a session's requests, on the client's side.

use std::collections::VecDeque;

use crate::command::{SessionId, Ticket};

/// The requests of one session that are in flight.
///
/// Invariants: `pending` says of each number in `acked..acked + pending.len()` whether its call is still
/// running; its first is, so `acked` is the lowest number that a reply may still be needed for; it is
/// never longer than `window`, so that no request is beyond the server's window.
pub(super) struct Line {
    session: SessionId,
    window: usize,
    acked: u64,
    pending: VecDeque<bool>,
}

impl Line {
    pub(super) fn new(session: SessionId, window: u16) -> Self {
        // Numbers begin at one, so that a zero on the wire is never a request.
        Self { session, window: usize::from(window), acked: 1, pending: VecDeque::new() }
    }

    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// The next number; `None` while too much is unacknowledged.
    pub(super) fn begin(&mut self) -> Option<Ticket> {
        if self.pending.len() >= self.window {
            return None;
        }
        let seq = self.acked + self.pending.len() as u64;
        self.pending.push_back(true);
        Some(Ticket { session: self.session, seq, acked: self.acked })
    }

    /// The call will not ask again: it has its reply, or has given up. Says whether there is room now
    /// that there was not before.
    pub(super) fn end(&mut self, seq: u64) -> bool {
        let full = self.pending.len() >= self.window;
        let at = seq.checked_sub(self.acked).and_then(|at| usize::try_from(at).ok());
        if let Some(running) = at.and_then(|at| self.pending.get_mut(at)) {
            *running = false;
        }
        let before = self.acked;
        while self.pending.front() == Some(&false) {
            self.pending.pop_front();
            self.acked += 1;
        }
        full && self.acked > before
    }

    /// What a repetition of the request says.
    pub(super) fn refresh(&self, ticket: Ticket) -> Ticket {
        Ticket { acked: self.acked.min(ticket.seq), ..ticket }
    }
}

#[cfg(test)]
mod tests {
    use raft_core::LogIndex;

    use super::*;

    #[test]
    fn acknowledges_up_to_the_first_running_call_and_is_bounded() {
        const WINDOW: u16 = 100;
        let mut line = Line::new(SessionId(LogIndex(9)), WINDOW);
        let first: Vec<_> = (0..WINDOW).filter_map(|_| line.begin()).collect();
        assert_eq!(first.len(), usize::from(WINDOW));
        assert_eq!(line.begin(), None, "the window is full");
        assert!(!line.end(2), "the first is still running");
        assert_eq!(line.begin(), None);
        assert!(line.end(1), "there is room");
        let next = line.begin().expect("room for two");
        assert_eq!((next.seq, next.acked), (u64::from(WINDOW) + 1, 3));
        assert!(!line.end(2), "ended twice: nothing happens");
        assert_eq!(line.refresh(first[9]).acked, 3);
    }
}
