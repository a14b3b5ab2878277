//! From a history to a log.

use super::KvHistory;
use crate::checker::models::{Current, Expect, Got, KvInput, KvOp, KvOutput};
use crate::history::{ClientId, Moment};

/// Writes a history as a log.
pub fn write(history: &KvHistory) -> String {
    let mut events = Vec::with_capacity(2 * history.len());
    for (_, operation) in history.iter() {
        let (client, called) = (operation.client, operation.called);
        events.push((called, false, line(client, "invoke", called, &operation.input, None)));
        let (returned, output) = (operation.outcome.returned(), operation.outcome.output());
        if let Some(at) = returned {
            events.push((at, true, line(client, "ok", at, &operation.input, output)));
        }
    }
    // At one position calls come first: these operations overlap.
    events.sort_by_key(|(at, returns, _)| (at.position, *returns));
    events.into_iter().map(|(_, _, line)| line).collect()
}

/// A map that is being written.
struct Map(String);

impl Map {
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        self.0 += &format!("{comma}:{name} {value}");
    }

    fn optional(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }
}

fn text(value: &[u8]) -> String {
    format!("\"{}\"", value.escape_ascii())
}

fn line(
    client: ClientId,
    kind: &str,
    at: Moment,
    input: &KvInput,
    output: Option<&KvOutput>,
) -> String {
    let mut map = Map(String::new());
    map.field("process", client);
    map.field("type", format_args!(":{kind}"));
    map.field("time", at.time.as_nanos());
    let name = match input.op {
        KvOp::Get => ":get",
        KvOp::Put(_) => ":put",
        KvOp::Append(_) => ":append",
        KvOp::Delete => ":delete",
        KvOp::CompareAndSet { .. } => ":cas",
    };
    map.field("f", name);
    map.field("key", text(&input.key));
    arguments(&mut map, &input.op, output);
    if let Some(output) = output {
        answer(&mut map, &input.op, output);
    }
    format!("{{{}}}\n", map.0)
}

/// What a call has. An answer repeats it, but for a get, which has the value that was seen.
fn arguments(map: &mut Map, op: &KvOp, output: Option<&KvOutput>) {
    let or_nil = |value: Option<String>| value.unwrap_or("nil".into());
    match op {
        KvOp::Get => {
            let seen = match output {
                Some(KvOutput::Got(Got::Found { value, .. })) => Some(text(value)),
                Some(KvOutput::Got(Got::MissingOrEmpty)) => Some(text(b"")),
                _ => None,
            };
            map.field("value", or_nil(seen));
        }
        KvOp::Put(value) | KvOp::Append(value) => map.field("value", text(value)),
        KvOp::Delete => {}
        KvOp::CompareAndSet { expect, then } => {
            let expect = match expect {
                Expect::Absent => None,
                Expect::Value(value) => Some(text(value)),
                Expect::Version(version) => Some(version.to_string()),
            };
            map.field("expect", or_nil(expect));
            map.field("value", or_nil(then.as_ref().map(|value| text(value))));
        }
    }
}

/// What an answer has besides.
fn answer(map: &mut Map, op: &KvOp, output: &KvOutput) {
    match output {
        KvOutput::Got(Got::Found { version, .. }) => map.optional("version", *version),
        KvOutput::Got(Got::Missing | Got::MissingOrEmpty) => {}
        KvOutput::Done { index } => {
            map.optional("index", *index);
            if matches!(op, KvOp::CompareAndSet { .. }) {
                map.field("swapped", true);
            }
        }
        KvOutput::Appended { index, length } => {
            map.optional("index", *index);
            map.optional("length", *length);
        }
        KvOutput::Deleted { index, existed } => {
            map.optional("index", *index);
            map.optional("existed", *existed);
        }
        KvOutput::Mismatch { index, current } => {
            map.optional("index", *index);
            map.field("swapped", false);
            match current {
                Current::Untold => {}
                Current::Absent => map.field("current", "nil"),
                Current::Version(version) => map.field("current", version),
            }
        }
    }
}
