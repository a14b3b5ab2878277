//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft_core::{
    Address, AppendEntries, BoxFuture, Cause, ClusterId, Entry, Envelope, GroupId, Incarnation,
    LogId, LogIndex, Message, NodeId, Payload, RequestVote, Round, Service, Term, Transport,
};
use raft_transport::codec::{
    Claim, Frame, FrameKind, FrameReader, Hello, Intent, Protocols, write_frame,
};
use raft_transport::{Carrier, Counters, NetConfig, NetTransport, Network, Peers};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

pub const CLUSTER: ClusterId = ClusterId(77);
pub const MAX: u32 = 1 << 20;

/// The addresses of nodes, which may change.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<BTreeMap<NodeId, Address>>>);

impl Book {
    pub fn set(&self, node: u64, address: &Address) {
        self.0.lock().unwrap().insert(NodeId(node), address.clone());
    }
    pub fn peers(&self) -> Arc<dyn Peers> {
        let book = self.clone();
        Arc::new(move |node: NodeId| book.0.lock().unwrap().get(&node).cloned())
    }
}

pub fn config(node: u64, listen: &str) -> NetConfig {
    let mut config =
        NetConfig::new(CLUSTER, NodeId(node), Incarnation(node), Address::from(listen), node);
    config.frame_bytes_max = MAX;
    config
}

pub async fn start(network: &Arc<dyn Network>, book: &Book, config: NetConfig) -> NetTransport {
    start_on(Carrier::plaintext(Arc::clone(network)), book, config).await
}

pub async fn start_on(carrier: Carrier, book: &Book, config: NetConfig) -> NetTransport {
    let node = config.node.0;
    let transport = NetTransport::bind(config, carrier, book.peers()).await.unwrap();
    book.set(node, transport.address());
    transport
}

pub fn vote(group: u64, from: u64, to: u64, term: u64) -> Envelope {
    Envelope {
        group: GroupId(group),
        from: NodeId(from),
        to: NodeId(to),
        term: Term(term),
        message: Message::RequestVote(RequestVote { last: LogId::ZERO, cause: Cause::Timeout }),
    }
}

pub fn append(from: u64, to: u64, index: u64, bytes: usize) -> Envelope {
    let id = LogId::new(Term(1), LogIndex(index));
    let payload = Payload::Command(Bytes::from(vec![7; bytes]));
    let append = AppendEntries {
        prev: LogId::ZERO,
        entries: vec![Entry { id, payload }],
        commit: LogIndex(0),
        round: Round(1),
    };
    Envelope { message: Message::AppendEntries(append), ..vote(1, from, to, 1) }
}

/// Receives until there are `count` messages.
pub async fn receive(transport: &dyn Transport, count: usize) -> Vec<Envelope> {
    let mut inbox = Vec::new();
    while inbox.len() < count {
        soon(transport.receive(&mut inbox)).await.unwrap();
    }
    inbox
}

/// A minute, which is for ever on loopback and costs nothing when time is paused.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

/// Waits until the counters are as wanted.
pub async fn until(transport: &NetTransport, wanted: impl Fn(&Counters) -> bool) {
    let waiting = timeout(Duration::from_secs(60), async {
        while !wanted(&transport.counters()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waiting.await.unwrap_or_else(|_| panic!("not within a minute: {:?}", transport.counters()));
}

/// A service that answers with what it is asked.
pub struct Echo;

impl Service for Echo {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async move { request })
    }
}

/// A raw connection, to say what one likes.
pub struct Raw<S> {
    pub stream: S,
    pub input: BytesMut,
    pub frames: FrameReader,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), frames: FrameReader::new(MAX) }
    }
    pub async fn say(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }
    /// The next frame that is no ping; `None` when the other side has closed.
    pub async fn hear(&mut self) -> Option<Frame> {
        loop {
            match self.frames.next(&mut self.input).unwrap() {
                Some(frame) if frame.kind == FrameKind::Ping => {}
                Some(frame) => return Some(frame),
                None => {
                    if soon(self.stream.read_buf(&mut self.input)).await.unwrap_or(0) == 0 {
                        return None;
                    }
                }
            }
        }
    }
    pub async fn closed(&mut self) {
        assert_eq!(self.hear().await, None);
    }
}

pub fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    write_frame(&mut out, kind, u32::MAX, |out| out.extend_from_slice(payload)).unwrap();
    out.to_vec()
}

pub fn hello(hello: Hello) -> Vec<u8> {
    let mut out = BytesMut::new();
    hello.encode(&mut out);
    frame(FrameKind::Hello, &out)
}

pub fn client_hello() -> Vec<u8> {
    hello(Hello { protocols: Protocols::OURS, claim: Claim::Client })
}

pub fn peer(from: u64, to: u64) -> Claim {
    Claim::Peer {
        intent: Intent::Connect,
        cluster: CLUSTER,
        from: NodeId(from),
        incarnation: Incarnation(from),
        to: NodeId(to),
    }
}

pub fn peer_hello(from: u64, to: u64) -> Vec<u8> {
    hello(Hello { protocols: Protocols::OURS, claim: peer(from, to) })
}

pub fn request(number: u64, body: &[u8]) -> Vec<u8> {
    frame(FrameKind::Request, &[&number.to_le_bytes(), body].concat())
}
