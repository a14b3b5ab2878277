//! What is needed of a network: byte streams between addresses.
//!
//! [`TokioNetwork`] is the real one, [`LoopbackNetwork`] one that does not leave the machine, [`MemoryNetwork`] lives in the process and needs no time, so that
//! deadlines can be tested with a paused clock. A simulator implements [`Network`] and runs everything above
//! it unchanged.

mod memory;
mod tokio;

use std::io;
use std::net::IpAddr;

use ::tokio::io::{AsyncRead, AsyncWrite};
use raft_core::{Address, BoxFuture};

pub use self::memory::MemoryNetwork;
pub use self::tokio::{LoopbackNetwork, TokioNetwork};

/// A bidirectional stream of bytes. Dropping it closes it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream that somebody else has made.
pub struct Incoming {
    /// The stream.
    pub stream: Box<dyn Stream>,
    /// Who has, if the network tells.
    pub from: Option<IpAddr>,
}

/// Makes streams.
pub trait Network: Send + Sync + 'static {
    /// Listens at `address`.
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Connects to `address`. May take for ever: the caller sets the deadline by dropping the future.
    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// Takes the streams that others make to an address. Dropping it frees the address.
pub trait Listener: Send + 'static {
    /// Where it listens: the address given to [`Network::bind`], with the port that was chosen.
    fn address(&self) -> &Address;

    /// Waits for the next stream. Nothing is lost when the future is dropped before it is ready.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;

    /// The same, with where the stream comes from. Connections from one address are bounded
    /// ([`TcpConfig::connections_per_address_max`](crate::TcpConfig::connections_per_address_max)).
    fn accept_from(&mut self) -> BoxFuture<'_, io::Result<Incoming>> {
        let accepting = self.accept();
        Box::pin(async move { Ok(Incoming { stream: accepting.await?, from: None }) })
    }
}
