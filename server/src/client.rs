//! The client's side of a command: a clerk, and what its errors mean for the exit code.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use kv::{Cause, Clerk, ClerkConfig, ClerkError, Limits};
use raft_transport::{CallerConfig, TcpCaller, TokioNetwork};

use crate::cli::Connect;
use crate::config::HostPort;
use crate::exit::{Exit, Failure};
use crate::records::from_hex;

/// A number nobody can guess, from what the operating system gives every process.
pub(crate) fn entropy() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// The largest limits a node can be given. What a node allows it says itself: a client that was told less
/// would refuse for it.
fn limits_max() -> Limits {
    let mut limits = Limits::default();
    limits.key_bytes_max = 1 << 20;
    limits.value_bytes_max = 4 << 20;
    limits
}

/// A clerk of its own connection, with at most `in_flight` calls at once. Within a runtime only.
pub(crate) fn clerk(connect: &Connect, in_flight: usize) -> Clerk {
    let caller = TcpCaller::new(CallerConfig::new(entropy()), Arc::new(TokioNetwork));
    let mut config = ClerkConfig::default();
    config.deadline = connect.timeout.0;
    config.in_flight_max = in_flight;
    config.limits = limits_max();
    config.seed = entropy();
    Clerk::new(Arc::new(caller), connect.endpoints.iter().map(HostPort::address), config)
}

/// What a clerk's error means for the person in front of the command.
pub(crate) fn failure(error: ClerkError, connect: &Connect) -> Failure {
    let endpoints: Vec<_> = connect.endpoints.iter().map(|at| at.0.as_str()).collect();
    let endpoints = endpoints.join(", ");
    let timeout = connect.timeout;
    let exit = match &error {
        ClerkError::Refused(_) => Exit::Refused,
        ClerkError::NotDone(_) => Exit::Unreachable,
        ClerkError::Unknown(_) => Exit::Unknown,
    };
    match error {
        ClerkError::Refused(refusal) => Failure::new(exit, format!("refused: {refusal}"))
            .hint("the limits are settings of the nodes: key_bytes_max, value_bytes_max"),
        ClerkError::NotDone(cause) => {
            Failure::new(exit, format!("not done within {timeout}, and without effect: {cause}"))
                .hint(match cause {
                    Cause::Unreachable | Cause::NoReply => format!(
                        "is a node running at {endpoints}? Give others with --endpoints, or more \
                         time with --timeout"
                    ),
                    Cause::NoLeader => "most of the cluster's nodes must be up; `shardkv status` \
                                        shows them"
                        .to_owned(),
                    _ => "try again, or give more time with --timeout".to_owned(),
                })
        }
        ClerkError::Unknown(cause) => {
            Failure::new(exit, format!("it is unknown whether this was done: {cause}"))
                .hint("it was done once, or will be, or never; read the key to find out")
        }
    }
}

/// The bytes of an argument.
pub(crate) fn bytes_of(argument: &OsStr, is_hex: bool) -> Result<Vec<u8>, Failure> {
    match is_hex {
        true => from_hex(argument.as_bytes()).map_err(Failure::usage),
        false => Ok(argument.as_bytes().to_vec()),
    }
}

/// The bytes of a value: those of the argument, or those of stdin if it is `-`.
pub(crate) fn value_of(argument: &OsStr, is_hex: bool) -> Result<Vec<u8>, Failure> {
    if argument != "-" {
        return bytes_of(argument, is_hex);
    }
    let mut value = Vec::new();
    // One more than any node allows, so that too much is refused and not cut.
    std::io::stdin()
        .take(u64::from(limits_max().value_bytes_max) * if is_hex { 2 } else { 1 } + 2)
        .read_to_end(&mut value)
        .map_err(|error| Failure::usage(format!("cannot read the value from stdin: {error}")))?;
    match is_hex {
        true => from_hex(value.trim_ascii_end()).map_err(Failure::usage),
        false => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    #[test]
    fn each_fate_has_its_exit_code() {
        let connect = Connect { endpoints: Vec::new(), timeout: Span::secs(1) };
        let refusal = kv::Refusal::KeyTooLarge { bytes: 2, bytes_max: 1 };
        for (error, exit) in [
            (ClerkError::Refused(refusal), Exit::Refused),
            (ClerkError::NotDone(Cause::NoLeader), Exit::Unreachable),
            (ClerkError::Unknown(Cause::NoReply), Exit::Unknown),
        ] {
            let failure = failure(error, &connect);
            assert_eq!(failure.exit, exit);
            assert!(!failure.remedy.is_empty());
        }
    }
}
