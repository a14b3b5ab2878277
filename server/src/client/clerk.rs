//! [`Clerk`]: the client of a cluster of either mode.

use std::sync::Arc;

use kv::{Appended, Deleted, Expect, Scan, Swap, Versioned};
use raft_core::{Caller, LogIndex};
use raft_transport::group_address;

use super::merge::Merged;
use super::{entropy, limits_max};
use crate::cli::Connect;
use crate::config::{CONTROLLER, HostPort, Mode};
use crate::exit::Failure;
use crate::wire::Wire;

/// Why a call has no answer, in either mode.
pub(crate) type ClerkError = kv::ClerkError<shardkv::Refusal>;

/// A client. Clones share the connections, the sessions and the bound on calls in flight.
#[derive(Clone)]
pub(crate) enum Clerk {
    /// Of one group that has all keys.
    Plain(kv::Clerk),
    /// Of groups that have shards of them.
    Sharded(shardkv::Clerk),
}

/// What requests are sent by. Within a runtime only.
pub(crate) fn caller(connect: &Connect) -> Result<Arc<dyn Caller>, Failure> {
    let security = connect.security.wanted()?;
    security.check(&connect.endpoints)?;
    Ok(Wire::open(security)?.caller())
}

/// A clerk of its own connections, with at most `in_flight` calls at once. Within a runtime only.
pub(crate) fn clerk(connect: &Connect, in_flight: usize) -> Result<Clerk, Failure> {
    Ok(match connect.mode {
        Mode::Plain => Clerk::Plain(plain(connect, in_flight)?),
        Mode::Sharded => {
            let mut config = shardkv::ClerkConfig::default();
            config.deadline = connect.timeout.0;
            config.in_flight_max = in_flight;
            config.calls.in_flight_max = in_flight;
            config.calls.seed = entropy();
            config.limits = limits_max();
            // So that it is known in time why the controller does not answer.
            config.controller_timeout = config.controller_timeout.min(connect.timeout.0 / 4 * 3);
            let caller = caller(connect)?;
            let controller = controller(connect, caller.clone());
            Clerk::Sharded(shardkv::Clerk::new(caller, controller, config))
        }
    })
}

pub(crate) fn plain(connect: &Connect, in_flight: usize) -> Result<kv::Clerk, Failure> {
    let mut config = kv::ClerkConfig::default();
    config.deadline = connect.timeout.0;
    config.in_flight_max = in_flight;
    config.limits = limits_max();
    config.seed = entropy();
    let endpoints = connect.endpoints.iter().map(HostPort::address);
    Ok(kv::Clerk::new(caller(connect)?, endpoints, config))
}

/// A clerk of the controller: any node of the cluster knows where that is.
pub(crate) fn controller(connect: &Connect, caller: Arc<dyn Caller>) -> shardctrler::Clerk {
    let mut config = shardctrler::ClerkConfig::default();
    config.deadline = connect.timeout.0;
    config.calls.seed = entropy();
    let endpoints = connect.endpoints.iter().map(HostPort::address);
    let endpoints = endpoints.map(|at| group_address(&at, CONTROLLER));
    shardctrler::Clerk::new(caller, endpoints, config)
}

/// The same error, of either mode.
pub(super) fn either(error: kv::ClerkError) -> ClerkError {
    match error {
        kv::ClerkError::Refused(refusal) => kv::ClerkError::Refused(refusal.into()),
        kv::ClerkError::NotDone(cause) => kv::ClerkError::NotDone(cause),
        kv::ClerkError::Unknown(cause) => kv::ClerkError::Unknown(cause),
    }
}

impl Clerk {
    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.get(key).await.map_err(either),
            Self::Sharded(clerk) => clerk.get(key).await,
        }
    }

    pub(crate) async fn put(&self, key: &[u8], value: &[u8]) -> Result<LogIndex, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.put(key, value).await.map_err(either),
            Self::Sharded(clerk) => clerk.put(key, value).await,
        }
    }

    pub(crate) async fn append(&self, key: &[u8], value: &[u8]) -> Result<Appended, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.append(key, value).await.map_err(either),
            Self::Sharded(clerk) => clerk.append(key, value).await,
        }
    }

    pub(crate) async fn delete(&self, key: &[u8]) -> Result<Deleted, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.delete(key).await.map_err(either),
            Self::Sharded(clerk) => clerk.delete(key).await,
        }
    }

    pub(crate) async fn compare_and_set(
        &self,
        key: &[u8],
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> Result<Swap, ClerkError> {
        match self {
            Self::Plain(clerk) => clerk.compare_and_set(key, expect, then).await.map_err(either),
            Self::Sharded(clerk) => clerk.compare_and_set(key, expect, then).await,
        }
    }

    /// All entries of a scan in the order of their keys, piece by piece.
    pub(crate) fn pages(&self, scan: Scan) -> Pages {
        match self {
            Self::Plain(clerk) => Pages::Plain(Box::new(clerk.pages(scan))),
            Self::Sharded(clerk) => Pages::Sharded(Box::new(Merged::new(clerk.clone(), scan))),
        }
    }
}

/// An entry of a scan: key, value and version.
pub(crate) type Entry = (bytes::Bytes, bytes::Bytes, LogIndex);

/// The pieces of a scan.
pub(crate) enum Pages {
    Plain(Box<kv::Pages>),
    Sharded(Box<Merged>),
}

impl Pages {
    /// The next piece; `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<Entry>, ClerkError>> {
        match self {
            Self::Plain(pages) => {
                Some(pages.next().await?.map(|page| page.entries).map_err(either))
            }
            Self::Sharded(merged) => merged.next().await,
        }
    }
}
