//! The election timer.

use crate::{Config, Term};

/// Counts ticks towards a timeout that is drawn anew for every term from the node's seed (paper, section
/// 5.2). A function of the term and no stream of random numbers: nodes whose timeouts coincide split one
/// vote, and the next term parts them. It has no state to draw from, so equal histories make equal values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ElectionTimer {
    elapsed: u32,
    timeout: u32,
}

impl ElectionTimer {
    pub(crate) fn new(config: &Config, term: Term) -> Self {
        Self { elapsed: 0, timeout: draw(config, term) }
    }

    /// Counts a tick and says whether the time is up.
    pub(crate) fn tick(&mut self) -> bool {
        self.elapsed = self.elapsed.saturating_add(1);
        self.elapsed >= self.timeout
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.elapsed = 0;
    }

    /// Whether less than the smallest election timeout has passed.
    pub(crate) fn is_fresh(&self, config: &Config) -> bool {
        self.elapsed < config.election_ticks
    }
}

fn draw(config: &Config, term: Term) -> u32 {
    let mut state = config.seed;
    for number in [config.node.0, config.group.0, term.0] {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ number);
    }
    config.election_ticks + (state % u64::from(config.election_ticks)) as u32
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
