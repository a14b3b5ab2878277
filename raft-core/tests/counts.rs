//! What replication costs: messages, writes, and allocations.
//!
//! A group of three in its steady state. Every write is synced and every message delivered, in order.

use allocation_counter::measure;
use bytes::Bytes;
use raft_core::*;

const GROUP: GroupId = GroupId(1);
const LEADER: usize = 0;

struct Group {
    nodes: Vec<Raft>,
    effects: Effects,
    network: Vec<Envelope>,
    arriving: Vec<Envelope>,
    counts: Counts,
    /// How often each entry was sent to each node, by index.
    sent: [Vec<u32>; 3],
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counts {
    appends: usize,
    heartbeats: usize,
    replies: usize,
    append_writes: usize,
    other_writes: usize,
}

impl Group {
    /// Three nodes; the first leads, and everybody has heard that its first entry is committed.
    fn new() -> Self {
        let membership = Membership::of_voters((1..=3).map(NodeId));
        let node = |id| {
            let config = Config::new(NodeId(id), GROUP);
            Raft::new(config, Persisted::default(), &membership).expect("a good config")
        };
        let mut group = Self {
            nodes: (1..=3).map(node).collect(),
            effects: Effects::default(),
            network: Vec::new(),
            arriving: Vec::new(),
            counts: Counts::default(),
            sent: [Vec::new(), Vec::new(), Vec::new()],
        };
        group.nodes[LEADER].campaign();
        group.settle();
        group.heartbeat();
        assert_eq!(group.nodes[LEADER].status().role, Role::Leader);
        group.counts = Counts::default();
        group
    }

    fn propose(&mut self, commands: &[Bytes]) {
        for command in commands {
            self.nodes[LEADER].propose(command.clone()).expect("a leader");
        }
    }

    fn heartbeat(&mut self) {
        (0..2).for_each(|_| self.nodes[LEADER].tick());
        self.settle();
    }

    /// Syncs, applies and delivers until all is quiet.
    fn settle(&mut self) {
        while self.turn() {}
    }

    /// Every node's effects, then every message that has left. False when there was nothing to do.
    fn turn(&mut self) -> bool {
        let mut is_busy = false;
        for at in 0..self.nodes.len() {
            is_busy |= self.work(at);
        }
        std::mem::swap(&mut self.network, &mut self.arriving);
        for envelope in self.arriving.drain(..) {
            let to = envelope.to.0 as usize - 1;
            self.nodes[to].step(envelope);
        }
        is_busy
    }

    fn work(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        node.drain(&mut self.effects);
        let is_busy = !self.effects.is_empty();
        for envelope in self.effects.messages.drain(..) {
            self.counts.add(&envelope.message);
            if let Message::AppendEntries(AppendEntries { entries, .. }) = &envelope.message {
                let sent = &mut self.sent[envelope.to.0 as usize - 1];
                for entry in entries {
                    let index = entry.id.index.0 as usize;
                    if sent.len() <= index {
                        sent.resize(2 * index, 0);
                    }
                    sent[index] += 1;
                }
            }
            self.network.push(envelope);
        }
        let last = self.effects.writes.last().map(|write| write.seq);
        for write in self.effects.writes.drain(..) {
            match write.op {
                WriteOp::Append(_) => self.counts.append_writes += 1,
                _ => self.counts.other_writes += 1,
            }
        }
        if let Some(seq) = last {
            node.on_persisted(seq);
        }
        for apply in self.effects.applies.drain(..) {
            if let ApplyOp::Entries(entries) = apply.op {
                node.on_applied(entries.last().expect("entries").id.index);
            }
        }
        self.effects.clear();
        is_busy
    }
}

impl Counts {
    fn add(&mut self, message: &Message) {
        match message {
            Message::AppendEntries(request) if request.entries.is_empty() => self.heartbeats += 1,
            Message::AppendEntries(_) => self.appends += 1,
            Message::AppendEntriesReply(_) => self.replies += 1,
            _ => {}
        }
    }
}

/// Commands that share one buffer: cloning them allocates nothing.
fn commands(count: usize) -> Vec<Bytes> {
    let buffer = Bytes::from(vec![b'x'; 16 * count]);
    (0..count).map(|at| buffer.slice(16 * at..16 * (at + 1))).collect()
}

/// A batch, however large, is one message and one reply per peer, and one write per node.
#[test]
fn a_batch_costs_two_appends_two_replies_and_three_writes() {
    let mut group = Group::new();
    for size in [1, 2, 10, 100, 1000] {
        group.counts = Counts::default();
        group.propose(&commands(size));
        group.settle();
        let expected = Counts { appends: 2, replies: 2, append_writes: 3, ..Counts::default() };
        assert_eq!(group.counts, expected, "a batch of {size}");
        let last = group.nodes[LEADER].status().last.index;
        assert_eq!(group.nodes[LEADER].status().commit, last);
    }
}

/// A heartbeat is one message and one reply per peer, and writes nothing.
#[test]
fn a_heartbeat_costs_two_messages_and_two_replies() {
    let mut group = Group::new();
    group.heartbeat();
    assert_eq!(group.counts, Counts { heartbeats: 2, replies: 2, ..Counts::default() });
}

/// Nothing is sent twice while nothing is lost, whatever falls between what: proposals, turns, heartbeats.
#[test]
fn every_entry_is_sent_to_each_peer_exactly_once() {
    let mut group = Group::new();
    let before = group.nodes[LEADER].status().last.index.0 as usize;
    let (all, mut state) = (commands(7), 1u64);
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..20_000 {
        match draw(8) {
            0..=3 => group.propose(&all[..draw(8) as usize]),
            4..=6 => {
                group.turn();
            }
            _ => group.nodes[LEADER].tick(),
        }
    }
    group.settle();
    group.heartbeat();
    let last = group.nodes[LEADER].status().last.index.0 as usize;
    assert!(last > 20_000 && group.counts.heartbeats > 1000, "{last} entries, {:?}", group.counts);
    for node in &group.nodes {
        assert_eq!(node.status().commit.0 as usize, last);
    }
    for peer in [1, 2] {
        let sent = &group.sent[peer];
        assert!(sent[before + 1..=last].iter().all(|times| *times == 1));
    }
}

/// A batch allocates for its messages, writes and applies, and nothing for each of its entries; the growth of
/// the logs aside, which doubles.
#[test]
fn a_batch_allocates_nothing_per_entry() {
    let mut group = Group::new();
    // All buffers have seen a batch of this size, and the logs have room for those that follow.
    for _ in 0..5 {
        group.propose(&commands(1000));
        group.settle();
    }
    let mut allocations = |size: usize| {
        let commands = commands(size);
        measure(|| {
            group.propose(&commands);
            group.settle();
        })
        .count_total
    };
    let (ten, thousand) = (allocations(10), allocations(1000));
    assert!(ten > 0, "the counter counts");
    assert!(thousand <= ten + 4, "{ten} allocations for ten entries, {thousand} for a thousand");
}
