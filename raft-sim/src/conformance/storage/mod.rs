//! The kit for stores.

use std::cell::RefCell;
use std::fmt;

use raft_core::{Storage, StorageError};

use super::{Clock, Violation};
use crate::disk::Mount;

mod failing;
mod functional;
mod judge;
mod model;
mod power;
mod rot;
mod subject;
mod workload;

use subject::{Factory, OnDisks, Subject};

/// What a [`Storage`] has to keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StorageProperty {
    /// A store opens, also after a loss of power, and does what it is asked while nothing is wrong.
    Works,
    /// Every operation comes to an end.
    Ends,
    /// An acknowledged term and vote are there after a restart.
    HardStateKept,
    /// Acknowledged entries are there, without gaps and unaltered.
    EntriesKept,
    /// Entries that were overwritten, or discarded for a snapshot, do not come back.
    TruncationsKept,
    /// The log begins right after what the newest snapshot covers, or earlier.
    CompactionsCovered,
    /// An acknowledged snapshot is there.
    SnapshotsKept,
    /// A snapshot reads as it was written.
    SnapshotsIntact,
    /// A snapshot that could be opened is durable, and so is what was loaded after a restart: a node
    /// answers its peers by it.
    VisibleIsDurable,
    /// A reader goes on with its snapshot after a newer one has replaced it.
    ReadersUndisturbed,
    /// A snapshot that was not finished leaves nothing.
    UnfinishedLeavesNothing,
    /// A chunk that is damaged or does not continue what was received is refused.
    ChunksChecked,
    /// The groups are those that were written, in order.
    GroupsListed,
    /// After a crash a prefix of what was submitted is there.
    OrderKept,
    /// Nothing is there that was never submitted.
    NothingInvented,
    /// A failure of the disk is reported: what is acknowledged in spite of it is there.
    FailuresSurface,
    /// After a failed write every later one fails.
    FailuresFinal,
    /// A snapshot for which there is no space fails, says so, and harms nothing else.
    FullDiskSurvived,
    /// What has rotted or was never written is refused, not served and not left out.
    RotDetected,
}

impl fmt::Display for StorageProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "the store does not do what it is asked",
            Self::Ends => "an operation does not end",
            Self::HardStateKept => "a term or a vote was lost",
            Self::EntriesKept => "entries were lost or altered",
            Self::TruncationsKept => "entries that were gone came back",
            Self::CompactionsCovered => "entries are missing that no snapshot covers",
            Self::SnapshotsKept => "a snapshot was lost",
            Self::SnapshotsIntact => "a snapshot was altered",
            Self::VisibleIsDurable => "something that was read from the store was lost",
            Self::ReadersUndisturbed => "a reader lost its snapshot to a newer one",
            Self::UnfinishedLeavesNothing => "a snapshot that was not finished left something",
            Self::ChunksChecked => "a wrong chunk of a snapshot was accepted",
            Self::GroupsListed => "the groups are not those that were written, in order",
            Self::OrderKept => "what a crash left is no prefix of what was submitted",
            Self::NothingInvented => "something is there that was never submitted",
            Self::FailuresSurface => "a failure of the disk was not reported",
            Self::FailuresFinal => "a write was accepted after one that had failed",
            Self::FullDiskSurvived => "a full disk did more harm than it has to",
            Self::RotDetected => "damage on the disk was not noticed",
        })
    }
}

type Verdict<T> = Result<T, Violation<StorageProperty>>;

/// A store opened, or the reason why not.
type Opened<'a> = subject::LocalFuture<'a, Result<Box<dyn Storage>, StorageError>>;

/// What a run did. A figure of zero means that this part was not run, or found nothing to do.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct StorageReport {
    /// Steps of scripted histories, each checked after a reopen.
    pub functional_steps: u64,
    /// Boundaries of effects on the disk at which the process was killed and the power cut.
    pub crashes: u64,
    /// Images of the disk that were opened after a crash.
    pub images: u64,
    /// Among them, those that held something not yet acknowledged.
    pub images_ahead: u64,
    /// Operations of the disk that were made to fail.
    pub failures: u64,
    /// Failures that the store did not have to report, because nothing was lost by them.
    pub failures_harmless: u64,
    /// Places on the disk that were damaged.
    pub damages: u64,
    /// Damages that the store refused.
    pub damages_refused: u64,
    /// Damages that cost the last write, as a torn tail does.
    pub damages_cut: u64,
}

