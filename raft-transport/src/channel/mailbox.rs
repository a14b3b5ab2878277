//! What waits for one node.

use std::sync::{Mutex, MutexGuard, PoisonError};

use raft_core::{Entry, Envelope, Message, TransportClosed};
use tokio::sync::Notify;

use crate::codec::weight;

/// What was sent to a node of a [`ChannelNetwork`](crate::ChannelNetwork).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// Requests for votes, and for votes before the vote.
    pub votes: u64,
    /// Orders of a leader: to campaign, and that the receiver is no member any more.
    pub orders: u64,
    /// Answers to those.
    pub vote_replies: u64,
    /// Appends with entries.
    pub appends: u64,
    /// Appends without.
    pub heartbeats: u64,
    /// Answers to both.
    pub append_replies: u64,
    /// Parts of snapshots.
    pub snapshots: u64,
    /// Answers to those.
    pub snapshot_replies: u64,
    /// Entries in appends.
    pub entries: u64,
    /// Bytes of those entries, as [`Entry::bytes`] counts them.
    pub entry_bytes: u64,
    /// Messages dropped because too many waited, or because the node is closed.
    pub dropped_full: u64,
    /// Messages dropped because the link was blocked.
    pub dropped_blocked: u64,
}

pub(super) struct Mailbox {
    state: Mutex<State>,
    arrived: Notify,
    messages_max: usize,
    bytes_max: u64,
}

#[derive(Default)]
struct State {
    messages: Vec<Envelope>,
    bytes: u64,
    traffic: Traffic,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Closed,
}

impl Mailbox {
    pub(super) fn new(messages_max: usize, bytes_max: u64) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), messages_max, bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, messages: impl Iterator<Item = Envelope>) {
        let mut state = self.lock();
        for message in messages {
            let bytes = state.bytes + weight(&message);
            let full = state.messages.len() >= self.messages_max || bytes > self.bytes_max;
            if full || state.phase == Phase::Closed {
                state.traffic.dropped_full += 1;
                continue;
            }
            state.bytes = bytes;
            state.traffic.count(&message.message);
            state.messages.push(message);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Messages that came over a blocked link.
    pub(super) fn block(&self, messages: impl Iterator<Item = Envelope>) {
        self.lock().traffic.dropped_blocked += messages.count() as u64;
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        state.messages = Vec::new();
        state.bytes = 0;
        drop(state);
        self.arrived.notify_one();
    }

    pub(super) async fn receive(&self, into: &mut Vec<Envelope>) -> Result<(), TransportClosed> {
        loop {
            if self.take(into)? {
                return Ok(());
            }
            self.arrived.notified().await;
        }
    }

    /// Whether there was something.
    fn take(&self, into: &mut Vec<Envelope>) -> Result<bool, TransportClosed> {
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            return Err(TransportClosed);
        }
        if state.messages.is_empty() {
            return Ok(false);
        }
        state.bytes = 0;
        if into.is_empty() {
            std::mem::swap(into, &mut state.messages);
        } else {
            into.append(&mut state.messages);
        }
        Ok(true)
    }
}

impl Traffic {
    fn count(&mut self, message: &Message) {
        match message {
            Message::PreVote(_) | Message::RequestVote(_) => self.votes += 1,
            Message::TimeoutNow(_) | Message::Removed(_) => self.orders += 1,
            Message::PreVoteReply(_) | Message::RequestVoteReply(_) => self.vote_replies += 1,
            Message::AppendEntries(append) if append.entries.is_empty() => self.heartbeats += 1,
            Message::AppendEntries(append) => {
                self.appends += 1;
                self.entries += append.entries.len() as u64;
                self.entry_bytes += append.entries.iter().map(Entry::bytes).sum::<u64>();
            }
            Message::AppendEntriesReply(_) => self.append_replies += 1,
            Message::InstallSnapshot(_) => self.snapshots += 1,
            Message::InstallSnapshotReply(_) => self.snapshot_replies += 1,
        }
    }
}
