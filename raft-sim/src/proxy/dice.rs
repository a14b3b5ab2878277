//! What is done to one unit.

use std::time::Duration;

use super::rules::{Rules, StreamRules};

/// What is done to a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Pass,
    Drop,
    Duplicate,
    Swap,
    /// The bit of this byte: both are to be taken modulo what there is.
    Flip {
        byte: u64,
        bit: u32,
    },
    Delay(Duration),
}

/// What is done to a connection at a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamFate {
    Unit(Fate),
    /// It ends after this much of the unit, to be taken modulo its length.
    Reset {
        after: u64,
    },
    Mute,
}

impl Rules {
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> Fate {
        if self.drop.hits(random) {
            Fate::Drop
        } else if self.duplicate.hits(random) {
            Fate::Duplicate
        } else if self.swap.hits(random) {
            Fate::Swap
        } else if self.flip.hits(random) {
            Fate::Flip { byte: random.u64(..), bit: random.u32(..8) }
        } else if self.delay.rate.hits(random) {
            let (least, most) = (self.delay.range.start(), self.delay.range.end());
            Fate::Delay(*least + most.saturating_sub(*least).mul_f64(random.f64()))
        } else {
            Fate::Pass
        }
    }
}

impl StreamRules {
    pub(super) fn draw(&self, random: &mut fastrand::Rng) -> StreamFate {
        if self.reset.hits(random) {
            StreamFate::Reset { after: random.u64(..) }
        } else if self.mute.hits(random) {
            StreamFate::Mute
        } else {
            StreamFate::Unit(self.units.draw(random))
        }
    }
}

/// Flips the bit that the dice say.
pub(super) fn flip(unit: &mut [u8], byte: u64, bit: u32) {
    let len = unit.len() as u64;
    if let Some(byte) = byte.checked_rem(len).and_then(|at| unit.get_mut(at as usize)) {
        *byte ^= 1 << bit;
    }
}
