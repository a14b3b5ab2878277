//! [`SimSockets`]: byte streams, as TCP has them, over simulated links.
//!
//! Bytes arrive in order or not at all; what a link loses is sent again later. A stream ends when its owner
//! closes it, when it is reset, or not at all: of a process that is gone, or behind a cut link, the other end
//! hears nothing until it sends something.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use raft_core::{Address, BoxFuture};
use raft_transport::{Listener, Network, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};

use super::post::Content;
use super::{HostId, Kind, Port, SimNet, State};

/// Bytes under way and unread, in one direction; a writer waits beyond it.
const WINDOW: usize = 256 << 10;
/// The most streams that wait to be accepted.
const BACKLOG: usize = 128;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct StreamId {
    connection: u64,
    /// Whether it is the end that was connected to.
    accepted: bool,
}

impl StreamId {
    fn other(self) -> Self {
        Self { accepted: !self.accepted, ..self }
    }
}

/// What travels; addressed to the other end.
#[derive(Debug)]
pub(crate) enum Segment {
    Open { address: Address },
    Opened,
    Refused,
    Data { seq: u64, data: Bytes },
    Fin { seq: u64 },
    Reset,
}

/// All ends there are.
#[derive(Default)]
pub(crate) struct Streams {
    ends: BTreeMap<StreamId, Arc<Mutex<End>>>,
}

impl Streams {
    pub(super) fn forget(&mut self, host: HostId) {
        self.ends.retain(|_, end| lock(end).host != host);
    }
}

struct End {
    host: HostId,
    peer: HostId,
    opening: Option<oneshot::Sender<io::Result<()>>>,
    /// Arrived in order, not read yet.
    unread: VecDeque<u8>,
    /// Arrived too early.
    early: BTreeMap<u64, Segment>,
    expected: u64,
    next_seq: u64,
    /// Bytes sent and not read by the other end.
    outstanding: usize,
    finished: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl End {
    fn new(host: HostId, peer: HostId) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            host,
            peer,
            opening: None,
            unread: VecDeque::new(),
            early: BTreeMap::new(),
            expected: 0,
            next_seq: 0,
            outstanding: 0,
            finished: false,
            reset: false,
            reader: None,
            writer: None,
        }))
    }

    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Takes what arrives, in order.
    fn take(&mut self, segment: Segment) {
        match segment {
            Segment::Opened => {
                if let Some(opening) = self.opening.take() {
                    let _ = opening.send(Ok(()));
                }
            }
            Segment::Refused => {
                if let Some(opening) = self.opening.take() {
                    let _ = opening.send(Err(io::ErrorKind::ConnectionRefused.into()));
                }
            }
            Segment::Reset => {
                self.reset = true;
                self.opening = None;
            }
            Segment::Data { seq, .. } | Segment::Fin { seq } => {
                self.early.insert(seq, segment);
                while let Some(segment) = self.early.remove(&self.expected) {
                    self.expected += 1;
                    match segment {
                        Segment::Data { data, .. } => self.unread.extend(data),
                        _ => self.finished = true,
                    }
                }
            }
            Segment::Open { .. } => {}
        }
        self.wake();
    }
}

fn lock(end: &Mutex<End>) -> MutexGuard<'_, End> {
    end.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// A segment as it arrives after a fault.
    pub(super) fn mangled(&mut self, segment: Segment, corrupt: bool, reset: bool) -> Segment {
        match segment {
            _ if reset => Segment::Reset,
            Segment::Data { seq, data } if corrupt && !data.is_empty() => {
                let mut data = data.to_vec();
                let at = self.rng.usize(..data.len());
                data[at] ^= 1 << self.rng.u8(0..8);
                Segment::Data { seq, data: data.into() }
            }
            other => other,
        }
    }
}

/// A segment for an end of `port`'s process.
pub(super) fn arrive(
    net: &SimNet,
    port: &Arc<Port>,
    from: HostId,
    stream: StreamId,
    segment: Segment,
) {
    net.state().trace.event("segment", port.host.0, &[u64::from(from.0), stream.connection]);
    let end = net.state().streams.ends.get(&stream).cloned();
    match (end, segment) {
        (Some(end), segment) => lock(&end).take(segment),
        (None, Segment::Open { address }) => accept(net, port, from, stream, &address),
        (None, Segment::Reset | Segment::Refused) => {}
        // An end that is gone: the other one is told.
        (None, _) => send(net, port, from, stream.other(), Segment::Reset),
    }
}

