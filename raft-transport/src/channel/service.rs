//! Requests within the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use raft_core::{Address, BoxFuture, CallError, Caller, Service};
use tokio::sync::watch;

use super::ChannelNetwork;

pub(super) type Services = Arc<RwLock<BTreeMap<Address, Registered>>>;

/// A service at an address. Whoever calls it notices when the sender is dropped.
pub(super) struct Registered {
    service: Arc<dyn Service>,
    gone: watch::Sender<()>,
}

impl ChannelNetwork {
    /// From now on `service` answers at `address`; whatever did before is gone.
    pub fn serve(&self, address: Address, service: Arc<dyn Service>) {
        let registered = Registered { service, gone: watch::Sender::new(()) };
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        services.insert(address, registered);
    }

    /// Nobody answers at `address` any more; calls in flight end `Unknown`.
    pub fn stop_serving(&self, address: &Address) {
        self.services.write().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// Calls the services of this network.
    pub fn caller(&self) -> ChannelCaller {
        ChannelCaller { services: Arc::clone(&self.services) }
    }
}

/// Calls the services of a [`ChannelNetwork`]: the request is moved into the service, which runs in the
/// caller's task.
#[derive(Clone)]
pub struct ChannelCaller {
    services: Services,
}

impl Caller for ChannelCaller {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let address = address.clone();
        Box::pin(async move {
            let (service, mut gone) = {
                let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
                let Some(there) = services.get(&address) else {
                    let reason = format!("nobody answers at {address}");
                    return Err(CallError::NotSent { reason });
                };
                (Arc::clone(&there.service), there.gone.subscribe())
            };
            let reply = service.call(request);
            tokio::select! {
                biased;
                reply = reply => Ok(reply),
                _ = gone.changed() => {
                    Err(CallError::Unknown { reason: format!("{address} is gone") })
                }
            }
        })
    }
}
