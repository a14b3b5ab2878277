//! [`Register`]: one number, with compare-and-set.

use crate::checker::Model;

/// A register that holds a number, or nothing at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// What a client asks of a [`Register`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegisterInput {
    /// What it holds.
    Read,
    /// Set it.
    Write(i64),
    /// Set it to the second number if it holds the first.
    CompareAndSet(i64, i64),
}

/// What a client of a [`Register`] is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RegisterOutput {
    /// To a read: what it holds.
    Value(Option<i64>),
    /// To a write or a compare-and-set: it was set.
    Done,
    /// To a compare-and-set: it held something else, and was left as it was.
    Mismatch,
}

impl Model for Register {
    type Input = RegisterInput;
    type Output = RegisterOutput;
    type Part = ();
    type State = Option<i64>;

    fn part(&self, _: &RegisterInput) {}

    fn init(&self) -> Option<i64> {
        None
    }

    fn step(
        &self,
        state: &Option<i64>,
        input: &RegisterInput,
        output: Option<&RegisterOutput>,
    ) -> Option<Option<i64>> {
        use RegisterInput::{CompareAndSet, Read, Write};
        use RegisterOutput::{Done, Mismatch, Value};
        match (*input, output) {
            (Read, Some(Value(value))) if value == state => Some(*state),
            (Write(value), Some(Done) | None) => Some(Some(value)),
            (CompareAndSet(from, to), Some(Done) | None) if *state == Some(from) => Some(Some(to)),
            (CompareAndSet(from, _), Some(Mismatch)) if *state != Some(from) => Some(*state),
            _ => None,
        }
    }

    fn observes(&self, input: &RegisterInput, output: Option<&RegisterOutput>) -> bool {
        *input == RegisterInput::Read || output == Some(&RegisterOutput::Mismatch)
    }

    /// Whatever changes a register overwrites it, so that nothing builds on a state but what comes next.
    fn notices(
        &self,
        state: &Option<i64>,
        input: &RegisterInput,
        output: Option<&RegisterOutput>,
    ) -> bool {
        let overwrites = matches!(input, RegisterInput::Write(_));
        !overwrites && self.step(state, input, output).is_some()
    }

    fn describe_part(&self, (): &()) -> String {
        "the register".into()
    }

    fn describe_op(&self, input: &RegisterInput, output: Option<&RegisterOutput>) -> String {
        let input = match input {
            RegisterInput::Read => "read".into(),
            RegisterInput::Write(value) => format!("write {value}"),
            RegisterInput::CompareAndSet(from, to) => format!("cas {from} to {to}"),
        };
        let output = match output {
            Some(RegisterOutput::Value(value)) => self.describe_state(value),
            Some(RegisterOutput::Done) => "done".into(),
            Some(RegisterOutput::Mismatch) => "mismatch".into(),
            None => "?".into(),
        };
        format!("{input} -> {output}")
    }

    fn describe_state(&self, state: &Option<i64>) -> String {
        state.map_or("nothing".into(), |value| value.to_string())
    }
}
