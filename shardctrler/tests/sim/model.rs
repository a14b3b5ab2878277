//! The controller as one that does one thing after the other, for the checker of linearizability.
//!
//! The configurations that there were are known, from the replicas. So a state is a number, a change that
//! nobody was told of can only have made the configuration that came next, and the checker need not guess.

use raft_sim::checker::Model;
use shardctrler::{Change, ConfigNumber, Configuration, Limits, Refusal};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    Change(Change),
    Newest,
    Number(ConfigNumber),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    Changed(ConfigNumber),
    Refused(Refusal),
    Configuration(Configuration),
}

/// Ten shards, the default limits, and the configurations that there were, by number.
pub struct Controlling(pub Vec<Configuration>);

impl Controlling {
    /// The configuration that a change makes of that with this number, or why it does not.
    fn change(&self, number: ConfigNumber, change: &Change) -> Result<ConfigNumber, Refusal> {
        let after = change.apply(&self.0[number.0 as usize], &Limits::default())?;
        // It must be what there was; of a change that never was done there is nothing.
        let there = self.0.get(after.number().0 as usize) == Some(&after);
        Ok(if there { after.number() } else { ConfigNumber(u64::MAX) })
    }
}

impl Model for Controlling {
    type Input = Input;
    type Output = Told;
    type Part = ();
    type State = ConfigNumber;

    fn part(&self, _: &Input) {}

    fn init(&self) -> ConfigNumber {
        ConfigNumber::ZERO
    }

    fn step(
        &self,
        state: &ConfigNumber,
        input: &Input,
        output: Option<&Told>,
    ) -> Option<ConfigNumber> {
        let seen = |number: ConfigNumber| match output {
            Some(Told::Configuration(told)) if *told == self.0[number.0 as usize] => Some(*state),
            _ => None,
        };
        match input {
            Input::Newest => seen(*state),
            Input::Number(number) => seen(*number.min(state)),
            Input::Change(change) => match (self.change(*state, change), output) {
                (Ok(next), None) if next.0 != u64::MAX => Some(next),
                (Ok(next), Some(Told::Changed(told))) if next == *told => Some(next),
                (Err(refusal), Some(Told::Refused(told))) if refusal == *told => Some(*state),
                _ => None,
            },
        }
    }

    fn observes(&self, input: &Input, output: Option<&Told>) -> bool {
        !matches!(input, Input::Change(_)) || matches!(output, Some(Told::Refused(_)))
    }

    fn describe_op(&self, input: &Input, output: Option<&Told>) -> String {
        let told = match output {
            Some(Told::Configuration(told)) => format!("{}", told.number()),
            other => format!("{other:?}"),
        };
        format!("{input:?} -> {told}")
    }

    fn describe_state(&self, state: &ConfigNumber) -> String {
        format!("{:?}", self.0[state.0 as usize])
    }
}
