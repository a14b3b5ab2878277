//! Requests from outside the group: what a service answers, and what its clients call.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;

use crate::BoxFuture;

/// Answers requests. A transport calls it for each request that arrives, many at once.
pub trait Service: Send + Sync + 'static {
    /// Answers `request`. The future may be dropped when the client is gone.
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes>;
}

/// Sends requests to services, by address.
///
/// A request arrives **at most once** for each call. It may arrive late, even after the call has failed or was
/// dropped, but no second copy ever does, and a call that ended [`NotSent`](CallError::NotSent) never arrives.
/// Clients build on it: when a service answers that it did nothing, nothing of this call can have an effect
/// any more. What runs over a TCP connection, and is not repeated over another one, is of this kind; a
/// transport of datagrams has to number its requests and drop the copies.
pub trait Caller: Send + Sync + 'static {
    /// Sends `request` to the service at `address` and waits for its reply. It waits as long as it takes:
    /// the caller sets a deadline by dropping the future, after which the outcome is unknown.
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>>;
}

/// Where a service can be reached, as its transport writes it: `127.0.0.1:7101` for TCP.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<S: Into<String>> From<S> for Address {
    fn from(address: S) -> Self {
        Self(address.into())
    }
}

/// Why a call has no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The request was not sent: it certainly had no effect.
    NotSent {
        /// Why.
        reason: String,
    },
    /// The request was sent, or a part of it: it may have had its effect.
    Unknown {
        /// Why there is no reply.
        reason: String,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent { reason } => write!(f, "not sent: {reason}"),
            Self::Unknown { reason } => write!(f, "sent, outcome unknown: {reason}"),
        }
    }
}

impl core::error::Error for CallError {}
