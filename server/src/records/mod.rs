//! Records in files: what `import` reads and `export` writes.
//!
//! Each record is a line. What was exported is imported to the same keys and values, and what was imported
//! is exported to the same bytes, when its keys were in order, each once, and written in the canonical way
//! (which is how `export` writes). The readers are strict: what is not a record is an error with its line,
//! never skipped and never guessed at.

mod escape;
mod lines;
mod ndjson;
mod source;
mod tsv;

pub(crate) use escape::{escape, from_hex, to_hex};
pub(crate) use ndjson::json;
pub(crate) use source::{BadRecord, Source};

use std::ffi::OsStr;
use std::path::Path;

use crate::cli::Format;
use crate::exit::Failure;

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Its number, from 1 on.
    pub(crate) number: u64,
    /// What it says, without its newline.
    pub(crate) text: &'a [u8],
    /// Whether it has a newline; only the last one may lack it.
    pub(crate) is_ended: bool,
}

/// Reads a line. The error says what is wrong with it.
pub(crate) fn read(format: Format, line: Line<'_>) -> Result<Record, String> {
    match format {
        Format::Tsv => tsv::read(line.text),
        Format::Ndjson => ndjson::read(line.text),
        Format::Lines => lines::read(line),
    }
}

/// Appends a record to `out`, with its newline. `prefix_bytes` of the key are what was asked for.
pub(crate) fn write(
    format: Format,
    key: &[u8],
    value: &[u8],
    prefix_bytes: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    match format {
        Format::Tsv => tsv::write(key, value, out),
        Format::Ndjson => ndjson::write(key, value, out),
        Format::Lines => return lines::write(&key[prefix_bytes.min(key.len())..], value, out),
    }
    Ok(())
}

/// The format of `file`: the one that was asked for, or else what the name says.
pub(crate) fn format_of(file: &OsStr, asked: Option<Format>) -> Result<Format, Failure> {
    let by_name = || match Path::new(file).extension()?.to_str()? {
        "tsv" => Some(Format::Tsv),
        "ndjson" | "jsonl" => Some(Format::Ndjson),
        _ => None,
    };
    asked.or_else(by_name).ok_or_else(|| {
        Failure::usage(format!("the name `{}` does not say its format", Path::new(file).display()))
            .hint("give --format tsv, ndjson or lines")
    })
}

#[cfg(test)]
mod tests;
