//! [`Port`]: how one incarnation of a process is connected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Address, CallError, Envelope, Service};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::HostId;
use super::stream::SimStream;
use crate::world::Fate;

/// The most messages that wait for one process; what comes on top is lost.
const INBOX_MAX: usize = 65_536;

/// What one incarnation of a process has to do with the network.
pub(crate) struct Port {
    pub(crate) host: HostId,
    pub(crate) fate: Fate,
    pub(crate) arrived: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) inbox: Vec<Envelope>,
    pub(super) closed: bool,
    pub(super) service: Option<Arc<dyn Service>>,
    pub(super) calls: BTreeMap<u64, oneshot::Sender<Result<Bytes, CallError>>>,
    pub(super) listeners: BTreeMap<Address, mpsc::Sender<SimStream>>,
    clock: Option<Clock>,
}

/// Translates this process's time to the world's.
#[derive(Clone, Copy)]
struct Clock {
    world: Duration,
    local: Instant,
    /// The world's time at the end of the step: nothing in it is later.
    limit: Duration,
}

impl Port {
    pub(crate) fn new(host: HostId, fate: Fate) -> Self {
        Self { host, fate, arrived: Notify::new(), state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is `world` in the world, and will be `limit` when this step of the process ends. Called in the
    /// process's runtime.
    pub(crate) fn set_clock(&self, world: Duration, limit: Duration) {
        self.state().clock = Some(Clock { world, local: Instant::now(), limit });
    }

    /// The world's time as this process's code runs. Called in the process's runtime.
    pub(super) fn world_now(&self) -> Duration {
        match self.state().clock {
            Some(clock) => (clock.world + clock.local.elapsed()).min(clock.limit),
            None => Duration::ZERO,
        }
    }

    pub(super) fn deliver(&self, envelope: Envelope) -> bool {
        let mut state = self.state();
        let fits = !state.closed && state.inbox.len() < INBOX_MAX;
        if fits {
            state.inbox.push(envelope);
            drop(state);
            self.arrived.notify_one();
        }
        fits
    }
}
