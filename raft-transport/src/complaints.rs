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
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + PAUSE) {
            state.left_out += 1;
            return;
        }
        state.last = Some(now);
        let left_out = std::mem::take(&mut state.left_out);
        drop(state);
        tracing::warn!(left_out, "{what}");
    }
}
