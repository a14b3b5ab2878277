use proptest::prelude::*;

use super::escape::unescape;
use super::*;

fn line(text: &[u8]) -> Line<'_> {
    Line { number: 1, text, is_ended: true }
}

fn written(format: Format, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write(format, key, value, 0, &mut out).unwrap();
    out
}

/// Any bytes, with those that are special here often among them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\t\n\r\\x\"\0-\x7f\xff\xc3\xa9".to_vec());
    prop::collection::vec(prop_oneof![any::<u8>(), special], 0..40)
}

proptest! {
    #[test]
    fn what_is_written_is_one_line_and_is_read_back(key in bytes(), value in bytes()) {
        for format in [Format::Tsv, Format::Ndjson] {
            let out = written(format, &key, &value);
            let (end, text) = out.split_last().unwrap();
            prop_assert_eq!(*end, b'\n');
            prop_assert!(!text.contains(&b'\n'), "more than one line");
            prop_assert!(std::str::from_utf8(text).is_ok());
            let record = read(format, line(text)).unwrap();
            prop_assert_eq!((&record.key, &record.value), (&key, &value));
            prop_assert_eq!(written(format, &record.key, &record.value), out);
        }
    }

    #[test]
    fn nothing_that_is_read_panics(text in bytes()) {
        for format in [Format::Tsv, Format::Ndjson, Format::Lines] {
            let _ = read(format, line(&text));
        }
    }

    #[test]
    fn hexadecimal_is_read_back(bytes in bytes()) {
        prop_assert_eq!(from_hex(to_hex(&bytes).as_bytes()).unwrap(), bytes);
    }

    #[test]
    fn any_text_comes_back_from_its_lines(text in prop::collection::vec(
        prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'-'), any::<u8>()], 0..60))
    {
        let mut records = Vec::new();
        for (number, part) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            let ended = part.strip_suffix(b"\n");
            let line = Line { number, text: ended.unwrap_or(part), is_ended: ended.is_some() };
            records.push(read(Format::Lines, line).unwrap());
        }
        prop_assert!(records.is_sorted_by_key(|record| record.key.clone()));
        let mut out = Vec::new();
        for record in &records {
            write(Format::Lines, &record.key, &record.value, 0, &mut out).unwrap();
        }
        prop_assert_eq!(out, text);
    }
}

#[test]
fn bytes_have_one_way_to_be_written() {
    assert_eq!(
        written(Format::Tsv, b"a\tb", b"\\ \n\r\0\xffz\xc3\xa9"),
        b"a\\tb\t\\\\ \\n\\r\\x00\\xffz\xc3\xa9\n"
    );
    assert_eq!(written(Format::Ndjson, b"k", b"\xff"), b"{\"key\":\"k\",\"value_b64\":\"/w==\"}\n");
    assert_eq!(json(b"k", b"v", Some(7)), r#"{"key":"k","value":"v","version":7}"#);
}

#[test]
fn what_is_no_record_is_refused_with_its_reason() {
    for (format, text, says) in [
        (Format::Tsv, &b"no tab here"[..], "no tab between"),
        (Format::Tsv, b"", "no tab between"),
        (Format::Tsv, b"a\tb\tc", "more than one tab"),
        (Format::Tsv, b"a\tb\r", "carriage return"),
        (Format::Tsv, b"a\t\\q", "unknown escape"),
        (Format::Tsv, b"a\t\\x1", "two hexadecimal digits"),
        (Format::Tsv, b"a\t\\xg1", "two hexadecimal digits"),
        (Format::Tsv, b"a\tb\\", "backslash at the end"),
        (Format::Tsv, b"a\t\xff", "not UTF-8 at byte 3"),
        (Format::Ndjson, b"{\"key\":\"a\"}", "neither `value`"),
        (Format::Ndjson, b"{\"key\":\"a\",\"key_b64\":\"\",\"value\":\"\"}", "both `key`"),
        (Format::Ndjson, b"{\"key\":\"a\",\"vlaue\":\"b\"}", "unknown field `vlaue`"),
        (Format::Ndjson, b"{\"key\":\"a\",\"key\":\"b\",\"value\":\"\"}", "duplicate field `key`"),
        (Format::Ndjson, b"{\"key\":\"a\",\"value_b64\":\"*\"}", "value_b64"),
        (Format::Ndjson, b"", "EOF"),
    ] {
        let error = read(format, line(text)).unwrap_err();
        assert!(error.contains(says), "{}: {error}", text.escape_ascii());
    }
    let far = Line { number: 100_000_000, text: b"", is_ended: true };
    assert!(read(Format::Lines, far).unwrap_err().contains("eight digits"));
    let mut out = Vec::new();
    let error = write(Format::Lines, b"00000001", b"a\nb", 0, &mut out).unwrap_err();
    assert!(error.contains("more than one line"), "{error}");
    assert!(unescape("a\\").is_err());
    assert!(from_hex(b"abc").is_err() && from_hex(b"zz").is_err());
}

#[test]
fn the_format_is_asked_for_or_in_the_name() {
    let of = |name: &str, asked| format_of(OsStr::new(name), asked).map_err(|error| error.cause);
    assert_eq!(of("x/data.tsv", None), Ok(Format::Tsv));
    assert_eq!(of("data.jsonl", None), Ok(Format::Ndjson));
    assert_eq!(of("data.tsv", Some(Format::Lines)), Ok(Format::Lines));
    assert!(of("-", None).unwrap_err().contains("does not say its format"));
}
