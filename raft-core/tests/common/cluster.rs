//! A cluster in one value: nodes, their disks, and the network between them, driven step by step.
//!
//! Nothing happens by itself. Writes become durable when a test says so, messages arrive when a test
//! delivers them, and every effect is written to a trace, one line each:
//!
//! ```text
//! n1 -> n2 ...      a message leaves          n1 -x n2 ...    it leaves and is lost: the link is down
//! n2 <- n1 ...      it arrives                n2 drops it     it was refused
//! n1 writes w1 ...  handed to the disk        n1 synced w1    now durable
//! n1 applies ...    to the state machine      n1 reads r1     a read is confirmed
//! ```
//!
//! Whatever a test does, at most one node leads a term, and no two nodes apply different entries at an
//! index; each node's applies are in order and without gaps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};

use bytes::Bytes;
use raft_core::*;

pub(crate) const GROUP: GroupId = GroupId(1);

pub(crate) struct Cluster {
    pub(crate) chunk_bytes: usize,
    /// Whether entries are reported applied as soon as they are handed out.
    pub(crate) applies_at_once: bool,
    pub(crate) network: VecDeque<Envelope>,
    members: BTreeMap<NodeId, Member>,
    blocked: BTreeSet<(NodeId, NodeId)>,
    applied: BTreeMap<LogIndex, Entry>,
    leaders: BTreeMap<Term, NodeId>,
    trace: String,
}

struct Member {
    config: Config,
    /// Whom it takes for the members of a new group.
    initial: Membership,
    disk: Disk,
    raft: Option<Raft>,
    unsynced: VecDeque<Write>,
    /// Handed out and not yet reported applied.
    applying: VecDeque<ApplyOp>,
    state: State,
    /// The commit index and the count of dropped messages that the trace has shown.
    shown: (LogIndex, u64),
}

/// The state machine: the commands so far.
#[derive(Clone, Default)]
struct State {
    last: LogIndex,
    commands: Vec<String>,
}

/// What is durable.
#[derive(Clone, Default)]
struct Disk {
    persisted: Persisted,
    snapshot: Bytes,
    receiving: Vec<u8>,
}

impl Cluster {
    /// Nodes one to `voters` vote, the next `learners` do not. `configure` may change every node's
    /// configuration.
    pub(crate) fn new(voters: u64, learners: u64, configure: impl Fn(&mut Config)) -> Self {
        Self::with_spare(voters, learners, 0, configure)
    }

    /// The same with nodes that know of no group.
    pub(crate) fn with_spare(
        voters: u64,
        learners: u64,
        spare: u64,
        configure: impl Fn(&mut Config),
    ) -> Self {
        let mut initial = Membership::of_voters((1..=voters).map(NodeId));
        initial.learners = (voters + 1..=voters + learners).map(NodeId).collect();
        let count = voters + learners + spare;
        let members = (1..=count).map(NodeId).map(|node| {
            let mut config = Config::new(node, GROUP);
            config.seed = node.0;
            configure(&mut config);
            let knows = initial.contains(node);
            let initial = if knows { initial.clone() } else { Membership::default() };
            (node, Member::new(config, initial))
        });
        let mut cluster = Self {
            chunk_bytes: 4,
            applies_at_once: true,
            network: VecDeque::new(),
            members: members.collect(),
            blocked: BTreeSet::new(),
            applied: BTreeMap::new(),
            leaders: BTreeMap::new(),
            trace: String::new(),
        };
        cluster.nodes().into_iter().for_each(|node| cluster.start(node));
        cluster
    }

