//! Keys, values and operations for people.

use super::{Current, Expect, Got, KvInput, KvOp, KvOutput};

/// Bytes in quotation marks; what is no text is escaped.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

pub(super) fn input(input: &KvInput) -> String {
    let key = text(&input.key);
    match &input.op {
        KvOp::Get => format!("get {key}"),
        KvOp::Put(value) => format!("put {key} {}", text(value)),
        KvOp::Append(value) => format!("append {key} {}", text(value)),
        KvOp::Delete => format!("delete {key}"),
        KvOp::CompareAndSet { expect, then } => {
            let expect = match expect {
                Expect::Absent => "missing".into(),
                Expect::Value(value) => text(value),
                Expect::Version(version) => format!("version {version}"),
            };
            let then = then.as_ref().map_or("missing".into(), |then| text(then));
            format!("cas {key} from {expect} to {then}")
        }
    }
}

pub(super) fn output(output: &KvOutput) -> String {
    let told = |what: &str, index: &Option<u64>| match index {
        Some(index) => format!("{what} at {index}"),
        None => what.into(),
    };
    match output {
        KvOutput::Got(Got::Missing) => "missing".into(),
        KvOutput::Got(Got::MissingOrEmpty) => "missing or empty".into(),
        KvOutput::Got(Got::Found { value, version: None }) => text(value),
        KvOutput::Got(Got::Found { value, version: Some(version) }) => {
            format!("{} at version {version}", text(value))
        }
        KvOutput::Done { index } => told("done", index),
        KvOutput::Appended { index, length: None } => told("done", index),
        KvOutput::Appended { index, length: Some(length) } => {
            told(&format!("length {length}"), index)
        }
        KvOutput::Deleted { index, existed } => match existed {
            None => told("done", index),
            Some(true) => told("removed", index),
            Some(false) => told("was missing", index),
        },
        KvOutput::Mismatch { index, current } => match current {
            Current::Untold => told("mismatch", index),
            Current::Absent => told("mismatch, missing,", index),
            Current::Version(version) => told(&format!("mismatch, version {version},"), index),
        },
    }
}
