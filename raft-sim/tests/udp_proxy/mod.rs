//! A proxy for datagrams between somebody and one address: loses, doubles, delays and damages them, lets nothing
//! pass, or moves to another port as a NAT does.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Longer than any datagram of QUIC.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// How many of a hundred datagrams meet with this.
#[derive(Clone, Copy, Default)]
pub struct Mangling {
    pub lost: u32,
    pub doubled: u32,
    /// It comes after the next one.
    pub late: u32,
    /// A bit of it is flipped.
    pub damaged: u32,
}

/// What passes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    Both,
    /// To the target only: it is heard, and hears nothing of it.
    There,
    Nothing,
}

/// How often something happened.
#[derive(Clone, Copy, Default, Debug)]
pub struct Done {
    pub passed: u64,
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
    pub damaged: u64,
}

pub struct UdpProxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

struct State {
    target: SocketAddr,
    passage: Passage,
    mangling: Mangling,
    rng: fastrand::Rng,
    done: Done,
    flows: BTreeMap<SocketAddr, Flow>,
}

/// Somebody on this side, who has a socket of his own on the other.
struct Flow {
    back: Arc<UdpSocket>,
    held: Option<Vec<u8>>,
    _task: JoinSet<()>,
}

impl UdpProxy {
    pub async fn start(target: SocketAddr, mangling: Mangling, seed: u64) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
        let address = front.local_addr().expect("it is bound");
        let (rng, done, flows) = (fastrand::Rng::with_seed(seed), Done::default(), BTreeMap::new());
        let passage = Passage::Both;
        let state = State { target, passage, mangling, rng, done, flows };
        let state = Arc::new(Mutex::new(state));
        let mut task = JoinSet::new();
        task.spawn(there(front, Arc::clone(&state)));
        Self { address, state, _task: task }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub fn set(&self, passage: Passage) {
        self.state().passage = passage;
    }

    pub fn lead_to(&self, target: SocketAddr) {
        self.state().target = target;
    }

    /// Whoever is on this side appears at another port from now on.
    pub fn rebind(&self) {
        self.state().flows.clear();
    }

    pub fn done(&self) -> Done {
        self.state().done
    }
}

/// From this side to the target.
async fn there(front: Arc<UdpSocket>, state: Arc<Mutex<State>>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error tells that an earlier datagram did not arrive anywhere.
        let Ok((len, from)) = front.recv_from(&mut buffer).await else { continue };
        if !state.lock().expect("not poisoned").flows.contains_key(&from) {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("a free port"));
            let mut task = JoinSet::new();
            task.spawn(back_again(Arc::clone(&back), Arc::clone(&front), from, state.clone()));
            let flow = Flow { back, held: None, _task: task };
            state.lock().expect("not poisoned").flows.insert(from, flow);
        }
        let (out, back, target) = {
            let mut state = state.lock().expect("not poisoned");
            let mut held = state.flows.get_mut(&from).and_then(|flow| flow.held.take());
            let passes = state.passage != Passage::Nothing;
            let out = if passes { state.mangle(&buffer[..len], &mut held) } else { vec![] };
            let target = state.target;
            let Some(flow) = state.flows.get_mut(&from) else { continue };
            flow.held = held;
            (out, Arc::clone(&flow.back), target)
        };
        for datagram in out {
            let _ = back.send_to(&datagram, target).await;
        }
    }
}

/// From the target to this side.
async fn back_again(
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    to: SocketAddr,
    state: Arc<Mutex<State>>,
) {
    let (mut buffer, mut held) = (vec![0; DATAGRAM_BYTES_MAX], None);
    loop {
        let Ok((len, _)) = back.recv_from(&mut buffer).await else { continue };
        let out = {
            let mut state = state.lock().expect("not poisoned");
            let passes = state.passage == Passage::Both;
            if passes { state.mangle(&buffer[..len], &mut held) } else { vec![] }
        };
        for datagram in out {
            let _ = front.send_to(&datagram, to).await;
        }
    }
}

impl State {
    /// What becomes of a datagram; `held` is the one before it, if that is late.
    fn mangle(&mut self, datagram: &[u8], held: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
        let Mangling { lost, doubled, late, damaged } = self.mangling;
        let (draw, before, mut datagram) = (self.rng.u32(0..100), held.take(), datagram.to_vec());
        self.done.passed += 1;
        let mut out = if draw < lost {
            self.done.lost += 1;
            vec![]
        } else if draw < lost + doubled {
            self.done.doubled += 1;
            vec![datagram.clone(), datagram]
        } else if draw < lost + doubled + late {
            self.done.late += 1;
            *held = Some(datagram);
            vec![]
        } else if draw < lost + doubled + late + damaged && !datagram.is_empty() {
            self.done.damaged += 1;
            let at = self.rng.usize(0..datagram.len());
            datagram[at] ^= 1 << self.rng.u32(0..8);
            vec![datagram]
        } else {
            vec![datagram]
        };
        out.extend(before);
        out
    }
}