    /// What has happened since the last call.
    pub(crate) fn take_trace(&mut self) -> String {
        std::mem::take(&mut self.trace)
    }

    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.members.keys().copied().collect()
    }

    pub(crate) fn raft(&mut self, node: NodeId) -> &mut Raft {
        self.member(node).raft.as_mut().expect("the node is up")
    }

    pub(crate) fn status(&mut self, node: NodeId) -> Status<'_> {
        self.raft(node).status()
    }

    /// The commands that `node` has applied.
    pub(crate) fn commands(&mut self, node: NodeId) -> Vec<String> {
        self.member(node).state.commands.clone()
    }

    /// What is durable at `node`.
    pub(crate) fn persisted(&mut self, node: NodeId) -> &Persisted {
        &self.member(node).disk.persisted
    }

    /// Gives a node the disk it would have after another life, and starts it anew.
    pub(crate) fn boot(&mut self, node: NodeId, persisted: Persisted) {
        self.member(node).disk = Disk { persisted, ..Disk::default() };
        self.start(node);
    }

    /// Starts a node from its disk. What was not synced is lost.
    pub(crate) fn start(&mut self, node: NodeId) {
        let member = self.member(node);
        let initial = member.initial.clone();
        member.unsynced.clear();
        member.applying.clear();
        member.state = member.disk.state();
        let persisted = member.disk.persisted.clone();
        member.raft = Some(Raft::new(member.config.clone(), persisted, &initial).expect("config"));
        member.shown = (member.state.last, 0);
        self.pump(node);
    }

    /// Loses everything that is not durable.
    pub(crate) fn crash(&mut self, node: NodeId) {
        let member = self.member(node);
        let lost: Vec<String> =
            member.unsynced.drain(..).map(|write| write.seq.to_string()).collect();
        member.raft = None;
        if !lost.is_empty() {
            self.note(format_args!("{node} loses {}", lost.join(" ")));
        }
    }

    pub(crate) fn is_up(&self, node: NodeId) -> bool {
        self.members[&node].raft.is_some()
    }

    pub(crate) fn tick(&mut self, node: NodeId) {
        self.raft(node).tick();
        self.pump(node);
    }

    pub(crate) fn campaign(&mut self, node: NodeId) {
        self.raft(node).campaign();
        self.pump(node);
    }

    /// Proposes commands in one turn.
    pub(crate) fn propose(&mut self, node: NodeId, commands: &[&str]) -> Result<(), ProposeError> {
        let mut result = Ok(());
        for command in commands {
            let proposed = self.raft(node).propose(Bytes::copy_from_slice(command.as_bytes()));
            result = result.and(proposed.map(drop));
        }
        self.pump(node);
        result
    }

    /// Begins `count` reads in one turn.
    pub(crate) fn read(&mut self, node: NodeId, count: usize) -> Result<(), ReadError> {
        let mut result = Ok(());
        for _ in 0..count {
            result = result.and(self.raft(node).read_index().map(drop));
        }
        self.pump(node);
        result
    }

    /// Asks for other members, who are expected to be those `since` an index.
    pub(crate) fn change(
        &mut self,
        node: NodeId,
        since: Option<LogIndex>,
        target: &Target,
    ) -> Result<(), MembershipError> {
        let since = since.unwrap_or(self.status(node).membership_since);
        let result = self.raft(node).change_membership(since, target);
        self.pump(node);
        result.map(drop)
    }

    /// Asks a leader to hand over.
    pub(crate) fn transfer(&mut self, node: NodeId, to: NodeId) -> Result<(), TransferError> {
        let result = self.raft(node).transfer_leadership(to);
        self.pump(node);
        result
    }

    /// Starts a node that knows of no group, with an empty disk.
    pub(crate) fn join(&mut self, node: NodeId) {
        let member = self.member(node);
        member.disk = Disk::default();
        member.initial = Membership::default();
        self.start(node);
    }

    /// Makes the oldest `count` writes durable.
    pub(crate) fn sync(&mut self, node: NodeId, count: usize) {
        let member = self.member(node);
        let count = count.min(member.unsynced.len());
        let mut last = None;
        for write in member.unsynced.drain(..count) {
            last = Some(write.seq);
            member.disk.write(write.op);
        }
        let Some(seq) = last else { return };
        self.note(format_args!("{node} synced {seq}"));
        self.raft(node).on_persisted(seq);
        self.pump(node);
    }

    pub(crate) fn unsynced(&self, node: NodeId) -> usize {
        self.members[&node].unsynced.len()
    }

    /// Reports the oldest batch that was handed out as applied.
    pub(crate) fn apply(&mut self, node: NodeId) {
        let Some(op) = self.member(node).applying.pop_front() else { return };
        let index = match op {
            ApplyOp::Entries(entries) => {
                for entry in &entries {
                    self.check_applied(node, entry);
                    self.member(node).state.apply(entry);
                }
                self.member(node).state.last
            }
            ApplyOp::Restore(meta) => {
                let member = self.member(node);
                let restored = member.disk.state();
                assert_eq!(restored.last, meta.last.index, "what is restored is what is durable");
                assert!(restored.last > member.state.last, "the state never goes back");
                member.state = restored;
                meta.last.index
            }
        };
        self.raft(node).on_applied(index);
        self.pump(node);
    }

    /// Takes a snapshot of what is applied, and compacts the log. Nothing, when the core has no snapshot
    /// to take.
    pub(crate) fn snapshot(&mut self, node: NodeId) -> Option<LogId> {
        let member = self.member(node);
        let meta = member.raft.as_ref()?.snapshot_meta(member.state.last)?;
        member.disk.snapshot = member.state.bytes();
        member.disk.persisted.snapshot = Some(meta.clone());
        let last = meta.last;
        self.raft(node).compact(meta);
        self.pump(node);
        Some(last)
    }

    /// Cuts the link from one node to another.
    pub(crate) fn block(&mut self, from: NodeId, to: NodeId) {
        self.blocked.insert((from, to));
    }

    /// Mends all links.
    pub(crate) fn heal(&mut self) {
        self.blocked.clear();
    }

    /// Hands the message at `position` to its receiver.
    pub(crate) fn deliver(&mut self, position: usize) {
        let envelope = self.network.remove(position).expect("a message");
        self.step(envelope);
    }

    /// A message arrives, from wherever.
    pub(crate) fn step(&mut self, envelope: Envelope) {
        let to = envelope.to;
        if !self.is_up(to) {
            return self.note(format_args!("{to} is down"));
        }
        self.note(format_args!("{to} <- {} {}", envelope.from, Shown(&envelope)));
        self.raft(to).step(envelope);
        self.pump(to);
    }

    /// Syncs and delivers until nothing is left to do among `nodes`.
    pub(crate) fn stabilize(&mut self, nodes: &[NodeId]) {
        for _ in 0..1000 {
            let mut is_quiet = true;
            for node in nodes.iter().filter(|node| self.is_up(**node)).copied().collect::<Vec<_>>()
            {
                if self.unsynced(node) > 0 {
                    self.sync(node, usize::MAX);
                    is_quiet = false;
                }
            }
            let between = |e: &Envelope| nodes.contains(&e.from) && nodes.contains(&e.to);
            let arrived: Vec<Envelope> =
                self.network.iter().filter(|e| between(e)).cloned().collect();
            self.network.retain(|e| !between(e));
            is_quiet &= arrived.is_empty();
            for envelope in arrived {
                self.step(envelope);
            }
            if is_quiet {
                return;
            }
        }
        let begin = self.trace.len().saturating_sub(2000);
        panic!("the cluster does not come to rest: {}", &self.trace[begin..]);
    }

    fn member(&mut self, node: NodeId) -> &mut Member {
        self.members.get_mut(&node).expect("a node of the cluster")
    }

    fn note(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.trace, "{line}").expect("a string takes everything");
    }

    /// Takes a node's outstanding work, and notes it.
    fn pump(&mut self, node: NodeId) {
        let mut effects = Effects::default();
        let member = self.member(node);
        let raft = member.raft.as_mut().expect("the node is up");
        raft.drain(&mut effects);
        let status = raft.status();
        let before = std::mem::replace(&mut member.shown, (status.commit, status.dropped));
        let (after, unapplied) = (member.shown, effects.applies.len());
        if after.1 > before.1 {
            self.note(format_args!("{node} drops it"));
        }
        for change in std::mem::take(&mut effects.changes) {
            self.note_change(node, change);
        }
        if after.0 > before.0 {
            self.note(format_args!("{node} commits {} => {}", before.0, after.0));
        }
        for write in std::mem::take(&mut effects.writes) {
            self.note(format_args!("{node} writes {} {}", write.seq, ShownWrite(&write.op)));
            self.member(node).unsynced.push_back(write);
        }
        for apply in std::mem::take(&mut effects.applies) {
            match &apply.op {
                ApplyOp::Entries(entries) => {
                    self.note(format_args!("{node} applies {}", ShownEntries(entries)));
                }
                ApplyOp::Restore(meta) => {
                    self.note(format_args!("{node} restores snapshot {}", meta.last));
                }
            }
            self.member(node).applying.push_back(apply.op);
        }
        for read in std::mem::take(&mut effects.reads) {
            self.note(format_args!("{node} reads {} at {}", read.id, read.index));
        }
        for envelope in std::mem::take(&mut effects.messages) {
            self.send(envelope);
        }
        for request in std::mem::take(&mut effects.snapshots) {
            self.send_chunk(node, request);
        }
        if self.applies_at_once {
            (0..unapplied).for_each(|_| self.apply(node));
        }
    }

    fn note_change(&mut self, node: NodeId, change: RoleChange) {
        let RoleChange { term, role, leader, .. } = change;
        match (role, leader) {
            (Role::Follower, Some(leader)) => {
                self.note(format_args!("{node} follows {leader} in {term}"));
            }
            (Role::Follower, None) => self.note(format_args!("{node} follows nobody in {term}")),
            (Role::Leader, _) => {
                self.note(format_args!("{node} leads {term}"));
                let leader = *self.leaders.entry(term).or_insert(node);
                assert_eq!(leader, node, "one leader in {term}");
            }
            _ => self.note(format_args!("{node} is {role:?} in {term}")),
        }
    }

    fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from, envelope.to);
        if self.blocked.contains(&(from, to)) {
            return self.note(format_args!("{from} -x {to} {}", Shown(&envelope)));
        }
        self.note(format_args!("{from} -> {to} {}", Shown(&envelope)));
        self.network.push_back(envelope);
    }

    /// What the driver does: reads the chunk from the store and sends it.
    fn send_chunk(&mut self, node: NodeId, request: SnapshotRequest) {
        let chunk_bytes = self.chunk_bytes;
        let disk = &self.member(node).disk;
        if disk.persisted.snapshot.as_ref() != Some(&request.meta) {
            return self.note(format_args!("{node} has another snapshot by now"));
        }
        let (offset, total) = (request.offset, disk.snapshot.len() as u64);
        let end = total.min(offset + chunk_bytes as u64);
        let data = disk.snapshot.slice(offset as usize..end as usize);
        let chunk = SnapshotChunk { offset, total, data, checksum: 0 };
        self.send(Envelope {
            group: request.group,
            from: node,
            to: request.to,
            term: request.term,
            message: Message::InstallSnapshot(InstallSnapshot {
                meta: request.meta,
                chunk,
                round: request.round,
            }),
        });
    }

    fn check_applied(&mut self, node: NodeId, entry: &Entry) {
        let index = entry.id.index;
        assert_eq!(self.member(node).state.last.next(), index, "{node} applies without gaps");
        let known = self.applied.entry(index).or_insert_with(|| entry.clone());
        assert_eq!(known, entry, "all nodes apply the same at {index}");
    }
}

