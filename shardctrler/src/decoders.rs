//! What must hold of what this crate reads from the wire, for fuzzing and for tests: whatever the bytes, there is no
//! panic, and what was understood is understood the same when it is written again. Each says whether it
//! understood something.

use kv::rpc;

use crate::command::{change_body, read_change};
use crate::config::Configuration;
use crate::wire::{self, Answer, Kind, Read};

/// A request, with what stands in it.
///
/// # Panics
///
/// When that does not hold.
pub fn request(bytes: &[u8]) -> bool {
    let Ok((kind, _, body)) = wire::read_request(bytes) else { return false };
    match kind {
        Kind::Change => {
            if let Ok((ticket, change)) = read_change(body) {
                let again = change_body(Vec::new(), ticket, &change);
                assert_eq!(read_change(&again), Ok((ticket, change)));
            }
        }
        Kind::Read => {
            if let Ok(read) = rpc::decode::<Read>(body) {
                assert_eq!(rpc::decode(&rpc::encode(Vec::new(), &read)), Ok(read));
            }
        }
        Kind::OpenSession | Kind::Status => {}
    }
    true
}

/// A reply, and a configuration that it has.
///
/// # Panics
///
/// When that does not hold.
pub fn reply(bytes: &[u8]) -> bool {
    let Ok(answer) = wire::read_reply(bytes) else { return false };
    if let Answer::Configuration(encoded) = &answer
        && let Ok(configuration) = Configuration::decode(encoded)
    {
        assert_eq!(Configuration::decode(&configuration.encode()), Ok(configuration));
    }
    if let Answer::Status(status) = answer.clone() {
        // What a client makes of it.
        let _ = crate::status::NodeStatus::from(status);
    }
    assert_eq!(wire::read_reply(&wire::reply(&answer)), Ok(answer));
    true
}
