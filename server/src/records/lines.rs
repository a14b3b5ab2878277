//! Any text, a record for each line: the key is the line's number with eight digits, so that the order of
//! the keys is that of the lines, and the value is the line, carriage return and all, but for its newline.
//!
//! A last line without a newline has a `-` after its number: so the text comes back byte for byte.

use super::{Line, Record};

const DIGITS: usize = 8;

pub(super) fn read(line: Line<'_>) -> Result<Record, String> {
    let mut key = format!("{:0DIGITS$}", line.number).into_bytes();
    if key.len() > DIGITS {
        return Err("more lines than eight digits can count; split the file".to_owned());
    }
    if !line.is_ended {
        key.push(b'-');
    }
    Ok(Record { key, value: line.text.to_vec() })
}

/// `key` is without the prefix that was asked for.
pub(super) fn write(key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if value.contains(&b'\n') {
        let key = key.escape_ascii();
        return Err(format!(
            "the value of `{key}` has more than one line; export it as tsv or ndjson"
        ));
    }
    out.extend_from_slice(value);
    let is_unended = key.len() == DIGITS + 1
        && key.ends_with(b"-")
        && key[..DIGITS].iter().all(u8::is_ascii_digit);
    if !is_unended {
        out.push(b'\n');
    }
    Ok(())
}
