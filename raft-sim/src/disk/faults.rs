//! What goes wrong on a disk that has power, and how it is drawn.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::event::OpKind;

/// How an operation goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Failure {
    /// It fails: the device is broken (`EIO`). A write may have written a part; a sync may have made a part
    /// durable, and the rest never will be.
    Io,
    /// It fails: the device is full (`ENOSPC`). A write may have written a part.
    Full,
    /// It succeeds and never happened: a write that is nowhere, a sync that lies. Operations that give
    /// something back are not lost.
    Lost,
    /// It succeeds at this offset instead of its own: a write or a read that was misdirected.
    Misdirected(u64),
}

impl Failure {
    /// What the system says, if it says anything.
    pub(super) fn error(self) -> Option<io::Error> {
        match self {
            Self::Io => Some(io::Error::other("injected I/O error")),
            Self::Full => Some(io::ErrorKind::StorageFull.into()),
            Self::Lost | Self::Misdirected(_) => None,
        }
    }
}

/// Whether syncs come to an end.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum SyncGate {
    /// They do.
    #[default]
    Open,
    /// Those that begin wait until the gate is opened.
    Stalled,
}

/// The faults in force.
#[derive(Clone, Default)]
pub(super) struct Faults {
    latencies: Vec<(OpKind, RangeInclusive<Duration>)>,
    rates: Vec<(OpKind, Failure, f64)>,
    /// By kind, the number of the operation that fails.
    appointed: Vec<(OpKind, u64, Failure)>,
    pub(super) capacity: Option<u64>,
    pub(super) gate: SyncGate,
}

impl Faults {
    pub(super) fn set_latency(&mut self, kind: OpKind, range: RangeInclusive<Duration>) {
        self.latencies.retain(|(of, _)| *of != kind);
        if *range.end() > Duration::ZERO {
            self.latencies.push((kind, range));
        }
    }

    pub(super) fn set_rate(&mut self, kind: OpKind, failure: Failure, rate: f64) {
        self.rates.retain(|(of, what, _)| (*of, *what) != (kind, failure));
        if rate > 0.0 {
            self.rates.push((kind, failure, rate));
        }
    }

    pub(super) fn appoint(&mut self, kind: OpKind, number: u64, failure: Failure) {
        self.appointed.push((kind, number, failure));
    }

    pub(super) fn latency(&self, kind: OpKind, rng: &mut fastrand::Rng) -> Duration {
        let found = self.latencies.iter().find(|(of, _)| *of == kind);
        let Some((_, range)) = found else { return Duration::ZERO };
        let spread = range.end().saturating_sub(*range.start());
        *range.start() + spread.mul_f64(rng.f64())
    }

    /// What becomes of the operation with this number of its kind.
    pub(super) fn draw(
        &mut self,
        kind: OpKind,
        number: u64,
        rng: &mut fastrand::Rng,
    ) -> Option<Failure> {
        let due = |(of, at, _): &(OpKind, u64, Failure)| (*of, *at) == (kind, number);
        if let Some(at) = self.appointed.iter().position(due) {
            return Some(self.appointed.swap_remove(at).2);
        }
        let rates = self.rates.iter().filter(|(of, ..)| *of == kind);
        // Every rate takes its draw, so that one does not shift the others.
        let mut hit = None;
        for (_, failure, rate) in rates {
            if rng.f64() < *rate {
                hit = hit.or(Some(*failure));
            }
        }
        hit
    }
}
