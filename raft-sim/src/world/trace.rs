//! [`Trace`]: everything that happens, as a hash and, if asked for, as lines.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most lines that are kept; older ones go.
const LINES_MAX: usize = 20_000;

/// The events of a run. Equal seeds have equal hashes; clones are the same trace.
///
/// A line is a JSON object: `t` (microseconds of virtual time), `event`, `host`, and `data`, a list of numbers
/// whose meaning is the event's.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hash: u64,
    events: u64,
    now: Duration,
    lines: Option<VecDeque<String>>,
}

fn mix(hash: u64, value: u64) -> u64 {
    // SplitMix64's finaliser over a running sum.
    let mut z = hash.rotate_left(5) ^ value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of bytes for use as a number in an event.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        hash = mix(hash, u64::from_le_bytes(word));
    }
    hash
}

impl Trace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event at `host`.
    pub fn event(&self, event: &str, host: u32, data: &[u64]) {
        let mut state = self.state();
        let mut hash = mix(state.hash, state.now.as_micros() as u64);
        hash = mix(hash, digest(event.as_bytes()) ^ u64::from(host));
        for value in data {
            hash = mix(hash, *value);
        }
        state.hash = hash;
        state.events += 1;
        let now = state.now.as_micros();
        if let Some(lines) = &mut state.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            let mut line = String::new();
            // Writing to a string does not fail.
            let _ =
                write!(line, r#"{{"t":{now},"event":"{event}","host":{host},"data":{data:?}}}"#);
            lines.push_back(line);
        }
    }

    /// The world's time.
    pub fn now(&self) -> Duration {
        self.state().now
    }

    pub(crate) fn set_now(&self, now: Duration) {
        self.state().now = now;
    }

    /// Keeps lines from now on.
    pub fn keep_lines(&self) {
        self.state().lines.get_or_insert_default();
    }

    /// The last lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.state().lines.iter().flatten().cloned().collect()
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.state().hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.state().events
    }
}
