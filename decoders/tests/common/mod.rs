//! Checks that measure.

use std::panic::{catch_unwind, resume_unwind};

use decoders::Decoder;

/// What a check may have allocated at one time: so much whatever the input, and so much for each byte of it.
/// Collections whose length is announced begin with at most a megabyte.
const BYTES_MAX: u64 = 2 << 20;
const BYTES_EACH: u64 = 256;

/// The check of `decoder`, and that it did not allocate too much. Whether it understood something.
pub fn check(decoder: &Decoder, input: &[u8]) -> bool {
    let mut checked = Ok(false);
    // A panic goes around the counting, which would not end.
    let check = || catch_unwind(|| (decoder.check)(input));
    let measured = allocation_counter::measure(|| checked = check());
    let understood = checked.unwrap_or_else(|panic| resume_unwind(panic));
    let max = BYTES_MAX + BYTES_EACH * input.len() as u64;
    assert!(measured.bytes_max <= max, "{}: {measured:?} of {} bytes", decoder.name, input.len());
    understood
}
