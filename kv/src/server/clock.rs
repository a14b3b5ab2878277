//! The log's time, as a leader stamps it on commands.
//!
//! A leader begins with the time that its state machine has reached, and adds what has passed on its own
//! monotonic clock since. So the log's time never depends on a wall clock, does not jump when leadership
//! moves, and stands still while nobody leads: sessions may live longer than their time, never shorter
//! (but for the drift of the leader's clock).

use std::sync::{Mutex, PoisonError};

use raft_core::Term;
use tokio::time::Instant;

/// Where a term's time began.
struct Epoch {
    term: Term,
    log_time: u64,
    since: Instant,
}

/// The log's time on a node. One for each group that the node serves.
#[derive(Default)]
pub struct LogClock {
    epoch: Mutex<Option<Epoch>>,
}

impl LogClock {
    /// The stamp, in milliseconds, for a command that is proposed now, in `term`. `log_time` says what time
    /// the state machine has reached; it is asked once a term.
    pub fn stamp(&self, term: Term, log_time: impl FnOnce() -> u64) -> u64 {
        let now = Instant::now();
        let mut held = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || Epoch { term, log_time: log_time(), since: now };
        let epoch = match held.take() {
            Some(epoch) if epoch.term == term => epoch,
            _ => begin(),
        };
        let passed = now.saturating_duration_since(epoch.since).as_millis();
        let stamp = epoch.log_time.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        *held = Some(epoch);
        stamp
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_on_where_the_log_stands_in_each_term() {
        let clock = LogClock::default();
        assert_eq!(clock.stamp(Term(1), || 500), 500);
        tokio::time::advance(Duration::from_millis(70)).await;
        assert_eq!(clock.stamp(Term(1), || unreachable!("asked twice in a term")), 570);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.stamp(Term(2), || 580), 580);
    }
}
