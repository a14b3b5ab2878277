//! [`SimCaller`]: requests to services.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::{Address, BoxFuture, CallError, Caller};
use tokio::sync::oneshot;

use super::post::Content;
use super::{Kind, Port, SimNet};

/// Calls services in a [`SimNet`]. A request or its reply may be lost: then the call never ends. A request
/// arrives once at the most.
#[derive(Clone)]
pub struct SimCaller {
    pub(super) net: SimNet,
    pub(super) port: Arc<Port>,
}

impl Caller for SimCaller {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let address = address.clone();
        Box::pin(async move {
            let Some(to) = self.net.host_at(&address) else {
                return Err(CallError::NotSent { reason: format!("no host at {address}") });
            };
            let (answer, answered) = oneshot::channel();
            let call = self.net.next_number();
            self.port.state().calls.insert(call, answer);
            // Forgotten when the caller gives up.
            let _waiting = Waiting { port: &self.port, call };
            if self.port.fate.reach(Kind::Request.name()) {
                let bytes = request.len() as u64;
                let content = Content::Request { call, data: request };
                self.net.send(&self.port, to, Kind::Request, bytes, content);
            }
            let lost = || CallError::Unknown { reason: format!("{address} is gone") };
            answered.await.unwrap_or_else(|_| Err(lost()))
        })
    }
}

struct Waiting<'a> {
    port: &'a Port,
    call: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.port.state().calls.remove(&self.call);
    }
}
