//! Snapshots that are sent to others: for each group and receiver one reader, held open while chunks of
//! its snapshot are asked for, so that a newer snapshot of the sender does not break off the transfer.
//!
//! A request names the snapshot and the offset; a task reads the chunk; the loop sends it with the
//! messages of its turn. One chunk for each receiver is in memory at a time. A request that cannot be
//! served is dropped: the core asks again, or for another snapshot.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::ToString;
use alloc::sync::Arc;

use super::StopReason;
use super::signal::{Signal, Signals};
use super::tasks::Tasks;
use crate::{
    Envelope, GroupId, InstallSnapshot, Message, NodeId, SnapshotChunk, SnapshotReader,
    SnapshotRequest, Storage, StorageError,
};

type Key = (GroupId, NodeId);

/// All transfers of a node.
pub(super) struct Serving {
    from: NodeId,
    transfers: BTreeMap<Key, Transfer>,
    transfers_max: usize,
    chunk_bytes: usize,
    idle_ticks_max: u32,
    storage: Arc<dyn Storage>,
    signals: Arc<Signals>,
}

/// One receiver.
struct Transfer {
    hold: Hold,
    /// Ticks since the last request.
    idle_ticks: u32,
}

/// Who has the reader.
enum Hold {
    /// The task that reads a chunk: until it is back, requests are dropped.
    Reading,
    /// Nobody.
    Pinned(Option<Box<dyn SnapshotReader>>),
}

/// What a task brings back.
pub(super) struct Served {
    key: Key,
    reader: Option<Box<dyn SnapshotReader>>,
    message: Option<Envelope>,
}

impl Serving {
    pub(super) fn new(
        config: &super::NodeConfig,
        storage: Arc<dyn Storage>,
        signals: Arc<Signals>,
    ) -> Self {
        Self {
            from: config.id,
            transfers: BTreeMap::new(),
            transfers_max: config.snapshot_sends_max,
            chunk_bytes: config.snapshot_chunk_bytes.max(1),
            idle_ticks_max: config.snapshot_idle_ticks,
            storage,
            signals,
        }
    }

    /// Transfers under way.
    pub(super) fn len(&self) -> usize {
        self.transfers.len()
    }

    /// Has a chunk read.
    pub(super) fn request(&mut self, request: SnapshotRequest, tasks: &Tasks) {
        let key = (request.group, request.to);
        let room = self.transfers.len() < self.transfers_max;
        let transfer = match self.transfers.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) if room => {
                entry.insert(Transfer { hold: Hold::Pinned(None), idle_ticks: 0 })
            }
            Entry::Vacant(_) => return,
        };
        transfer.idle_ticks = 0;
        let Hold::Pinned(reader) = &mut transfer.hold else { return };
        let reader = reader.take();
        transfer.hold = Hold::Reading;
        let job = Job { from: self.from, request, reader, chunk_bytes: self.chunk_bytes };
        let (storage, signals) = (self.storage.clone(), self.signals.clone());
        tasks.spawn(async move {
            let signal = match job.run(&*storage).await {
                Ok(served) => Signal::Served(Box::new(served)),
                Err(error) => Signal::Stop(StopReason::Storage(error.to_string())),
            };
            // Refused only when the loop has ended.
            let _ = signals.push(signal);
        });
    }

    /// A task is back: keeps its reader for the next request and gives what is to be sent.
    pub(super) fn served(&mut self, served: Served) -> Option<Envelope> {
        match (self.transfers.get_mut(&served.key), served.reader) {
            (Some(transfer), Some(reader)) => transfer.hold = Hold::Pinned(Some(reader)),
            _ => {
                self.transfers.remove(&served.key);
            }
        }
        served.message
    }

    /// Time has passed: lets go of what nobody asks for.
    pub(super) fn tick(&mut self) {
        let idle_ticks_max = self.idle_ticks_max;
        self.transfers.retain(|_, transfer| {
            transfer.idle_ticks += 1;
            matches!(transfer.hold, Hold::Reading) || transfer.idle_ticks <= idle_ticks_max
        });
    }
}

/// One chunk to read.
struct Job {
    from: NodeId,
    request: SnapshotRequest,
    reader: Option<Box<dyn SnapshotReader>>,
    chunk_bytes: usize,
}

impl Job {
    async fn run(self, storage: &dyn Storage) -> Result<Served, StorageError> {
        let Self { from, request, reader, chunk_bytes } = self;
        let key = (request.group, request.to);
        let reader = match reader {
            Some(reader) if *reader.meta() == request.meta => Some(reader),
            _ => storage.open_snapshot(request.group).await?,
        };
        let Some(mut reader) = reader.filter(|reader| *reader.meta() == request.meta) else {
            return Ok(Served { key, reader: None, message: None });
        };
        let total = reader.total();
        if request.offset > total {
            return Ok(Served { key, reader: Some(reader), message: None });
        }
        let data = reader.read(request.offset, chunk_bytes).await?;
        let checksum = crc32fast::hash(&data);
        let chunk = SnapshotChunk { offset: request.offset, total, data, checksum };
        let message = Envelope {
            group: request.group,
            from,
            to: request.to,
            term: request.term,
            message: Message::InstallSnapshot(InstallSnapshot {
                meta: request.meta,
                chunk,
                round: request.round,
            }),
        };
        Ok(Served { key, reader: Some(reader), message: Some(message) })
    }
}

/// Whether a chunk is what its sender read.
pub(super) fn is_intact(message: &Message) -> bool {
    match message {
        Message::InstallSnapshot(install) => {
            crc32fast::hash(&install.chunk.data) == install.chunk.checksum
        }
        _ => true,
    }
}
