//! [`MemDisk`]: a disk in memory that loses power, fails and rots on demand, for tests of what stands on a
//! [`Disk`].
//!
//! It keeps apart what is durable and what is only cached, for the contents of each file and for the directory.
//! A test runs a workload on one disk, takes [`MemDisk::after_power_cut`] of it, and opens the result.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use bytes::Bytes;
use raft_core::BoxFuture;

use crate::disk::{Disk, DiskError, DiskFile, DiskLock, Durability, OpenMode};

/// What the disk makes durable at once.
const SECTOR: u64 = 512;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

/// The operations that change the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OpKind {
    /// A file is created.
    Create,
    /// Data are written.
    Write,
    /// A file is synced, on its own or after a write.
    Sync,
    /// A file's length is set.
    SetLen,
    /// A file is renamed.
    Rename,
    /// A file is removed.
    Remove,
    /// The directory is synced.
    SyncDir,
}

/// What an operation fails with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The device is broken.
    Io,
    /// The device is full.
    Full,
}

/// What of the unsynced state a power cut leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerCut {
    /// Nothing.
    LoseAll,
    /// Everything.
    KeepAll,
    /// Of each file any subset of its sectors, of the directory the first few changes, drawn from a seed.
    Random(u64),
    /// The unsynced sectors whose bits are set, counted in the order of writing over all files; of the
    /// directory everything.
    Sectors(u64),
}

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Names after each change that is not durable yet.
    pending_names: Vec<BTreeMap<String, u64>>,
    next_inode: u64,
    counts: BTreeMap<OpKind, u64>,
    total: u64,
    fail_at: Vec<(OpKind, u64, Failure)>,
    power_ends_at: Option<u64>,
    lock: Weak<()>,
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone)]
enum Pending {
    Sector { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations of this kind were begun.
    pub fn count(&self, kind: OpKind) -> u64 {
        self.state().counts.get(&kind).copied().unwrap_or(0)
    }

    /// How many changing operations were begun.
    pub fn operations(&self) -> u64 {
        self.state().total
    }

    /// Makes the `nth` operation of this kind from now on fail; the next one is number 1. A failed sync leaves
    /// what was written readable and never makes it durable, and a later sync succeeds: as Linux does.
    pub fn fail(&self, kind: OpKind, nth: u64, failure: Failure) {
        let mut state = self.state();
        let at = state.counts.get(&kind).copied().unwrap_or(0) + nth;
        state.fail_at.push((kind, at, failure));
    }

    /// Cuts the power at changing operation number `at`, counted from the first: it and all after it fail. What
    /// a write was about to write is then unsynced.
    pub fn end_power_at(&self, at: u64) {
        self.state().power_ends_at = Some(at);
    }

    /// A new disk that holds what a power cut leaves of this one.
    pub fn after_power_cut(&self, cut: PowerCut) -> Self {
        let state = self.state();
        let mut keep = Keep::new(cut);
        let mut inodes = BTreeMap::new();
        for (id, inode) in &state.inodes {
            let data = inode.after(&mut keep);
            inodes.insert(*id, Inode { durable: data.clone(), data, pending: Vec::new() });
        }
        let changes = keep.names(state.pending_names.len());
        let names = match changes.checked_sub(1) {
            Some(last) => state.pending_names[last].clone(),
            None => state.durable_names.clone(),
        };
        let next_inode = state.next_inode;
        let durable_names = names.clone();
        let after = State { inodes, names, durable_names, next_inode, ..State::default() };
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// How many sectors are unsynced.
    pub fn unsynced_sectors(&self) -> u32 {
        let state = self.state();
        let sectors = state.inodes.values().flat_map(|inode| &inode.pending);
        sectors.filter(|pending| matches!(pending, Pending::Sector { .. })).count() as u32
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// The contents of a file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(name)?;
        state.inodes.get(inode).map(|inode| inode.data.clone())
    }

    /// Replaces a file durably, or removes it: damage, or an image made by hand.
    pub fn set_contents(&self, name: &str, data: Option<Vec<u8>>) {
        let mut state = self.state();
        state.next_inode += 1;
        let id = state.next_inode;
        match data {
            Some(data) => {
                let durable = data.clone();
                state.inodes.insert(id, Inode { data, durable, pending: Vec::new() });
                state.names.insert(name.to_owned(), id);
                state.durable_names.insert(name.to_owned(), id);
            }
            None => {
                state.names.remove(name);
                state.durable_names.remove(name);
            }
        }
    }

    async fn enter(&self) {
        // Lets other tasks run, as a real disk does.
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
}

/// Decides what a power cut leaves.
enum Keep {
    Fixed(bool),
    Random(fastrand::Rng),
    Bits(u64),
}

impl Keep {
    fn new(cut: PowerCut) -> Self {
        match cut {
            PowerCut::LoseAll => Self::Fixed(false),
            PowerCut::KeepAll => Self::Fixed(true),
            PowerCut::Random(seed) => Self::Random(fastrand::Rng::with_seed(seed)),
            PowerCut::Sectors(bits) => Self::Bits(bits),
        }
    }

    fn sector(&mut self) -> bool {
        match self {
            Self::Fixed(keep) => *keep,
            Self::Random(rng) => rng.bool(),
            Self::Bits(bits) => {
                let keep = *bits & 1 == 1;
                *bits >>= 1;
                keep
            }
        }
    }

    fn names(&mut self, changes: usize) -> usize {
        match self {
            Self::Fixed(false) => 0,
            Self::Fixed(true) | Self::Bits(_) => changes,
            Self::Random(rng) => rng.usize(0..=changes),
        }
    }
}

impl Inode {
    fn write(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.data, offset, data);
        let mut at = 0;
        while at < data.len() {
            let position = offset + at as u64;
            let room = (SECTOR - position % SECTOR) as usize;
            let end = data.len().min(at + room);
            self.pending.push(Pending::Sector { offset: position, data: data[at..end].to_vec() });
            at = end;
        }
    }

    fn after(&self, keep: &mut Keep) -> Vec<u8> {
        let mut data = self.durable.clone();
        for pending in &self.pending {
            match pending {
                Pending::Sector { offset, data: sector } if keep.sector() => {
                    put(&mut data, *offset, sector);
                }
                Pending::SetLen(len) if keep.sector() => data.resize(*len as usize, 0),
                _ => {}
            }
        }
        data
    }
}

fn put(file: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (begin, end) = (offset as usize, offset as usize + data.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[begin..end].copy_from_slice(data);
}

impl State {
    /// Counts an operation; says what it fails with, and whether the power went with it.
    fn begin(&mut self, kind: OpKind) -> Result<(), io::Error> {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let count = *count;
        self.total += 1;
        if self.power_ends_at.is_some_and(|at| self.total >= at) {
            return Err(io::Error::other("the power is off"));
        }
        match self.fail_at.iter().find(|(of, at, _)| (*of, *at) == (kind, count)) {
            Some((_, _, Failure::Io)) => Err(io::Error::other("injected I/O error")),
            Some((_, _, Failure::Full)) => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    fn names_changed(&mut self) {
        let names = self.names.clone();
        self.pending_names.push(names);
    }

    fn sync(&mut self, id: u64) -> Result<(), io::Error> {
        let outcome = self.begin(OpKind::Sync);
        let power = self.power_ends_at.is_none_or(|at| self.total < at);
        if let Some(inode) = self.inodes.get_mut(&id) {
            match outcome {
                Ok(()) => {
                    let pending = std::mem::take(&mut inode.pending);
                    let synced = Inode {
                        durable: std::mem::take(&mut inode.durable),
                        data: Vec::new(),
                        pending,
                    };
                    inode.durable = synced.after(&mut Keep::Fixed(true));
                }
                // The pages count as clean from here on: no later sync writes them.
                Err(_) if power => inode.pending.clear(),
                Err(_) => {}
            }
        }
        outcome
    }
}

impl Disk for MemDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, DiskError>> {
        Box::pin(async move {
            self.enter().await;
            Ok(self.names())
        })
    }

    fn open(
        &self,
        name: &str,
        mode: OpenMode,
    ) -> BoxFuture<'_, Result<Arc<dyn DiskFile>, DiskError>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.enter().await;
            let id =
                self.state().open(&name, mode).map_err(|e| DiskError::new("open", &name, &e))?;
            Ok(Arc::new(MemFile { disk: self.clone(), id, name }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &str, to: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        let (from, to) = (from.to_owned(), to.to_owned());
        Box::pin(async move {
            self.enter().await;
            self.state().rename(&from, &to).map_err(|e| DiskError::new("rename", &from, &e))
        })
    }

    fn remove(&self, name: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.enter().await;
            self.state().remove(&name).map_err(|e| DiskError::new("remove", &name, &e))
        })
    }

    fn sync_dir(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move {
            self.enter().await;
            let mut state = self.state();
            state.begin(OpKind::SyncDir).map_err(|e| DiskError::new("sync directory", ".", &e))?;
            state.pending_names.clear();
            state.durable_names = state.names.clone();
            Ok(())
        })
    }

    fn lock(&self, name: &str) -> BoxFuture<'_, Result<DiskLock, DiskError>> {
        let name = name.to_owned();
        Box::pin(async move {
            self.enter().await;
            let mut state = self.state();
            if state.lock.strong_count() > 0 {
                let error = io::ErrorKind::WouldBlock.into();
                return Err(DiskError::new("lock", &name, &error));
            }
            let lock = Arc::new(());
            state.lock = Arc::downgrade(&lock);
            Ok(DiskLock::new(lock))
        })
    }
}

impl State {
    fn open(&mut self, name: &str, mode: OpenMode) -> io::Result<u64> {
        let found = self.names.get(name).copied();
        if mode != OpenMode::Create {
            return found.ok_or_else(|| io::ErrorKind::NotFound.into());
        }
        self.begin(OpKind::Create)?;
        self.next_inode += 1;
        let id = self.next_inode;
        self.inodes.insert(id, Inode::default());
        self.names.insert(name.to_owned(), id);
        self.names_changed();
        Ok(id)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.begin(OpKind::Rename)?;
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), id);
        self.names_changed();
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.begin(OpKind::Remove)?;
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.names_changed();
        Ok(())
    }

    fn write(&mut self, id: u64, offset: u64, data: &[u8]) -> io::Result<()> {
        let outcome = self.begin(OpKind::Write);
        let power = self.power_ends_at.is_none_or(|at| self.total < at);
        // The power may go while a write is on its way: any part of it may have arrived.
        let arrives = outcome.is_ok() || self.power_ends_at == Some(self.total);
        if let Some(inode) = self.inodes.get_mut(&id).filter(|_| arrives) {
            inode.write(offset, data);
        } else if power {
            // A failed write may have written a part.
            if let Some(inode) = self.inodes.get_mut(&id) {
                inode.write(offset, &data[..data.len() / 2]);
            }
        }
        outcome
    }
}

