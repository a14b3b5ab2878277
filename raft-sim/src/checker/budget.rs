//! [`Limits`]: how long and with how much memory the checker may look.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Why;

/// How long the checker may look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Budget {
    /// So many steps of the model for each part of the history. The verdict is the same on every machine.
    Steps(u64),
    /// So much real time for the whole. A verdict other than [`Unknown`](super::Verdict::Unknown) is as
    /// good as with any other budget, but whether there is one depends on the machine.
    Time(Duration),
}

/// The bounds of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How long to look.
    pub budget: Budget,
    /// Bytes that one thread may remember, estimated. When there are more, the part's verdict is unknown.
    pub memo_bytes_max: usize,
    /// Threads that look at different parts at the same time. The verdict does not depend on it with a
    /// budget of steps.
    pub threads: NonZeroUsize,
}

impl Limits {
    /// 128 MiB for each of as many threads as the machine runs at once, but at most four.
    pub fn new(budget: Budget) -> Self {
        let machine = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = NonZeroUsize::new(machine.min(4)).unwrap_or(NonZeroUsize::MIN);
        Self { budget, memo_bytes_max: 128 << 20, threads }
    }
}

impl Default for Limits {
    /// Twenty million steps for each part: some seconds for one that is that hard.
    fn default() -> Self {
        Self::new(Budget::Steps(20_000_000))
    }
}

/// When all must be done.
#[derive(Clone, Copy)]
pub(super) enum Deadline {
    Never,
    At(std::time::Instant),
}

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "the caller asked for real time")]
    pub(super) fn of(budget: Budget) -> Self {
        match budget {
            Budget::Steps(_) => Self::Never,
            Budget::Time(time) => {
                std::time::Instant::now().checked_add(time).map_or(Self::Never, Self::At)
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the caller asked for real time")]
    pub(super) fn is_over(self) -> bool {
        match self {
            Self::Never => false,
            Self::At(end) => std::time::Instant::now() >= end,
        }
    }
}

/// Counts the steps of one search, and says when to stop.
pub(super) struct Meter<'a> {
    steps_left: u64,
    deadline: Deadline,
    /// The lowest part that was found to be illegal, and the part that is searched here.
    illegal: &'a AtomicUsize,
    place: usize,
}

impl<'a> Meter<'a> {
    pub(super) fn new(
        steps: u64,
        deadline: Deadline,
        illegal: &'a AtomicUsize,
        place: usize,
    ) -> Self {
        Self { steps_left: steps, deadline, illegal, place }
    }

    /// Steps, whatever the time is and others find.
    pub(super) fn of_steps(steps: u64) -> Self {
        static NONE: AtomicUsize = AtomicUsize::new(usize::MAX);
        Self::new(steps, Deadline::Never, &NONE, 0)
    }

    /// One more step.
    pub(super) fn step(&mut self) -> Result<(), Why> {
        if self.steps_left == 0 {
            return Err(Why::Steps);
        }
        self.steps_left -= 1;
        // Reading a clock costs more than a step.
        if self.steps_left.is_multiple_of(1024) {
            if self.deadline.is_over() {
                return Err(Why::Time);
            }
            if self.illegal.load(Ordering::Relaxed) < self.place {
                return Err(Why::Moot);
            }
        }
        Ok(())
    }
}
