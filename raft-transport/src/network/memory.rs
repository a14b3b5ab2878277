//! A network within the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{Address, BoxFuture};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::{Listener, Network, Stream};

/// How many streams may wait to be accepted at an address; beyond that connecting waits.
const BACKLOG: usize = 128;

/// A network within the process: each stream is a pair of buffers. Clones are the same network.
#[derive(Clone, Debug)]
pub struct MemoryNetwork {
    listeners: Listeners,
    buffer_bytes: usize,
}

type Listeners = Arc<Mutex<BTreeMap<Address, mpsc::Sender<DuplexStream>>>>;

impl MemoryNetwork {
    /// A network whose streams hold `buffer_bytes` in each direction; a writer waits when that is full.
    pub fn new(buffer_bytes: usize) -> Self {
        Self { listeners: Listeners::default(), buffer_bytes }
    }
}

impl Default for MemoryNetwork {
    /// With buffers of 64 KiB.
    fn default() -> Self {
        Self::new(64 << 10)
    }
}

impl Network for MemoryNetwork {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move {
            let (sender, streams) = mpsc::channel(BACKLOG);
            let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            if listeners.get(&address).is_some_and(|there| !there.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            listeners.insert(address.clone(), sender);
            Ok(Box::new(Memory { address, streams }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = listeners.get(address).cloned();
        let (ours, theirs) = tokio::io::duplex(self.buffer_bytes);
        Box::pin(async move {
            let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
            listener.send(theirs).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

struct Memory {
    address: Address,
    streams: mpsc::Receiver<DuplexStream>,
}

impl Listener for Memory {
    fn address(&self) -> &Address {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, Address)>> {
        Box::pin(async move {
            let stream = self.streams.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok((Box::new(stream) as Box<dyn Stream>, Address::from("this process")))
        })
    }
}
