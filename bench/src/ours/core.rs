//! The core: three `Raft`s on one thread, driven exactly as raft-rs is: a log in memory that stands for the
//! storage, messages handed over as values, a payload of its own for each proposal, compaction at the same
//! intervals.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use raft_core::{
    ApplyOp, Config, Effects, Entry, Envelope, GroupId, HardState, LogIndex, Membership, NodeId,
    Payload, Persisted, Raft, Role, WriteOp,
};

use crate::measure::{Latencies, Meter};
use crate::sample::Sample;
use crate::suite::Plan;

type Failed = Box<dyn Error + Send + Sync>;

/// Entries that stay behind a compaction, and how many gather before the next one.
const KEEP: u64 = 2_000;
const EVERY: u64 = 8_000;

/// The storage: what a store in memory would keep.
#[derive(Default)]
struct Store {
    hard_state: HardState,
    entries: VecDeque<Entry>,
}

impl Store {
    fn write(&mut self, op: WriteOp) {
        match op {
            WriteOp::HardState(hard_state) => self.hard_state = hard_state,
            WriteOp::Append(entries) => {
                let first = entries[0].id.index;
                while self.entries.back().is_some_and(|entry| entry.id.index >= first) {
                    self.entries.pop_back();
                }
                self.entries.extend(entries);
            }
            WriteOp::Compact(upto) => {
                while self.entries.front().is_some_and(|entry| entry.id.index <= upto.index) {
                    self.entries.pop_front();
                }
            }
            // Nobody falls behind here.
            WriteOp::Receive { .. } => {}
        }
    }
}

struct Node {
    raft: Raft,
    store: Store,
    applied: LogIndex,
    compacted: u64,
    bytes: u64,
    done: u64,
}

impl Node {
    /// Does all outstanding work of the core; whether there was any.
    fn turn(&mut self, effects: &mut Effects, wire: &mut VecDeque<Envelope>) -> bool {
        self.raft.drain(effects);
        if effects.is_empty() {
            return false;
        }
        wire.extend(effects.messages.drain(..));
        let last = effects.writes.last().map(|write| write.seq);
        for write in effects.writes.drain(..) {
            self.store.write(write.op);
        }
        if let Some(seq) = last {
            self.raft.on_persisted(seq);
        }
        for apply in effects.applies.drain(..) {
            if let ApplyOp::Entries(entries) = apply.op {
                for entry in &entries {
                    self.applied = entry.id.index;
                    if let Payload::Command(command) = &entry.payload {
                        self.bytes += command.len() as u64;
                        self.done += 1;
                    }
                }
                self.raft.on_applied(self.applied);
            }
        }
        effects.clear();
        true
    }

    /// Takes a snapshot, as far as the core is concerned.
    fn compact(&mut self) {
        let to = self.applied.0.saturating_sub(KEEP);
        if to > self.compacted + EVERY
            && let Some(meta) = self.raft.snapshot_meta(LogIndex(to))
        {
            self.raft.compact(meta);
            self.compacted = to;
        }
    }
}

fn group() -> Result<Vec<Node>, Failed> {
    let members = Membership::of_voters([NodeId(1), NodeId(2), NodeId(3)]);
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let mut config = Config::new(NodeId(id), GroupId(1));
        // `KEEP` is behind the snapshot's index already.
        config.trailing_bytes_max = 0;
        let raft = Raft::new(config, Persisted::default(), &members)?;
        let (store, applied) = (Store::default(), LogIndex(0));
        nodes.push(Node { raft, store, applied, compacted: 0, bytes: 0, done: 0 });
    }
    Ok(nodes)
}

/// Drives the nodes until none of them has anything left to do.
fn settle(nodes: &mut [Node], effects: &mut Effects, wire: &mut VecDeque<Envelope>) {
    loop {
        let mut moved = false;
        for node in nodes.iter_mut() {
            moved |= node.turn(effects, wire);
        }
        while let Some(envelope) = wire.pop_front() {
            nodes[envelope.to.0 as usize - 1].raft.step(envelope);
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

/// Commits with `outstanding` proposals of `payload` bytes kept in flight.
pub(crate) fn measure(plan: &Plan, outstanding: u64, payload: usize) -> Result<Sample, Failed> {
    let (mut nodes, mut wire, mut effects) = (group()?, VecDeque::new(), Effects::default());
    nodes[0].raft.campaign();
    settle(&mut nodes, &mut effects, &mut wire);
    if nodes[0].raft.status().role != Role::Leader {
        return Err("the node that campaigned did not become leader".into());
    }
    let command = vec![0xab; payload];
    let start = Instant::now();
    let (mut meter, mut before, mut proposed) = (None, 0, 0);
    loop {
        while proposed < nodes[0].done + outstanding {
            nodes[0].raft.propose(Bytes::copy_from_slice(&command))?;
            proposed += 1;
        }
        settle(&mut nodes, &mut effects, &mut wire);
        nodes.iter_mut().for_each(Node::compact);
        match &meter {
            None if start.elapsed() > plan.warm => {
                before = nodes[0].done;
                meter = Some(Meter::of_this_process()?);
            }
            Some(meter) if meter.elapsed() > plan.measure => {
                return Ok(meter.sample(nodes[0].done - before, Latencies::default())?);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_cores_commit_apply_and_forget() {
        let (mut nodes, mut wire) = (group().unwrap(), VecDeque::new());
        let mut effects = Effects::default();
        nodes[0].raft.campaign();
        settle(&mut nodes, &mut effects, &mut wire);
        for _ in 0..20 {
            for _ in 0..1000 {
                nodes[0].raft.propose(Bytes::from_static(b"command")).unwrap();
            }
            settle(&mut nodes, &mut effects, &mut wire);
            nodes.iter_mut().for_each(Node::compact);
        }
        // Followers hear of the last commit with the next message: a heartbeat.
        (0..2).for_each(|_| nodes[0].raft.tick());
        settle(&mut nodes, &mut effects, &mut wire);
        for node in &nodes {
            assert_eq!((node.done, node.bytes), (20_000, 140_000));
            assert!(node.compacted > 0 && (node.store.entries.len() as u64) < KEEP + EVERY + 1000);
            assert!(node.store.hard_state.voted_for.is_some());
        }
    }
}
