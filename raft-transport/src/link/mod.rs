//! A connection: a stream with its buffers, cut into frames, with its deadlines.
//!
//! Invariants:
//! 1. The read buffer grows with the bytes that arrive, never with the length a header announces.
//! 2. A link whose owner goes on calling [`Link::poll_turn`] ends: by an error, by silence, or because what
//!    is to be written is not taken.
//! 3. Everything is state of the link: dropping the future of a turn loses nothing.

mod error;

pub(crate) use error::LinkError;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::codec::{Frame, FrameKind, FrameReader, FrameTooLong, HANDSHAKE_BYTES_MAX, write_frame};
use crate::config::Liveness;
use crate::counters::Tally;
use crate::network::Stream;

/// A read asks for this many bytes, and for more each time it gets them all.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 256 << 10;
/// No more frames are made while this much waits to be written.
const OUTPUT_BYTES: usize = 256 << 10;
/// A write buffer larger than this is given back once it is empty.
const KEEP_BYTES: usize = 1 << 20;

/// Whether a turn may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gate {
    Open,
    Shut,
}

/// What the stream may hold back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Nothing,
    Something,
}

pub(crate) struct Link {
    stream: Box<dyn Stream>,
    input: BytesMut,
    read_bytes: usize,
    frames: FrameReader,
    frame_bytes_max: u32,
    output: BytesMut,
    /// How many bytes were put into `output` since the beginning.
    queued: u64,
    /// Up to where the bytes of `output` may have left, since the beginning.
    attempted: u64,
    /// Whether the stream may hold bytes of its own that it was given: one with TLS does.
    held: Held,
    liveness: Liveness,
    heard: Instant,
    said: Instant,
    /// Since when bytes wait and none was taken.
    stalled: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    tally: Arc<Tally>,
}

