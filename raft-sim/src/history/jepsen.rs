//! Jepsen's logs of a register: what it writes about each client's operations.
//!
//! ```text
//! INFO  jepsen.util - 0   :invoke  :cas   [3 4]
//! INFO  jepsen.util - 1   :invoke  :read  nil
//! INFO  jepsen.util - 1   :ok      :read  3
//! INFO  jepsen.util - 0   :info    :cas   :timed-out
//! ```
//!
//! Lines of other loggers, and of the nemesis, are left out. A compare-and-set that fails with its own
//! arguments was answered with a mismatch; any other `:fail` had no effect, and `:info` is an unknown
//! outcome.

use std::time::Duration;

use super::log::{Event, LogReader};
use super::{History, LogError, LogProblem};
use crate::checker::models::{RegisterInput, RegisterOutput};

/// The history of a register.
pub type RegisterHistory = History<RegisterInput, RegisterOutput>;

type RegisterEvent = Event<RegisterInput, RegisterOutput>;

/// Reads a log. Fails at the first line that it does not understand.
pub fn parse(log: &[u8]) -> Result<RegisterHistory, LogError> {
    let mut reader = LogReader::new();
    let mut lines = 0;
    for line in log.split(|byte| *byte == b'\n') {
        lines += 1;
        event(line, &mut reader).map_err(|problem| LogError { line: lines, problem })?;
    }
    reader.finish(lines)
}

/// Whether a log's first line looks like one of these logs.
pub fn detect(log: &[u8]) -> bool {
    let start = log.trim_ascii_start();
    LEVELS.iter().any(|level| start.starts_with(level.as_bytes()))
}

const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];

fn malformed<T>(expected: &'static str) -> Result<T, LogProblem> {
    Err(LogProblem::Malformed { expected })
}

/// Takes one line.
fn event(
    line: &[u8],
    reader: &mut LogReader<RegisterInput, RegisterOutput>,
) -> Result<(), LogProblem> {
    let Ok(line) = std::str::from_utf8(line) else { return malformed("text") };
    let mut words = line.split_ascii_whitespace();
    let Some(level) = words.next() else { return Ok(()) };
    let (Some(logger), Some("-"), true) = (words.next(), words.next(), LEVELS.contains(&level))
    else {
        return malformed("a level, a logger and a dash");
    };
    if logger != "jepsen.util" {
        return Ok(());
    }
    let client = match words.next() {
        Some(":nemesis") => return Ok(()),
        client => client.and_then(|client| client.parse::<u64>().ok()),
    };
    let Some(client) = client else { return malformed("a client's number") };
    let (kind, function) = (words.next(), words.next());
    let value: Vec<_> = words.collect();
    let event = match kind {
        Some(":invoke") => Event::Call(input(function, &value)?),
        Some(":ok" | ":fail" | ":info") => {
            let Some(called) = reader.called(client) else {
                return Err(LogProblem::NotCalled(client));
            };
            if function != Some(name(called)) {
                return Err(LogProblem::OtherCall(client));
            }
            ended(client, kind, *called, &value)?
        }
        _ => return malformed(":invoke, :ok, :fail or :info"),
    };
    reader.push(client, Duration::ZERO, event)
}

fn name(input: &RegisterInput) -> &'static str {
    match input {
        RegisterInput::Read => ":read",
        RegisterInput::Write(_) => ":write",
        RegisterInput::CompareAndSet(..) => ":cas",
    }
}

fn number(word: &str) -> Result<i64, LogProblem> {
    word.parse().or(malformed("a number"))
}

/// What is asked for.
fn input(function: Option<&str>, value: &[&str]) -> Result<RegisterInput, LogProblem> {
    match (function, value) {
        (Some(":read"), ["nil"]) => Ok(RegisterInput::Read),
        (Some(":write"), [value]) => Ok(RegisterInput::Write(number(value)?)),
        (Some(":cas"), [from, to]) => {
            let (Some(from), Some(to)) = (from.strip_prefix('['), to.strip_suffix(']')) else {
                return malformed("two numbers in brackets");
            };
            Ok(RegisterInput::CompareAndSet(number(from)?, number(to)?))
        }
        _ => malformed(":read nil, :write N or :cas [N N]"),
    }
}

/// What became of it.
fn ended(
    client: u64,
    kind: Option<&str>,
    called: RegisterInput,
    value: &[&str],
) -> Result<RegisterEvent, LogProblem> {
    let function = Some(name(&called));
    let repeated = || input(function, value).is_ok_and(|again| again == called);
    let output = match (kind, called) {
        (Some(":info"), _) => return Ok(Event::Unknown),
        (Some(":ok"), RegisterInput::Read) => match value {
            ["nil"] => RegisterOutput::Value(None),
            [value] => RegisterOutput::Value(Some(number(value)?)),
            _ => return malformed("nil or a number"),
        },
        (Some(":ok"), _) if repeated() => RegisterOutput::Done,
        (Some(":ok"), _) => return Err(LogProblem::OtherCall(client)),
        (_, RegisterInput::CompareAndSet(..)) if repeated() => RegisterOutput::Mismatch,
        _ => return Ok(Event::NoEffect),
    };
    Ok(Event::Return(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line() {
        let log = "INFO  jepsen.core - Starting up\n\
            INFO  jepsen.util - 0\t:invoke\t:write\t4\n\
            INFO  jepsen.util - 1\t:invoke\t:cas\t[4 -2]\n\
            INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n\
            INFO  jepsen.util - 0\t:info\t:write\t:timed-out\n\
            INFO  jepsen.util - 1\t:fail\t:cas\t[4 -2]\n\
            INFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
            INFO  jepsen.util - 1\t:fail\t:read\t:timed-out\n\
            INFO  jepsen.util - 1\t:invoke\t:read\tnil\n\
            INFO  jepsen.util - 1\t:ok\t:read\tnil\n";
        let history = parse(log.as_bytes()).expect("a log");
        let operations: Vec<_> =
            history.iter().map(|(_, op)| (op.input, op.outcome.output().copied())).collect();
        assert_eq!(
            operations,
            [
                (RegisterInput::Write(4), None),
                (RegisterInput::CompareAndSet(4, -2), Some(RegisterOutput::Mismatch)),
                (RegisterInput::Read, Some(RegisterOutput::Value(None))),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let call = "INFO  jepsen.util - 0 :invoke :write 4\n";
        for (line, expected) in [
            ("nonsense", "line 2: expected a level, a logger and a dash"),
            ("INFO  jepsen.util - x :invoke :read nil", "line 2: expected a client's number"),
            ("INFO  jepsen.util - 1 :invoke :write x", "line 2: expected a number"),
            ("INFO  jepsen.util - 1 :invoke :cas 1 2", "line 2: expected two numbers in brackets"),
            ("INFO  jepsen.util - 1 :done :read", "line 2: expected :invoke, :ok, :fail or :info"),
            (
                "INFO  jepsen.util - 1 :ok :read 1",
                "line 2: client 1 returns from what it did not call",
            ),
            (
                "INFO  jepsen.util - 0 :ok :write 5",
                "line 2: client 0 returns from another operation than it had called",
            ),
            (
                "INFO  jepsen.util - 0 :invoke :read nil",
                "line 2: client 0 calls while its last operation has not returned",
            ),
        ] {
            let error = parse(format!("{call}{line}\n").as_bytes()).expect_err(line);
            assert_eq!(error.to_string(), expected);
        }
    }
}
