//! [`FileDisk`]: the real file system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use raft_core::BoxFuture;

use super::{Disk, DiskError, DiskFile, DiskLock, Durability, OpenMode};

/// A directory of the real file system.
///
/// An operation that was begun goes on when its future is dropped; it holds the directory's lock until it is
/// done, so that a successor finds the directory locked, not changing under its feet.
#[derive(Clone)]
pub struct FileDisk {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    execution: Execution,
    /// The lock while somebody holds it: every operation takes a share of it for as long as it runs.
    lock: Mutex<Weak<File>>,
}

/// Where an operation blocks.
#[derive(Clone, Copy)]
enum Execution {
    BlockingPool,
    Inline,
}

struct RealFile {
    shared: Arc<Shared>,
    name: Arc<str>,
    file: Arc<File>,
}

impl FileDisk {
    /// The directory at `root`, created durably with its parents if need be. Operations run on tokio's pool
    /// of blocking threads, one hop each, and never hold up the calling thread.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, DiskError> {
        Self::create(root.into(), Execution::BlockingPool)
    }

    /// The same, with operations that block the calling thread: for offline tools and for measurements.
    pub fn inline(root: impl Into<PathBuf>) -> Result<Self, DiskError> {
        Self::create(root.into(), Execution::Inline)
    }

    fn create(root: PathBuf, execution: Execution) -> Result<Self, DiskError> {
        let failed = |error| DiskError::new("create directory", &root.to_string_lossy(), &error);
        create_dir_durably(&root).map_err(failed)?;
        let lock = Mutex::new(Weak::new());
        Ok(Self { shared: Arc::new(Shared { root, execution, lock }) })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.shared.root
    }
}

/// A directory is durable once its parent is synced, and so up to one that was there before.
fn create_dir_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_dir_durably(parent)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

impl Shared {
    fn run<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        name: &Arc<str>,
        job: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, DiskError>> {
        let shared = Arc::clone(self);
        let name = Arc::clone(name);
        Box::pin(async move {
            let outcome = match shared.execution {
                Execution::Inline => job(&shared.root),
                Execution::BlockingPool => {
                    let lock = shared.held_lock();
                    let worker = Arc::clone(&shared);
                    let hop = tokio::task::spawn_blocking(move || {
                        let _until_done = lock;
                        job(&worker.root)
                    });
                    hop.await.unwrap_or_else(|join| Err(io::Error::other(join)))
                }
            };
            outcome.map_err(|error| DiskError::new(operation, &name, &error))
        })
    }

    fn held_lock(&self) -> Option<Arc<File>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }
}

impl Disk for FileDisk {
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>, DiskError>> {
        self.shared.run("list directory", &Arc::from("."), |root| {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(root)? {
                // A name that is not Unicode is none of ours.
                names.extend(entry?.file_name().into_string());
            }
            Ok(names)
        })
    }

    fn open(
        &self,
        name: &str,
        mode: OpenMode,
    ) -> BoxFuture<'_, Result<Arc<dyn DiskFile>, DiskError>> {
        let name: Arc<str> = name.into();
        let shared = Arc::clone(&self.shared);
        let file_name = Arc::clone(&name);
        let opened = self.shared.run("open", &name.clone(), move |root| {
            let mut options = OpenOptions::new();
            options.read(true);
            match mode {
                OpenMode::Read => {}
                OpenMode::Write => _ = options.write(true),
                OpenMode::Create => _ = options.write(true).create(true).truncate(true),
            }
            options.open(root.join(&*file_name))
        });
        Box::pin(async move {
            let file = Arc::new(opened.await?);
            Ok(Arc::new(RealFile { shared, name, file }) as Arc<dyn DiskFile>)
        })
    }

    fn rename(&self, from: &str, to: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        let (name, to): (Arc<str>, String) = (from.into(), to.to_owned());
        let from = from.to_owned();
        self.shared
            .run("rename", &name, move |root| std::fs::rename(root.join(from), root.join(to)))
    }

    fn remove(&self, name: &str) -> BoxFuture<'_, Result<(), DiskError>> {
        let file = name.to_owned();
        self.shared
            .run("remove", &Arc::from(name), move |root| std::fs::remove_file(root.join(file)))
    }

    fn sync_dir(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        self.shared.run("sync directory", &Arc::from("."), |root| File::open(root)?.sync_all())
    }

    fn lock(&self, name: &str) -> BoxFuture<'_, Result<DiskLock, DiskError>> {
        let file = name.to_owned();
        let taken = self.shared.run("lock", &Arc::from(name), move |root| {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).open(root.join(file))?;
            match file.try_lock() {
                Ok(()) => Ok(file),
                Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
                Err(TryLockError::Error(error)) => Err(error),
            }
        });
        Box::pin(async move {
            let lock = Arc::new(taken.await?);
            *self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner) =
                Arc::downgrade(&lock);
            Ok(DiskLock::new(lock))
        })
    }
}

impl DiskFile for RealFile {
    fn size(&self) -> BoxFuture<'_, Result<u64, DiskError>> {
        let file = Arc::clone(&self.file);
        self.shared.run("stat", &self.name, move |_| Ok(file.metadata()?.len()))
    }

    fn read_at(&self, offset: u64, max: u64) -> BoxFuture<'_, Result<Bytes, DiskError>> {
        let file = Arc::clone(&self.file);
        self.shared.run("read", &self.name, move |_| {
            let there = file.metadata()?.len().saturating_sub(offset).min(max);
            let len = usize::try_from(there).map_err(io::Error::other)?;
            let mut data = vec![0; len];
            let mut done = 0;
            while done < len {
                match file.read_at(&mut data[done..], offset + done as u64) {
                    Ok(0) => break,
                    Ok(n) => done += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            data.truncate(done);
            Ok(data.into())
        })
    }

    fn write_at(
        &self,
        offset: u64,
        data: Vec<u8>,
        durability: Durability,
    ) -> BoxFuture<'_, Result<Vec<u8>, DiskError>> {
        let file = Arc::clone(&self.file);
        let operation = match durability {
            Durability::Cached => "write",
            Durability::Synced => "write and sync",
        };
        self.shared.run(operation, &self.name, move |_| {
            file.write_all_at(&data, offset)?;
            if durability == Durability::Synced {
                file.sync_data()?;
            }
            Ok(data)
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), DiskError>> {
        let file = Arc::clone(&self.file);
        self.shared.run("sync", &self.name, move |_| file.sync_data())
    }

    fn set_len(&self, len: u64) -> BoxFuture<'_, Result<(), DiskError>> {
        let file = Arc::clone(&self.file);
        self.shared.run("set length of", &self.name, move |_| file.set_len(len))
    }
}
