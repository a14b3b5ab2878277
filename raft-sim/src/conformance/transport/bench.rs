//! A cluster of endpoints, and a record of what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use raft_core::{Envelope, NodeId, Transport, TransportClosed};
use tokio::time::{Instant, timeout};

use super::messages::{Key, describe, key};
use super::{Endpoints, TransportKit, TransportProperty as Property, TransportReport, Verdict};
use crate::conformance::Violation;

/// After so long without an answer messages are sent again.
const AGAIN: Duration = Duration::from_millis(500);

/// Why a property does not hold, before it is known where.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) property: Property,
    pub(super) detail: String,
}

pub(super) fn flaw(property: Property, detail: impl Into<String>) -> Flaw {
    Flaw { property, detail: detail.into() }
}

pub(super) struct Bench<E: Endpoints> {
    pub(super) kit: TransportKit,
    pub(super) endpoints: E,
    pub(super) nodes: BTreeMap<u64, Arc<E::Transport>>,
    /// By receiver.
    sent: BTreeMap<u64, BTreeSet<Key>>,
    pub(super) report: TransportReport,
    numbers: u64,
    sender: Sender<E::Transport>,
}

/// A thread that sends, so that a `send` which waits is noticed.
struct Sender<T> {
    jobs: mpsc::Sender<(Arc<T>, Vec<Envelope>)>,
    done: mpsc::Receiver<Vec<Envelope>>,
}

impl<T: Transport> Sender<T> {
    /// To be called within the runtime.
    fn start() -> Self {
        let runtime = tokio::runtime::Handle::current();
        let (jobs, todo) = mpsc::channel::<(Arc<T>, Vec<Envelope>)>();
        let (report, done) = mpsc::channel();
        std::thread::spawn(move || {
            let _inside = runtime.enter();
            while let Ok((transport, mut messages)) = todo.recv() {
                transport.send(&mut messages);
                drop(transport);
                if report.send(messages).is_err() {
                    return;
                }
            }
        });
        Self { jobs, done }
    }

    fn send(
        &self,
        transport: Arc<T>,
        messages: Vec<Envelope>,
        limit: Duration,
    ) -> Result<(), Flaw> {
        // If the thread is gone, then so is its other channel.
        let _ = self.jobs.send((transport, messages));
        match self.done.recv_timeout(limit) {
            Ok(messages) => emptied(&messages),
            Err(RecvTimeoutError::Timeout) => {
                let detail = format!("it had not returned after {limit:?}");
                Err(flaw(Property::NeverWaits, detail))
            }
            Err(RecvTimeoutError::Disconnected) => Err(flaw(Property::NeverWaits, "it panicked")),
        }
    }
}

/// Runs one part of the kit in a life of its own.
pub(super) fn part<E: Endpoints>(
    kit: &TransportKit,
    endpoints: E,
    step: &str,
    report: &mut TransportReport,
    work: impl AsyncFnOnce(&mut Bench<E>) -> Result<(), Flaw>,
) -> Verdict<()> {
    kit.clock.live(async {
        let mut bench = Bench::start(kit, endpoints).await;
        bench.report = *report;
        let outcome = work(&mut bench).await;
        *report = bench.report;
        outcome.map_err(|Flaw { property, detail }| Violation {
            property,
            step: step.to_owned(),
            seed: kit.seed,
            detail,
        })
    })
}

impl<E: Endpoints> Bench<E> {
    async fn start(kit: &TransportKit, endpoints: E) -> Self {
        let mut nodes = BTreeMap::new();
        for node in 1..=kit.nodes {
            nodes.insert(node, Arc::new(endpoints.start(NodeId(node)).await));
        }
        let (sent, report) = Default::default();
        let sender = Sender::start();
        Self { kit: *kit, endpoints, nodes, sent, report, numbers: 1000, sender }
    }

