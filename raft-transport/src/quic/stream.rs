//! A stream of a connection, as other byte streams are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use quinn::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};
use raft_core::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fault;

/// Both directions of a stream. As long as one of a connection's streams is there, so is the connection.
pub(super) struct QuicStream {
    send: SendStream,
    receive: RecvStream,
    /// Once nothing more is written: done when the other side has everything.
    finishing: Option<BoxFuture<'static, Result<Option<VarInt>, StoppedError>>>,
}

impl QuicStream {
    pub(super) fn new(send: SendStream, receive: RecvStream, priority: i32) -> Self {
        // It fails only on a stream that is closed already, which is noticed when it is used.
        let _ = send.set_priority(priority);
        Self { send, receive, finishing: None }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.receive.poll_read_buf(context, buffer).map(|read| match read {
            Ok(()) => Ok(()),
            // As the end of other byte streams.
            Err(ReadError::ConnectionLost(error)) if fault::is_closed(&error) => Ok(()),
            Err(ReadError::ConnectionLost(error)) => Err(fault::of_stream(error)),
            Err(error) => Err(error.into()),
        })
    }
}

impl AsyncWrite for QuicStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(context, bytes).map_err(|error| match error {
            WriteError::ConnectionLost(error) => fault::of_stream(error),
            error => error.into(),
        })
    }

    /// Nothing is held back: what is written is sent as soon as the network takes it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The end of a connection takes with it what was not sent yet; so this waits until the other side has all of it.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { send, finishing, .. } = &mut *self;
        let finishing = finishing.get_or_insert_with(|| {
            // It fails only on a stream that is closed already.
            let _ = send.finish();
            Box::pin(send.stopped())
        });
        finishing.as_mut().poll(context).map(|done| match done {
            Ok(_) => Ok(()),
            Err(StoppedError::ConnectionLost(error)) => Err(fault::of_stream(error)),
            Err(error) => Err(error.into()),
        })
    }
}
