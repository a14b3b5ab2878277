//! Histories of a store that works.

use bytes::Bytes;
use fastrand::Rng;
use raft_sim::checker::models::{Got, KvInput, KvOp, KvOutput};
use raft_sim::history::{ClientId, Moment, Operation, Outcome};

pub(crate) type KvOperation = Operation<KvInput, KvOutput>;

/// What clients are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tells {
    /// That it was done.
    Little,
    /// The new length after an append.
    Lengths,
    /// That, the index of each write, and the version of what is read.
    Versions,
}

/// What some clients do with one key: half appends, some puts, the rest gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) key: &'static str,
    pub(crate) clients: usize,
    /// How many operations return or are lost.
    pub(crate) count: usize,
    pub(crate) tells: Tells,
    /// How many of a hundred are lost: the client never hears of them, and goes on under a new id. They
    /// may take effect later, or never.
    pub(crate) lost_percent: u8,
}

/// An operation on its way.
struct Flight {
    client: u64,
    op: KvOp,
    called: u64,
    /// Once it took effect.
    output: Option<KvOutput>,
}

#[derive(Default)]
struct Store {
    value: Vec<u8>,
    version: u64,
}

impl Workload {
    /// A history. Each operation takes effect at some time between its call and its return.
    pub(crate) fn run(self, rng: &mut Rng) -> Vec<KvOperation> {
        let mut store = Store::default();
        let mut flights: Vec<Option<Flight>> = (0..self.clients).map(|_| None).collect();
        let mut ids: Vec<_> = (0..self.clients as u64).collect();
        let (mut lost, mut operations) = (Vec::<Flight>::new(), Vec::new());
        let mut position = 0;
        while operations.len() + lost.len() < self.count {
            position += 1;
            if let Some(late) = rng.choice(&mut lost)
                && rng.u8(0..20) == 0
            {
                late.output.get_or_insert_with(|| store.take(&late.op, self.tells));
            }
            let slot = rng.usize(..self.clients);
            let Some(mut flight) = flights[slot].take() else {
                let (client, op) = (ids[slot], random_op(position, rng));
                flights[slot] = Some(Flight { client, op, called: position, output: None });
                continue;
            };
            if rng.u8(0..100) < self.lost_percent {
                ids[slot] += self.clients as u64;
                lost.push(flight);
            } else if let Some(output) = flight.output.take() {
                let outcome = Outcome::Returned { output, at: Moment::at(position) };
                operations.push(self.operation(flight, outcome));
            } else {
                flight.output = Some(store.take(&flight.op, self.tells));
                flights[slot] = Some(flight);
            }
        }
        // Some of them took effect, though nobody was told.
        let open = flights.into_iter().flatten().chain(lost);
        operations.extend(open.map(|flight| self.operation(flight, Outcome::Unknown)));
        operations
    }

    fn operation(&self, flight: Flight, outcome: Outcome<KvOutput>) -> KvOperation {
        let Flight { client, op, called, .. } = flight;
        let input = KvInput { key: Bytes::from_static(self.key.as_bytes()), op };
        Operation { client: ClientId(client), input, called: Moment::at(called), outcome }
    }
}

fn random_op(position: u64, rng: &mut Rng) -> KvOp {
    let text = Bytes::from(format!("{position};"));
    match rng.u8(0..10) {
        0..5 => KvOp::Append(text),
        5 => KvOp::Put(text),
        _ => KvOp::Get,
    }
}

impl Store {
    fn take(&mut self, op: &KvOp, tells: Tells) -> KvOutput {
        match op {
            KvOp::Put(new) => self.value = new.to_vec(),
            KvOp::Append(tail) => self.value.extend_from_slice(tail),
            _ if self.value.is_empty() => return KvOutput::Got(Got::MissingOrEmpty),
            _ => {
                let version = (tells == Tells::Versions).then_some(self.version);
                return KvOutput::Got(Got::Found { value: self.value.clone().into(), version });
            }
        }
        self.version += 1;
        let index = (tells == Tells::Versions).then_some(self.version);
        let length = (tells != Tells::Little).then_some(self.value.len() as u64);
        match op {
            KvOp::Append(_) => KvOutput::Appended { index, length },
            _ => KvOutput::Done { index },
        }
    }
}
