//! A network in memory that alters, cuts off and stalls what passes through it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use raft_core::{Address, BoxFuture};
use raft_transport::{Listener, MemoryNetwork, Network, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is done to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tamper {
    /// A byte has these bits flipped.
    Flip(u8),
    /// It ends after the byte.
    Cut,
    /// Nothing passes after the byte, either way, and nobody is told.
    Stall,
}

/// In which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    FromDialler,
    ToDialler,
}

#[derive(Default)]
struct Plan {
    /// After so many more bytes in this direction, on any stream.
    next: Option<(Direction, u64, Tamper)>,
    /// How often it was done.
    done: u64,
    /// What the diallers of streams said first, one for each stream.
    said: Vec<Vec<u8>>,
}

/// How much is kept of what each dialler says, and of how many.
const SAID_BYTES: usize = 16 << 10;
const SAID_STREAMS: usize = 64;

/// So much of a write is taken at a time.
const PIECE_BYTES: usize = 4096;

/// The network. Clones are the same.
#[derive(Clone)]
pub(super) struct TamperNetwork {
    inner: MemoryNetwork,
    plan: Arc<Mutex<Plan>>,
}

struct TamperedStream {
    inner: Box<dyn Stream>,
    plan: Arc<Mutex<Plan>>,
    state: State,
    /// Its place in [`Plan::said`].
    number: usize,
    /// Taken from the dialler and not yet passed on.
    out: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
    Stalled,
}

impl TamperNetwork {
    pub(super) fn new() -> Self {
        Self { inner: MemoryNetwork::default(), plan: Arc::default() }
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arm(&self, direction: Direction, after: u64, tamper: Tamper) {
        self.plan().next = Some((direction, after, tamper));
    }

    pub(super) fn disarm(&self) {
        self.plan().next = None;
    }

    pub(super) fn done(&self) -> u64 {
        self.plan().done
    }

    pub(super) fn said(&self) -> Vec<Vec<u8>> {
        self.plan().said.clone()
    }

    /// A stream that is not tampered with, for somebody who does not belong to the cluster.
    pub(super) async fn dial(&self, address: &Address) -> io::Result<Box<dyn Stream>> {
        self.inner.connect(address).await
    }
}

impl Network for TamperNetwork {
    fn bind(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.inner.bind(address)
    }

    fn connect(&self, address: &Address) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let connecting = self.inner.connect(address);
        let plan = Arc::clone(&self.plan);
        Box::pin(async move {
            let inner = connecting.await?;
            let number = {
                let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
                plan.said.push(Vec::new());
                plan.said.len() - 1
            };
            let (state, out) = (State::Whole, Vec::new());
            Ok(Box::new(TamperedStream { inner, plan, state, number, out }) as Box<dyn Stream>)
        })
    }
}

impl Plan {
    /// What happens to bytes that pass: which one of them is hit, and by what.
    fn pass(&mut self, direction: Direction, len: usize) -> Option<(usize, Tamper)> {
        let (wanted, after, tamper) = self.next.filter(|(wanted, ..)| *wanted == direction)?;
        if after >= len as u64 {
            self.next = Some((wanted, after - len as u64, tamper));
            return None;
        }
        self.next = None;
        self.done += 1;
        Some((after as usize, tamper))
    }
}

impl TamperedStream {
    /// Alters what passes; how much of it does.
    fn pass(&mut self, direction: Direction, data: &mut [u8]) -> usize {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = plan.pass(direction, data.len());
        let (passes, state) = match hit {
            Some((at, Tamper::Flip(mask))) => {
                data[at] ^= mask;
                (data.len(), State::Whole)
            }
            Some((at, Tamper::Cut)) => (at, State::Cut),
            Some((at, Tamper::Stall)) => (at, State::Stalled),
            None => (data.len(), State::Whole),
        };
        if direction == Direction::FromDialler
            && self.number < SAID_STREAMS
            && let Some(said) = plan.said.get_mut(self.number)
        {
            let room = SAID_BYTES.saturating_sub(said.len());
            said.extend_from_slice(&data[..passes.min(room)]);
        }
        self.state = state;
        passes
    }

    /// Passes on what was taken.
    fn push(&mut self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        while !self.out.is_empty() {
            let Self { inner, out, .. } = self;
            match Pin::new(inner).poll_write(context, out)? {
                Poll::Ready(count) => _ = out.drain(..count),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        Ok(Poll::Ready(()))
    }
}

impl AsyncRead for TamperedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.state {
            State::Whole => {}
            State::Cut => return Poll::Ready(Ok(())),
            State::Stalled => return Poll::Pending,
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = polled
            && buffer.filled().len() > before
        {
            let passes = self.pass(Direction::ToDialler, &mut buffer.filled_mut()[before..]);
            buffer.set_filled(before + passes);
            if self.state == State::Stalled && passes == 0 {
                return Poll::Pending;
            }
        }
        polled
    }
}

impl AsyncWrite for TamperedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.state {
            State::Whole => {}
            State::Cut => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            State::Stalled => return Poll::Pending,
        }
        if self.push(context)?.is_pending() {
            return Poll::Pending;
        }
        let mut piece = data[..data.len().min(PIECE_BYTES)].to_vec();
        let taken = piece.len();
        let passes = self.pass(Direction::FromDialler, &mut piece);
        piece.truncate(passes);
        self.out = piece;
        // What does not go now goes later.
        let _ = self.push(context)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state != State::Whole {
            return Poll::Ready(Ok(()));
        }
        match self.push(context)? {
            Poll::Ready(()) => Pin::new(&mut self.inner).poll_flush(context),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.state {
            State::Stalled => Poll::Ready(Ok(())),
            State::Whole | State::Cut => Pin::new(&mut self.inner).poll_shutdown(context),
        }
    }
}
