//! What a leader knows of one peer.
//!
//! A small machine: `Probe` looks for the place where the logs agree, `Replicate` keeps a window of
//! entries in flight, `Snapshot` sends what the log no longer has.

use alloc::collections::VecDeque;

use crate::catch_up::CatchUp;
use crate::{LogIndex, Round, SnapshotMeta};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Progress {
    /// The last index known to be the leader's and durable at the peer. Never goes back.
    pub(crate) matched: LogIndex,
    /// The next index to send.
    pub(crate) next: LogIndex,
    /// The newest round the peer has answered. Never goes back.
    pub(crate) acked_round: Round,
    /// Whether the peer is to hear of the current round even when there is nothing to send.
    pub(crate) heartbeat_due: bool,
    pub(crate) state: State,
    /// How far a learner is; a voter is not asked.
    pub(crate) catch_up: Option<CatchUp>,
    /// The round in which it became a member. What it says of earlier ones it said in an earlier life: it
    /// may have been a member before, and have lost its disk since.
    joined: Round,
    /// The leader's round when the peer was last found not to have what it was sent.
    probed_round: Round,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum State {
    /// `next - 1` is a guess. One AppendEntries without entries asks whether it is right; the next
    /// heartbeat asks again.
    Probe {
        /// Whether the question was asked.
        asked: bool,
    },
    /// `next - 1` is right unless messages are lost; entries are sent ahead of their replies.
    Replicate(Window),
    /// The peer needs entries that are compacted: it gets the snapshot.
    Snapshot(Transfer),
}

/// AppendEntries in flight, bounded in messages and in bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Window {
    /// The last index and the bytes of each message.
    in_flight: VecDeque<(LogIndex, u64)>,
    bytes: u64,
}

/// A snapshot on its way, one chunk at a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Transfer {
    pub(crate) meta: SnapshotMeta,
    pub(crate) offset: u64,
    /// Whether the chunk at `offset` was asked for and not yet answered by the peer.
    pub(crate) requested: bool,
    /// Ticks since the peer's last answer.
    pub(crate) idle_ticks: u32,
}

impl Progress {
    /// A peer nothing is known of, at the beginning of a term (paper, figure 2: `nextIndex` and
    /// `matchIndex`).
    pub(crate) fn new(next: LogIndex) -> Self {
        Self {
            matched: LogIndex::ZERO,
            next,
            acked_round: Round(0),
            heartbeat_due: true,
            state: State::Probe { asked: false },
            catch_up: None,
            joined: Round(0),
            probed_round: Round(0),
        }
    }

    /// A peer that becomes a member in `round`, when the log ends at `end`.
    pub(crate) fn joining(end: LogIndex, round: Round) -> Self {
        Self { joined: round, ..Self::new(end.next()) }
    }

    /// Whether what the peer says of `round` counts.
    pub(crate) fn counts(&self, round: Round) -> bool {
        round >= self.joined || planted!(EarlierLifeCounted)
    }

    /// The peer has everything up to `matched`, durably.
    pub(crate) fn accept(&mut self, matched: LogIndex) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        match &mut self.state {
            State::Replicate(window) => window.release(self.matched),
            // The guess is confirmed. A reply that does not reach it answers something older: to fill the
            // window at every such reply would send more than was answered, without end.
            State::Probe { .. } if self.next == self.matched.next() => {
                self.state = State::Replicate(Window::default());
            }
            State::Probe { .. } | State::Snapshot(_) => {}
        }
    }

    /// The peer takes no entries now: asks again with the next heartbeat, and sends none before.
    pub(crate) fn hold(&mut self) {
        if !matches!(self.state, State::Snapshot(_)) {
            self.next = self.matched.next();
            self.state = State::Probe { asked: true };
        }
    }

    /// Whether a rejection of `prev` says something new: replies may be late, doubled and reordered. When
    /// one message is lost, all that were in flight behind it are rejected; only the first rejection
    /// counts, and the next one of a later round. Else each would send a window anew, and under loss the
    /// messages would grow without bound.
    pub(crate) fn is_news(&self, prev: LogIndex, round: Round) -> bool {
        match self.state {
            State::Probe { .. } => prev.next() == self.next && prev > self.matched,
            State::Replicate(_) => {
                prev < self.next && prev > self.matched && round > self.probed_round
            }
            State::Snapshot(_) => false,
        }
    }

    /// Looks for agreement again, from `next` on.
    pub(crate) fn probe(&mut self, next: LogIndex) {
        self.next = next.max(self.matched.next());
        self.state = State::Probe { asked: false };
    }

    /// The peer rejected what it was sent in `round` or before.
    pub(crate) fn reject(&mut self, next: LogIndex, round: Round) {
        self.probed_round = round;
        self.probe(next);
    }

    /// Begins to send the snapshot.
    pub(crate) fn send_snapshot(&mut self, meta: SnapshotMeta) {
        self.state = State::Snapshot(Transfer { meta, offset: 0, requested: false, idle_ticks: 0 });
    }
}

impl Window {
    pub(crate) fn has_room(&self, messages_max: usize, bytes_max: u64) -> bool {
        self.in_flight.len() < messages_max && self.bytes < bytes_max
    }

    pub(crate) fn add(&mut self, last: LogIndex, bytes: u64) {
        self.in_flight.push_back((last, bytes));
        self.bytes += bytes;
    }

    fn release(&mut self, matched: LogIndex) {
        while let Some((_, bytes)) = self.in_flight.pop_front_if(|(last, _)| *last <= matched) {
            self.bytes -= bytes;
        }
    }
}
