//! Which part is looked at when, and by which thread.
//!
//! The parts are looked at in rounds, each with eight times the steps of the one before and twice the
//! operations of unknown outcome in a row; a part that is not decided is looked at anew in the next round.
//! So a part that is found illegal soon ends the check, however hard the others are, and at the cost of an
//! eighth more.
//!
//! The illegal part that is reported is the first one of its round, whatever the threads did: only parts
//! after an illegal one are given up.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::budget::{Budget, Deadline, Limits, Meter};
use super::model::Model;
use super::search::{Bounds, Found, Search};
use super::{Partial, Why};
use crate::history::{History, OpId};

/// The steps of each part in the first round.
const STEPS_AT_FIRST: u64 = 50_000;
/// How many times more they are in the next.
const GROWTH: u64 = 8;

/// The steps to look for a good explanation of an illegal part.
const STEPS_TO_EXPLAIN: u64 = 200_000;

/// What came of all rounds.
pub(super) enum End {
    /// Every part can be explained.
    Linearizable,
    /// This part cannot be.
    Illegal(usize, Partial),
    /// These parts were not decided.
    Undecided(Vec<(usize, Why)>),
}

/// Looks at all parts until it is certain or the budget is used up.
pub(super) fn run<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    parts: &[Vec<OpId>],
    limits: &Limits,
) -> End {
    let deadline = Deadline::of(limits.budget);
    let steps_max = match limits.budget {
        Budget::Steps(steps) => steps,
        Budget::Time(_) => u64::MAX,
    };
    let mut steps = STEPS_AT_FIRST.min(steps_max);
    let mut bounds = Bounds { memo_bytes_max: limits.memo_bytes_max, unknown_max: 1 };
    let mut given_up = Vec::new();
    let mut open: Vec<usize> = (0..parts.len()).collect();
    loop {
        if steps == steps_max {
            bounds.unknown_max = usize::MAX;
        }
        let mut again = Vec::new();
        let look = |part: usize, illegal: &AtomicUsize| match deadline.is_over() {
            true => Err(Why::Time),
            false => Search::new(model, history, &parts[part], &bounds)
                .run(&mut Meter::new(steps, deadline, illegal, part)),
        };
        for (part, end) in round(&open, limits.threads, look) {
            match end {
                Ok(Found::Order) => {}
                Ok(Found::None(partial)) => {
                    let mut meter = Meter::of_steps(STEPS_TO_EXPLAIN);
                    let search = Search::new(model, history, &parts[part], &bounds);
                    return End::Illegal(part, search.explain(&mut meter).unwrap_or(partial));
                }
                Err(Why::Steps) => again.push(part),
                Err(why) => given_up.push((part, why)),
            }
        }
        if again.is_empty() || steps == steps_max {
            given_up.extend(again.into_iter().map(|part| (part, Why::Steps)));
            given_up.sort_unstable();
            break;
        }
        open = again;
        steps = steps.saturating_mul(GROWTH).min(steps_max);
        bounds.unknown_max = bounds.unknown_max.saturating_mul(2);
    }
    if given_up.is_empty() { End::Linearizable } else { End::Undecided(given_up) }
}

/// Looks at each open part once. The answer is in the order of the parts. `look` is told the lowest part
/// that was found illegal so far, and may give up on any after it.
fn round(
    open: &[usize],
    threads: NonZeroUsize,
    look: impl Fn(usize, &AtomicUsize) -> Result<Found, Why> + Sync,
) -> Vec<(usize, Result<Found, Why>)> {
    let (next, illegal) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let ends = Mutex::new(Vec::with_capacity(open.len()));
    let work = || {
        while let Some(part) = open.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let end = look(part, &illegal);
            if let Ok(Found::None(_)) = end {
                illegal.fetch_min(part, Ordering::Relaxed);
            }
            ends.lock().expect("no thread panics under the lock").push((part, end));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get().min(open.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut ends = ends.into_inner().expect("no thread panics under the lock");
    ends.sort_unstable_by_key(|(part, _)| *part);
    ends
}
