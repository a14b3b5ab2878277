//! Tab-separated: key, tab, value.

use super::Record;
use super::escape::{escape, unescape};

pub(super) fn read(text: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        format!("not UTF-8 at byte {}; write such bytes as \\xNN", error.valid_up_to() + 1)
    })?;
    if text.ends_with('\r') {
        return Err(
            "a carriage return at the end; write it as \\r if it belongs to the value, and \
                    otherwise convert the file's line ends to plain newlines"
                .to_owned(),
        );
    }
    let (key, value) = text.split_once('\t').ok_or("no tab between a key and a value")?;
    if value.contains('\t') {
        return Err("more than one tab; write \\t for a tab in a key or a value".to_owned());
    }
    Ok(Record { key: unescape(key)?, value: unescape(value)? })
}

pub(super) fn write(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    escape(key, out);
    out.push(b'\t');
    escape(value, out);
    out.push(b'\n');
}
