//! One of the links with a peer: messages in, messages out.
//!
//! Over QUIC a connection has two, and what is large has one to itself; over other byte streams there is one for
//! everything.

use std::convert::Infallible;
use std::sync::Arc;

use raft_core::{Envelope, Message, NodeId};
use tokio::time::timeout;

use super::Shared;
use super::peer::Peer;
use super::queue::Queue;
use crate::carrier::Further;
use crate::codec::{Frame, FrameKind, decode_batch, encode_envelope};
use crate::handshake::{HandshakeError, Introduced};
use crate::link::{Gate, Link, LinkError};

/// A frame of messages is closed when it has about this many bytes.
const BATCH_BYTES: u64 = 128 << 10;

/// A connection with a peer.
pub(super) struct Lanes {
    pub(super) urgent: Link,
    /// For what is large; `None` if it goes with the rest.
    pub(super) bulk: Option<Link>,
}

impl Lanes {
    /// Of a connection that was made from here.
    pub(super) async fn dialled(
        shared: &Shared,
        introduced: Introduced,
    ) -> Result<Self, HandshakeError> {
        let Introduced { link, further, .. } = introduced;
        let mut lanes = Self::of(shared, link, &further).await?;
        if let Some(bulk) = &mut lanes.bulk {
            // Only now does the other side see it.
            bulk.ping();
        }
        Ok(lanes)
    }

    /// Of a connection whose handshake is over.
    pub(super) async fn of(
        shared: &Shared,
        mut urgent: Link,
        further: &Further,
    ) -> Result<Self, HandshakeError> {
        let config = &shared.config;
        let bulk = timeout(config.handshake_max, further.bulk()).await;
        let bulk = bulk.map_err(|_| HandshakeError::Late)?.map_err(HandshakeError::Connect)?;
        let link = |stream| Link::new(stream, config.peer_liveness, Arc::clone(&shared.tally));
        let mut bulk = bulk.map(link);
        for link in std::iter::once(&mut urgent).chain(&mut bulk) {
            link.established(config.frame_bytes_max, config.peer_liveness);
        }
        Ok(Self { urgent, bulk })
    }
}

/// Whether a message goes where nothing waits for it. Those of a group that are urgent keep their order.
pub(super) fn is_bulk(message: &Envelope) -> bool {
    matches!(message.message, Message::InstallSnapshot(_))
}

/// Sends what is in the queue, and receives, until the link ends.
pub(super) async fn carry(
    shared: &Shared,
    peer: &Peer,
    queue: &Queue,
    mut link: Link,
) -> Result<Infallible, LinkError> {
    let mut batch = Vec::new();
    loop {
        // Made before the inbox is looked at, so that no sign of room is missed.
        let room = shared.inbox.room();
        let gate = take_frames(shared, peer.id, &mut link, &mut batch)?;
        while link.has_room() && put_frames(shared, queue, &mut link, &mut batch) {}
        tokio::select! {
            biased;
            () = peer.knocked.notified() => link.ping(),
            () = room, if gate == Gate::Shut => {}
            () = queue.filled(), if link.has_room() => {}
            turned = link.turn(gate) => turned?,
        }
    }
}

/// Takes the frames that have arrived, as long as the inbox has room; whether to read more.
fn take_frames(
    shared: &Shared,
    peer: NodeId,
    link: &mut Link,
    batch: &mut Vec<Envelope>,
) -> Result<Gate, LinkError> {
    while shared.inbox.has_room() {
        let Some(Frame { kind, at, payload }) = link.next_frame()? else {
            return Ok(Gate::Open);
        };
        if kind != FrameKind::Raft {
            shared.tally.rejected_kind.one();
            return Err(LinkError::Kind(kind));
        }
        if let Err(error) = decode_batch(&payload, batch) {
            shared.tally.rejected_payload.one();
            return Err(LinkError::Payload { at, error });
        }
        let ours = |message: &Envelope| message.from == peer && message.to == shared.config.node;
        if !batch.iter().all(ours) {
            shared.tally.rejected_misaddressed.one();
            return Err(LinkError::Misaddressed);
        }
        shared.tally.received.add(batch.len() as u64);
        shared.inbox.push(batch);
    }
    Ok(Gate::Shut)
}

/// Puts messages that wait into the link; whether there were any.
fn put_frames(shared: &Shared, queue: &Queue, link: &mut Link, batch: &mut Vec<Envelope>) -> bool {
    queue.take(BATCH_BYTES, batch);
    let max = shared.config.frame_bytes_max as usize;
    let found = !batch.is_empty();
    let mut messages = batch.drain(..).peekable();
    while messages.peek().is_some() {
        let mut sent = 0;
        let put = link.put(FrameKind::Raft, |out| {
            let start = out.len();
            while let Some(message) = messages.peek() {
                let before = out.len();
                encode_envelope(message, out);
                if out.len() - start > max {
                    out.truncate(before);
                    if before > start {
                        // The next frame begins with it.
                        break;
                    }
                    shared.tally.dropped_too_long.one();
                } else {
                    sent += 1;
                }
                messages.next();
            }
        });
        debug_assert!(put.is_ok(), "a frame is kept within its limit while it is made");
        shared.tally.sent.add(sent);
    }
    found
}
