//! One way of one connection.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::control::{Control, Gate, State};
use super::dice::{Fate, StreamFate, flip};
use super::rules::{StreamRules, Way};
use super::unit::{Front, Unit};

/// A unit that is to come after the next one waits no longer than this for it.
const SWAP_WAIT: Duration = Duration::from_millis(20);
const READ_BYTES: usize = 64 << 10;

/// How a way ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// Whoever sends has no more to say. The other way goes on.
    Shut,
    /// The connection is to end at once.
    Broken,
}

pub(super) struct Pump<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    pub(super) control: Control<StreamRules>,
    pub(super) state: watch::Receiver<State<StreamRules>>,
    pub(super) unit: Unit,
    pub(super) random: fastrand::Rng,
    input: BytesMut,
    /// To come after the next one.
    held: Option<BytesMut>,
    /// Something passed that is no unit: no more of them are looked for.
    lost_track: Option<LostTrack>,
}

#[derive(Clone, Copy)]
struct LostTrack;

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    pub(super) fn new(
        (reader, writer): (R, W),
        control: &Control<StreamRules>,
        way: Way,
        unit: Unit,
        random: fastrand::Rng,
    ) -> Self {
        let (state, control) = (control.state(way), control.clone());
        let (input, held, lost_track) = (BytesMut::new(), None, None);
        Self { reader, writer, control, state, unit, random, input, held, lost_track }
    }

    /// Passes on what comes until it ends.
    pub(super) async fn run(mut self) -> Ended {
        match self.pass_all().await {
            // Whoever is gone cannot be told.
            Ok(Ended::Shut) => match self.writer.shutdown().await {
                Ok(()) => Ended::Shut,
                Err(_) => Ended::Broken,
            },
            Ok(Ended::Broken) | Err(_) => Ended::Broken,
        }
    }

    async fn pass_all(&mut self) -> io::Result<Ended> {
        loop {
            while let Some(unit) = self.next_unit() {
                self.open().await;
                if self.pass(unit).await? == Ended::Broken {
                    return Ok(Ended::Broken);
                }
            }
            self.open().await;
            self.input.reserve(READ_BYTES);
            let read = self.reader.read_buf(&mut self.input);
            let read = match self.held {
                None => read.await?,
                Some(_) => match timeout(SWAP_WAIT, read).await {
                    Ok(read) => read?,
                    Err(_) => {
                        self.release().await?;
                        continue;
                    }
                },
            };
            if read == 0 {
                // Also a part of a unit, which is for the other side to judge.
                self.release().await?;
                self.writer.write_all(&self.input).await?;
                return Ok(Ended::Shut);
            }
        }
    }

    /// Waits while the way is cut.
    async fn open(&mut self) {
        let waiting = self.state.wait_for(|state| state.gate == Gate::Open);
        if waiting.await.is_err() {
            // Nobody can open it any more; the control is kept by this, so that cannot be.
            std::future::pending().await
        }
    }

    fn next_unit(&mut self) -> Option<BytesMut> {
        let front = match self.lost_track {
            None => self.unit.front(&self.input),
            Some(LostTrack) if self.input.is_empty() => Front::Partial,
            Some(LostTrack) => Front::Unknown,
        };
        match front {
            Front::Whole(length) => Some(self.input.split_to(length)),
            Front::Partial => None,
            Front::Unknown => {
                self.lost_track = Some(LostTrack);
                Some(self.input.split())
            }
        }
    }

    async fn pass(&mut self, mut unit: BytesMut) -> io::Result<Ended> {
        let fate = self.state.borrow().rules.draw(&mut self.random);
        let control = self.control.clone();
        let tally = control.tally();
        match fate {
            StreamFate::Reset { after } => {
                tally.resets.one();
                let part = after.checked_rem(unit.len() as u64).unwrap_or(0) as usize;
                self.writer.write_all(&unit[..part]).await?;
                self.writer.flush().await?;
                return Ok(Ended::Broken);
            }
            StreamFate::Mute => {
                tally.muted.one();
                self.send(&unit).await?;
                self.swallow().await?;
                return Ok(Ended::Broken);
            }
            StreamFate::Unit(Fate::Drop) => tally.dropped.one(),
            StreamFate::Unit(Fate::Swap) if self.held.is_none() => {
                tally.swapped.one();
                self.held = Some(unit);
            }
            StreamFate::Unit(Fate::Duplicate) => {
                tally.duplicated.one();
                self.writer.write_all(&unit).await?;
                self.send(&unit).await?;
            }
            StreamFate::Unit(Fate::Flip { byte, bit }) => {
                tally.flipped.one();
                flip(&mut unit, byte, bit);
                self.send(&unit).await?;
            }
            StreamFate::Unit(Fate::Delay(by)) => {
                tally.delayed.one();
                sleep(by).await;
                self.send(&unit).await?;
            }
            StreamFate::Unit(Fate::Pass | Fate::Swap) => {
                tally.passed.one();
                self.send(&unit).await?;
            }
        }
        Ok(Ended::Shut)
    }

    /// Sends a unit, and the one that had to wait for it.
    async fn send(&mut self, unit: &[u8]) -> io::Result<()> {
        self.writer.write_all(unit).await?;
        self.release().await
    }

    async fn release(&mut self) -> io::Result<()> {
        if let Some(held) = self.held.take() {
            self.writer.write_all(&held).await?;
        }
        self.writer.flush().await
    }

    /// Reads to the end and passes nothing on.
    async fn swallow(&mut self) -> io::Result<()> {
        loop {
            self.input.clear();
            self.input.reserve(READ_BYTES);
            if self.reader.read_buf(&mut self.input).await? == 0 {
                return Ok(());
            }
        }
    }
}
