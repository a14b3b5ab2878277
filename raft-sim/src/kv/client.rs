//! [`KvClient`]: a client's process, and [`Job`]: what it was told to do.

use std::sync::{Arc, Mutex, PoisonError};

use kv::Clerk;
use raft_core::{Address, Caller};
use raft_transport::{CallerConfig, TcpCaller};

use crate::cluster::Wire;
use crate::net::HostId;
use crate::world::Process;

/// A client of a [`KvCluster`](super::KvCluster): a process of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KvClient(pub(super) HostId);

impl KvClient {
    /// Its process.
    pub fn host(self) -> HostId {
        self.0
    }
}

/// What a client's process holds.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) caller: Arc<dyn Caller>,
    pub(super) clerk: Clerk,
}

impl Connection {
    /// To be called in the process's runtime.
    pub(super) fn open(
        process: &Process,
        wire: Wire,
        endpoints: Vec<Address>,
        mut config: kv::ClerkConfig,
    ) -> Self {
        let caller: Arc<dyn Caller> = match wire {
            Wire::Messages => Arc::new(process.caller()),
            Wire::Streams => {
                let config = CallerConfig::new(process.seed());
                Arc::new(TcpCaller::new(config, Arc::new(process.sockets())))
            }
        };
        config.seed = process.seed();
        let clerk = Clerk::new(Arc::clone(&caller), endpoints, config);
        Self { caller, clerk }
    }
}

/// Something that a client does, and what comes out of it.
#[derive(Debug)]
pub struct Job<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Job<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Job<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// Whether it is done, and the outcome has not been taken.
    pub fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The outcome, once.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn set(&self, outcome: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
