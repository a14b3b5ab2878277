//! How leadership goes back to the node that is to have it.
//!
//! Whoever leads in its place hands over when that node has been healthy for long: it has answered, and had what was
//! committed, at each check of the quorum. A node that comes and goes gets nothing, for each leadership begins to
//! count anew; and one that does not take over is asked less and less often.

use super::{Raft, RoleState};
use crate::progress::State;

/// A node has to be healthy for so many checks, which are an election timeout apart.
const CHECKS: u32 = 20;
/// The most, after handovers that were given up.
const CHECKS_MAX: u32 = 32 * CHECKS;

/// For how long the preferred leader has been healthy.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Preference {
    healthy: u32,
    needed: u32,
}

impl Default for Preference {
    fn default() -> Self {
        Self { healthy: 0, needed: CHECKS }
    }
}

impl Preference {
    /// A check has found the node healthy, or not. Whether it is to lead now.
    fn note(&mut self, is_healthy: bool) -> bool {
        self.healthy = if is_healthy { self.healthy + 1 } else { 0 };
        let due = self.healthy >= self.needed;
        if due {
            // If it does not come about, this leader goes on counting.
            *self = Self { healthy: 0, needed: (2 * self.needed).min(CHECKS_MAX) };
        }
        due
    }
}

impl Raft {
    /// Called by the leader at each check of its quorum, before the next window begins.
    pub(super) fn check_preferred(&mut self) {
        let Some(preferred) = self.config.preferred_leader else { return };
        let RoleState::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peers.get(&preferred) else { return };
        let is_healthy = matches!(progress.state, State::Replicate(_))
            && progress.acked_round >= leading.check_round
            && progress.matched >= self.commit;
        if leading.preference.note(is_healthy) {
            // Refused while leadership or the members change: then later.
            let _ = self.transfer_leadership(preferred);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_healthy_all_the_time_is_not_asked_and_who_fails_is_asked_less_often() {
        let mut preference = Preference::default();
        assert!((1..CHECKS).all(|_| !preference.note(true)));
        assert!(!preference.note(false));
        assert!((1..CHECKS).all(|_| !preference.note(true)));
        assert!(preference.note(true));
        for times in [2, 4, 8, 16, 32, 32] {
            assert!((1..times * CHECKS).all(|_| !preference.note(true)));
            assert!(preference.note(true), "after {times}");
        }
    }
}
