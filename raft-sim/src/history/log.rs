//! [`LogReader`]: from a log of events, one after the other, to a history.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClientId, History, LogError, LogProblem, Moment, Operation, Outcome};

/// One line of a log.
pub(super) enum Event<I, O> {
    /// A client asks.
    Call(I),
    /// A client is answered.
    Return(O),
    /// A client's operation certainly had no effect.
    NoEffect,
    /// A client will never know.
    Unknown,
}

/// Collects events. How many lines a log has bounds its memory.
pub(super) struct LogReader<I, O> {
    /// `None`: it had no effect.
    operations: Vec<Option<Operation<I, O>>>,
    clients: BTreeMap<u64, Last>,
    position: u64,
}

/// What a client did last.
enum Last {
    /// It waits for this operation.
    Called(usize),
    Returned,
    /// It must not be heard of again.
    Lost,
}

impl<I, O> LogReader<I, O> {
    pub(super) fn new() -> Self {
        Self { operations: Vec::new(), clients: BTreeMap::new(), position: 0 }
    }

    /// What a client asked and has not been answered yet.
    pub(super) fn called(&self, client: u64) -> Option<&I> {
        match self.clients.get(&client) {
            Some(Last::Called(op)) => self.operations[*op].as_ref().map(|op| &op.input),
            _ => None,
        }
    }

    /// The next event. A return must fit the call, which is the caller's to check.
    pub(super) fn push(
        &mut self,
        client: u64,
        time: Duration,
        event: Event<I, O>,
    ) -> Result<(), LogProblem> {
        let at = Moment { position: self.position, time };
        self.position += 1;
        let last = self.clients.get(&client);
        let (op, event) = match (last, event) {
            (None | Some(Last::Returned), Event::Call(input)) => {
                self.clients.insert(client, Last::Called(self.operations.len()));
                let (client, outcome) = (ClientId(client), Outcome::Unknown);
                self.operations.push(Some(Operation { client, input, called: at, outcome }));
                return Ok(());
            }
            (Some(_), Event::Call(_)) => return Err(LogProblem::Overlap(client)),
            (Some(Last::Called(op)), event) => (*op, event),
            (_, _) => return Err(LogProblem::NotCalled(client)),
        };
        let last = match event {
            Event::Unknown => Last::Lost,
            _ => Last::Returned,
        };
        self.clients.insert(client, last);
        match (event, &mut self.operations[op]) {
            (Event::Return(output), Some(operation)) => {
                operation.outcome = Outcome::Returned { output, at };
            }
            (Event::NoEffect, operation) => *operation = None,
            _ => {}
        }
        Ok(())
    }

    /// The whole, after this many lines.
    pub(super) fn finish(self, lines: usize) -> Result<History<I, O>, LogError> {
        History::new(self.operations.into_iter().flatten().collect())
            .map_err(|error| LogError { line: lines, problem: error.into() })
    }
}
