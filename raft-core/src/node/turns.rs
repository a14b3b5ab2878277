//! How the groups of a node share its disk and its memory when they take snapshots of themselves: one after
//! the other, and none faster than it has to be.
//!
//! A snapshot that is written as fast as the disk takes it holds up the log's syncs behind its own; and while a
//! view is held, what changes takes its memory twice. So the writer rests, unless somebody waits.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use tokio::time::{Instant, sleep};

use super::signal::Token;

/// A writer rests so many times as long as it wrote: three quarters of the disk's time are for others.
const REST: u32 = 3;
/// It rests when it has written for so long. Shorter rests would be rounded up to the clock's millisecond.
const STRETCH: Duration = Duration::from_millis(1);
/// It rests no longer than this, however long the disk took, so that it hears soon that it has to hurry.
const REST_MAX: Duration = Duration::from_millis(50);

/// Whose turn it is. Each group is in it once at the most.
#[derive(Default)]
pub(super) struct Turns {
    /// The first takes a snapshot; the others wait.
    queue: VecDeque<Token>,
    hurry: Arc<AtomicBool>,
}

impl Turns {
    /// The group waits for its turn.
    pub(super) fn join(&mut self, token: Token) {
        debug_assert!(!self.queue.contains(&token));
        self.queue.push_back(token);
    }

    /// Whether it is the group's turn.
    pub(super) fn is_next(&self, token: Token) -> bool {
        self.queue.front() == Some(&token)
    }

    /// The group has its snapshot, or does without. Who is next finds out when it is visited, at the next
    /// tick at the latest.
    pub(super) fn leave(&mut self, token: Token) {
        if self.is_next(token) {
            self.hurry.store(false, Ordering::SeqCst);
        }
        self.queue.retain(|it| *it != token);
    }

    /// Somebody waits for a snapshot: the one under way is finished without rests.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::SeqCst);
    }

    /// The pace of whoever's turn it is.
    pub(super) fn pace(&self) -> Pace {
        Pace { hurry: self.hurry.clone(), since: Instant::now() }
    }
}

/// How fast a snapshot is written.
pub(super) struct Pace {
    hurry: Arc<AtomicBool>,
    /// The end of the last rest.
    since: Instant,
}

impl Pace {
    /// Has the writer rest if it has earned it.
    pub(super) async fn rest(&mut self) {
        let wrote = self.since.elapsed();
        if wrote < STRETCH {
            return;
        }
        if !self.hurry.load(Ordering::SeqCst) {
            sleep((wrote * REST).min(REST_MAX)).await;
        }
        self.since = Instant::now();
    }
}
