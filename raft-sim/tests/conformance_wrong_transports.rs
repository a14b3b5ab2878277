//! Deliberately wrong transports: each fails the kit for its own reason, and without its fault passes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_core::{
    Address, BoxFuture, Envelope, Message, NodeId, Payload, Transport, TransportClosed,
};
use raft_sim::conformance::{
    Endpoints, LinkControl, LinkState, TransportKit, TransportProperty as Property,
};
use raft_transport::codec::{decode_batch, encode_envelope, weight};
use raft_transport::{Network, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

const HELD_BYTES: u64 = 4 << 20;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrong {
    Nothing,
    // In memory.
    DropsPreVotes,
    DeliversElsewhere,
    WaitsForRoom,
    ReordersBytes,
    KeepsVector,
    HoldsEverything,
    LosesWhenGivenUp,
    HangsWhenClosed,
    ServesBothLives,
    StaysBroken,
    StopsForOneFullPeer,
    // Over streams.
    HasNoChecksum,
    HasNoDeadline,
    HasNoCluster,
    DoesNotCount,
}

/// What has arrived at one life of a node.
#[derive(Default)]
struct Inbox {
    queue: Mutex<VecDeque<Envelope>>,
    arrived: Notify,
    room: Condvar,
    closed: AtomicBool,
}

impl Inbox {
    fn push(&self, message: Envelope, wrong: Wrong) {
        let mut queue = self.queue.lock().expect("not poisoned");
        let held = |queue: &mut VecDeque<Envelope>| queue.iter().map(weight).sum::<u64>();
        if wrong == Wrong::WaitsForRoom {
            let full = |queue: &mut VecDeque<Envelope>| held(queue) > HELD_BYTES / 2;
            queue = self.room.wait_while(queue, full).expect("not poisoned");
        } else if held(&mut queue) > HELD_BYTES / 2 && wrong != Wrong::HoldsEverything {
            return;
        }
        queue.push_back(message);
        self.arrived.notify_one();
    }

    fn is_full(&self) -> bool {
        let queue = self.queue.lock().expect("not poisoned");
        queue.iter().map(weight).sum::<u64>() > HELD_BYTES / 2
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.arrived.notify_one();
    }

    async fn receive(
        &self,
        inbox: &mut Vec<Envelope>,
        wrong: Wrong,
    ) -> Result<(), TransportClosed> {
        loop {
            if self.closed.load(Ordering::Relaxed) && wrong != Wrong::HangsWhenClosed {
                self.arrived.notify_one();
                return Err(TransportClosed);
            }
            let taken: Vec<Envelope> = self.queue.lock().expect("not poisoned").drain(..).collect();
            if wrong == Wrong::LosesWhenGivenUp {
                tokio::task::yield_now().await;
            }
            if !taken.is_empty() {
                inbox.extend(taken);
                return Ok(());
            }
            self.arrived.notified().await;
        }
    }
}

/// A network in memory.
struct Memory {
    wrong: Wrong,
    shared: Arc<MemoryShared>,
}

#[derive(Default)]
struct MemoryShared {
    inboxes: Mutex<BTreeMap<NodeId, Vec<Arc<Inbox>>>>,
    broken: Mutex<BTreeSet<(NodeId, NodeId)>>,
    sent: AtomicU64,
}

struct MemoryTransport {
    node: NodeId,
    wrong: Wrong,
    inbox: Arc<Inbox>,
    shared: Arc<MemoryShared>,
}

impl Endpoints for Memory {
    type Transport = MemoryTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, MemoryTransport> {
        let (wrong, shared, inbox) = (self.wrong, Arc::clone(&self.shared), Arc::default());
        let mut inboxes = self.shared.inboxes.lock().expect("not poisoned");
        let lives = inboxes.entry(node).or_default();
        if wrong != Wrong::ServesBothLives {
            lives.clear();
        }
        lives.push(Arc::clone(&inbox));
        Box::pin(async move { MemoryTransport { node, wrong, inbox, shared } })
    }

    fn shutdown<'a>(&'a self, transport: &'a MemoryTransport) -> BoxFuture<'a, ()> {
        Box::pin(async { transport.inbox.close() })
    }

    fn set_link(&self, a: NodeId, b: NodeId, state: LinkState) -> LinkControl {
        let mut broken = self.shared.broken.lock().expect("not poisoned");
        for pair in [(a, b), (b, a)] {
            match state {
                LinkState::Broken => _ = broken.insert(pair),
                LinkState::Whole if self.wrong == Wrong::StaysBroken => {}
                LinkState::Whole => _ = broken.remove(&pair),
            }
        }
        LinkControl::Done
    }
}

fn reversed(mut message: Envelope) -> Envelope {
    if let Message::AppendEntries(append) = &mut message.message {
        for entry in &mut append.entries {
            if let Payload::Command(command) = &mut entry.payload {
                *command = command.iter().rev().copied().collect();
            }
        }
    }
    message
}

impl MemoryTransport {
    fn deliver(&self, message: Envelope) {
        let mut to = message.to;
        let count = self.shared.sent.fetch_add(1, Ordering::Relaxed);
        if self.wrong == Wrong::DeliversElsewhere && count % 5 == 4 {
            to = NodeId(to.0 % 3 + 1);
        }
        if self.shared.broken.lock().expect("not poisoned").contains(&(self.node, to)) {
            return;
        }
        let lives = self.shared.inboxes.lock().expect("not poisoned").get(&to).cloned();
        for inbox in lives.unwrap_or_default() {
            inbox.push(message.clone(), self.wrong);
        }
    }
}

impl Transport for MemoryTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        let any_full = || {
            let inboxes = self.shared.inboxes.lock().expect("not poisoned");
            inboxes.values().flatten().any(|inbox| inbox.is_full())
        };
        if self.wrong == Wrong::StopsForOneFullPeer && any_full() {
            messages.clear();
        }
        if self.wrong == Wrong::KeepsVector {
            return messages.iter().cloned().for_each(|message| self.deliver(message));
        }
        for message in messages.drain(..) {
            match (&message.message, self.wrong) {
                (Message::PreVote(_), Wrong::DropsPreVotes) => {}
                (_, Wrong::ReordersBytes) => self.deliver(reversed(message)),
                _ => self.deliver(message),
            }
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(self.inbox.receive(inbox, self.wrong))
    }
}