impl Member {
    fn new(config: Config, initial: Membership) -> Self {
        Self {
            config,
            initial,
            disk: Disk::default(),
            raft: None,
            unsynced: VecDeque::new(),
            applying: VecDeque::new(),
            state: State::default(),
            shown: (LogIndex::ZERO, 0),
        }
    }
}

impl State {
    fn apply(&mut self, entry: &Entry) {
        self.last = entry.id.index;
        if let Payload::Command(command) = &entry.payload {
            self.commands.push(String::from_utf8_lossy(command).into_owned());
        }
    }

    fn bytes(&self) -> Bytes {
        self.commands.join(" ").into()
    }
}

impl Disk {
    fn state(&self) -> State {
        let Some(meta) = &self.persisted.snapshot else { return State::default() };
        let text = String::from_utf8_lossy(&self.snapshot);
        State { last: meta.last.index, commands: text.split(' ').map(str::to_owned).collect() }
    }

    fn write(&mut self, op: WriteOp) {
        let Persisted { hard_state, snapshot, compacted, log } = &mut self.persisted;
        match op {
            WriteOp::HardState(new) => *hard_state = new,
            WriteOp::Append(entries) => {
                let first = entries.first().expect("an append is never empty").id.index;
                log.retain(|entry| entry.id.index < first);
                let last = log.last().map_or(*compacted, |entry| entry.id);
                assert_eq!(last.index.next(), first, "the log on the disk has no gaps");
                log.extend(entries);
            }
            WriteOp::Compact(id) => {
                assert!(snapshot.as_ref().is_some_and(|meta| meta.last.index >= id.index));
                log.retain(|entry| entry.id.index > id.index);
                *compacted = (*compacted).max(id);
            }
            WriteOp::Receive { meta, chunk, suffix } => {
                if chunk.offset == 0 {
                    self.receiving.clear();
                }
                assert_eq!(self.receiving.len() as u64, chunk.offset, "chunks follow each other");
                self.receiving.extend_from_slice(&chunk.data);
                if chunk.end() == Some(chunk.total) {
                    match suffix {
                        Suffix::Keep => {
                            assert!(log.iter().any(|entry| entry.id == meta.last));
                            log.retain(|entry| entry.id.index > meta.last.index);
                        }
                        Suffix::Discard => log.clear(),
                    }
                    *compacted = meta.last;
                    *snapshot = Some(meta);
                    self.snapshot = std::mem::take(&mut self.receiving).into();
                }
            }
        }
    }
}