fn accept(net: &SimNet, port: &Arc<Port>, from: HostId, stream: StreamId, address: &Address) {
    let listener = port.state().listeners.get(address).cloned();
    let end = End::new(port.host, from);
    net.state().streams.ends.insert(stream, Arc::clone(&end));
    let accepted = SimStream { net: net.clone(), port: Arc::clone(port), id: stream, end };
    let taken = listener.is_some_and(|listener| listener.try_send(accepted).is_ok());
    let answer = if taken { Segment::Opened } else { Segment::Refused };
    if !taken {
        net.state().streams.ends.remove(&stream);
    }
    send(net, port, from, stream.other(), answer);
}

fn send(net: &SimNet, port: &Port, to: HostId, stream: StreamId, segment: Segment) {
    let bytes = match &segment {
        Segment::Data { data, .. } => data.len() as u64,
        _ => 0,
    };
    net.send(port, to, Kind::Segment, bytes, Content::Segment { stream, segment });
}

/// The byte streams of one process: what [`NetTransport`](raft_transport::NetTransport) and
/// [`NetCaller`](raft_transport::NetCaller) run on.
#[derive(Clone)]
pub struct SimSockets {
    net: SimNet,
    port: Arc<Port>,
}

impl SimSockets {
    pub(super) fn new(net: SimNet, port: Arc<Port>) -> Self {
        Self { net, port }
    }
}

impl Network for SimSockets {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move {
            if self.net.host_at(&address) != Some(self.port.host) {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            let (sender, streams) = mpsc::channel(BACKLOG);
            let mut state = self.port.state();
            if state.listeners.get(&address).is_some_and(|there| !there.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            state.listeners.insert(address.clone(), sender);
            Ok(Box::new(Listening { address, streams }) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let address = address.clone();
        Box::pin(async move {
            let Some(peer) = self.net.host_at(&address) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            let id = StreamId { connection: self.net.next_number(), accepted: false };
            let end = End::new(self.port.host, peer);
            let (opening, opened) = oneshot::channel();
            lock(&end).opening = Some(opening);
            self.net.state().streams.ends.insert(id, Arc::clone(&end));
            let stream = SimStream { net: self.net.clone(), port: self.port.clone(), id, end };
            send(&self.net, &self.port, peer, id.other(), Segment::Open { address });
            match opened.await {
                Ok(outcome) => outcome?,
                Err(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            }
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

struct Listening {
    address: Address,
    streams: mpsc::Receiver<SimStream>,
}

impl Listener for Listening {
    fn address(&self) -> &Address {
        &self.address
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn Stream>, Address)>> {
        Box::pin(async move {
            let stream = self.streams.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            let from = Address(format!("host {}", lock(&stream.end).peer.0));
            Ok((Box::new(stream) as Box<dyn Stream>, from))
        })
    }
}

/// A byte stream between two processes.
pub struct SimStream {
    net: SimNet,
    port: Arc<Port>,
    id: StreamId,
    end: Arc<Mutex<End>>,
}

impl SimStream {
    fn send(&self, segment: Segment) {
        let peer = lock(&self.end).peer;
        send(&self.net, &self.port, peer, self.id.other(), segment);
    }

    fn next_seq(&self) -> u64 {
        let mut end = lock(&self.end);
        end.next_seq += 1;
        end.next_seq - 1
    }

    /// This end has read `bytes`: the other one may send as many.
    fn acknowledge(&self, bytes: usize) {
        let other = self.net.state().streams.ends.get(&self.id.other()).cloned();
        if let Some(other) = other {
            let mut other = lock(&other);
            other.outstanding = other.outstanding.saturating_sub(bytes);
            if let Some(writer) = other.writer.take() {
                writer.wake();
            }
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = {
            let mut end = lock(&self.end);
            if end.reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if end.unread.is_empty() {
                if end.finished {
                    return Poll::Ready(Ok(()));
                }
                end.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            let (front, _) = end.unread.as_slices();
            let count = front.len().min(buf.remaining());
            buf.put_slice(&front[..count]);
            end.unread.drain(..count);
            count
        };
        self.acknowledge(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = {
            let mut end = lock(&self.end);
            if end.reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let count = data.len().min(WINDOW.saturating_sub(end.outstanding));
            if count == 0 && !data.is_empty() {
                end.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            end.outstanding += count;
            count
        };
        let seq = self.next_seq();
        if self.port.fate.reach(Kind::Segment.name()) {
            self.send(Segment::Data { seq, data: Bytes::copy_from_slice(&data[..count]) });
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let seq = self.next_seq();
        self.send(Segment::Fin { seq });
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if self.port.fate.is_alive() {
            let seq = self.next_seq();
            self.send(Segment::Fin { seq });
        }
        self.net.state().streams.ends.remove(&self.id);
    }
}
