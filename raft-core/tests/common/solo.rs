//! One node alone: a test plays its peers, its disk and its state machine.

use bytes::Bytes;
use raft_core::*;

pub(crate) const GROUP: GroupId = GroupId(1);
/// The node under test; nodes two and three, or two to five, are its peers.
pub(crate) const ME: NodeId = NodeId(1);

pub(crate) struct Solo {
    pub(crate) raft: Raft,
    effects: Effects,
}

impl Solo {
    /// A node of `voters` that finds a log of entries of these terms on its disk.
    pub(crate) fn new(voters: u64, term: u64, log: &[u64]) -> Self {
        let hard_state = HardState { term: Term(term), voted_for: None };
        Self::boot(voters, Persisted { hard_state, log: entries(0, log), ..Persisted::default() })
    }

    pub(crate) fn boot(voters: u64, persisted: Persisted) -> Self {
        let initial = Membership::of_voters((1..=voters).map(NodeId));
        let raft = Raft::new(Config::new(ME, GROUP), persisted, &initial).expect("a good config");
        Self { raft, effects: Effects::default() }
    }

    /// A node of three that has just won `term` with the vote of node two; its first messages are out and
    /// gone, its first entry is not synced.
    pub(crate) fn leader(term: u64, log: &[u64]) -> Self {
        let mut solo = Self::candidate(3, term, log);
        solo.hear(2, term, vote(true));
        assert_eq!(solo.raft.status().role, Role::Leader);
        solo
    }

    /// A node that campaigns in `term`, its own vote synced, its requests out and gone.
    pub(crate) fn candidate(voters: u64, term: u64, log: &[u64]) -> Self {
        let mut solo = Self::new(voters, term - 1, log);
        solo.raft.campaign();
        for peer in 2..=voters / 2 + 1 {
            let reply = PreVoteReply { term: Term(term), granted: true };
            solo.hear(peer, term - 1, Message::PreVoteReply(reply));
        }
        solo.sync();
        solo.messages();
        assert_eq!(solo.raft.status().role, Role::Candidate);
        solo
    }

    /// A message from a peer arrives.
    pub(crate) fn hear(&mut self, from: u64, term: u64, message: Message) -> &mut Self {
        let (from, term) = (NodeId(from), Term(term));
        self.raft.step(Envelope { group: GROUP, from, to: ME, term, message });
        self.drain()
    }

    pub(crate) fn drain(&mut self) -> &mut Self {
        self.raft.drain(&mut self.effects);
        self
    }

    pub(crate) fn tick(&mut self, count: u32) -> &mut Self {
        for _ in 0..count {
            self.raft.tick();
            self.drain();
        }
        self
    }

    pub(crate) fn propose(&mut self, command: &'static str) -> LogId {
        let id = self.raft.propose(Bytes::from_static(command.as_bytes())).expect("a leader");
        self.drain();
        id
    }

    /// Makes everything durable that was handed out.
    pub(crate) fn sync(&mut self) -> Vec<WriteOp> {
        self.drain();
        let writes = std::mem::take(&mut self.effects.writes);
        if let Some(last) = writes.last() {
            self.raft.on_persisted(last.seq);
            self.drain();
        }
        writes.into_iter().map(|write| write.op).collect()
    }

    /// What has left since the last call: to whom, and what.
    pub(crate) fn messages(&mut self) -> Vec<(u64, Message)> {
        self.drain();
        let sent = std::mem::take(&mut self.effects.messages);
        sent.into_iter().map(|envelope| (envelope.to.0, envelope.message)).collect()
    }

    /// The same with the sender's term.
    pub(crate) fn envelopes(&mut self) -> Vec<Envelope> {
        self.drain();
        std::mem::take(&mut self.effects.messages)
    }

    /// The only message that has left.
    pub(crate) fn message(&mut self) -> (u64, Message) {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1, "one message: {messages:?}");
        messages.remove(0)
    }

    pub(crate) fn applies(&mut self) -> Vec<ApplyOp> {
        self.drain();
        std::mem::take(&mut self.effects.applies).into_iter().map(|apply| apply.op).collect()
    }

    /// The identities of the entries that were handed out to be applied.
    pub(crate) fn applied(&mut self) -> Vec<LogId> {
        let ids = self.applies().into_iter().flat_map(|op| match op {
            ApplyOp::Entries(entries) => entries,
            ApplyOp::Restore(meta) => panic!("a snapshot of {}", meta.last),
        });
        ids.map(|entry| entry.id).collect()
    }

    pub(crate) fn reads(&mut self) -> Vec<ReadReady> {
        self.drain();
        std::mem::take(&mut self.effects.reads)
    }

    pub(crate) fn snapshots(&mut self) -> Vec<SnapshotRequest> {
        self.drain();
        std::mem::take(&mut self.effects.snapshots)
    }

    pub(crate) fn role(&self) -> Role {
        self.raft.status().role
    }

    pub(crate) fn term(&self) -> u64 {
        self.raft.status().term.0
    }

    pub(crate) fn commit(&self) -> u64 {
        self.raft.status().commit.0
    }
}

pub(crate) fn id(index: u64, term: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

/// Entries of these terms after the index `after`.
pub(crate) fn entries(after: u64, terms: &[u64]) -> Vec<Entry> {
    let ids = terms.iter().zip(after + 1..).map(|(term, index)| id(index, *term));
    ids.map(|id| Entry { id, payload: Payload::Noop }).collect()
}

/// AppendEntries after `prev` (index, term) with entries of these terms.
pub(crate) fn append(prev: (u64, u64), terms: &[u64], commit: u64) -> Message {
    let (prev, entries) = (id(prev.0, prev.1), entries(prev.0, terms));
    Message::AppendEntries(AppendEntries {
        prev,
        entries,
        commit: LogIndex(commit),
        round: Round(1),
    })
}

pub(crate) fn accepted(matched: u64) -> Message {
    accepted_in(1, matched)
}

pub(crate) fn accepted_in(round: u64, matched: u64) -> Message {
    let outcome = AppendOutcome::Accepted { matched: LogIndex(matched) };
    Message::AppendEntriesReply(AppendEntriesReply { round: Round(round), outcome })
}

pub(crate) fn rejected(prev: u64, hint: LogId) -> Message {
    let outcome = AppendOutcome::Rejected { prev: LogIndex(prev), hint };
    Message::AppendEntriesReply(AppendEntriesReply { round: Round(1), outcome })
}

pub(crate) fn vote(granted: bool) -> Message {
    Message::RequestVoteReply(RequestVoteReply { granted })
}

pub(crate) fn ask_vote(index: u64, term: u64) -> Message {
    Message::RequestVote(RequestVote { last: id(index, term), cause: Cause::Timeout })
}

pub(crate) fn outcome(message: Message) -> AppendOutcome {
    match message {
        Message::AppendEntriesReply(reply) => reply.outcome,
        other => panic!("no AppendEntriesReply: {other:?}"),
    }
}

pub(crate) fn sent(message: Message) -> AppendEntries {
    match message {
        Message::AppendEntries(request) => request,
        other => panic!("no AppendEntries: {other:?}"),
    }
}

/// The entries of the appends among these writes.
pub(crate) fn appended(writes: &[WriteOp]) -> Vec<LogId> {
    let entries = writes.iter().flat_map(|op| match op {
        WriteOp::Append(entries) => entries.as_slice(),
        _ => &[],
    });
    entries.map(|entry| entry.id).collect()
}
