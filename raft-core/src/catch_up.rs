//! How a leader finds out whether a learner keeps up (thesis, section 4.2.1).
//!
//! Replication to a learner is cut into rounds. A round is what the log has when it begins; it ends when the
//! learner has all of that. A learner whose last round took less than an election timeout can become a
//! voter without holding the group up for longer than an election would.

use crate::LogIndex;

/// The rounds of one learner.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CatchUp {
    /// Rounds that have ended.
    pub(crate) rounds: u32,
    /// The end of the log when this round began; none before the learner's first answer.
    until: Option<LogIndex>,
    /// Ticks since then.
    ticks: u32,
    /// Ticks of the round before.
    last: Option<u32>,
}

impl CatchUp {
    pub(crate) fn new() -> Self {
        Self { rounds: 0, until: None, ticks: 0, last: None }
    }

    pub(crate) fn tick(&mut self) {
        self.ticks = self.ticks.saturating_add(1);
    }

    /// The learner has said that it has everything up to `matched`; the log ends at `end`. Only at its word
    /// does a round end: that of a learner that is gone goes on and on.
    pub(crate) fn heard(&mut self, matched: LogIndex, end: LogIndex) {
        match self.until {
            Some(until) if matched < until => {}
            Some(_) => {
                let (rounds, last) = (self.rounds.saturating_add(1), Some(self.ticks));
                *self = Self { rounds, until: Some(end), ticks: 0, last };
            }
            None => self.until = Some(end),
        }
    }

    /// Whether the last round, and this one so far, are shorter than `election_ticks`.
    pub(crate) fn is_done(&self, election_ticks: u32) -> bool {
        self.ticks < election_ticks && self.last.is_some_and(|ticks| ticks < election_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(catch_up: &mut CatchUp, ticks: u32) {
        (0..ticks).for_each(|_| catch_up.tick());
    }

    #[test]
    fn a_learner_is_done_when_a_round_is_short_and_not_when_it_falls_silent() {
        let mut catch_up = CatchUp::new();
        catch_up.heard(LogIndex(0), LogIndex(100));
        wait(&mut catch_up, 10);
        catch_up.heard(LogIndex(99), LogIndex(150));
        assert_eq!(catch_up.rounds, 0);
        catch_up.heard(LogIndex(100), LogIndex(150));
        assert_eq!((catch_up.rounds, catch_up.is_done(10)), (1, false), "a long round");
        wait(&mut catch_up, 9);
        catch_up.heard(LogIndex(150), LogIndex(151));
        assert_eq!((catch_up.rounds, catch_up.is_done(10)), (2, true));
        wait(&mut catch_up, 9);
        assert!(catch_up.is_done(10));
        wait(&mut catch_up, 1);
        assert!(!catch_up.is_done(10), "nothing was heard of it for a timeout");
    }
}
