//! A store, seen.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::{
    BoxFuture, GroupId, NodeId, Persisted, SnapshotMeta, SnapshotReader, SnapshotWriter, Storage,
    StorageError, Write,
};

use super::{At, Event, Watch};
use crate::world::Fate;

/// A [`Storage`] whose writes are seen as they are handed in and as they become durable.
pub struct WatchedStorage<S> {
    pub(super) watch: Watch,
    pub(super) node: NodeId,
    pub(super) fate: Fate,
    pub(super) store: Arc<S>,
}

impl<S: Storage> WatchedStorage<S> {
    fn see(&self, group: GroupId, event: Event<'_>) {
        if self.fate.is_alive() {
            self.watch.event(group, &At { node: self.node, event });
        }
    }
}

impl<S: Storage> Storage for WatchedStorage<S> {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        self.store.groups()
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(async move {
            let persisted = self.store.load(group).await?;
            self.see(group, Event::Loaded(&persisted));
            Ok(persisted)
        })
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            for write in &writes {
                self.see(write.group, Event::Submitted(&write.op));
            }
            let copies = writes.clone();
            self.store.write(writes).await?;
            for write in &copies {
                self.see(write.group, Event::Durable(&write.op));
            }
            Ok(())
        })
    }

    fn create_snapshot(
        &self,
        group: GroupId,
        meta: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        Box::pin(async move {
            let writer = self.store.create_snapshot(group, meta.clone()).await?;
            let (watch, node, fate) = (self.watch.clone(), self.node, self.fate.clone());
            Ok(Box::new(Watched { watch, node, fate, group, meta, writer })
                as Box<dyn SnapshotWriter>)
        })
    }

    fn open_snapshot(
        &self,
        group: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        self.store.open_snapshot(group)
    }
}

struct Watched {
    watch: Watch,
    node: NodeId,
    fate: Fate,
    group: GroupId,
    meta: SnapshotMeta,
    writer: Box<dyn SnapshotWriter>,
}

impl SnapshotWriter for Watched {
    fn write(&mut self, data: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        self.writer.write(data)
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            self.writer.finish().await?;
            if self.fate.is_alive() {
                let at = At { node: self.node, event: Event::SnapshotTaken(&self.meta) };
                self.watch.event(self.group, &at);
            }
            Ok(())
        })
    }
}
