//! What is needed of a network: byte streams between addresses.
//!
//! [`TokioNetwork`] is the real one, [`LoopbackNetwork`] one that does not leave the machine, [`MemoryNetwork`] lives in the process and needs no time, so that
//! deadlines can be tested with a paused clock. A simulator implements [`Network`] and runs everything above
//! it unchanged.

mod memory;
mod tokio;

use std::io;

use ::tokio::io::{AsyncRead, AsyncWrite};
use raft_core::{Address, BoxFuture};

pub use self::memory::MemoryNetwork;
pub use self::tokio::{LoopbackNetwork, TokioNetwork};

/// A bidirectional stream of bytes. Dropping it closes it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

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

    /// Waits for the next stream; with it comes the address of its other end, for people to read. Nothing is
    /// lost when the future is dropped before it is ready.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, Address)>>;
}
