//! [`SimDisk`]: a disk in memory that outlives the process on it, loses power, fails, lies and rots on demand.
//!
//! - A **mount** is the disk as one incarnation of a process has it: a [`raft_storage::Disk`]. Killing the
//!   process is [`SimDisk::unmount`]: from then on nothing of that incarnation completes, has an effect or holds
//!   a lock.
//! - What is written and what is renamed is **unsynced** until the file or the directory is synced.
//!   [`SimDisk::power_loss`] decides, by [`Keep`], what is left of it.
//! - A **failure** is a single operation that goes wrong, see [`Failure`]; latency, a full disk and stalled syncs
//!   are set for all.
//! - A **hook** sees every effect just before and just after it, and may kill the process there.
//!
//! ```
//! use raft_sim::{Keep, SimDisk};
//! use raft_storage::{Disk, Durability, OpenMode};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let disk = SimDisk::new(1);
//! let process = disk.mount();
//! let file = process.open("log", OpenMode::Create).await?;
//! file.write_at(0, b"kept".to_vec(), Durability::Synced).await?;
//! process.sync_dir().await?;
//! file.write_at(4, b" and lost".to_vec(), Durability::Cached).await?;
//! disk.power_loss(Keep::Nothing);
//! assert_eq!(disk.contents("log").as_deref(), Some(&b"kept"[..]));
//! # Ok::<(), raft_storage::DiskError>(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

mod contents;
mod core;
mod event;
mod faults;
mod mount;
mod power;
mod volume;

pub use event::{DiskEvent, DiskHook, OpKind, Outcome, Phase};
pub use faults::{Failure, SyncGate};
pub use mount::Mount;
pub use power::{Keep, Losses};

use self::core::{Shared, State};
use volume::{Volume, sectors};

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

/// All that is on a disk at some moment, what is unsynced included. Cheap to keep: it shares its bytes with the
/// disk.
#[derive(Clone)]
pub struct Image(Arc<Volume>);

impl SimDisk {
    /// An empty disk without faults. Everything it draws comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared::new(State::new(seed))) }
    }

    /// Gives the disk to a new incarnation of a process.
    ///
    /// It may be mounted while an earlier mount is alive, as a directory may be opened by two processes: it is
    /// the lock that keeps them apart.
    pub fn mount(&self) -> Mount {
        let number = self.shared.state().mount();
        Mount { shared: Arc::clone(&self.shared), number }
    }

    /// Kills the processes on the disk: every mount so far, with its files and locks, is dead at once. Their
    /// operations, also those under way, never complete and have no effect. What was written stays, synced or
    /// not: the system lives on.
    pub fn unmount(&self) {
        self.shared.state().unmount();
        self.shared.changed.notify_waiters();
    }

    /// Unmounts at the boundary of an effect with this number, see [`Self::boundaries`]: for tests that kill a
    /// process at every step of what it does.
    pub fn unmount_at(&self, boundary: u64) {
        self.shared.state().unmount_at = Some(boundary);
    }

    /// How many boundaries of effects there were so far: two, just before and just after, for each operation
    /// that changes something.
    pub fn boundaries(&self) -> u64 {
        self.shared.state().boundaries
    }

    /// Kills the processes on the disk and the system with them: of what is unsynced, only what `keep` says is
    /// left.
    pub fn power_loss(&self, keep: Keep) {
        {
            let state = &mut *self.shared.state();
            state.unmount();
            state.volume.lose_power(keep, &mut state.rng, &mut state.losses);
        }
        self.shared.changed.notify_waiters();
    }

    /// What losses of power have cost so far.
    pub fn losses(&self) -> Losses {
        self.shared.state().losses
    }

    /// How many sectors of writes are unsynced.
    pub fn unsynced_sectors(&self) -> u64 {
        let state = self.shared.state();
        let changes = state.volume.files.values().flat_map(|file| &file.unsynced);
        changes.map(|(_, change)| sectors(change.range()).count() as u64).sum()
    }

    /// How many bytes are unsynced, counting what was written twice twice.
    pub fn unsynced_bytes(&self) -> u64 {
        let state = self.shared.state();
        let changes = state.volume.files.values().flat_map(|file| &file.unsynced);
        changes.map(|(_, change)| change.range().end - change.range().start).sum()
    }
}

/// What goes wrong.
impl SimDisk {
    /// How long each operation of this kind takes, drawn evenly; on the clock of the runtime that asks for it.
    /// A write that is synced takes the time of both. Nothing takes any time at first.
    pub fn set_latency(&self, kind: OpKind, range: RangeInclusive<Duration>) {
        self.shared.state().faults.set_latency(kind, range);
    }

    /// Makes operations of this kind go wrong with this probability.
    pub fn set_failure_rate(&self, kind: OpKind, failure: Failure, rate: f64) {
        self.shared.state().faults.set_rate(kind, failure, rate);
    }

