//! What requests begin with, whatever the service.
//!
//! A request is the service's format (1 byte), the kind (1), how many milliseconds the client still waits
//! (4, little endian, as all fixed-width fields), and the body. The body of a write begins with its
//! [`Ticket`]: session (8), sequence number (8), and how far that is ahead of the first unacknowledged one
//! (2). The fields that change from attempt to attempt are patched in place.

use std::time::Duration;

use raft_core::LogIndex;

use crate::codec::{self, Malformed};
use crate::command::{SessionId, Ticket};

/// Bytes before the body of a request.
pub(crate) const HEADER: usize = 6;
const BUDGET_AT: usize = 2;
/// Where the distance between `seq` and `acked` stands in the body of a write.
const SPAN_AT: usize = 16;

/// The beginning of a request, with room for `room` bytes of body.
pub fn request(format: u8, kind: u8, room: usize) -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + room);
    request.extend_from_slice(&[format, kind, 0, 0, 0, 0]);
    request
}

/// Takes a request of this format apart: its kind, how long the client still waits, and its body.
///
/// # Errors
///
/// When it is none.
pub fn read_request(format: u8, mut request: &[u8]) -> Result<(u8, Duration, &[u8]), Malformed> {
    let [found, kind] = codec::take(&mut request)?;
    let budget_ms = u32::from_le_bytes(codec::take(&mut request)?);
    match found == format {
        true => Ok((kind, Duration::from_millis(u64::from(budget_ms)), request)),
        false => Err(Malformed),
    }
}

/// Appends a ticket: the first thing in the body of a write.
pub fn push_ticket(to: &mut Vec<u8>, ticket: Ticket) {
    to.extend_from_slice(&ticket.session.0.0.to_le_bytes());
    to.extend_from_slice(&ticket.seq.to_le_bytes());
    to.extend_from_slice(&span(ticket).to_le_bytes());
}

/// Takes the ticket off the front of the body of a write.
///
/// # Errors
///
/// When there is none.
pub fn take_ticket(body: &mut &[u8]) -> Result<Ticket, Malformed> {
    let session = SessionId(LogIndex(u64::from_le_bytes(codec::take(body)?)));
    let seq = u64::from_le_bytes(codec::take(body)?);
    let span = u16::from_le_bytes(codec::take(body)?);
    let acked = seq.checked_sub(u64::from(span)).ok_or(Malformed)?;
    Ok(Ticket { session, seq, acked })
}

/// How far `seq` is ahead of `acked`. A distance that has no room is past every window anyway.
fn span(ticket: Ticket) -> u16 {
    u16::try_from(ticket.seq.saturating_sub(ticket.acked)).unwrap_or(u16::MAX)
}

/// Says in a request how long the client still waits.
pub(crate) fn set_budget(request: &mut [u8], budget_ms: u32) {
    patch(request, BUDGET_AT, &budget_ms.to_le_bytes());
}

/// Says in the request of a write what the client has acknowledged by now.
pub(crate) fn set_acked(request: &mut [u8], ticket: Ticket) {
    patch(request, HEADER + SPAN_AT, &span(ticket).to_le_bytes());
}

fn patch(request: &mut [u8], at: usize, field: &[u8]) {
    if let Some(to) = request.get_mut(at..at + field.len()) {
        to.copy_from_slice(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_patched_is_what_is_read() {
        let ticket = Ticket { session: SessionId(LogIndex(7)), seq: 9, acked: 2 };
        let mut bytes = request(3, 5, 32);
        push_ticket(&mut bytes, ticket);
        bytes.push(0xee);
        set_budget(&mut bytes, 1_500);
        set_acked(&mut bytes, Ticket { acked: 8, ..ticket });
        let (kind, budget, mut body) = read_request(3, &bytes).expect("a request");
        assert_eq!((kind, budget), (5, Duration::from_millis(1_500)));
        assert_eq!(take_ticket(&mut body), Ok(Ticket { acked: 8, ..ticket }));
        assert_eq!(body, [0xee]);
        assert_eq!(read_request(4, &bytes), Err(Malformed), "another format");
        // A distance past the request itself.
        set_acked(&mut bytes, Ticket { seq: 20, ..ticket });
        assert_eq!(take_ticket(&mut &bytes[HEADER..]), Err(Malformed));
        for cut in 0..HEADER {
            assert_eq!(read_request(3, &bytes[..cut]), Err(Malformed));
        }
    }
}