/// A network of streams: one stream for each message, which begins with the cluster and a checksum.
struct Streams {
    wrong: Wrong,
    network: Arc<dyn Network>,
    addresses: Arc<Mutex<BTreeMap<NodeId, Address>>>,
    lives: AtomicU64,
}

struct StreamTransport {
    shared: Arc<StreamShared>,
    accepting: AbortHandle,
}

struct StreamShared {
    node: NodeId,
    cluster: u8,
    wrong: Wrong,
    network: Arc<dyn Network>,
    addresses: Arc<Mutex<BTreeMap<NodeId, Address>>>,
    inbox: Inbox,
    rejected: AtomicU64,
    /// Bytes on their way.
    sending: AtomicU64,
}

const HEADER_BYTES: usize = 5;
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(5);

impl Streams {
    async fn bind(&self, node: NodeId, cluster: u8) -> (StreamTransport, Address) {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let listen = Address::from(format!("{node} life {life}").as_str());
        let mut listener = self.network.bind(&listen).await.expect("a free address");
        let shared = Arc::new(StreamShared {
            node,
            cluster,
            wrong: self.wrong,
            network: Arc::clone(&self.network),
            addresses: Arc::clone(&self.addresses),
            inbox: Inbox::default(),
            rejected: AtomicU64::new(0),
            sending: AtomicU64::new(0),
        });
        let accepted = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&accepted).take(stream));
            }
        });
        (StreamTransport { shared, accepting: accepting.abort_handle() }, listen)
    }
}

impl Endpoints for Streams {
    type Transport = StreamTransport;

    fn start(&self, node: NodeId) -> BoxFuture<'_, StreamTransport> {
        Box::pin(async move {
            let (transport, address) = self.bind(node, 1).await;
            self.addresses.lock().expect("not poisoned").insert(node, address);
            transport
        })
    }

    fn shutdown<'a>(&'a self, transport: &'a StreamTransport) -> BoxFuture<'a, ()> {
        transport.accepting.abort();
        Box::pin(async { transport.shared.inbox.close() })
    }

    fn address(&self, node: NodeId) -> Option<Address> {
        self.addresses.lock().expect("not poisoned").get(&node).cloned()
    }

    fn rejected(&self, transport: &StreamTransport) -> Option<u64> {
        Some(transport.shared.rejected.load(Ordering::Relaxed))
    }

    fn start_stranger(&self, node: NodeId) -> BoxFuture<'_, Option<StreamTransport>> {
        Box::pin(async move { Some(self.bind(node, 2).await.0) })
    }
}