    /// The next number that tells messages apart.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers(1)
    }

    /// The first of so many numbers.
    pub(super) fn numbers(&mut self, count: u64) -> u64 {
        self.numbers += count;
        self.numbers + 1 - count
    }

    pub(super) fn node(&self, node: u64) -> Arc<E::Transport> {
        Arc::clone(&self.nodes[&node])
    }

    /// Takes down that these are sent.
    pub(super) fn record(&mut self, messages: &[Envelope]) {
        for message in messages {
            self.sent.entry(message.to.0).or_default().insert(key(message));
        }
    }

    pub(super) fn send(&mut self, from: u64, messages: Vec<Envelope>) -> Result<(), Flaw> {
        self.record(&messages);
        self.sender.send(self.node(from), messages, self.kit.send_max)
    }

    /// What has arrived at an endpoint of `node` after this time at the latest.
    pub(super) async fn receive_at(
        &self,
        node: u64,
        transport: &E::Transport,
        wait: Duration,
    ) -> Result<Vec<Envelope>, Flaw> {
        let mut inbox = Vec::new();
        let outcome = timeout(wait, transport.receive(&mut inbox)).await;
        if outcome == Ok(Err(TransportClosed)) {
            return Err(flaw(Property::Delivers, "the transport closed by itself"));
        }
        self.examine(node, &inbox)?;
        Ok(inbox)
    }

    pub(super) fn examine(&self, node: u64, arrived: &[Envelope]) -> Result<(), Flaw> {
        for message in arrived {
            let what = describe(message);
            if message.to != NodeId(node) {
                let detail = format!("at node {node}: {what}");
                return Err(flaw(Property::Addressed, detail));
            }
            if !self.sent.get(&node).is_some_and(|sent| sent.contains(&key(message))) {
                return Err(flaw(Property::Unaltered, what));
            }
        }
        Ok(())
    }

    pub(super) async fn receive(&self, node: u64, wait: Duration) -> Result<Vec<Envelope>, Flaw> {
        self.receive_at(node, &self.node(node), wait).await
    }

    /// Sends messages, again if need be, until all of them have arrived.
    pub(super) async fn deliver(
        &mut self,
        messages: Vec<Envelope>,
        or: Property,
    ) -> Result<(), Flaw> {
        let deadline = Instant::now() + self.kit.patience;
        let mut missing: BTreeMap<u64, BTreeMap<Key, Envelope>> = BTreeMap::new();
        for message in messages {
            missing.entry(message.to.0).or_default().insert(key(&message), message);
        }
        let count = |missing: &BTreeMap<u64, BTreeMap<Key, Envelope>>| {
            missing.values().map(|messages| messages.len() as u64).sum::<u64>()
        };
        self.report.delivered += count(&missing);
        loop {
            let mut by_sender: BTreeMap<u64, Vec<Envelope>> = BTreeMap::new();
            for message in missing.values().flat_map(|messages| messages.values()) {
                by_sender.entry(message.from.0).or_default().push(message.clone());
            }
            for (from, messages) in by_sender {
                self.send(from, messages)?;
            }
            for (to, messages) in &mut missing {
                while !messages.is_empty() {
                    let arrived = self.receive(*to, AGAIN).await?;
                    if arrived.is_empty() {
                        break;
                    }
                    arrived.iter().for_each(|message| _ = messages.remove(&key(message)));
                }
            }
            self.report.resent += count(&missing);
            let Some(first) = missing.values().flat_map(|messages| messages.values()).next() else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(flaw(or, format!("{} after {:?}", describe(first), self.kit.patience)));
            }
        }
    }

    /// A small message from each of these nodes to each other one.
    pub(super) async fn all_talk(&mut self, nodes: &[u64], or: Property) -> Result<(), Flaw> {
        let mut messages = Vec::new();
        for from in nodes {
            for to in nodes.iter().filter(|to| *to != from) {
                let number = self.number();
                messages.push(super::messages::small(*from, *to, number));
            }
        }
        self.deliver(messages, or).await
    }

    pub(super) fn all(&self) -> Vec<u64> {
        (1..=self.kit.nodes).collect()
    }
}

pub(super) fn emptied(messages: &[Envelope]) -> Result<(), Flaw> {
    match messages.first() {
        Some(left) => Err(flaw(Property::Empties, describe(left))),
        None => Ok(()),
    }
}