/// A message on one line.
struct Shown<'a>(&'a Envelope);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.0.term)?;
        match &self.0.message {
            Message::PreVote(PreVote { term, last }) => write!(f, "PreVote for={term} last={last}"),
            Message::PreVoteReply(PreVoteReply { term, granted }) => {
                write!(
                    f,
                    "PreVoteReply for={term} {}",
                    if *granted { "granted" } else { "refused" }
                )
            }
            Message::RequestVote(RequestVote { last, cause: Cause::Timeout }) => {
                write!(f, "RequestVote last={last}")
            }
            Message::RequestVote(RequestVote { last, cause: Cause::Transfer }) => {
                write!(f, "RequestVote last={last} transfer")
            }
            Message::TimeoutNow(TimeoutNow { last }) => write!(f, "TimeoutNow last={last}"),
            Message::Removed(Removed { since, round }) => write!(f, "Removed {since} {round}"),
            Message::RequestVoteReply(RequestVoteReply { granted }) => {
                write!(f, "RequestVoteReply {}", if *granted { "granted" } else { "refused" })
            }
            Message::AppendEntries(AppendEntries { prev, entries, commit, round }) => {
                write!(f, "AppendEntries prev={prev} {}", ShownEntries(entries))?;
                write!(f, " commit={commit} {round}")
            }
            Message::AppendEntriesReply(AppendEntriesReply { round, outcome }) => match outcome {
                AppendOutcome::Accepted { matched } => {
                    write!(f, "AppendEntriesReply accepted={matched} {round}")
                }
                AppendOutcome::Rejected { prev, hint } => {
                    write!(f, "AppendEntriesReply rejected={prev} hint={hint} {round}")
                }
                AppendOutcome::Overloaded => write!(f, "AppendEntriesReply overloaded {round}"),
            },
            Message::InstallSnapshot(InstallSnapshot { meta, chunk, round }) => {
                let SnapshotChunk { offset, total, data, .. } = chunk;
                let data = String::from_utf8_lossy(data);
                write!(f, "InstallSnapshot {} {offset}/{total} {data:?} {round}", meta.last)
            }
            Message::InstallSnapshotReply(InstallSnapshotReply { round, last, progress }) => {
                match progress {
                    InstallProgress::Receiving { next_offset } => {
                        write!(f, "InstallSnapshotReply {last} next={next_offset} {round}")
                    }
                    InstallProgress::Installed => {
                        write!(f, "InstallSnapshotReply {last} installed {round}")
                    }
                }
            }
        }
    }
}

