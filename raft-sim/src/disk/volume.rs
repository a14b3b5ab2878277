//! What is on the disk: files and the directory, and of both what is durable and what is only cached.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use raft_storage::OpenMode;

use super::contents::{Contents, is_zero};

/// The disk makes this many bytes durable at once.
pub(super) const SECTOR: u64 = 512;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId(u64);

/// A changed byte range or name has a place in the order of all unsynced changes of the disk.
pub(super) type Order = u64;

/// Files and directory.
#[derive(Default)]
pub(super) struct Volume {
    pub(super) files: BTreeMap<FileId, File>,
    pub(super) names: BTreeMap<Arc<str>, FileId>,
    pub(super) durable_names: BTreeMap<Arc<str>, FileId>,
    pub(super) unsynced_names: Vec<(Order, NameChange)>,
    last_file: u64,
    last_order: Order,
}

/// A file, with or without a name.
#[derive(Clone, Default)]
pub(super) struct File {
    /// What is read.
    pub(super) data: Contents,
    /// What a power cut leaves at least.
    pub(super) durable: Contents,
    pub(super) unsynced: Vec<(Order, Change)>,
    /// Shared by whoever has the file open.
    open: Arc<()>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, data: Arc<[u8]> },
    Zeros { offset: u64, len: u64 },
    SetLen(u64),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Link(Arc<str>, FileId),
    Unlink(Arc<str>),
    Move { from: Arc<str>, to: Arc<str> },
}

/// An open file: it stays while this lives, whatever becomes of its name.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) id: FileId,
    _open: Arc<()>,
}

impl Change {
    pub(super) fn apply(&self, contents: &mut Contents) {
        match self {
            Self::Write { offset, data } => contents.write(*offset, data),
            Self::Zeros { offset, len } => contents.write_zeros(*offset, *len),
            Self::SetLen(len) => contents.set_len(*len),
        }
    }

    /// What it writes: nothing if it only sets the length.
    pub(super) fn range(&self) -> std::ops::Range<u64> {
        match self {
            Self::Write { offset, data } => *offset..*offset + data.len() as u64,
            Self::Zeros { offset, len } => *offset..*offset + *len,
            Self::SetLen(_) => 0..0,
        }
    }

    /// Applies only what lies in `begin .. end`.
    pub(super) fn apply_range(&self, contents: &mut Contents, begin: u64, end: u64) {
        match self {
            Self::Write { offset, data } => {
                contents.write(begin, &data[(begin - offset) as usize..(end - offset) as usize]);
            }
            Self::Zeros { .. } => contents.write_zeros(begin, end - begin),
            Self::SetLen(_) => {}
        }
    }
}

/// The pieces of a range that lie in one sector each.
pub(super) fn sectors(range: std::ops::Range<u64>) -> impl Iterator<Item = (u64, u64)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let begin = at;
        at = range.end.min((begin / SECTOR + 1) * SECTOR);
        (begin < range.end).then_some((begin, at))
    })
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<Arc<str>, FileId>) {
        match self {
            Self::Link(name, id) => _ = names.insert(Arc::clone(name), *id),
            Self::Unlink(name) => _ = names.remove(name),
            Self::Move { from, to } => {
                if let Some(id) = names.remove(from) {
                    names.insert(Arc::clone(to), id);
                }
            }
        }
    }
}

impl File {
    fn of(data: &[u8]) -> Self {
        let data = Contents::of(data);
        Self { durable: data.clone(), data, ..Self::default() }
    }
}

impl Volume {
    /// The same without open handles; the bytes are shared.
    pub(super) fn copy(&self) -> Self {
        let mut copy = Self {
            files: self.files.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            unsynced_names: self.unsynced_names.clone(),
            last_file: self.last_file,
            last_order: self.last_order,
        };
        copy.close_all();
        copy
    }

    /// No handle is of use any more.
    pub(super) fn close_all(&mut self) {
        self.files.values_mut().for_each(|file| file.open = Arc::default());
        self.sweep();
    }

    fn next_order(&mut self) -> Order {
        self.last_order += 1;
        self.last_order
    }

