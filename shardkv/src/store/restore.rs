//! Snapshots, read. The bytes come split anywhere; what waits is never more than one frame.

use std::sync::Arc;

use imbl::OrdMap;
use kv::command::SessionId;
use kv::rpc::decode;
use kv::{Blob, Changes, Store, Touched};
use raft_core::{GroupId, LogIndex, Restore, RestoreError, StateMachine};
use shardctrler::{ConfigNumber, Configuration, ShardId};

use super::holding::{Holding, Shard, Staged};
use super::snapshot::{CHANGE, Changed, END, HEADER, Head, Header, MAGIC, Place, SHARD, STORE};
use super::{Current, Phase, ShardStore};
use crate::transfer::Position;

/// The largest frame: a key of the largest size that can be configured, or a configuration.
const FRAME_MAX: usize = 65 << 20;

/// Builds a [`ShardStore`]. The first error is final.
pub(super) struct Restoring {
    /// What is built. Nobody is told of it before it is whole.
    building: ShardStore,
    empty: Store,
    pending: Vec<u8>,
    begun: bool,
    headed: bool,
    /// The shard that is being read.
    shard: Option<Building>,
    ended: bool,
    failed: Option<RestoreError>,
}

struct Building {
    head: Head,
    store: Box<dyn Restore<Store>>,
    changes: Changes,
}

fn error(reason: impl Into<String>) -> RestoreError {
    RestoreError { reason: reason.into() }
}

impl Restoring {
    pub(super) fn new(of: &ShardStore) -> Self {
        let mut building = ShardStore::new(of.settings.clone());
        (building.news, building.release) = (Arc::clone(&of.news), of.release);
        Self {
            building,
            empty: Store::new(of.settings.store.clone()),
            pending: Vec::new(),
            begun: false,
            headed: false,
            shard: None,
            ended: false,
            failed: None,
        }
    }

    fn advance(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        self.pending.extend_from_slice(data);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        if !self.begun {
            match rest.split_first_chunk() {
                Some((&MAGIC, after)) => (rest, self.begun) = (after, true),
                Some(_) => return Err(error("wrong magic bytes or format")),
                None => {}
            }
        }
        while self.begun {
            let Some((kind, frame, after)) = split_frame(rest)? else { break };
            self.take(kind, frame)?;
            rest = after;
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    fn take(&mut self, kind: u8, frame: &[u8]) -> Result<(), RestoreError> {
        if self.ended {
            return Err(error("bytes after the end"));
        }
        match kind {
            HEADER if !self.headed => self.take_header(frame),
            SHARD if self.headed => {
                self.finish_shard()?;
                let head: Head = decode(frame).map_err(|_| error("malformed shard"))?;
                let last = self.building.holdings.get_max().map(|(shard, _)| shard.0);
                if last.is_some_and(|last| last >= head.shard) {
                    return Err(error("shards out of order"));
                }
                let (store, changes) = (self.empty.restore(), Changes::default());
                self.shard = Some(Building { head, store, changes });
                Ok(())
            }
            STORE => match &mut self.shard {
                Some(building) => building.store.push(frame),
                None => Err(error("a store of no shard")),
            },
            CHANGE => self.take_change(frame),
            END if self.headed => self.take_end(frame),
            _ => Err(error("frames out of order")),
        }
    }

    fn take_header(&mut self, frame: &[u8]) -> Result<(), RestoreError> {
        let header: Header = decode(frame).map_err(|_| error("malformed header"))?;
        let settings = &self.building.settings;
        if (header.cluster, header.group) != (settings.cluster.0, settings.group.0) {
            let (cluster, group) = (header.cluster, header.group);
            return Err(error(format!("of cluster {cluster}, group {group}")));
        }
        if let Some(Place { config, first, keepers }) = header.current {
            let config = Configuration::decode(&config);
            let config = config.map_err(|_| error("malformed configuration"))?;
            let keepers: OrdMap<ShardId, GroupId> = keepers
                .into_iter()
                .map(|(shard, group)| (ShardId(shard), GroupId(group)))
                .collect();
            self.building.current = Some(Current { config, first: ConfigNumber(first), keepers });
        }
        self.headed = true;
        Ok(())
    }

    fn take_change(&mut self, frame: &[u8]) -> Result<(), RestoreError> {
        let change: Changed = decode(frame).map_err(|_| error("malformed change"))?;
        let building = self.shard.as_mut().ok_or_else(|| error("a change of no shard"))?;
        let pushed = match change {
            Changed::Key(number, key) => {
                building.changes.push(number, Touched::Key(Blob::from(&key[..])))
            }
            Changed::Session(number, id) => {
                building.changes.push(number, Touched::Session(SessionId(LogIndex(id))))
            }
        };
        if pushed { Ok(()) } else { Err(error("changes out of order")) }
    }

    fn finish_shard(&mut self) -> Result<(), RestoreError> {
        let Some(Building { head, store, changes }) = self.shard.take() else { return Ok(()) };
        let mut store = store.finish()?;
        let peer = (head.peer != 0).then_some(GroupId(head.peer));
        let leaves = matches!(head.phase, Phase::Leaving | Phase::Frozen) && peer.is_some();
        if leaves && !planted!(ChangesNotInSnapshot) {
            store.set_changes(Some(changes));
        } else if leaves {
            store.track();
        } else if !changes.is_empty() {
            return Err(error("changes of a shard that does not leave"));
        }
        let revision = head.revision;
        let unused = match head.phase {
            Phase::Arriving => revision == 0,
            _ => head.position == Position::default(),
        };
        if !unused {
            return Err(error("a shard with what it cannot have"));
        }
        let holding = match (head.phase, peer) {
            (Phase::Serving, None) => Holding::Serving(Shard { store, revision }),
            (Phase::Leaving, Some(to)) => Holding::Leaving { to, shard: Shard { store, revision } },
            (Phase::Frozen, to) => Holding::Frozen { to, shard: Shard { store, revision } },
            (Phase::Arriving, Some(from)) => {
                Holding::Arriving { from, staged: Staged { store, position: head.position } }
            }
            _ => return Err(error("a shard that goes nowhere")),
        };
        self.building.holdings.insert(ShardId(head.shard), holding);
        Ok(())
    }

    fn take_end(&mut self, frame: &[u8]) -> Result<(), RestoreError> {
        self.finish_shard()?;
        if *frame != self.building.digest().to_le_bytes() {
            return Err(error("wrong digest"));
        }
        self.ended = true;
        Ok(())
    }
}

/// A frame's kind and bytes, and what follows it.
type Split<'a> = (u8, &'a [u8], &'a [u8]);

fn split_frame(data: &[u8]) -> Result<Option<Split<'_>>, RestoreError> {
    let Some((&[kind, a, b, c, d], rest)) = data.split_first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > FRAME_MAX {
        return Err(error(format!("a frame of {length} bytes")));
    }
    Ok(rest.split_at_checked(length).map(|(frame, rest)| (kind, frame, rest)))
}

impl Restore<ShardStore> for Restoring {
    fn push(&mut self, data: &[u8]) -> Result<(), RestoreError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let result = self.advance(data);
        self.failed = result.as_ref().err().cloned();
        result
    }

    fn finish(self: Box<Self>) -> Result<ShardStore, RestoreError> {
        match self.failed {
            Some(failed) => Err(failed),
            None if self.ended && self.pending.is_empty() => {
                // Whoever waits for something looks again: what was restored is newer.
                self.building.tell();
                Ok(self.building)
            }
            None => Err(error("truncated")),
        }
    }
}