/// Entries on one line.
struct ShownEntries<'a>(&'a [Entry]);

impl fmt::Display for ShownEntries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, Entry { id, payload }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            match payload {
                Payload::Noop => write!(f, "{comma}{id}")?,
                Payload::Command(command) => {
                    write!(f, "{comma}{id} {}", String::from_utf8_lossy(command))?;
                }
                Payload::Membership(membership) => {
                    write!(f, "{comma}{id} {}", ShownMembers(membership))?;
                }
            }
        }
        f.write_str("]")
    }
}

/// A membership on one line.
pub(crate) struct ShownMembers<'a>(pub(crate) &'a Membership);

impl fmt::Display for ShownMembers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Membership { voters, outgoing, learners } = self.0;
        let nodes = |nodes: &BTreeSet<NodeId>| {
            nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
        };
        write!(f, "voters({})", nodes(voters))?;
        if !outgoing.is_empty() {
            write!(f, " outgoing({})", nodes(outgoing))?;
        }
        if !learners.is_empty() {
            write!(f, " learners({})", nodes(learners))?;
        }
        Ok(())
    }
}

/// A write on one line.
struct ShownWrite<'a>(&'a WriteOp);

impl fmt::Display for ShownWrite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            WriteOp::HardState(HardState { term, voted_for: None }) => write!(f, "{term}"),
            WriteOp::HardState(HardState { term, voted_for: Some(NodeId::NOBODY) }) => {
                write!(f, "{term} vote=nobody")
            }
            WriteOp::HardState(HardState { term, voted_for: Some(node) }) => {
                write!(f, "{term} vote={node}")
            }
            WriteOp::Append(entries) => ShownEntries(entries).fmt(f),
            WriteOp::Compact(id) => write!(f, "compact {id}"),
            WriteOp::Receive { meta, chunk, suffix } => {
                let SnapshotChunk { offset, total, data, .. } = chunk;
                write!(f, "snapshot {} {offset}/{total} {}", meta.last, data.len())?;
                if chunk.end() == Some(*total) {
                    write!(
                        f,
                        ", whole, {}",
                        match suffix {
                            Suffix::Keep => "keeps the log after it",
                            Suffix::Discard => "discards the log",
                        }
                    )?;
                }
                Ok(())
            }
        }
    }
}
