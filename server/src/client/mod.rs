//! The client's side of a command: a clerk, and what its errors mean for the exit code.

mod clerk;
mod merge;
mod nodes;
mod operator;

pub(crate) use clerk::{Clerk, ClerkError, caller, clerk, controller, plain};
pub(crate) use nodes::{Answers, describe_all, describe_around};
pub(crate) use operator::{Operator, ask};

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use kv::{Cause, Limits};

use crate::cli::Connect;
use crate::config::Mode;
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

/// What a clerk's error means for the person in front of the command.
pub(crate) fn failure<R: Remedy>(error: kv::ClerkError<R>, connect: &Connect) -> Failure {
    let endpoints: Vec<_> = connect.endpoints.iter().map(|at| at.0.as_str()).collect();
    let endpoints = endpoints.join(", ");
    let timeout = connect.timeout;
    let exit = match &error {
        kv::ClerkError::Refused(_) => Exit::Refused,
        kv::ClerkError::NotDone(_) => Exit::Unreachable,
        kv::ClerkError::Unknown(_) => Exit::Unknown,
    };
    match error {
        kv::ClerkError::Refused(refusal) => {
            Failure::new(exit, format!("refused: {refusal}")).hint(refusal.remedy())
        }
        kv::ClerkError::NotDone(cause) => Failure::new(
            exit,
            format!("not done within {timeout}, and without effect: {cause}"),
        )
        .hint(match cause {
            Cause::Unreachable | Cause::NoReply => format!(
                "is a node running at {endpoints}, with TLS or without as this client? Give \
                         others with --endpoints, or more time with --timeout"
            ),
            Cause::NoLeader => format!(
                "most of a group's nodes must be up; `shardkv status` shows those at \
                         {endpoints}, and --endpoints gives others"
            ),
            Cause::Protocol => other_mode(connect),
            Cause::WrongGroup | Cause::NoEndpoint => {
                "no group has that shard, or it is moving: `shardkv shard \
                                          list` shows where it is"
                    .to_owned()
            }
            _ => "try again, or give more time with --timeout".to_owned(),
        }),
        kv::ClerkError::Unknown(cause) => {
            Failure::new(exit, format!("it is unknown whether this was done: {cause}"))
                .hint("it was done once, or will be, or never; read the key to find out")
        }
    }
}

/// What to do when the nodes do not understand a request.
pub(crate) fn other_mode(connect: &Connect) -> String {
    let (this, other) = match connect.mode {
        Mode::Sharded => ("sharded", "plain"),
        Mode::Plain => ("plain", "sharded"),
    };
    format!("{this} clusters answer this; if the cluster is {other}, say --mode {other}")
}

/// What to do about a refusal.
pub(crate) trait Remedy: std::fmt::Display {
    fn remedy(&self) -> &'static str;
}

impl Remedy for shardkv::Refusal {
    fn remedy(&self) -> &'static str {
        match self {
            Self::Store(_) => {
                "the limits are settings of the nodes: key_bytes_max, value_bytes_max"
            }
            _ => "`shardkv shard list` shows the shards",
        }
    }
}

impl Remedy for shardctrler::Refusal {
    fn remedy(&self) -> &'static str {
        "nothing was changed; `shardkv shard list` shows the groups and their shards"
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
    use crate::cli::SecurityFlags;
    use crate::units::Span;

    #[test]
    fn each_fate_has_its_exit_code() {
        let (endpoints, timeout) = (Vec::new(), Span::secs(1));
        let security = SecurityFlags::default();
        let connect = Connect { endpoints, timeout, mode: Mode::Sharded, security };
        let refusal = shardkv::Refusal::CrossShard;
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
