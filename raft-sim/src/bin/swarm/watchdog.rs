//! [`Watchdog`]: a seed that does not come to an end is named, and ends everything.
//!
//! Simulated time and events are bounded in every run; this is for a loop that lets neither pass.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::now;
use crate::report::Report;

/// The longest that a seed may take, of real time.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs until it is dropped.
pub(crate) struct Watchdog {
    running: Arc<Mutex<BTreeMap<u64, Instant>>>,
    // Dropping it ends the thread.
    _over: Sender<()>,
}

fn lock(running: &Mutex<BTreeMap<u64, Instant>>) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watchdog {
    pub(crate) fn start(report: Report) -> Self {
        let running: Arc<Mutex<BTreeMap<u64, Instant>>> = Arc::default();
        let (watched, (over, ended)) = (Arc::clone(&running), channel());
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let running = lock(&watched);
                if let Some((seed, _)) = running.iter().find(|(_, since)| since.elapsed() > LIMIT) {
                    report.hangs(*seed, LIMIT);
                    std::process::exit(1);
                }
            }
        });
        Self { running, _over: over }
    }

    pub(crate) fn begin(&self, seed: u64) {
        lock(&self.running).insert(seed, now());
    }

    pub(crate) fn end(&self, seed: u64) {
        lock(&self.running).remove(&seed);
    }
}
