//! [`Story`]: events made by hand, in a few words, and what the invariants say of them.

use bytes::Bytes;
use raft_core::node::{GroupConfig, GroupStatus, Node, NodeConfig};
use raft_core::*;
use raft_sim::watch::{At, Chain, Content, Event, Limits, Watch};
use raft_storage::MemoryStorage;
use raft_transport::ChannelNetwork;

pub const GROUP: GroupId = GroupId(1);

/// A group of three, or as many as are said, that begins with nothing.
pub struct Story {
    pub watch: Watch,
    status: GroupStatus,
    chains: std::collections::BTreeMap<u64, Chain>,
}

pub fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), LogIndex(index))
}

/// The command at an index, unless a test wants another one.
pub fn data(index: u64) -> Bytes {
    Bytes::from(format!("command {index}"))
}

pub fn entry(term: u64, index: u64) -> Entry {
    Entry { id: id(term, index), payload: Payload::Command(data(index)) }
}

pub fn noop(term: u64, index: u64) -> Entry {
    Entry { id: id(term, index), payload: Payload::Noop }
}

pub fn hard_state(term: u64, vote: u64) -> HardState {
    HardState { term: Term(term), voted_for: (vote > 0).then_some(NodeId(vote)) }
}

pub fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().copied().map(NodeId))
}

pub fn meta(term: u64, index: u64) -> SnapshotMeta {
    SnapshotMeta { last: id(term, index), membership: voters(&[1, 2, 3]) }
}

/// What a disk holds after a restart.
pub fn persisted(hard_state: HardState, log: Vec<Entry>) -> Persisted {
    Persisted { hard_state, log, ..Persisted::default() }
}

/// A snapshot that arrives in one piece.
pub fn receive(meta: SnapshotMeta, suffix: Suffix) -> WriteOp {
    let chunk = SnapshotChunk { offset: 0, total: 1, data: Bytes::from_static(b"s"), checksum: 0 };
    WriteOp::Receive { meta, chunk, suffix }
}

/// Of a node that has just started; only the driver can make one.
fn status_of_new_node() -> GroupStatus {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let network = ChannelNetwork::new();
        let transport = std::sync::Arc::new(network.transport(NodeId(1)));
        let storage = std::sync::Arc::new(MemoryStorage::new());
        let node = Node::start(NodeConfig::new(NodeId(1)), storage, transport);
        let config = GroupConfig::new(NodeId(1), GROUP, voters(&[1, 2, 3]));
        node.add_group(config, Nothing).await.unwrap().status()
    })
}

struct Nothing;

impl StateMachine for Nothing {
    type Output = ();

    fn apply(&mut self, commands: &[Command]) -> Vec<()> {
        vec![(); commands.len()]
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(Vec::new())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|_| Ok(Nothing))
    }
}

impl Story {
    pub fn new() -> Self {
        let watch = Watch::new();
        watch.begin(GROUP, voters(&[1, 2, 3]));
        let limits = Limits { inbox: 1000, in_flight: 1000, append: 1000, command: 500 };
        watch.limit(GROUP, limits);
        for node in 1..=3 {
            let event = Event::Loaded(&Persisted::default());
            watch.event(GROUP, &At { node: NodeId(node), event });
        }
        Self { watch, status: status_of_new_node(), chains: Default::default() }
    }

    /// Nodes 1 and 2 have elected node 1 in term 1, and it has begun the term with a no-op.
    pub fn with_leader() -> Self {
        let mut story = Self::new();
        story.elect(1, 1, &[1, 2]);
        story
    }

    /// The same, and entries 2 and 3 are on all disks, committed and applied by all.
    pub fn with_entries() -> Self {
        let mut story = Self::with_leader();
        for node in 1..=3 {
            story.hard_state(node, 1, if node == 3 { 0 } else { 1 });
            story.append(node, vec![noop(1, 1), entry(1, 2), entry(1, 3)]);
        }
        story.heartbeat(1, 1, 3);
        for node in 1..=3 {
            story.apply(node, 1, 2).apply(node, 1, 3);
        }
        story
    }

