//! The connection of one client: requests in, replies out.
//!
//! One task reads, runs the calls of the service, and writes. Replies that are ready at the same time leave
//! in one write, and requests that arrived together are read in one read: what limits a server of small
//! requests is the number of its system calls.
//!
//! Invariants: requests in flight are bounded in number and bytes, replies that wait in bytes. At a bound the
//! client is not read, and so has to wait; other clients do not notice.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use raft_core::{BoxFuture, Service};

use super::Shared;
use crate::codec::{FrameKind, Reader};
use crate::link::{Gate, Link, LinkError};

/// The number of a request before its bytes.
pub(crate) const NUMBER_BYTES: usize = 8;

/// Serves a client until it goes, or the transport stops.
pub(crate) async fn serve(
    shared: &Shared,
    service: Arc<dyn Service>,
    mut link: Link,
) -> Result<(), LinkError> {
    link.established(shared.config.frame_bytes_max, shared.config.client_liveness);
    let mut session = Session { shared, service, link, calls: FuturesUnordered::new(), bytes: 0 };
    let mut stopping = pin!(shared.stopping());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            turned = session.turn() => turned?,
        }
    }
    session.drain().await
}

struct Session<'a> {
    shared: &'a Shared,
    service: Arc<dyn Service>,
    link: Link,
    calls: FuturesUnordered<Call>,
    /// How many bytes of requests are in flight.
    bytes: usize,
}

/// A request in flight.
struct Call {
    number: u64,
    bytes: usize,
    reply: BoxFuture<'static, Bytes>,
}

impl Future for Call {
    type Output = (u64, usize, Bytes);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (number, bytes) = (self.number, self.bytes);
        self.reply.as_mut().poll(context).map(|reply| (number, bytes, reply))
    }
}

impl Session<'_> {
    async fn turn(&mut self) -> Result<(), LinkError> {
        let gate = self.take_requests()?;
        std::future::poll_fn(|context| self.poll_turn(context, gate)).await
    }

    /// Everything in flight is answered; nothing more is read.
    async fn drain(&mut self) -> Result<(), LinkError> {
        while !self.calls.is_empty() || !self.link.is_flushed() {
            std::future::poll_fn(|context| self.poll_turn(context, Gate::Shut)).await?;
        }
        self.link.close().await
    }

    /// Ready replies go into the link first, so that one write takes them all.
    fn poll_turn(&mut self, context: &mut Context<'_>, gate: Gate) -> Poll<Result<(), LinkError>> {
        let was_full = self.is_full();
        while self.link.has_room()
            && let Poll::Ready(Some((number, bytes, reply))) = self.calls.poll_next_unpin(context)
        {
            self.bytes -= bytes;
            self.put_reply(number, &reply);
        }
        let turned = self.link.poll_turn(context, gate)?;
        // Requests that wait in the link's buffer can be taken now.
        if was_full && !self.is_full() { Poll::Ready(Ok(())) } else { turned.map(Ok) }
    }

    fn is_full(&self) -> bool {
        let config = &self.shared.config;
        self.calls.len() >= config.requests_max
            || self.bytes >= config.request_bytes_max
            || !self.link.has_room()
    }

    /// Takes the requests that have arrived, as long as there is room; whether to read more.
    fn take_requests(&mut self) -> Result<Gate, LinkError> {
        while !self.is_full() {
            let Some(frame) = self.link.next_frame()? else { return Ok(Gate::Open) };
            if frame.kind != FrameKind::Request {
                self.shared.tally.rejected_kind.one();
                return Err(LinkError::Kind(frame.kind));
            }
            let mut reader = Reader::new(&frame.payload);
            let number = reader.u64("number").map_err(|error| {
                self.shared.tally.rejected_payload.one();
                LinkError::Payload { at: frame.at, error }
            })?;
            self.shared.tally.requests.one();
            let bytes = frame.payload.len();
            self.bytes += bytes;
            let reply = self.service.call(reader.rest());
            self.calls.push(Call { number, bytes, reply });
        }
        Ok(Gate::Shut)
    }

    fn put_reply(&mut self, number: u64, reply: &[u8]) {
        let put = self.link.put(FrameKind::Reply, |out| {
            out.put_u64_le(number);
            out.extend_from_slice(reply);
        });
        if let Err(error) = put {
            self.shared.tally.replies_too_long.one();
            self.shared.complaints.warn(format_args!("a reply was not sent: {error}"));
            // Eight bytes fit: the configuration is checked.
            let _ = self.link.put(FrameKind::ReplyTooLong, |out| out.put_u64_le(number));
        } else {
            self.shared.tally.replies.one();
        }
    }
}
