//! `shardkv import`, again and again: whatever fault comes, an import is under way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::data::Data;

/// Rounds go to as many places, in turn: the keys do not become more without end.
const SLOTS: usize = 4;
/// The longest that a round may take.
const ROUND_MAX: Duration = Duration::from_secs(600);

/// Imports that run on a thread of their own.
pub(super) struct Imports {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Vec<Slot>, String>>>,
}

#[derive(Default)]
struct Shared {
    last_round: AtomicBool,
    abort: AtomicBool,
    rounds: AtomicU64,
    records: AtomicU64,
}

/// What was imported last under a prefix.
pub(super) struct Slot {
    pub(super) prefix: String,
    pub(super) input: PathBuf,
}

impl Imports {
    /// `import` makes the command for a file and a prefix.
    pub(super) fn start(
        data: Data,
        dir: PathBuf,
        import: impl Fn(&Path, &str) -> Command + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || rounds(&theirs, &data, &dir, import));
        Self { shared, thread: Some(thread) }
    }

    pub(super) fn records(&self) -> u64 {
        self.shared.records.load(Ordering::Relaxed)
    }

    pub(super) fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::Relaxed)
    }

    /// An import that failed ends them; [`finish`](Self::finish) then says why.
    pub(super) fn have_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets the round that is under way come to its end.
    pub(super) fn finish(&mut self) -> Result<Vec<Slot>, String> {
        self.shared.last_round.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or("the imports have been finished before")?;
        thread.join().map_err(|_| "the importing thread panicked".to_owned())?
    }
}

impl Drop for Imports {
    fn drop(&mut self) {
        self.shared.abort.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn rounds(
    shared: &Shared,
    data: &Data,
    dir: &Path,
    import: impl Fn(&Path, &str) -> Command,
) -> Result<Vec<Slot>, String> {
    let mut slots: Vec<Slot> = Vec::new();
    for round in 0.. {
        let place = round % SLOTS;
        if place == slots.len() {
            let input = dir.join(format!("input-{place}.txt"));
            slots.push(Slot { prefix: format!("data/{place}/"), input });
        }
        let Slot { prefix, input } = &slots[place];
        fs::write(input, data.text(round))
            .map_err(|error| format!("{}: {error}", input.display()))?;
        let said = one(shared, &mut import(input, prefix), &dir.join("import.log"))?;
        let expected = format!("import: {} records acknowledged in ", data.lines.len());
        if !said.contains(&expected) {
            return Err(format!("an import of {} records said: {said}", data.lines.len()));
        }
        shared.records.fetch_add(data.lines.len() as u64, Ordering::Relaxed);
        shared.rounds.fetch_add(1, Ordering::Relaxed);
        if shared.last_round.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(slots)
}

/// Runs one import to its end; what it said.
fn one(shared: &Shared, command: &mut Command, log: &Path) -> Result<String, String> {
    let failed = |error| format!("{}: {error}", log.display());
    let mut child = command.stderr(File::create(log).map_err(failed)?).spawn().map_err(failed)?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if shared.abort.load(Ordering::Relaxed) || begun.elapsed() > ROUND_MAX {
            let _ = child.kill().and_then(|()| child.wait());
            return Err(format!("an import was broken off after {:?}", begun.elapsed()));
        }
        sleep(Duration::from_millis(20));
    };
    let said = fs::read_to_string(log).map_err(failed)?;
    match status.success() {
        true => Ok(said),
        false => Err(format!("an import failed with {status}: {said}")),
    }
}
