//! Bytes as text and back: backslash escapes, and hexadecimal.

/// Appends `bytes` as text without tabs and line ends: `\t`, `\n`, `\r` and `\\`, and `\xNN` for other
/// control characters and for bytes that are not UTF-8. Everything else stays as it is.
pub(crate) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\t' => out.extend_from_slice(b"\\t"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\0'..' ' | '\x7f' => escape_byte(character as u8, out),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(*byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
}

/// The bytes that `text` stands for.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&letter, after)) = rest.split_first() else {
            return Err("a backslash at the end; write `\\\\` for a backslash".to_owned());
        };
        rest = after;
        match letter {
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let byte = rest.split_at_checked(2).and_then(|(digits, after)| {
                    rest = after;
                    hex_byte(digits)
                });
                out.push(byte.ok_or("`\\x` is followed by two hexadecimal digits")?);
            }
            _ => {
                return Err("an unknown escape; there are \\t, \\n, \\r, \\\\ and \\xNN".to_owned());
            }
        }
    }
    Ok(out)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// `bytes` in hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that `text` gives in hexadecimal.
pub(crate) fn from_hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = text.chunks(2).map(hex_byte).collect::<Option<Vec<u8>>>();
    bytes.ok_or_else(|| {
        format!("`{}` is not hexadecimal: pairs of 0-9 and a-f", String::from_utf8_lossy(text))
    })
}