impl Link {
    /// A link in its handshake: frames are short until [`Self::established`].
    pub(crate) fn new(stream: Box<dyn Stream>, liveness: Liveness, tally: Arc<Tally>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            input: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            frames: FrameReader::new(HANDSHAKE_BYTES_MAX),
            frame_bytes_max: HANDSHAKE_BYTES_MAX,
            output: BytesMut::new(),
            queued: 0,
            attempted: 0,
            held: Held::Nothing,
            liveness,
            heard: now,
            said: now,
            stalled: None,
            timer: Box::pin(sleep_until(now + first_due(liveness))),
            tally,
        }
    }

    /// The handshake is over.
    pub(crate) fn established(&mut self, frame_bytes_max: u32, liveness: Liveness) {
        self.frames.set_max(frame_bytes_max);
        self.frame_bytes_max = frame_bytes_max;
        self.liveness = liveness;
        self.timer.as_mut().reset(Instant::now() + first_due(liveness));
    }

    /// Whether more frames should be put in.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_BYTES
    }

    /// Whether everything put in was written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.output.is_empty() && self.held == Held::Nothing
    }

    /// How many bytes were put in since the beginning.
    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// Bytes from here on have certainly not left.
    pub(crate) fn attempted(&self) -> u64 {
        self.attempted
    }

    /// Puts a frame in.
    pub(crate) fn put(
        &mut self,
        kind: FrameKind,
        body: impl FnOnce(&mut BytesMut),
    ) -> Result<(), FrameTooLong> {
        let before = self.output.len();
        write_frame(&mut self.output, kind, self.frame_bytes_max, body)?;
        self.queued += (self.output.len() - before) as u64;
        Ok(())
    }

    /// Takes a frame that has arrived; signs of life are not shown.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, LinkError> {
        loop {
            match self.frames.next(&mut self.input) {
                Ok(Some(Frame { kind: FrameKind::Ping, .. })) => {}
                Ok(frame) => return Ok(frame),
                Err(error) => return Err(LinkError::of_frame(error, &self.input, &self.tally)),
            }
        }
    }

    /// Writes what is there, reads if the gate is open, and minds the deadlines. Ready when it got on: bytes
    /// were read or everything was written.
    pub(crate) fn poll_turn(
        &mut self,
        context: &mut Context<'_>,
        gate: Gate,
    ) -> Poll<Result<(), LinkError>> {
        let wrote = self.poll_write(context)?.is_ready();
        let read = gate == Gate::Open && self.poll_read(context)?.is_ready();
        self.poll_deadlines(context, gate)?;
        if wrote || read { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// [`Self::poll_turn`] as a future.
    pub(crate) async fn turn(&mut self, gate: Gate) -> Result<(), LinkError> {
        std::future::poll_fn(|context| self.poll_turn(context, gate)).await
    }

    /// Waits for the next frame.
    pub(crate) async fn frame(&mut self) -> Result<Frame, LinkError> {
        loop {
            if let Some(frame) = self.next_frame()? {
                return Ok(frame);
            }
            self.turn(Gate::Open).await?;
        }
    }

    /// Waits until everything put in was written.
    pub(crate) async fn flush(&mut self) -> Result<(), LinkError> {
        while !self.is_flushed() {
            self.turn(Gate::Shut).await?;
        }
        Ok(())
    }

    /// Says that nothing follows; waits until everything put in was written, and, where the end of a connection
    /// could overtake it, until the other side has it. Nothing may be put in any more.
    pub(crate) async fn close(&mut self) -> Result<(), LinkError> {
        self.flush().await?;
        let closed = self.stream.shutdown().await;
        closed.map_err(|error| LinkError::of_stream(error, &self.tally))
    }

    /// Ready when something was to be written and all of it is.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.is_flushed() {
            return Poll::Pending;
        }
        loop {
            // Before more is given to it, so that what it only holds is not taken for what it got rid of.
            ready!(self.poll_flush(context))?;
            if self.output.is_empty() {
                break;
            }
            match AsyncWrite::poll_write(Pin::new(&mut self.stream), context, &self.output) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.output.advance(count);
                    self.attempted += count as u64;
                    self.tally.bytes_out.add(count as u64);
                    self.held = Held::Something;
                }
                Poll::Ready(result) => {
                    // A stream that fails may have taken any part of what it was given.
                    self.attempted = self.queued;
                    let error = result.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    return Poll::Ready(Err(LinkError::of_stream(error, &self.tally)));
                }
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        self.said = Instant::now();
        if self.output.capacity() > KEEP_BYTES {
            self.output = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the stream holds nothing back.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        if self.held == Held::Something {
            match AsyncWrite::poll_flush(Pin::new(&mut self.stream), context) {
                Poll::Ready(Ok(())) => (self.held, self.stalled) = (Held::Nothing, None),
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(LinkError::of_stream(error, &self.tally)));
                }
                Poll::Pending => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        // A long frame: the buffer doubles with what has arrived of it.
        let missing = self.frames.missing(&self.input).min(self.input.len());
        // Whoever keeps a frame keeps the memory that it was read into: it is used up before there is more.
        if self.input.capacity() - self.input.len() < READ_BYTES_MIN.max(missing) {
            self.input.reserve(self.read_bytes.max(missing));
        }
        // The future of a read has no state of its own, so that it may be made anew each time.
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(context));
        let count = read.map_err(|error| LinkError::of_stream(error, &self.tally))?;
        if count == 0 {
            let end = self.frames.finish(&self.input);
            return Poll::Ready(Err(end
                .err()
                .map_or(LinkError::Closed, |e| LinkError::of_frame(e, &self.input, &self.tally))));
        }
        self.heard = Instant::now();
        self.tally.bytes_in.add(count as u64);
        if count >= self.read_bytes {
            self.read_bytes = (2 * self.read_bytes).min(READ_BYTES_MAX);
        }
        Poll::Ready(Ok(()))
    }

    /// The timer rings at the next moment at which something may be due; activity does not move it, which
    /// is cheap, and when it rings too early it is set again.
    fn poll_deadlines(&mut self, context: &mut Context<'_>, gate: Gate) -> Result<(), LinkError> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if gate == Gate::Shut {
                // Whoever does not listen cannot complain of silence.
                self.heard = now;
            }
            if now >= self.heard + self.liveness.silence_max {
                self.tally.closed_idle.one();
                return Err(LinkError::Silent);
            }
            let stall = self.stalled.map(|since| since + self.liveness.stall_max);
            if stall.is_some_and(|stall| now >= stall) {
                self.tally.closed_stalled.one();
                return Err(LinkError::Stalled);
            }
            if now >= self.said + self.liveness.ping_every {
                self.said = now;
                self.ping();
                // It is written with the next turn, which is now.
                context.waker().wake_by_ref();
            }
            let due = (self.heard + self.liveness.silence_max)
                .min(self.said + self.liveness.ping_every)
                .min(stall.unwrap_or(now + self.liveness.stall_max));
            self.timer.as_mut().reset(due);
        }
        Ok(())
    }

    /// Puts a sign of life in, unless other bytes wait.
    pub(crate) fn ping(&mut self) {
        if self.output.is_empty() {
            // An empty payload fits any limit.
            let _ = self.put(FrameKind::Ping, |_| {});
        }
    }
}

fn first_due(liveness: Liveness) -> std::time::Duration {
    liveness.ping_every.min(liveness.silence_max).min(liveness.stall_max)
}

#[cfg(test)]
mod tests;
