//! Snapshots, written.
//!
//! A snapshot is the magic bytes `rsk`, the format byte, and frames: a kind (1 byte), a length (4, little endian)
//! and so many bytes. First comes the header; for each shard, in order, its head, the snapshot of its store
//! ([`kv::Store`]'s own) in pieces, and what has changed while it leaves; at last the digest. So equal states
//! have equal bytes, on every replica.

use bytes::{BufMut, Bytes, BytesMut};
use kv::rpc::encode;
use kv::{Store, Touched};
use raft_core::{SnapshotSource, StateMachine};
use serde::{Deserialize, Serialize};
use shardctrler::ShardId;

use super::holding::Holding;
use super::{Phase, ShardStore};
use crate::command::FORMAT;
use crate::transfer::Position;

/// What a snapshot begins with.
pub(super) const MAGIC: [u8; 4] = [b'r', b's', b'k', FORMAT];

pub(super) const HEADER: u8 = 0;
pub(super) const SHARD: u8 = 1;
pub(super) const STORE: u8 = 2;
pub(super) const CHANGE: u8 = 3;
pub(super) const END: u8 = 4;

/// The most bytes of a store in a frame.
pub(super) const PIECE: usize = 32 << 10;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) cluster: u64,
    pub(super) group: u64,
    pub(super) current: Option<Place>,
}

/// Where the group is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) config: Vec<u8>,
    pub(super) first: u64,
    pub(super) keepers: Vec<(u16, u64)>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) shard: u16,
    pub(super) phase: Phase,
    /// Where it goes or comes from; 0 is nobody.
    pub(super) peer: u64,
    pub(super) revision: u64,
    pub(super) position: Position,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Changed {
    Key(u64, Vec<u8>),
    Session(u64, u64),
}

pub(super) fn header_of(store: &ShardStore) -> Header {
    let current = store.current.as_ref().map(|current| {
        let keepers = current.keepers.iter().map(|(shard, group)| (shard.0, group.0)).collect();
        Place { config: current.config.encode(), first: current.first.0, keepers }
    });
    Header { cluster: store.settings.cluster.0, group: store.settings.group.0, current }
}

/// Walks a view.
pub(super) struct Source {
    view: ShardStore,
    next: Next,
    pending: BytesMut,
}

enum Next {
    Header,
    /// The first shard at or after this.
    Shard(Option<ShardId>),
    Store(ShardId, Box<dyn SnapshotSource>),
    Changes(ShardId, u64),
    Nothing,
}

impl Source {
    pub(super) fn new(view: ShardStore) -> Self {
        Self { view, next: Next::Header, pending: BytesMut::new() }
    }

    fn push(&mut self, kind: u8, bytes: &[u8]) {
        self.pending.put_u8(kind);
        self.pending.put_u32_le(bytes.len() as u32);
        self.pending.extend_from_slice(bytes);
    }

    fn advance(&mut self) {
        self.next = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Header => {
                self.pending.extend_from_slice(&MAGIC);
                let header = encode(Vec::new(), &header_of(&self.view));
                self.push(HEADER, &header);
                Next::Shard(Some(ShardId(0)))
            }
            Next::Shard(from) => self.begin_shard(from),
            Next::Store(shard, mut source) => match source.next_chunk(PIECE) {
                Some(piece) => {
                    self.push(STORE, &piece);
                    Next::Store(shard, source)
                }
                None => Next::Changes(shard, 0),
            },
            Next::Changes(shard, after) => self.push_changes(shard, after),
            Next::Nothing => Next::Nothing,
        }
    }

    fn begin_shard(&mut self, from: Option<ShardId>) -> Next {
        let found = from.and_then(|from| self.view.holdings.get_next(&from));
        let Some((shard, holding)) = found.map(|(shard, it)| (*shard, it.clone())) else {
            let digest = self.view.digest().to_le_bytes();
            self.push(END, &digest);
            return Next::Nothing;
        };
        let (head, store) = head_of(shard, &holding);
        let head = encode(Vec::new(), &head);
        self.push(SHARD, &head);
        Next::Store(shard, store.snapshot())
    }

    /// Some changes, and what comes then.
    fn push_changes(&mut self, shard: ShardId, after: u64) -> Next {
        let found = self.view.contents(shard).and_then(|(store, _)| store.changes());
        let changes: Vec<Changed> =
            found.iter().flat_map(|it| it.after(after).take(256)).map(changed).collect();
        let last = changes.last().map(Changed::number);
        for change in changes {
            let change = encode(Vec::new(), &change);
            self.push(CHANGE, &change);
        }
        match last {
            Some(last) => Next::Changes(shard, last),
            None => Next::Shard(shard.0.checked_add(1).map(ShardId)),
        }
    }
}

fn changed((number, touched): (u64, &Touched)) -> Changed {
    match touched {
        Touched::Key(key) => Changed::Key(number, key.as_slice().to_vec()),
        Touched::Session(id) => Changed::Session(number, id.0.0),
    }
}

impl Changed {
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Key(number, _) | Self::Session(number, _) => *number,
        }
    }
}

fn head_of(shard: ShardId, holding: &Holding) -> (Head, &Store) {
    let (phase, peer, revision, position, store) = match holding {
        Holding::Serving(it) => (Phase::Serving, 0, it.revision, Position::default(), &it.store),
        Holding::Leaving { to, shard } => {
            (Phase::Leaving, to.0, shard.revision, Position::default(), &shard.store)
        }
        Holding::Frozen { to, shard } => {
            let to = to.map_or(0, |to| to.0);
            (Phase::Frozen, to, shard.revision, Position::default(), &shard.store)
        }
        Holding::Arriving { from, staged } => {
            (Phase::Arriving, from.0, 0, staged.position.clone(), &staged.store)
        }
    };
    (Head { shard: shard.0, phase, peer, revision, position }, store)
}

impl SnapshotSource for Source {
    fn next_chunk(&mut self, max: usize) -> Option<Bytes> {
        let max = max.clamp(1, 256 << 10);
        while self.pending.len() < max && !matches!(self.next, Next::Nothing) {
            self.advance();
        }
        match self.pending.len() {
            0 => None,
            waiting => Some(self.pending.split_to(max.min(waiting)).freeze()),
        }
    }
}
