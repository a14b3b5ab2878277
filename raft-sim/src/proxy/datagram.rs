//! [`DatagramProxy`]: before a UDP socket.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::control::{Control, Gate};
use super::dice::{Fate, flip};
use super::rules::{Rules, Way};

/// Datagrams of more addresses than this are lost.
const ADDRESSES_MAX: usize = 256;
/// So many datagrams may be delayed at a time; more are lost.
const DELAYED_MAX: usize = 4096;
/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// A proxy for datagrams. The target sees each address that sends to the proxy as one of the proxy's own.
/// Dropped, it ends.
#[derive(Debug)]
pub struct DatagramProxy {
    address: SocketAddr,
    control: Control<Rules>,
    task: JoinHandle<()>,
}

/// One way of what passes between one address and the target.
struct Line {
    to: Exit,
    control: Control<Rules>,
    delayed: Arc<Semaphore>,
    way: Way,
    random: Mutex<Dice>,
}

struct Dice {
    random: fastrand::Rng,
    /// To come after the next one.
    held: Option<BytesMut>,
}

/// Where datagrams leave the proxy.
#[derive(Clone)]
enum Exit {
    /// A socket that is connected with the target.
    Target(Arc<UdpSocket>),
    /// The proxy's own, to whoever had sent.
    Sender(Arc<UdpSocket>, SocketAddr),
}

impl DatagramProxy {
    /// Receives at `listen`, and sends to `target`. Everything passes as it is until the [`control`](Self::control)
    /// has other rules; what those draw comes from `seed`. Within a runtime only.
    ///
    /// # Errors
    ///
    /// When it cannot bind there.
    pub async fn start(listen: SocketAddr, target: SocketAddr, seed: u64) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(listen).await?);
        let (address, control) = (socket.local_addr()?, Control::new());
        let table = Table {
            socket,
            target,
            control: control.clone(),
            delayed: Arc::new(Semaphore::new(DELAYED_MAX)),
            random: fastrand::Rng::with_seed(seed),
            lines: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        Ok(Self { address, control, task: tokio::spawn(table.run()) })
    }

    /// Where it receives.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its switches and counters.
    pub fn control(&self) -> &Control<Rules> {
        &self.control
    }
}

impl Drop for DatagramProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Table {
    socket: Arc<UdpSocket>,
    target: SocketAddr,
    control: Control<Rules>,
    delayed: Arc<Semaphore>,
    random: fastrand::Rng,
    lines: BTreeMap<SocketAddr, Arc<Line>>,
    /// They bring answers back.
    tasks: JoinSet<()>,
}

impl Table {
    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            // An error is of a datagram that was sent before, and is not this one's.
            let Ok((len, from)) = self.socket.recv_from(&mut buffer).await else { continue };
            match self.line(from).await {
                Some(line) => line.pass(BytesMut::from(&buffer[..len])).await,
                None => self.control.tally().refused.one(),
            }
        }
    }

    /// The line of whoever sends from here; a new one if there is room.
    async fn line(&mut self, from: SocketAddr) -> Option<Arc<Line>> {
        if let Some(line) = self.lines.get(&from) {
            return Some(Arc::clone(line));
        }
        if self.lines.len() >= ADDRESSES_MAX {
            return None;
        }
        let any = SocketAddr::new(self.socket.local_addr().ok()?.ip(), 0);
        let socket = Arc::new(UdpSocket::bind(any).await.ok()?);
        socket.connect(self.target).await.ok()?;
        self.control.tally().connections.one();
        let there = self.new_line(Exit::Target(Arc::clone(&socket)), Way::ToTarget);
        let back = self.new_line(Exit::Sender(Arc::clone(&self.socket), from), Way::FromTarget);
        self.tasks.spawn(bring_back(socket, back));
        self.lines.insert(from, Arc::clone(&there));
        Some(there)
    }

    fn new_line(&mut self, to: Exit, way: Way) -> Arc<Line> {
        let random = fastrand::Rng::with_seed(self.random.u64(..));
        let (control, delayed) = (self.control.clone(), Arc::clone(&self.delayed));
        let random = Mutex::new(Dice { random, held: None });
        Arc::new(Line { to, control, delayed, way, random })
    }
}

async fn bring_back(socket: Arc<UdpSocket>, line: Arc<Line>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if let Ok(len) = socket.recv(&mut buffer).await {
            line.pass(BytesMut::from(&buffer[..len])).await;
        }
    }
}

impl Line {
    async fn pass(self: &Arc<Self>, mut datagram: BytesMut) {
        let tally = self.control.tally();
        let state = self.control.state(self.way).borrow().clone();
        if state.gate == Gate::Cut {
            return tally.lost.one();
        }
        let (fate, held) = {
            let mut dice = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            let fate = state.rules.draw(&mut dice.random);
            if fate == Fate::Swap && dice.held.is_none() {
                tally.swapped.one();
                dice.held = Some(datagram);
                return;
            }
            (fate, dice.held.take())
        };
        match fate {
            Fate::Pass | Fate::Swap => {
                tally.passed.one();
                self.to.send(&datagram).await;
            }
            Fate::Drop => tally.dropped.one(),
            Fate::Duplicate => {
                tally.duplicated.one();
                self.to.send(&datagram).await;
                self.to.send(&datagram).await;
            }
            Fate::Flip { byte, bit } => {
                tally.flipped.one();
                flip(&mut datagram, byte, bit);
                self.to.send(&datagram).await;
            }
            Fate::Delay(by) => match Arc::clone(&self.delayed).try_acquire_owned() {
                Err(_) => tally.lost.one(),
                Ok(place) => {
                    tally.delayed.one();
                    let to = self.to.clone();
                    tokio::spawn(async move {
                        sleep(by).await;
                        to.send(&datagram).await;
                        drop(place);
                    });
                }
            },
        }
        if let Some(held) = held {
            self.to.send(&held).await;
        }
    }
}

impl Exit {
    /// What cannot be sent is lost, as datagrams are.
    async fn send(&self, datagram: &[u8]) {
        let _ = match self {
            Self::Target(socket) => socket.send(datagram).await,
            Self::Sender(socket, to) => socket.send_to(datagram, *to).await,
        };
    }
}
