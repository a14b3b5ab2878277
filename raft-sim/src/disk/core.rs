//! The state of a disk behind its lock, and the course of one operation.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::event::{DiskEvent, DiskHook, OpKind, Outcome, Phase};
use super::faults::{Failure, Faults};
use super::power::Losses;
use super::volume::{FileId, Volume};

/// What all handles of a disk share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Rung when the gate for syncs opens, and when mounts die.
    pub(super) changed: Notify,
}

pub(super) struct State {
    pub(super) volume: Volume,
    pub(super) faults: Faults,
    pub(super) rng: fastrand::Rng,
    pub(super) losses: Losses,
    pub(super) hook: Option<DiskHook>,
    counts: [Count; OpKind::ALL.len()],
    operations: u64,
    /// Sides of effects that change something.
    pub(super) boundaries: u64,
    pub(super) unmount_at: Option<u64>,
    mounts: u64,
    /// Mounts up to this one are dead.
    dead: u64,
    /// Those of living mounts.
    locks: BTreeMap<Arc<str>, Weak<()>>,
}

/// Operations of one kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) begun: u64,
    pub(super) failed: u64,
}

/// What an operation is to do, and to what.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) mount: u64,
    pub(super) kind: OpKind,
    pub(super) file: Arc<str>,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// An operation while it takes effect.
pub(super) struct Turn<'a> {
    pub(super) state: &'a mut State,
    pub(super) order: &'a Order,
    /// What goes wrong with it.
    pub(super) failure: Option<Failure>,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, hook: Option<&DiskHook>, sequence: u64, phase: Phase, order: &Order) {
        let Some(hook) = hook else { return };
        let Order { kind, offset, len, .. } = *order;
        let file = Arc::clone(&order.file);
        hook(&DiskEvent { sequence, phase, kind, file, offset, len });
    }

    /// Carries an operation out; `None` if its process is dead, before or by then.
    pub(super) fn perform<T>(
        &self,
        order: &Order,
        effect: impl FnOnce(&mut Turn<'_>) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let (sequence, number, hook) = self.state().begin(order)?;
        self.call(hook.as_ref(), sequence, Phase::Before, order);
        let outcome = {
            let state = &mut *self.state();
            if !state.is_alive(order.mount) {
                self.changed.notify_waiters();
                return None;
            }
            let failure = state.faults.draw(order.kind, number, &mut state.rng);
            let outcome = effect(&mut Turn { state, order, failure });
            state.counts[order.kind as usize].failed += u64::from(outcome.is_err());
            state.pass_boundary(order.kind);
            outcome
        };
        let phase = Phase::After(if outcome.is_ok() { Outcome::Done } else { Outcome::Failed });
        self.call(hook.as_ref(), sequence, phase, order);
        if self.state().is_alive(order.mount) {
            return Some(outcome);
        }
        // Whoever waits for the end of the process may not have been told.
        self.changed.notify_waiters();
        None
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            volume: Volume::default(),
            faults: Faults::default(),
            rng: fastrand::Rng::with_seed(seed),
            losses: Losses::default(),
            hook: None,
            counts: Default::default(),
            operations: 0,
            boundaries: 0,
            unmount_at: None,
            mounts: 0,
            dead: 0,
            locks: BTreeMap::new(),
        }
    }

    fn begin(&mut self, order: &Order) -> Option<(u64, u64, Option<DiskHook>)> {
        if !self.is_alive(order.mount) {
            return None;
        }
        self.operations += 1;
        self.pass_boundary(order.kind);
        let count = &mut self.counts[order.kind as usize];
        count.begun += 1;
        Some((self.operations, count.begun, self.hook.clone()))
    }

    fn pass_boundary(&mut self, kind: OpKind) {
        if kind.is_change() {
            self.boundaries += 1;
            if self.unmount_at == Some(self.boundaries) {
                self.unmount_at = None;
                self.unmount();
            }
        }
    }

    pub(super) fn count(&self, kind: OpKind) -> Count {
        self.counts[kind as usize]
    }

    pub(super) fn mount(&mut self) -> u64 {
        self.mounts += 1;
        self.mounts
    }

    pub(super) fn is_alive(&self, mount: u64) -> bool {
        mount > self.dead
    }

    pub(super) fn unmount(&mut self) {
        self.dead = self.mounts;
        self.locks.clear();
    }
}

impl Turn<'_> {
    /// Fails if the operation is to fail; says whether it is to happen at all.
    pub(super) fn happens(&self) -> io::Result<bool> {
        match self.failure {
            None | Some(Failure::Misdirected(_)) => Ok(true),
            Some(Failure::Lost) => Ok(!self.order.kind.is_change()),
            Some(failure @ (Failure::Io | Failure::Full)) => failure.error().map_or(Ok(true), Err),
        }
    }

    /// Where a read or a write really goes.
    pub(super) fn offset(&self) -> u64 {
        match self.failure {
            Some(Failure::Misdirected(offset)) => offset,
            _ => self.order.offset,
        }
    }

    pub(super) fn write(&mut self, id: FileId, data: &[u8]) -> io::Result<()> {
        let offset = self.offset();
        let mut outcome = self.happens();
        let fits = self.state.room(id, offset, data.len() as u64) as usize;
        if fits < data.len() && outcome.is_ok() {
            outcome = Err(io::ErrorKind::StorageFull.into());
        }
        let written = match outcome {
            Ok(true) => data.len(),
            Ok(false) => 0,
            Err(_) => self.state.rng.usize(0..=fits.min(data.len().saturating_sub(1))),
        };
        self.state.volume.write(id, offset, &data[..written]);
        outcome.map(|_| ())
    }

    pub(super) fn set_len(&mut self, id: FileId, len: u64) -> io::Result<()> {
        if self.happens()? {
            let old = self.state.volume.len(id);
            if self.state.room(id, old, len.saturating_sub(old)) < len.saturating_sub(old) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.state.volume.set_len(id, len);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, id: FileId) -> io::Result<()> {
        match self.happens() {
            Ok(true) => self.state.volume.sync(id),
            Ok(false) => {}
            Err(error) => {
                self.state.volume.fail_sync(id, &mut self.state.rng);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn lock(&mut self) -> io::Result<Arc<()>> {
        self.happens()?;
        let name = &self.order.file;
        if self.state.locks.get(name).is_some_and(|lock| lock.strong_count() > 0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.state.volume.touch(name);
        let lock = Arc::new(());
        self.state.locks.insert(Arc::clone(name), Arc::downgrade(&lock));
        Ok(lock)
    }
}

impl State {
    /// How many of `len` bytes at `offset` there is space for.
    fn room(&self, id: FileId, offset: u64, len: u64) -> u64 {
        let Some(capacity) = self.faults.capacity else { return len };
        let (end, old) = (offset + len, self.volume.len(id));
        let grows = end.saturating_sub(old);
        let free = capacity.saturating_sub(self.volume.bytes());
        len.saturating_sub(grows.saturating_sub(free))
    }
}
