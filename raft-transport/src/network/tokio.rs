//! TCP.

use std::io;

use raft_core::{Address, BoxFuture};
use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::{Incoming, Listener, Network, Stream};

/// TCP, by tokio. Addresses are `host:port`; names are resolved at each dial.
#[derive(Clone, Copy, Default, Debug)]
pub struct TokioNetwork;

/// TCP within this machine: what [`TokioNetwork`] is, but for addresses that are not of the loopback device,
/// which are refused, whatever name they hide behind. What is said without encryption cannot leave the machine
/// by it.
#[derive(Clone, Copy, Default, Debug)]
pub struct LoopbackNetwork;

impl Network for TokioNetwork {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move { listening(TcpListener::bind(&address.0).await?) })
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let address = address.clone();
        Box::pin(async move { Ok(prepared(TcpStream::connect(&address.0).await?)) })
    }
}

impl Network for LoopbackNetwork {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move { listening(TcpListener::bind(&*local(&address).await?).await?) })
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let address = address.clone();
        Box::pin(async move { Ok(prepared(TcpStream::connect(&*local(&address).await?).await?)) })
    }
}

/// What an address stands for on the loopback device.
async fn local(address: &Address) -> io::Result<Vec<std::net::SocketAddr>> {
    let found = lookup_host(&address.0).await?.filter(|at| at.ip().is_loopback());
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not on the loopback device, and without TLS nothing else is allowed",
        )),
        false => Ok(found),
    }
}

struct Tcp {
    listener: TcpListener,
    address: Address,
}

fn listening(listener: TcpListener) -> io::Result<Box<dyn Listener>> {
    let address = Address(listener.local_addr()?.to_string());
    Ok(Box::new(Tcp { listener, address }))
}

impl Listener for Tcp {
    fn address(&self) -> &Address {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(prepared(self.listener.accept().await?.0)) })
    }

    fn accept_from(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            Ok(Incoming { stream: prepared(stream), from: Some(from.ip()) })
        })
    }
}

/// Frames are collected before they are written, so that waiting for more would only cost time.
fn prepared(stream: TcpStream) -> Box<dyn Stream> {
    // It fails only on a stream that is broken already, which is noticed when it is used.
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}