struct MemFile {
    disk: MemDisk,
    id: u64,
    name: String,
}

impl DiskFile for MemFile {
    fn size(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        Box::pin(async move {
            self.disk.enter().await;
            Ok(self.disk.state().inodes.get(&self.id).map_or(0, |inode| inode.data.len() as u64))
        })
    }

    fn read_at(&self, offset: u64, max: u64) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        Box::pin(async move {
            self.disk.enter().await;
            let state = self.disk.state();
            let Some(inode) = state.inodes.get(&self.id) else { return Ok(Bytes::new()) };
            let len = inode.data.len() as u64;
            let begin = offset.min(len);
            let end = begin.saturating_add(max).min(len);
            Ok(Bytes::copy_from_slice(&inode.data[begin as usize..end as usize]))
        })
    }

    fn write_at(
        &self,
        offset: u64,
        data: Vec<u8>,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Vec<u8>, DiskError>> {
        Box::pin(async move {
            self.disk.enter().await;
            let mut state = self.disk.state();
            let mut outcome = state.write(self.id, offset, &data);
            if durability == Durability::Synced && outcome.is_ok() {
                outcome = state.sync(self.id);
            }
            outcome.map_err(|e| DiskError::new("write", &self.name, &e))?;
            Ok(data)
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move {
            self.disk.enter().await;
            self.disk.state().sync(self.id).map_err(|e| DiskError::new("sync", &self.name, &e))
        })
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        Box::pin(async move {
            self.disk.enter().await;
            let mut state = self.disk.state();
            state
                .begin(OpKind::SetLen)
                .map_err(|e| DiskError::new("set length of", &self.name, &e))?;
            if let Some(inode) = state.inodes.get_mut(&self.id) {
                inode.data.resize(len as usize, 0);
                inode.pending.push(Pending::SetLen(len));
            }
            Ok(())
        })
    }
}
