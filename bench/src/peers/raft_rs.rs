//! raft-rs (the crate `raft`): three `RawNode`s on one thread, `MemStorage`, messages handed over as
//! values; `batch_append`, its best setting.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use raft::eraftpb::{ConfState, Entry, EntryType, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::measure::{Latencies, Meter};
use crate::sample::Sample;
use crate::suite::Plan;

type Failed = Box<dyn Error + Send + Sync>;

struct Node {
    raw: RawNode<MemStorage>,
    applied: u64,
    compacted: u64,
    bytes: u64,
    done: u64,
}

impl Node {
    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.applied = entry.index;
            if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
                self.bytes += entry.data.len() as u64;
                self.done += 1;
            }
        }
    }

    /// Handles one `Ready` as a durable node would: the leader's messages first, then the log and the hard
    /// state, then what may go only after them, then the state machine.
    fn turn(&mut self, out: &mut VecDeque<Message>) -> Result<bool, Failed> {
        if !self.raw.has_ready() {
            return Ok(false);
        }
        let mut ready = self.raw.ready();
        out.extend(ready.take_messages());
        let committed = ready.take_committed_entries();
        {
            let store = self.raw.store().clone();
            let mut store = store.wl();
            if !ready.entries().is_empty() {
                store.append(ready.entries())?;
            }
            if let Some(hard_state) = ready.hs() {
                store.set_hardstate(hard_state.clone());
            }
        }
        out.extend(ready.take_persisted_messages());
        self.apply(committed);
        let mut light = self.raw.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.raw.store().wl().mut_hard_state().set_commit(commit);
        }
        out.extend(light.take_messages());
        self.apply(light.take_committed_entries());
        self.raw.advance_apply();
        Ok(true)
    }

    fn compact(&mut self, keep: u64, every: u64) -> Result<(), Failed> {
        let to = self.applied.saturating_sub(keep);
        if to > self.compacted + every {
            self.raw.store().wl().compact(to)?;
            self.compacted = to;
        }
        Ok(())
    }
}

fn group() -> Result<Vec<Node>, Failed> {
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let config = Config {
            id,
            election_tick: 10,
            heartbeat_tick: 1,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            batch_append: true,
            ..Config::default()
        };
        let store = MemStorage::new_with_conf_state(ConfState::from((vec![1, 2, 3], vec![])));
        let raw = RawNode::new(&config, store, &log)?;
        nodes.push(Node { raw, applied: 0, compacted: 0, bytes: 0, done: 0 });
    }
    Ok(nodes)
}

/// Drives the nodes until none of them has anything left to do.
fn settle(nodes: &mut [Node], wire: &mut VecDeque<Message>) -> Result<(), Failed> {
    loop {
        let mut moved = false;
        for node in nodes.iter_mut() {
            moved |= node.turn(wire)?;
        }
        while let Some(message) = wire.pop_front() {
            nodes[message.to as usize - 1].raw.step(message)?;
            moved = true;
        }
        if !moved {
            return Ok(());
        }
    }
}

/// Commits with `outstanding` proposals of `payload` bytes kept in flight.
pub(crate) fn measure(plan: &Plan, outstanding: u64, payload: usize) -> Result<Sample, Failed> {
    let (mut nodes, mut wire) = (group()?, VecDeque::new());
    nodes[0].raw.campaign()?;
    settle(&mut nodes, &mut wire)?;
    if nodes[0].raw.raft.state != StateRole::Leader {
        return Err("raft-rs did not elect the node that campaigned".into());
    }
    let command = vec![0xab; payload];
    let start = Instant::now();
    let (mut meter, mut before, mut proposed) = (None, 0, 0);
    loop {
        while proposed < nodes[0].done + outstanding {
            nodes[0].raw.propose(vec![], command.clone())?;
            proposed += 1;
        }
        settle(&mut nodes, &mut wire)?;
        for node in &mut nodes {
            node.compact(2_000, 8_000)?;
        }
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
