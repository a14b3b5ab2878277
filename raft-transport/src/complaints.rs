//! Warnings about others, who may give cause for many: one a second, and how many were left out.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Complaints(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl Complaints {
    pub(crate) fn warn(&self, what: fmt::Arguments<'_>) {
        if let Some(left_out) = self.turn(PAUSE) {
            tracing::warn!(left_out, "{what}");
        }
    }

    /// Of what does not get better by itself, and is not to be overlooked: one in ten seconds.
    pub(crate) fn error(&self, what: fmt::Arguments<'_>) {
        if let Some(left_out) = self.turn(10 * PAUSE) {
            tracing::error!(left_out, "{what}");
        }
    }

    /// How many were left out, if it is time for another one.
    fn turn(&self, pause: Duration) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + pause) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}