impl StreamShared {
    async fn take(self: Arc<Self>, stream: Box<dyn Stream>) {
        let mut bytes = Vec::new();
        let mut limited = stream.take(MESSAGE_BYTES_MAX);
        let deadline = if self.wrong == Wrong::HasNoDeadline { DEADLINE * 1000 } else { DEADLINE };
        let read = tokio::time::timeout(deadline, limited.read_to_end(&mut bytes)).await;
        let ended = matches!(read, Ok(Ok(_)));
        if (!ended || !self.understand(&bytes)) && self.wrong != Wrong::DoesNotCount {
            self.rejected.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn understand(&self, bytes: &[u8]) -> bool {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else { return false };
        let checked = crc32fast::hash(body).to_le_bytes() == header[1..];
        if !checked && self.wrong != Wrong::HasNoChecksum {
            return false;
        }
        if header[0] != self.cluster && self.wrong != Wrong::HasNoCluster {
            return false;
        }
        let mut batch = Vec::new();
        let decoded = decode_batch(&Bytes::copy_from_slice(body), &mut batch);
        if decoded.is_err() || batch.iter().any(|message| message.to != self.node) {
            return false;
        }
        for message in batch {
            self.inbox.push(message, self.wrong);
        }
        true
    }

    async fn pass(self: Arc<Self>, message: Envelope, len: u64) {
        let mut body = BytesMut::new();
        encode_envelope(&message, &mut body);
        let mut bytes = vec![self.cluster];
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        let address = self.addresses.lock().expect("not poisoned").get(&message.to).cloned();
        let writing = async {
            let Some(address) = address else { return };
            let Ok(mut stream) = self.network.connect(&address).await else { return };
            if stream.write_all(&bytes).await.is_ok() {
                let _ = stream.flush().await;
                let _ = stream.shutdown().await;
                // Until the other side has read it.
                let _ = stream.read(&mut [0]).await;
            }
        };
        let _ = tokio::time::timeout(DEADLINE, writing).await;
        self.sending.fetch_sub(len, Ordering::Relaxed);
    }
}

impl Transport for StreamTransport {
    fn send(&self, messages: &mut Vec<Envelope>) {
        for message in messages.drain(..) {
            let len = weight(&message);
            let on_the_way = self.shared.sending.load(Ordering::Relaxed);
            if message.to == self.shared.node || on_the_way + len > HELD_BYTES / 4 {
                continue;
            }
            self.shared.sending.fetch_add(len, Ordering::Relaxed);
            tokio::spawn(Arc::clone(&self.shared).pass(message, len));
        }
    }

    fn receive<'a>(
        &'a self,
        inbox: &'a mut Vec<Envelope>,
    ) -> BoxFuture<'a, Result<(), TransportClosed>> {
        Box::pin(self.shared.inbox.receive(inbox, self.shared.wrong))
    }
}

fn kit() -> TransportKit {
    TransportKit {
        held_bytes_max: HELD_BYTES,
        // It blocks for ever, and not because the machine is slow.
        send_max: Duration::from_secs(2),
        patience: Duration::from_secs(30),
        streams: 30,
        ..TransportKit::default()
    }
}

fn check_memory(wrong: Wrong) -> Option<Property> {
    let outcome = kit().check(|| Memory { wrong, shared: Arc::default() });
    outcome.err().map(|violation| {
        println!("{wrong:?}: {violation}");
        violation.property
    })
}

fn check_streams(wrong: Wrong) -> Option<Property> {
    let outcome = kit().check_streams(|network| Streams {
        wrong,
        network,
        addresses: Arc::default(),
        lives: AtomicU64::new(0),
    });
    outcome.err().map(|violation| {
        println!("{wrong:?}: {violation}");
        violation.property
    })
}

#[test]
fn each_wrong_transport_fails_for_its_own_reason() {
    for (wrong, property) in [
        (Wrong::Nothing, None),
        (Wrong::DropsPreVotes, Some(Property::Delivers)),
        (Wrong::DeliversElsewhere, Some(Property::Addressed)),
        (Wrong::WaitsForRoom, Some(Property::NeverWaits)),
        (Wrong::ReordersBytes, Some(Property::Unaltered)),
        (Wrong::KeepsVector, Some(Property::Empties)),
        (Wrong::HoldsEverything, Some(Property::Bounded)),
        (Wrong::LosesWhenGivenUp, Some(Property::CancelSafe)),
        (Wrong::HangsWhenClosed, Some(Property::Closes)),
        (Wrong::ServesBothLives, Some(Property::NewerWins)),
        (Wrong::StaysBroken, Some(Property::Recovers)),
        (Wrong::StopsForOneFullPeer, Some(Property::Independent)),
    ] {
        assert_eq!(check_memory(wrong), property, "{wrong:?}");
    }
}

#[test]
fn each_wrong_transport_over_streams_fails_for_its_own_reason() {
    for (wrong, property) in [
        (Wrong::Nothing, None),
        (Wrong::HasNoChecksum, Some(Property::Unaltered)),
        (Wrong::HasNoDeadline, Some(Property::ClosesHostile)),
        (Wrong::HasNoCluster, Some(Property::OneCluster)),
        (Wrong::DoesNotCount, Some(Property::Counts)),
    ] {
        assert_eq!(check_streams(wrong), property, "{wrong:?}");
    }
}