impl fmt::Display for StorageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} functional steps", self.functional_steps)?;
        if self.crashes > 0 {
            let Self { crashes, images, images_ahead: ahead, .. } = self;
            write!(f, "\n{crashes} crashes, {images} images of the disk opened after them")?;
            write!(f, ", {ahead} ahead of what was acknowledged")?;
        }
        if self.failures > 0 {
            write!(f, "\n{} failures, {} harmless", self.failures, self.failures_harmless)?;
        }
        if self.damages > 0 {
            let Self { damages, damages_refused: refused, damages_cut: cut, .. } = self;
            let harmless = damages - refused - cut;
            write!(f, "\n{damages} damages: {refused} refused, {cut} cut as a torn tail")?;
            write!(f, ", {harmless} without consequence")?;
        }
        Ok(())
    }
}

/// How a store is examined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StorageKit {
    /// What everything that is drawn is drawn from.
    pub seed: u64,
    /// How many groups the random history is spread over.
    pub groups: u64,
    /// How many steps the random history has.
    pub steps: usize,
    /// How many damages are done to the disk.
    pub damages: u64,
}

impl Default for StorageKit {
    fn default() -> Self {
        Self { seed: 1, groups: 3, steps: 60, damages: 400 }
    }
}

/// Examines a store that stands on a [`raft_storage::Disk`] with the default [`StorageKit`].
///
/// ```
/// use std::sync::Arc;
/// use raft_core::{ClusterId, Incarnation, NodeId};
/// use raft_sim::{Mount, conformance};
/// use raft_storage::{Identity, Wal, WalOptions};
///
/// let identity =
///     Identity { cluster: ClusterId(1), node: NodeId(1), incarnation: Incarnation(1) };
/// let options = WalOptions { segment_bytes: 4096, segments_max: 4, fill_bytes: 1024 };
/// let report = conformance::StorageKit { steps: 10, damages: 20, ..Default::default() }
///     .check(|mount: Mount| Wal::open(Arc::new(mount), identity, options));
/// println!("{}", report.unwrap());
/// ```
pub fn storage<S: Storage, F: Future<Output = Result<S, StorageError>> + 'static>(
    open: impl Fn(Mount) -> F,
) -> Result<StorageReport, Violation<StorageProperty>> {
    StorageKit::default().check(open)
}

impl StorageKit {
    /// Examines a store that stands on a [`raft_storage::Disk`]: what it does when nothing goes wrong, then
    /// a random history with the power cut at every effect on the disk, then failing operations, then
    /// damage.
    ///
    /// `open` opens the store on a disk, new or used. It is called in a tokio runtime of one thread with a
    /// paused clock, anew for each life of the store; call this from outside of one.
    pub fn check<S: Storage, F: Future<Output = Result<S, StorageError>> + 'static>(
        &self,
        open: impl Fn(Mount) -> F,
    ) -> Result<StorageReport, Violation<StorageProperty>> {
        let open = Factory(open);
        let (kit, clock) = (*self, Clock::Paused);
        let mut report = StorageReport::default();
        let places = OnDisks { open: &open, disks: RefCell::default(), seed: self.seed };
        functional::check(&Subject { kit, clock, open: &places }, &mut report)?;
        let subject = Subject { kit, clock, open: &open };
        power::check(&subject, &mut report)?;
        failing::check(&subject, &mut report)?;
        rot::check(&subject, &mut report)?;
        Ok(report)
    }

    /// Examines any store for what it does when nothing goes wrong.
    ///
    /// `open` opens the store at a place: empty when it is asked for the first time, and what was left there
    /// afterwards. It is called in a tokio runtime of one thread, anew for each life of the store; call this
    /// from outside of one.
    ///
    /// ```
    /// use std::{cell::RefCell, collections::BTreeMap};
    /// use raft_sim::conformance::StorageKit;
    /// use raft_storage::MemoryStorage;
    ///
    /// // A clone is the same store.
    /// let stores: RefCell<BTreeMap<u64, MemoryStorage>> = RefCell::default();
    /// let report = StorageKit::default().check_functions(|place| {
    ///     let store = stores.borrow_mut().entry(place).or_default().clone();
    ///     async move { Ok(store) }
    /// });
    /// println!("{}", report.unwrap());
    /// ```
    pub fn check_functions<S: Storage, F: Future<Output = Result<S, StorageError>> + 'static>(
        &self,
        open: impl Fn(u64) -> F,
    ) -> Result<StorageReport, Violation<StorageProperty>> {
        let open = Factory(open);
        let mut report = StorageReport::default();
        functional::check(&Subject { kit: *self, clock: Clock::Real, open: &open }, &mut report)?;
        Ok(report)
    }
}
