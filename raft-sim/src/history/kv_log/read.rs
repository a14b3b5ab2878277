//! From a log to a history.

use std::time::Duration;

use bytes::Bytes;

use super::KvHistory;
use crate::checker::models::{Current, Expect, Got, KvInput, KvOp, KvOutput};
use crate::history::edn::{self, Value};
use crate::history::log::{Event, LogReader};
use crate::history::{LogError, LogProblem};

/// Reads a log. Fails at the first line that it does not understand.
pub fn parse(log: &[u8]) -> Result<KvHistory, LogError> {
    let mut reader = LogReader::new();
    let mut lines = 0;
    for line in log.split(|byte| *byte == b'\n') {
        lines += 1;
        if !line.trim_ascii().is_empty() {
            event(line, &mut reader).map_err(|problem| LogError { line: lines, problem })?;
        }
    }
    reader.finish(lines)
}

/// The fields of a line.
struct Fields(Vec<(String, Value)>);

fn malformed<T>(expected: &'static str) -> Result<T, LogProblem> {
    Err(LogProblem::Malformed { expected })
}

impl Fields {
    fn field(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    fn keyword(&self, key: &str) -> Option<&str> {
        match self.field(key)? {
            Value::Keyword(word) => Some(word),
            _ => None,
        }
    }

    /// A text that must be there.
    fn text(&self, key: &str, expected: &'static str) -> Result<Bytes, LogProblem> {
        match self.field(key) {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => malformed(expected),
        }
    }

    /// A number that need not be there.
    fn number(&self, key: &str, expected: &'static str) -> Result<Option<u64>, LogProblem> {
        match self.field(key) {
            Some(Value::Number(number)) => Ok(Some(*number)),
            None => Ok(None),
            _ => malformed(expected),
        }
    }

    /// A truth value that need not be there.
    fn boolean(&self, key: &str, expected: &'static str) -> Result<Option<bool>, LogProblem> {
        match self.field(key) {
            Some(Value::Boolean(value)) => Ok(Some(*value)),
            None => Ok(None),
            _ => malformed(expected),
        }
    }
}

/// Takes one line.
fn event(line: &[u8], reader: &mut LogReader<KvInput, KvOutput>) -> Result<(), LogProblem> {
    let fields = Fields(edn::map(line)?);
    let Some(client) = fields.number("process", "a number as :process")? else {
        return malformed("a number as :process");
    };
    let time = Duration::from_nanos(fields.number("time", "a number as :time")?.unwrap_or(0));
    let asked = input(&fields)?;
    let event = match fields.keyword("type") {
        Some("invoke") => Event::Call(asked),
        Some(kind @ ("ok" | "fail" | "info")) => {
            let called = reader.called(client).ok_or(LogProblem::NotCalled(client))?;
            // The answer to a get has the value that was seen where the call has none.
            if called.key != asked.key || (called.op != asked.op && kind == "ok") {
                return Err(LogProblem::OtherCall(client));
            }
            match kind {
                "ok" => Event::Return(output(&called.op, &fields)?),
                "fail" => Event::NoEffect,
                _ => Event::Unknown,
            }
        }
        _ => return malformed(":invoke, :ok, :fail or :info as :type"),
    };
    reader.push(client, time, event)
}

/// What is asked for. An answer repeats it.
fn input(fields: &Fields) -> Result<KvInput, LogProblem> {
    let key = fields.text("key", "a text as :key")?;
    let value = || fields.text("value", "a text as :value");
    let op = match fields.keyword("f") {
        Some("get") => KvOp::Get,
        Some("put") => KvOp::Put(value()?),
        Some("append") => KvOp::Append(value()?),
        Some("delete") => KvOp::Delete,
        Some("cas") => {
            let expect = match fields.field("expect") {
                Some(Value::Nil) => Expect::Absent,
                Some(Value::Text(value)) => Expect::Value(value.clone()),
                Some(Value::Number(version)) => Expect::Version(*version),
                _ => return malformed("nil, a text or a version as :expect"),
            };
            let then = match fields.field("value") {
                Some(Value::Nil) => None,
                _ => Some(value()?),
            };
            KvOp::CompareAndSet { expect, then }
        }
        _ => return malformed(":get, :put, :append, :delete or :cas as :f"),
    };
    Ok(KvInput { key, op })
}

/// What was answered.
fn output(op: &KvOp, fields: &Fields) -> Result<KvOutput, LogProblem> {
    let index = fields.number("index", "a number as :index")?;
    Ok(match op {
        KvOp::Get => KvOutput::Got(got(fields)?),
        KvOp::Put(_) => KvOutput::Done { index },
        KvOp::Append(_) => {
            KvOutput::Appended { index, length: fields.number("length", "a number as :length")? }
        }
        KvOp::Delete => {
            let existed = fields.boolean("existed", "true or false as :existed")?;
            KvOutput::Deleted { index, existed }
        }
        KvOp::CompareAndSet { .. } => {
            match fields.boolean("swapped", "true or false as :swapped")? {
                Some(true) => KvOutput::Done { index },
                Some(false) => KvOutput::Mismatch { index, current: current(fields)? },
                None => return malformed("true or false as :swapped"),
            }
        }
    })
}

fn got(fields: &Fields) -> Result<Got, LogProblem> {
    let version = fields.number("version", "a number as :version")?;
    match fields.field("value") {
        Some(Value::Nil) => Ok(Got::Missing),
        Some(Value::Text(value)) if value.is_empty() && version.is_none() => {
            Ok(Got::MissingOrEmpty)
        }
        Some(Value::Text(value)) => Ok(Got::Found { value: value.clone(), version }),
        _ => malformed("nil or a text as :value"),
    }
}

fn current(fields: &Fields) -> Result<Current, LogProblem> {
    match fields.field("current") {
        None => Ok(Current::Untold),
        Some(Value::Nil) => Ok(Current::Absent),
        Some(Value::Number(version)) => Ok(Current::Version(*version)),
        Some(_) => malformed("nil or a version as :current"),
    }
}
