//! What is done to what passes, and how often.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Which way something passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From whoever dials to whom the proxy stands before.
    ToTarget,
    /// From whom the proxy stands before to whoever dials.
    FromTarget,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToTarget, Self::FromTarget];
}

/// How often something is done: to none, to one in so many, to all.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Rate(Option<u32>);

impl Rate {
    /// To none.
    pub const NEVER: Self = Self(None);
    /// To all.
    pub const ALWAYS: Self = Self(Some(1));

    /// To one in so many, on average. In none is never.
    pub fn one_in(many: u32) -> Self {
        Self((many > 0).then_some(many))
    }

    pub(super) fn hits(self, random: &mut fastrand::Rng) -> bool {
        self.0.is_some_and(|many| random.u32(..many) == 0)
    }
}

/// How long what is delayed takes longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delay {
    /// How often.
    pub rate: Rate,
    /// How long.
    pub range: RangeInclusive<Duration>,
}

/// What is done to [units](super::Unit). At most one of these is done to one of them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Rules {
    /// It is lost.
    pub drop: Rate,
    /// It comes twice.
    pub duplicate: Rate,
    /// It comes after the one that follows it, if that is soon enough.
    pub swap: Rate,
    /// One of its bits is another.
    pub flip: Rate,
    /// It takes longer. In a stream, so does all that follows it.
    pub delay: Delay,
}

/// What is done to streams.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct StreamRules {
    /// What is done to what passes.
    pub units: Rules,
    /// How often the connection ends within a unit, of which a part arrives.
    pub reset: Rate,
    /// How often a unit is the last to pass this way, though the connection stays: a peer that is gone and did not say
    /// so.
    pub mute: Rate,
}

impl Default for Delay {
    fn default() -> Self {
        Self { rate: Rate::NEVER, range: Duration::ZERO..=Duration::ZERO }
    }
}

impl From<Rules> for StreamRules {
    fn from(units: Rules) -> Self {
        Self { units, ..Self::default() }
    }
}