    /// Makes the `nth` operation of this kind from now on go wrong; the next one is number 1.
    pub fn fail(&self, kind: OpKind, nth: u64, failure: Failure) {
        let mut state = self.shared.state();
        let number = state.count(kind).begun + nth;
        state.faults.appoint(kind, number, failure);
    }

    /// How many bytes the files may have in all; without a bound at first.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.state().faults.capacity = bytes;
    }

    /// Stalls the syncs, of files and of the directory, that begin from now on, or lets all of them go on.
    pub fn set_sync_gate(&self, gate: SyncGate) {
        self.shared.state().faults.gate = gate;
        self.shared.changed.notify_waiters();
    }

    /// Ends latencies, failures still to come, the bound on space, and stalls.
    pub fn calm(&self) {
        self.shared.state().faults = Default::default();
        self.shared.changed.notify_waiters();
    }

    /// Flips the bits of `mask` in a byte of a file: the medium has rotted.
    ///
    /// # Panics
    ///
    /// If there is no such byte: the test is wrong, and would show nothing.
    pub fn corrupt(&self, file: &str, offset: u64, mask: u8) {
        let mut state = self.shared.state();
        let found = state.volume.get_mut(file).filter(|file| offset < file.data.len());
        let found = found.unwrap_or_else(|| panic!("there is no byte {offset} in {file}"));
        let flipped = found.data.read(offset, 1)[0] ^ mask;
        found.data.write(offset, &[flipped]);
        if let [byte] = found.durable.read(offset, 1)[..] {
            found.durable.write(offset, &[byte ^ mask]);
        }
    }

    /// Sets the length of a file durably: damage done from outside.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn truncate(&self, file: &str, len: u64) {
        let mut state = self.shared.state();
        let found = state.volume.get_mut(file);
        let found = found.unwrap_or_else(|| panic!("there is no file {file}"));
        found.data.set_len(len);
        found.durable.set_len(len);
    }

    /// Replaces a file durably, or removes it: damage, or a directory made by hand. The directory is durable
    /// afterwards; handles go on with the old file.
    pub fn set_contents(&self, file: &str, data: Option<Vec<u8>>) {
        self.shared.state().volume.replace(file, data.as_deref());
    }
}

/// What is on it, and what was done.
impl SimDisk {
    /// The names of all files, in order.
    pub fn names(&self) -> Vec<String> {
        self.shared.state().volume.names.keys().map(|name| String::from(&**name)).collect()
    }

    /// The contents of a file, as a process would read them.
    pub fn contents(&self, file: &str) -> Option<Bytes> {
        let state = self.shared.state();
        state.volume.get(file).map(|file| file.data.read(0, u64::MAX))
    }

    /// The length of a file.
    pub fn size(&self, file: &str) -> Option<u64> {
        self.shared.state().volume.get(file).map(|file| file.data.len())
    }

    /// The lengths of all files together, in bytes.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.state().volume.bytes()
    }

    /// How many files there are: those that have a name, may have one after a loss of power, or are open.
    pub fn files_held(&self) -> usize {
        self.shared.state().volume.files.len()
    }

    /// How many operations of this kind were begun.
    pub fn count(&self, kind: OpKind) -> u64 {
        self.shared.state().count(kind).begun
    }

    /// How many operations of this kind failed.
    pub fn failures(&self, kind: OpKind) -> u64 {
        self.shared.state().count(kind).failed
    }

    /// How many operations were begun that change something.
    pub fn changes(&self) -> u64 {
        let state = self.shared.state();
        let kinds = OpKind::ALL.into_iter().filter(|kind| kind.is_change());
        kinds.map(|kind| state.count(kind).begun).sum()
    }

    /// Calls `hook` at every effect from now on, instead of the one before it.
    pub fn set_hook(&self, hook: DiskHook) {
        self.shared.state().hook = Some(hook);
    }

    /// Calls no hook any more.
    pub fn clear_hook(&self) {
        self.shared.state().hook = None;
    }

    /// All that is on the disk.
    pub fn image(&self) -> Image {
        Image(Arc::new(self.shared.state().volume.copy()))
    }

    /// Puts an image in place of what is on the disk, of this disk or of another one: a backup, or a disk that
    /// was swapped. The processes on the disk are killed.
    pub fn restore(&self, image: &Image) {
        {
            let mut state = self.shared.state();
            state.unmount();
            state.volume = image.0.copy();
        }
        self.shared.changed.notify_waiters();
    }

    /// A new disk that holds an image.
    pub fn of_image(seed: u64, image: &Image) -> Self {
        let disk = Self::new(seed);
        disk.restore(image);
        disk
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("names", &self.names()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("names", &self.0.names.keys()).finish_non_exhaustive()
    }
}
