//! [`Dice`]: draws from a seed, in the words that plans are made of.

use std::time::Duration;

/// Draws from a seed.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

/// A length of time to be drawn again and again: evenly, between two bounds.
pub type Span = (Duration, Duration);

impl Dice {
    /// What is drawn for one `purpose` does not depend on what is drawn for others.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mixed =
            crate::world::digest(purpose.as_bytes()) ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(fastrand::Rng::with_seed(mixed))
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u32) -> bool {
        self.0.u32(0..100) < chance
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.0.usize(0..from.len())].clone()
    }

    /// A number, both bounds included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// A number, both bounds included: as often below ten as between ten and a hundred.
    pub fn scaled(&mut self, low: u64, high: u64) -> u64 {
        let (low, high) = (low.max(1) as f64, high.max(1) as f64);
        let drawn = (low.ln() + (high.ln() - low.ln()).max(0.0) * self.0.f64()).exp();
        (drawn as u64).clamp(low as u64, high as u64)
    }

    /// A length of time, in microseconds.
    pub fn time(&mut self, (low, high): Span) -> Duration {
        Duration::from_micros(self.between(low.as_micros() as u64, high.as_micros() as u64))
    }

    /// An index below `count`.
    pub fn index(&mut self, count: usize) -> usize {
        self.0.usize(0..count.max(1))
    }

    /// Some bits.
    pub fn bits(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// In random order.
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        self.0.shuffle(&mut all);
        all
    }
}

/// A span in milliseconds.
pub const fn millis(low: u64, high: u64) -> Span {
    (Duration::from_millis(low), Duration::from_millis(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut dice = Dice::new(1, "test");
        let mut small = 0;
        for _ in 0..2000 {
            assert!((3..=9).contains(&dice.between(3, 9)));
            let number = dice.scaled(1, 100);
            assert!((1..=100).contains(&number));
            small += u32::from(number < 10);
            assert!(dice.time(millis(5, 7)) <= Duration::from_millis(7));
        }
        assert!((800..1200).contains(&small), "{small}");
        assert_ne!(Dice::new(1, "a").bits(), Dice::new(1, "b").bits());
        assert_ne!(Dice::new(1, "a").bits(), Dice::new(2, "a").bits());
    }
}
