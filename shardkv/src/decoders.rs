//! What must hold of what this crate reads from the wire, for fuzzing and for tests: whatever the bytes, there is no
//! panic, and what was understood is understood the same when it is written again. Each says whether it
//! understood something.

use std::fmt::Debug;

use kv::rpc::{self, Read};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::refusal::Refusal;
use crate::status::{NodeStatus, WireStatus};
use crate::transfer::{Ask, TransferAnswer, TransferRequest};
use crate::wire::{self, Kind};

/// A request, with what stands in it.
///
/// # Panics
///
/// When that does not hold.
pub fn request(bytes: &[u8]) -> bool {
    let Ok((kind, _, mut body)) = wire::read_request(bytes) else { return false };
    match kind {
        Kind::Write => {
            if let Ok((ticket, write)) = rpc::read_write(body) {
                let again = rpc::write_body(Vec::new(), ticket, &write);
                assert_eq!(rpc::read_write(&again), Ok((ticket, write)));
            }
        }
        Kind::Read => {
            if wire::take_shard(&mut body).is_ok()
                && let Ok(read) = rpc::decode::<Read<'_>>(body)
            {
                assert_eq!(rpc::decode(&rpc::encode(Vec::new(), &read)), Ok(read));
            }
        }
        Kind::Transfer => {
            if let Ok(request) = rpc::decode::<TransferRequest>(body) {
                if let Ask::Stage(chunk) = &request.ask {
                    // It has an answer.
                    let _ = chunk.is_whole();
                }
                assert_eq!(rpc::decode(&rpc::encode(Vec::new(), &request)), Ok(request));
            }
        }
        Kind::OpenSession | Kind::Status => {}
    }
    true
}

/// A reply to any kind of request.
///
/// # Panics
///
/// When that does not hold.
pub fn reply(bytes: &[u8]) -> bool {
    let mut understood = other::<TransferAnswer>(bytes) | other::<WireStatus>(bytes);
    if let Ok(status) = wire::read_other_reply::<WireStatus>(bytes) {
        let status = NodeStatus::from(status);
        assert_eq!(NodeStatus::from(WireStatus::from(&status)), status);
    }
    if let Ok(answer) = rpc::read_reply::<Refusal>(bytes) {
        let again = rpc::reply(&answer, 0);
        assert_eq!(rpc::read_reply::<Refusal>(&again), Ok(answer));
        understood = true;
    }
    understood
}

fn other<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(reply) = wire::read_other_reply::<T>(bytes) else { return false };
    assert_eq!(wire::read_other_reply(&wire::other_reply(&reply)), Ok(reply));
    true
}
