//! One line of EDN: a map from keywords to plain values.

use bytes::Bytes;

use super::LogProblem;

/// A value in a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Nil,
    Boolean(bool),
    Number(u64),
    /// Without its colon.
    Keyword(String),
    Text(Bytes),
}

/// Takes a line of bytes apart.
struct Cursor<'a> {
    rest: &'a [u8],
}

fn malformed<T>(expected: &'static str) -> Result<T, LogProblem> {
    Err(LogProblem::Malformed { expected })
}

/// Reads `{:key value, :key value}`, in the order given.
pub(super) fn map(line: &[u8]) -> Result<Vec<(String, Value)>, LogProblem> {
    let mut cursor = Cursor { rest: line };
    if !cursor.take(b'{') {
        return malformed("a map in braces");
    }
    let mut entries = Vec::new();
    loop {
        if cursor.take(b'}') {
            break;
        }
        let Value::Keyword(key) = cursor.value()? else { return malformed("a keyword") };
        entries.push((key, cursor.value()?));
    }
    cursor.skip();
    if cursor.rest.is_empty() { Ok(entries) } else { malformed("nothing after the map") }
}

impl<'a> Cursor<'a> {
    /// White space, and commas, which EDN counts as such.
    fn skip(&mut self) {
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
        let count = self.rest.iter().take_while(|byte| blank(byte)).count();
        self.rest = &self.rest[count..];
    }

    /// Takes this byte if it is next.
    fn take(&mut self, wanted: u8) -> bool {
        self.skip();
        match self.rest {
            [first, rest @ ..] if *first == wanted => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn value(&mut self) -> Result<Value, LogProblem> {
        if self.take(b'"') {
            return self.text();
        }
        if self.take(b':') {
            let word = self.word();
            return match std::str::from_utf8(word) {
                Ok(word) if !word.is_empty() => Ok(Value::Keyword(word.into())),
                _ => malformed("a keyword"),
            };
        }
        let word = self.word();
        match word {
            b"nil" => Ok(Value::Nil),
            b"true" => Ok(Value::Boolean(true)),
            b"false" => Ok(Value::Boolean(false)),
            word => {
                let number = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
                number.map(Value::Number).map_or(malformed("a value"), Ok)
            }
        }
    }

    fn word(&mut self) -> &'a [u8] {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b",{}\"".contains(byte);
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// The rest of a text, after its opening quotation mark.
    fn text(&mut self) -> Result<Value, LogProblem> {
        let mut text = Vec::new();
        loop {
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Ok(Value::Text(text.into()));
                }
                [b'\\', b'x', high, low, rest @ ..] => {
                    let digit = |byte: &u8| (*byte as char).to_digit(16);
                    let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                        return malformed("two hexadecimal digits after \\x");
                    };
                    text.push((high * 16 + low) as u8);
                    self.rest = rest;
                }
                [b'\\', escaped, rest @ ..] => {
                    text.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'"' | b'\\' | b'\'' => *escaped,
                        _ => return malformed("an escape that is known"),
                    });
                    self.rest = rest;
                }
                [byte, rest @ ..] => {
                    text.push(*byte);
                    self.rest = rest;
                }
                [] => return malformed("the end of a text"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_map_of_everything() {
        let line = br#" {:a 12, :b nil :c :d, :e "x \"\\\x00\n", :f true} "#;
        let text = Value::Text(Bytes::from_static(b"x \"\\\0\n"));
        let expected = [
            ("a", Value::Number(12)),
            ("b", Value::Nil),
            ("c", Value::Keyword("d".into())),
            ("e", text),
            ("f", Value::Boolean(true)),
        ];
        assert_eq!(map(line), Ok(expected.map(|(key, value)| (key.into(), value)).into()));
    }

    #[test]
    fn what_is_no_map() {
        for line in ["", "{", "{:a}", "{:a 1} x", "{1 2}", "{:a \"x}", r#"{:a "\x1"}"#, "{: 1}"] {
            assert!(map(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in prop::collection::vec(any::<u8>(), 0..20)) {
            let line = format!("{{:t \"{}\"}}", text.escape_ascii());
            prop_assert_eq!(map(line.as_bytes()), Ok(vec![("t".into(), Value::Text(text.into()))]));
        }
    }
}
