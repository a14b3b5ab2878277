//! [`Link`]: what one direction between two processes is like.

use std::time::Duration;

/// A part of the whole, in thousandths: 0 is never, 1000 always.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PerMille(pub u16);

impl PerMille {
    /// Never.
    pub const NEVER: Self = Self(0);

    pub(crate) fn draw(self, rng: &mut fastrand::Rng) -> bool {
        // Nothing is drawn for what cannot be, so that a fault that is off changes no other.
        self.0 > 0 && rng.u16(0..1000) < self.0
    }
}

/// One direction between two processes: made by [`Link::default`], changed field by field.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Link {
    /// The shortest and the longest time a message takes; each draws its own, so they overtake each other.
    /// Default 1 to 5 ms.
    pub latency: (Duration, Duration),
    /// Messages that are lost. Bytes of a stream are sent again instead, later.
    pub loss: PerMille,
    /// Messages that arrive twice, each with a latency of its own. Requests never do: see
    /// [`Caller`](raft_core::Caller).
    pub duplicates: PerMille,
    /// Messages that take [`Self::detour`] longer.
    pub detours: PerMille,
    /// The longest time that a detour adds; drawn up to it. Default 2 s.
    pub detour: Duration,
    /// Bytes per second; `None`: no limit. What does not fit waits, and delays what comes behind it.
    pub bandwidth: Option<u64>,
    /// Whether nothing gets through.
    pub cut: Cut,
}

/// Whether a link is cut.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Cut {
    /// It is not.
    #[default]
    Open,
    /// Nothing gets through. What is under way when the link is cut is lost as well.
    Blocked,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(1), Duration::from_millis(5)),
            loss: PerMille::NEVER,
            duplicates: PerMille::NEVER,
            detours: PerMille::NEVER,
            detour: Duration::from_secs(2),
            bandwidth: None,
            cut: Cut::Open,
        }
    }
}

impl Link {
    /// A link with this latency and no faults.
    pub fn with_latency(min: Duration, max: Duration) -> Self {
        Self { latency: (min, max.max(min)), ..Self::default() }
    }

    /// How long a message takes, and how much longer by a detour.
    pub(crate) fn draw_latency(&self, rng: &mut fastrand::Rng) -> (Duration, Duration) {
        let (min, max) = (self.latency.0.as_micros() as u64, self.latency.1.as_micros() as u64);
        let base = if max > min { rng.u64(min..=max) } else { min };
        let more = match self.detours.draw(rng) {
            true => rng.u64(0..=self.detour.as_micros() as u64),
            false => 0,
        };
        (Duration::from_micros(base), Duration::from_micros(more))
    }
}
