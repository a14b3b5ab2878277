//! The handles of a process on its disk.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use raft_core::BoxFuture;
use raft_storage::{Disk, DiskError, DiskFile, DiskLock, Durability, OpenMode};

use super::core::{Order, Shared, Turn};
use super::event::OpKind;
use super::faults::SyncGate;
use super::volume::Handle;

/// The disk as one incarnation of a process has it: the [`Disk`] to open a store on. Clones are the same
/// incarnation. After [`SimDisk::unmount`](super::SimDisk::unmount) nothing that came of it completes or has
/// an effect any more.
#[derive(Clone)]
pub struct Mount {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
}

struct MountedFile {
    mount: Mount,
    name: Arc<str>,
    handle: Handle,
}

/// An operation that was begun. Given up before its effect, it may still happen, as on a real disk.
struct InFlight<'a, T, F: FnOnce(&mut Turn<'_>) -> io::Result<T>> {
    shared: &'a Shared,
    order: Order,
    effect: Option<F>,
    gives: PhantomData<fn() -> T>,
}

impl Mount {
    /// Whether the process has not been killed.
    pub fn is_alive(&self) -> bool {
        self.shared.state().is_alive(self.number)
    }

    /// Waits until the process is killed.
    pub async fn ended(&self) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.is_alive() {
                return;
            }
            changed.await;
        }
    }

    fn order(&self, kind: OpKind, file: &Arc<str>) -> Order {
        Order { mount: self.number, kind, file: Arc::clone(file), offset: 0, len: 0 }
    }

    /// Runs an operation: lets other tasks run, takes its time, and takes effect at once.
    async fn run<T, F>(&self, order: Order, effect: F) -> Result<T, DiskError>
    where
        F: FnOnce(&mut Turn<'_>) -> io::Result<T>,
    {
        let (kind, file) = (order.kind, Arc::clone(&order.file));
        let shared = &*self.shared;
        let mut operation = InFlight { shared, order, effect: Some(effect), gives: PhantomData };
        yield_once().await;
        let latency = {
            let state = &mut *shared.state();
            state.faults.latency(kind, &mut state.rng)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if matches!(kind, OpKind::Sync | OpKind::SyncDir) {
            self.pass_gate().await;
        }
        match operation.perform() {
            Some(outcome) => outcome.map_err(|error| DiskError::new(kind.name(), &file, &error)),
            None => std::future::pending().await,
        }
    }

    async fn pass_gate(&self) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.shared.state().faults.gate == SyncGate::Open {
                return;
            }
            changed.await;
        }
    }
}

impl<T, F: FnOnce(&mut Turn<'_>) -> io::Result<T>> InFlight<'_, T, F> {
    fn perform(&mut self) -> Option<io::Result<T>> {
        self.shared.perform(&self.order, self.effect.take()?)
    }
}

impl<T, F: FnOnce(&mut Turn<'_>) -> io::Result<T>> Drop for InFlight<'_, T, F> {
    fn drop(&mut self) {
        let given_up = self.effect.is_some() && self.order.kind.is_change();
        let happens = given_up && {
            let mut state = self.shared.state();
            state.is_alive(self.order.mount) && state.rng.bool()
        };
        if happens {
            let _ = self.perform();
        }
    }
}

async fn yield_once() {
    let mut entered = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut entered, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Disk for Mount {
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, DiskError>> {
        Box::pin(self.run(self.order(OpKind::List, &".".into()), |turn| {
            turn.happens()?;
            Ok(turn.state.volume.names.keys().map(|name| String::from(&**name)).collect())
        }))
    }

    fn open(
        &self,
        name: &str,
        mode: OpenMode,
    ) -> BoxFuture<'_, Result<Arc<dyn DiskFile>, DiskError>> {
        let name: Arc<str> = name.into();
        let kind = match mode {
            OpenMode::Create => OpKind::Create,
            OpenMode::Read | OpenMode::Write => OpKind::Open,
        };
        let opened = self.run(self.order(kind, &name), move |turn| {
            turn.happens()?;
            turn.state.volume.open(&turn.order.file, mode)
        });
        Box::pin(async move {
            let handle = opened.await?;
            Ok(Arc::new(MountedFile { mount: self.clone(), name, handle }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &str, to: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        let to: Arc<str> = to.into();
        Box::pin(self.run(self.order(OpKind::Rename, &from.into()), move |turn| {
            match turn.happens()? {
                true => turn.state.volume.rename(&turn.order.file, &to),
                false => Ok(()),
            }
        }))
    }

    fn remove(&self, name: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(self.run(self.order(OpKind::Remove, &name.into()), |turn| match turn.happens()? {
            true => turn.state.volume.remove(&turn.order.file),
            false => Ok(()),
        }))
    }

    fn sync_dir(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(self.run(self.order(OpKind::SyncDir, &".".into()), |turn| {
            if turn.happens()? {
                turn.state.volume.sync_names();
            }
            Ok(())
        }))
    }

    fn lock(&self, name: &str) -> BoxFuture<'_, Result<DiskLock, DiskError>> {
        let taken = self.run(self.order(OpKind::Lock, &name.into()), |turn| turn.lock());
        Box::pin(async move { Ok(DiskLock::new(taken.await?)) })
    }
}

impl DiskFile for MountedFile {
    fn size(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        Box::pin(self.mount.run(self.mount.order(OpKind::Size, &self.name), |turn| {
            turn.happens()?;
            Ok(turn.state.volume.len(self.handle.id))
        }))
    }

    fn read_at(&self, offset: u64, max: u64) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        let order = Order { offset, len: max, ..self.mount.order(OpKind::Read, &self.name) };
        Box::pin(self.mount.run(order, move |turn| {
            turn.happens()?;
            let file = turn.state.volume.files.get(&self.handle.id);
            Ok(file.map_or_else(Bytes::new, |file| file.data.read(turn.offset(), max)))
        }))
    }

    fn write_at(
        &self,
        offset: u64,
        data: Vec<u8>,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Vec<u8>, DiskError>> {
        let len = data.len() as u64;
        let order = Order { offset, len, ..self.mount.order(OpKind::Write, &self.name) };
        let written = self.mount.run(order, move |turn| {
            turn.write(self.handle.id, &data)?;
            Ok(data)
        });
        Box::pin(async move {
            let data = written.await?;
            if durability == Durability::Synced {
                self.sync().await?;
            }
            Ok(data)
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        let order = self.mount.order(OpKind::Sync, &self.name);
        Box::pin(self.mount.run(order, |turn| turn.sync(self.handle.id)))
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        let order = Order { offset: len, ..self.mount.order(OpKind::SetLen, &self.name) };
        Box::pin(self.mount.run(order, move |turn| turn.set_len(self.handle.id, len)))
    }
}
