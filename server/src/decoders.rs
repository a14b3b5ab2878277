//! What must hold of what this program reads, for fuzzing and for tests: whatever the bytes, there is no panic, and
//! what was understood is understood the same when it is written again. Each says whether it
//! understood something.

use crate::cli::Format;
use crate::node::{Reply, Request};
use crate::records::{self, Line};

/// Lines of records, in each format.
///
/// # Panics
///
/// When that does not hold.
pub fn records(input: &[u8]) -> bool {
    let mut understood = false;
    for (number, line) in (1..).zip(input.split_inclusive(|byte| *byte == b'\n')) {
        let ended = line.strip_suffix(b"\n");
        let line = Line { number, text: ended.unwrap_or(line), is_ended: ended.is_some() };
        for format in [Format::Tsv, Format::Ndjson, Format::Lines] {
            let Ok(record) = records::read(format, line) else { continue };
            // Any line is a record of lines.
            understood |= !matches!(format, Format::Lines);
            let mut again = Vec::new();
            records::write(format, &record.key, &record.value, 0, &mut again)
                .expect("it is one line");
            let ended = again.strip_suffix(b"\n");
            let text = ended.unwrap_or(&again);
            assert!(!text.contains(&b'\n'), "a record of more than one line");
            let line = Line { number, text, is_ended: ended.is_some() };
            assert_eq!(records::read(format, line), Ok(record), "it is read otherwise");
        }
    }
    understood
}

/// What is asked of a node's own service.
///
/// # Panics
///
/// When that does not hold.
pub fn node_request(input: &[u8]) -> bool {
    let Ok(request) = Request::decode(input) else { return false };
    let first = request.encode();
    let again = Request::decode(&first).expect("what was written can be read");
    assert_eq!(again.encode(), first, "it is written otherwise than it was read");
    true
}

/// What a node's own service answers.
///
/// # Panics
///
/// When that does not hold.
pub fn node_reply(input: &[u8]) -> bool {
    let Ok(reply) = Reply::decode(input) else { return false };
    let first = reply.encode();
    let again = Reply::decode(&first).expect("what was written can be read");
    assert_eq!(again.encode(), first, "it is written otherwise than it was read");
    true
}
