//! Calls to services over a network.
//!
//! A few connections for each address, one by default, shared by all calls, which are written as they come
//! and answered in any order. A connection is made when it is needed and closed when it was not for long.
//!
//! Invariants:
//! 1. A call ends `NotSent` only if no byte of its request can have left. When a stream fails while it is
//!    written to, everything that was offered to it counts as having left.
//! 2. A call whose future is dropped leaves nothing behind.
//! 3. Calls in flight are bounded for each connection in number and bytes, and so are the addresses.

mod line;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::{Address, BoxFuture, CallError, Caller};

use crate::carrier::{Carrier, Dialler};
use crate::complaints::Complaints;
use crate::config::CallerConfig;
use crate::counters::{Counters, Tally};
use crate::endpoint::NUMBER_BYTES;
use crate::tasks::Tasks;
use line::Line;

/// Calls services of [`NetTransport`](crate::NetTransport)s by address.
///
/// A call fails at once when its address could not be connected to a moment ago, when too many calls are in
/// flight, or when the request does not fit a frame: it is `NotSent` then. When the connection is lost, calls
/// that were not written are `NotSent`, all others `Unknown`. To be used within one tokio runtime.
pub struct NetCaller {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    config: CallerConfig,
    dialler: Dialler,
    places: Mutex<BTreeMap<Address, Arc<Place>>>,
    tasks: Tasks,
    tally: Arc<Tally>,
    complaints: Complaints,
}

/// The connections to one address.
struct Place {
    lines: Vec<Arc<Line>>,
    turn: AtomicUsize,
}

impl NetCaller {
    /// To be called within a tokio runtime, where its tasks run.
    pub fn new(config: CallerConfig, carrier: Carrier) -> Self {
        let shared = Shared {
            dialler: carrier.dialler(config.liveness.silence_max),
            config,
            places: Mutex::default(),
            tasks: Tasks::new(),
            tally: Arc::default(),
            complaints: Complaints::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        let places = self.shared.places();
        places.values().flat_map(|place| &place.lines).map(|line| line.in_flight()).sum()
    }

    /// Closes all connections: calls in flight fail. When it returns nothing runs any more.
    pub async fn shutdown(&self) {
        self.shared.tasks.stop().await;
        let places = std::mem::take(&mut *self.shared.places());
        for line in places.values().flat_map(|place| &place.lines) {
            line.fail("the caller was shut down");
        }
        self.shared.dialler.close(self.shared.config.handshake_max).await;
    }
}

impl Drop for NetCaller {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}

impl Caller for NetCaller {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let address = address.clone();
        Box::pin(async move {
            let length = request.len() + NUMBER_BYTES;
            let max = self.shared.config.frame_bytes_max;
            if length > max as usize {
                let reason = format!("the request would have {length} bytes, allowed are {max}");
                return Err(CallError::NotSent { reason });
            }
            let line = self.shared.line(&address)?;
            line::call(&self.shared, line, request).await
        })
    }
}

impl Shared {
    fn places(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection whose turn it is.
    fn line(&self, address: &Address) -> Result<Arc<Line>, CallError> {
        let mut places = self.places();
        let place = match places.get(address) {
            Some(place) => place,
            None => {
                if places.len() >= self.config.addresses_max {
                    places.retain(|_, place| place.lines.iter().any(|line| line.in_use()));
                }
                if places.len() >= self.config.addresses_max {
                    return Err(CallError::NotSent { reason: "too many addresses".into() });
                }
                let lines = (0..self.config.connections.max(1))
                    .map(|_| Arc::new(Line::new(address.clone())))
                    .collect();
                let place = Arc::new(Place { lines, turn: AtomicUsize::new(0) });
                places.entry(address.clone()).or_insert(place)
            }
        };
        let turn = place.turn.fetch_add(1, Ordering::Relaxed) % place.lines.len();
        Ok(Arc::clone(&place.lines[turn]))
    }
}
