//! TCP.

use std::io;

use raft_core::{Address, BoxFuture};
use tokio::net::{TcpListener, TcpStream};

use super::{Listener, Network, Stream};

/// TCP, by tokio. Addresses are `host:port`; names are resolved at each dial.
#[derive(Clone, Copy, Default, Debug)]
pub struct TokioNetwork;

impl Network for TokioNetwork {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move {
            let listener = TcpListener::bind(&address.0).await?;
            let address = Address(listener.local_addr()?.to_string());
            Ok(Box::new(Tcp { listener, address }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let address = address.clone();
        Box::pin(async move { Ok(prepared(TcpStream::connect(&address.0).await?)) })
    }
}

struct Tcp {
    listener: TcpListener,
    address: Address,
}

impl Listener for Tcp {
    fn address(&self) -> &Address {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(prepared(self.listener.accept().await?.0)) })
    }
}

/// Frames are collected before they are written, so that waiting for more would only cost time.
fn prepared(stream: TcpStream) -> Box<dyn Stream> {
    // It fails only on a stream that is broken already, which is noticed when it is used.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}