    fn file(&self, name: &str) -> io::Result<FileId> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, file: File) -> FileId {
        self.last_file += 1;
        let id = FileId(self.last_file);
        self.files.insert(id, file);
        id
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        let order = self.next_order();
        self.unsynced_names.push((order, change));
    }

    pub(super) fn open(&mut self, name: &Arc<str>, mode: OpenMode) -> io::Result<Handle> {
        let id = match mode {
            OpenMode::Read | OpenMode::Write => self.file(name)?,
            OpenMode::Create => match self.file(name) {
                Ok(id) => {
                    self.set_len(id, 0);
                    id
                }
                Err(_) => self.create(name),
            },
        };
        Ok(self.handle(id))
    }

    fn create(&mut self, name: &Arc<str>) -> FileId {
        let id = self.add(File::default());
        self.change_names(NameChange::Link(Arc::clone(name), id));
        id
    }

    fn handle(&self, id: FileId) -> Handle {
        let open = self.files.get(&id).map(|file| Arc::clone(&file.open)).unwrap_or_default();
        Handle { id, _open: open }
    }

    /// Creates a file if it is not there.
    pub(super) fn touch(&mut self, name: &Arc<str>) {
        if self.file(name).is_err() {
            self.create(name);
        }
    }

    pub(super) fn rename(&mut self, from: &Arc<str>, to: &Arc<str>) -> io::Result<()> {
        self.file(from)?;
        self.change_names(NameChange::Move { from: Arc::clone(from), to: Arc::clone(to) });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &Arc<str>) -> io::Result<()> {
        self.file(name)?;
        self.change_names(NameChange::Unlink(Arc::clone(name)));
        Ok(())
    }

    pub(super) fn write(&mut self, id: FileId, offset: u64, data: &[u8]) {
        let change = match is_zero(data) {
            true => Change::Zeros { offset, len: data.len() as u64 },
            false => Change::Write { offset, data: data.into() },
        };
        if !data.is_empty() {
            self.change(id, change);
        }
    }

    pub(super) fn set_len(&mut self, id: FileId, len: u64) {
        self.change(id, Change::SetLen(len));
    }

    fn change(&mut self, id: FileId, change: Change) {
        let order = self.next_order();
        if let Some(file) = self.files.get_mut(&id) {
            change.apply(&mut file.data);
            file.unsynced.push((order, change));
        }
    }

    pub(super) fn sync(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else { return };
        for (_, change) in file.unsynced.drain(..) {
            change.apply(&mut file.durable);
        }
    }

    /// A sync that fails: any part may have become durable by then, and the rest never will, because its
    /// pages count as clean from here on (ATC'20, "Can Applications Recover from fsync Failures?").
    pub(super) fn fail_sync(&mut self, id: FileId, rng: &mut fastrand::Rng) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let unsynced = std::mem::take(&mut file.unsynced);
        if rng.bool() {
            return;
        }
        for (_, change) in unsynced {
            for (begin, end) in sectors(change.range()) {
                if rng.bool() {
                    change.apply_range(&mut file.durable, begin, end);
                }
            }
        }
    }

    pub(super) fn sync_names(&mut self) {
        for (_, change) in std::mem::take(&mut self.unsynced_names) {
            change.apply(&mut self.durable_names);
        }
        self.sweep();
    }

    /// Forgets the files that nobody can reach any more.
    pub(super) fn sweep(&mut self) {
        let mut linked: Vec<FileId> =
            self.names.values().chain(self.durable_names.values()).copied().collect();
        for (_, change) in &self.unsynced_names {
            if let NameChange::Link(_, id) = change {
                linked.push(*id);
            }
        }
        linked.sort_unstable();
        self.files.retain(|id, file| {
            linked.binary_search(id).is_ok() || Arc::strong_count(&file.open) > 1
        });
    }

    pub(super) fn len(&self, id: FileId) -> u64 {
        self.files.get(&id).map_or(0, |file| file.data.len())
    }

    /// The lengths of all files that have a name.
    pub(super) fn bytes(&self) -> u64 {
        self.names.values().map(|id| self.len(*id)).sum()
    }

    pub(super) fn get(&self, name: &str) -> Option<&File> {
        self.files.get(self.names.get(name)?)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut File> {
        self.files.get_mut(self.names.get(name)?)
    }

    /// Puts a file there, or takes it away, durably, with all that was unsynced of the directory.
    pub(super) fn replace(&mut self, name: &str, data: Option<&[u8]>) {
        self.sync_names();
        let name: Arc<str> = name.into();
        let change = match data {
            Some(data) => NameChange::Link(Arc::clone(&name), self.add(File::of(data))),
            None => NameChange::Unlink(name),
        };
        change.apply(&mut self.names);
        change.apply(&mut self.durable_names);
    }
}
