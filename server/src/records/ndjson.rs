//! A line of JSON for each record. Bytes that are not UTF-8 stand in base64 under another name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Record;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    version: Option<u64>,
}

pub(super) fn read(text: &[u8]) -> Result<Record, String> {
    let fields: Fields = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok(Record {
        key: one_of("key", fields.key, fields.key_b64)?,
        value: one_of("value", fields.value, fields.value_b64)?,
    })
}

fn one_of(name: &str, text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => {
            STANDARD.decode(base64).map_err(|error| format!("{name}_b64: {error}"))
        }
        (None, None) => Err(format!("neither `{name}` nor `{name}_b64`")),
        (Some(_), Some(_)) => Err(format!("both `{name}` and `{name}_b64`")),
    }
}

pub(super) fn write(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(json(key, value, None).as_bytes());
    out.push(b'\n');
}

/// A record as JSON, with its version if that is wanted.
pub(crate) fn json(key: &[u8], value: &[u8], version: Option<u64>) -> String {
    let (key, key_b64) = text_or_base64(key);
    let (value, value_b64) = text_or_base64(value);
    let fields = Fields { key, key_b64, value, value_b64, version };
    // Strings and numbers always have a JSON form.
    serde_json::to_string(&fields).unwrap_or_default()
}

fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}