    pub fn event(&mut self, node: u64, event: Event<'_>) -> &mut Self {
        self.watch.event(GROUP, &At { node: NodeId(node), event });
        self
    }

    /// A write, from its submission to its acknowledgement.
    pub fn write(&mut self, node: u64, op: WriteOp) -> &mut Self {
        self.event(node, Event::Submitted(&op)).event(node, Event::Durable(&op))
    }

    pub fn hard_state(&mut self, node: u64, term: u64, vote: u64) -> &mut Self {
        self.write(node, WriteOp::HardState(hard_state(term, vote)))
    }

    pub fn append(&mut self, node: u64, entries: Vec<Entry>) -> &mut Self {
        self.write(node, WriteOp::Append(entries))
    }

    /// Durable votes, and the first message of the leader.
    pub fn elect(&mut self, leader: u64, term: u64, votes: &[u64]) -> &mut Self {
        for voter in votes {
            self.hard_state(*voter, term, leader);
        }
        self.heartbeat(leader, term, 0)
    }

    pub fn send(&mut self, from: u64, to: u64, term: u64, message: Message) -> &mut Self {
        let (from, to, term) = (NodeId(from), NodeId(to), Term(term));
        self.event(from.0, Event::Sent(&Envelope { group: GROUP, from, to, term, message }))
    }

    pub fn heartbeat(&mut self, leader: u64, term: u64, commit: u64) -> &mut Self {
        let (prev, commit, round) = (LogId::ZERO, LogIndex(commit), Round(1));
        let append = AppendEntries { prev, entries: Vec::new(), commit, round };
        let to = if leader == 1 { 2 } else { 1 };
        self.send(leader, to, term, Message::AppendEntries(append))
    }

    pub fn accept(&mut self, from: u64, to: u64, term: u64, matched: u64) -> &mut Self {
        let outcome = AppendOutcome::Accepted { matched: LogIndex(matched) };
        let reply = AppendEntriesReply { round: Round(1), outcome };
        self.send(from, to, term, Message::AppendEntriesReply(reply))
    }

    pub fn vote_for(&mut self, from: u64, to: u64, term: u64) -> &mut Self {
        let reply = RequestVoteReply { granted: true };
        self.send(from, to, term, Message::RequestVoteReply(reply))
    }

    pub fn apply(&mut self, node: u64, term: u64, index: u64) -> &mut Self {
        let command = Command { id: id(term, index), data: data(index) };
        let before = self.chains.range(..index).next_back().map(|(_, chain)| *chain);
        self.chains.insert(index, before.unwrap_or_default().then(command.id, &command.data));
        self.event(node, Event::Applied(&command))
    }

    /// A snapshot of the state as the last call of [`Self::apply`] for `index` has left it.
    pub fn content(&self, term: u64, index: u64) -> Content {
        Content { last: id(term, index), chain: self.chains[&index], bytes: 24, checksum: 7 }
    }

    pub fn load(&mut self, node: u64, persisted: Persisted) -> &mut Self {
        self.event(node, Event::Crashed).event(node, Event::Loaded(&persisted))
    }

    /// What a node shows: as a new one, but for what is changed.
    pub fn show(&mut self, node: u64, change: impl FnOnce(&mut GroupStatus)) -> &mut Self {
        let mut status = self.status.clone();
        change(&mut status);
        self.event(node, Event::Status(&status))
    }

    /// Nothing is wrong.
    #[track_caller]
    pub fn holds(&mut self) -> &mut Self {
        if let Err(violation) = self.watch.verdict() {
            panic!("{violation}");
        }
        self
    }

    /// That is wrong, and nothing was before.
    #[track_caller]
    pub fn breaks(&mut self, invariant: &str) -> String {
        let violation = self.watch.verdict().expect_err("something is wrong");
        assert_eq!(violation.invariant, invariant, "{violation}");
        violation.what
    }
}
