//! Commands that are proposed, and what becomes of them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use raft_core::LogId;
use raft_sim::cluster::{GROUP, NotProposed};

use super::Lab;

/// A command in a leader's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    pub id: LogId,
    /// Its index in that log.
    pub index: u64,
}

/// A command of eight bytes.
pub fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

impl Lab {
    /// Proposes at a server, connected or not; `None` when it is not a leader.
    pub fn propose(&mut self, at: usize, command: impl Into<Bytes>) -> Option<Started> {
        match self.cluster.propose(at, command) {
            Ok(id) => {
                self.accepted.insert(id);
                Some(Started { id, index: self.index_in_log(at, id) })
            }
            Err(NotProposed::Refused(None)) => panic!("a server that runs answers at once"),
            Err(_) => None,
        }
    }

    /// Proposes commands all at once, so that none has been answered when the last is given.
    pub fn propose_together(&mut self, at: usize, commands: Vec<Bytes>) -> Vec<Option<Started>> {
        let Some(group) = self.cluster.group(at) else { return vec![None; commands.len()] };
        let ids: Vec<_> = commands.iter().map(|_| Arc::new(OnceLock::new())).collect();
        let host = self.cluster.host(at);
        self.cluster.sim().within(host, || {
            for (command, id) in commands.into_iter().zip(&ids) {
                let (appending, id) = (group.append(command), Arc::clone(id));
                tokio::spawn(async move {
                    let appended = appending.await.ok().map(|appended| appended.id());
                    id.set(appended).expect("set once");
                });
            }
        });
        let ids: Vec<Option<LogId>> =
            ids.iter().map(|id| *id.get().expect("a server that runs answers at once")).collect();
        self.accepted.extend(ids.iter().flatten());
        let started = |id| Started { id, index: self.index_in_log(at, id) };
        ids.into_iter().map(|id| id.map(started)).collect()
    }

    /// How many commands are in the leader's log up to `id`.
    fn index_in_log(&self, at: usize, id: LogId) -> u64 {
        let (node, accepted) = (self.cluster.id(at), &self.accepted);
        self.cluster.watch().view(GROUP, |view| {
            let log = &view.nodes[&node].submitted;
            // What is in a snapshot is applied.
            let begin = log.compacted.index.min(id.index);
            // What is before its term is on its disk; of its term there is nothing but what it accepted.
            let older = log.entries.values().filter(|entry| entry.term < id.term);
            let own = LogId::new(id.term, begin.next())..LogId::new(id.term, id.index.next());
            self.book.count_up_to(begin)
                + older.filter(|entry| entry.digest != 0).count() as u64
                + accepted.range(own).count() as u64
        })
    }

    /// How many servers have applied a command with this index; and the command.
    pub fn committed(&self, index: u64) -> (usize, Option<Bytes>) {
        let at = |at| self.cluster.peek(at, |journal| journal.command(index).cloned()).flatten();
        let mut found = (0..self.servers()).filter_map(at).peekable();
        let first = found.peek().cloned();
        (found.count(), first)
    }

    /// The commands that were applied, in order.
    pub fn book(&self) -> Vec<Bytes> {
        self.book.commands().into_iter().map(|(_, data)| data).collect()
    }
}
