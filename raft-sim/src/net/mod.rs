//! [`SimNet`]: the network between simulated processes.
//!
//! Three ways to use it, over the same links: messages between nodes ([`SimTransport`]), requests to services
//! ([`SimCaller`]), and byte streams ([`SimSockets`]), on which the production transports run unchanged.
//!
//! Faults belong to directed links: [`SimNet::set_link`], [`SimNet::cut`], [`SimNet::partition`]. A filter sees
//! every message and may do with it what it likes. Everything is counted.

mod call;
mod counters;
mod letter;
mod link;
mod port;
mod post;
mod stream;
mod transport;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft_core::{Address, Envelope, NodeId, Service};
use raft_transport::codec;

pub use self::call::SimCaller;
pub use self::counters::{Count, Traffic};
pub use self::letter::{Kind, Letter, Verdict};
pub use self::link::{Cut, Link, PerMille};
pub(crate) use self::port::Port;
pub(crate) use self::post::{Content, Parcel};
pub use self::stream::{SimSockets, SimStream};
pub use self::transport::SimTransport;

use self::post::Post;
use self::stream::Streams;
use crate::world::Trace;

/// A simulated process, with its place in the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(pub u32);

type Filter = Box<dyn FnMut(&Letter<'_>) -> Verdict + Send>;

/// How long bytes that were lost wait before they are sent again.
const RESEND: Duration = Duration::from_millis(200);

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct SimNet {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    rng: fastrand::Rng,
    trace: Trace,
    now: Duration,
    default: Link,
    links: BTreeMap<(HostId, HostId), Link>,
    filter: Option<Filter>,
    post: Post,
    traffic: Traffic,
    names: BTreeMap<String, HostId>,
    nodes: BTreeMap<NodeId, HostId>,
    ports: BTreeMap<HostId, Arc<Port>>,
    /// Until when a link with a bandwidth is busy.
    busy: BTreeMap<(HostId, HostId), Duration>,
    numbers: u64,
    streams: Streams,
}

/// What becomes of something that is sent.
struct Ways {
    /// When each copy arrives.
    copies: Vec<Duration>,
    corrupt: bool,
    reset: bool,
}

impl SimNet {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            trace,
            now: Duration::ZERO,
            default: Link::default(),
            links: BTreeMap::new(),
            filter: None,
            post: Post::default(),
            traffic: Traffic::default(),
            names: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ports: BTreeMap::new(),
            busy: BTreeMap::new(),
            numbers: 0,
            streams: Streams::default(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All links that have not been set are like this from now on.
    pub fn set_default_link(&self, link: Link) {
        self.state().default = link;
    }

    /// Sets one direction.
    pub fn set_link(&self, from: HostId, to: HostId, link: Link) {
        self.state().links.insert((from, to), link);
    }

    /// Changes one direction.
    pub fn change_link(&self, from: HostId, to: HostId, change: impl FnOnce(&mut Link)) {
        let mut state = self.state();
        let default = state.default.clone();
        change(state.links.entry((from, to)).or_insert(default));
    }

    /// Changes every direction between any two processes there are, and those that will be.
    pub fn change_links(&self, change: impl Fn(&mut Link)) {
        let mut state = self.state();
        change(&mut state.default);
        state.links.values_mut().for_each(change);
    }

    /// Nothing gets from `from` to `to` any more.
    pub fn cut(&self, from: HostId, to: HostId) {
        self.change_link(from, to, |link| link.cut = Cut::Blocked);
    }

    /// Things get from `from` to `to` again.
    pub fn mend(&self, from: HostId, to: HostId) {
        self.change_link(from, to, |link| link.cut = Cut::Open);
    }

    /// Cuts a process off from all others there are, in both directions.
    pub fn isolate(&self, host: HostId) {
        for other in self.hosts().into_iter().filter(|other| *other != host) {
            self.cut(host, other);
            self.cut(other, host);
        }
    }

    /// Mends all links of a process.
    pub fn rejoin(&self, host: HostId) {
        for other in self.hosts().into_iter().filter(|other| *other != host) {
            self.mend(host, other);
            self.mend(other, host);
        }
    }

    /// Cuts all links between processes of different `sides`, and mends those within a side. Processes that are
    /// on no side are left alone; one may be on several, and is then a bridge.
    pub fn partition(&self, sides: &[&[HostId]]) {
        let together =
            |a: &HostId, b: &HostId| sides.iter().any(|s| s.contains(a) && s.contains(b));
        let all: Vec<HostId> = sides.iter().flat_map(|side| side.iter().copied()).collect();
        for a in &all {
            for b in all.iter().filter(|b| a != *b) {
                match together(a, b) {
                    true => self.mend(*a, *b),
                    false => self.cut(*a, *b),
                }
            }
        }
    }

    /// Mends all links.
    pub fn heal(&self) {
        self.change_links(|link| link.cut = Cut::Open);
    }

    /// `filter` sees everything that is sent, and decides first.
    pub fn set_filter(&self, filter: impl FnMut(&Letter<'_>) -> Verdict + Send + 'static) {
        self.state().filter = Some(Box::new(filter));
    }

    /// Takes the filter away.
    pub fn clear_filter(&self) {
        self.state().filter = None;
    }

    /// What was sent, and what became of it.
    pub fn traffic(&self) -> Traffic {
        self.state().traffic.clone()
    }

    /// Counts from zero again, and gives what was counted.
    pub fn reset_traffic(&self) -> Traffic {
        std::mem::take(&mut self.state().traffic)
    }

    /// How many messages are under way.
    pub fn under_way(&self) -> usize {
        self.state().post.len()
    }

    /// The process that is called `name`, or listens at `name:port`.
    pub fn host_at(&self, address: &Address) -> Option<HostId> {
        let name = address.0.split(':').next().unwrap_or_default();
        self.state().names.get(name).copied()
    }

    fn hosts(&self) -> Vec<HostId> {
        self.state().names.values().copied().collect()
    }

    pub(crate) fn add_host(&self, name: &str, host: HostId) {
        let before = self.state().names.insert(name.to_owned(), host);
        assert!(before.is_none(), "there is a process called {name} already");
    }

    /// The process is connected by `port` now, or not at all.
    pub(crate) fn plug(&self, host: HostId, port: Option<Arc<Port>>) {
        let mut state = self.state();
        // Its streams are gone without a word, as when the power goes.
        state.streams.forget(host);
        let before = match port {
            Some(port) => state.ports.insert(host, port),
            None => state.ports.remove(&host),
        };
        drop(state);
        // A service that calls others holds the port that holds it.
        let service = before.as_ref().and_then(|port| port.state().service.take());
        drop(service);
        // Streams that were never accepted take the lock when they are dropped.
        drop(before);
    }

    pub(crate) fn transport(&self, port: &Arc<Port>, node: NodeId) -> SimTransport {
        self.state().nodes.insert(node, port.host);
        SimTransport { net: self.clone(), port: Arc::clone(port), node }
    }

    pub(crate) fn caller(&self, port: &Arc<Port>) -> SimCaller {
        SimCaller { net: self.clone(), port: Arc::clone(port) }
    }

    pub(crate) fn sockets(&self, port: &Arc<Port>) -> SimSockets {
        SimSockets::new(self.clone(), Arc::clone(port))
    }

    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.state().post.next_at()
    }

    /// It is `now`; what has arrived, for each process.
    pub(crate) fn arrivals(&self, now: Duration) -> BTreeMap<HostId, Vec<Parcel>> {
        let mut state = self.state();
        state.now = now;
        let mut arrived: BTreeMap<HostId, Vec<Parcel>> = BTreeMap::new();
        for parcel in state.post.take(now) {
            arrived.entry(parcel.to).or_default().push(parcel);
        }
        arrived
    }

    fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.numbers += 1;
        state.numbers
    }

    fn send_envelope(&self, port: &Port, envelope: Envelope) {
        let mut state = self.state();
        let Some(to) = state.nodes.get(&envelope.to).copied() else { return };
        let letter = Letter {
            from: port.host,
            to,
            kind: Kind::of(&envelope.message),
            term: Some(envelope.term),
            bytes: codec::weight(&envelope),
            envelope: Some(&envelope),
        };
        let ways = state.ways(&letter, port.world_now());
        for at in ways.copies {
            let content = Content::Message(envelope.clone());
            state.post.put(at, Parcel { from: port.host, to, content });
        }
    }

    /// Sends what is never doubled.
    fn send(&self, port: &Port, to: HostId, kind: Kind, bytes: u64, content: Content) {
        if !port.fate.is_alive() {
            return;
        }
        let letter = Letter { from: port.host, to, kind, term: None, bytes, envelope: None };
        let mut state = self.state();
        let ways = state.ways(&letter, port.world_now());
        let (corrupt, reset) = (ways.corrupt, ways.reset);
        if let Some(at) = ways.copies.first() {
            let content = match content {
                Content::Segment { stream, segment } => {
                    let segment = state.mangled(segment, corrupt, reset);
                    Content::Segment { stream, segment }
                }
                other => other,
            };
            state.post.put(*at, Parcel { from: port.host, to, content });
        }
    }

    /// Hands `parcel` to the process behind `port`. Called in its runtime.
    pub(crate) fn deliver(&self, port: &Arc<Port>, parcel: Parcel) {
        let Parcel { from, to, content } = parcel;
        if self.state().link(from, to).cut == Cut::Blocked {
            return self.blocked(from, to, content);
        }
        match content {
            Content::Message(envelope) => {
                let (kind, data) = (Kind::of(&envelope.message), digest_of(&envelope));
                self.state().trace.event(kind.name(), to.0, &[u64::from(from.0), data]);
                if !port.deliver(envelope) {
                    self.state().traffic.lost(from, to, kind);
                }
            }
            Content::Request { call, data } => self.serve(port, from, call, data),
            Content::Reply { call, data } => self.answer(port, call, Ok(data)),
            Content::Refused { call } => {
                let reason = "nobody serves there".to_owned();
                self.answer(port, call, Err(raft_core::CallError::NotSent { reason }));
            }
            Content::Segment { stream, segment } => {
                stream::arrive(self, port, from, stream, segment)
            }
        }
    }

    /// Something for a process that is not running.
    pub(crate) fn undeliverable(&self, parcel: Parcel) {
        let Parcel { from, to, content } = parcel;
        let mut state = self.state();
        if let Content::Request { call, .. } = content
            && state.link(from, to).cut == Cut::Open
        {
            // The machine answers for the process. A refusal gets lost as anything else does.
            let letter = Letter {
                from: to,
                to: from,
                kind: Kind::Reply,
                term: None,
                bytes: 0,
                envelope: None,
            };
            let now = state.now;
            let ways = state.ways(&letter, now);
            if let Some(at) = ways.copies.first() {
                state
                    .post
                    .put(*at, Parcel { from: to, to: from, content: Content::Refused { call } });
            }
        }
    }

    /// The link was cut meanwhile: lost, but for bytes of a stream, which are sent again.
    fn blocked(&self, from: HostId, to: HostId, content: Content) {
        let mut state = self.state();
        match content {
            Content::Segment { .. } => {
                let at = state.now + RESEND;
                state.post.put(at, Parcel { from, to, content });
            }
            Content::Message(envelope) => {
                state.traffic.lost(from, to, Kind::of(&envelope.message));
            }
            Content::Request { .. } => state.traffic.lost(from, to, Kind::Request),
            Content::Reply { .. } | Content::Refused { .. } => {
                state.traffic.lost(from, to, Kind::Reply);
            }
        }
    }

    fn serve(&self, port: &Arc<Port>, from: HostId, call: u64, data: bytes::Bytes) {
        let to = port.host;
        self.state().trace.event(
            "request",
            to.0,
            &[u64::from(from.0), crate::world::digest(&data)],
        );
        let service = port.state().service.clone();
        let Some(service) = service else {
            return self.send(port, from, Kind::Reply, 0, Content::Refused { call });
        };
        let (net, port) = (self.clone(), Arc::clone(port));
        tokio::spawn(async move {
            let reply = service.call(data).await;
            if port.fate.reach(Kind::Reply.name()) {
                let bytes = reply.len() as u64;
                net.send(&port, from, Kind::Reply, bytes, Content::Reply { call, data: reply });
            }
        });
    }

    fn answer(&self, port: &Port, call: u64, outcome: Result<bytes::Bytes, raft_core::CallError>) {
        let waiting = port.state().calls.remove(&call);
        if let Some(waiting) = waiting {
            let data = outcome.as_ref().map_or(0, |data| crate::world::digest(data));
            self.state().trace.event("reply", port.host.0, &[data]);
            // Whoever has given up does not listen.
            let _ = waiting.send(outcome);
        }
    }

    /// `service` answers what arrives at `port` from now on.
    pub(crate) fn serve_with(&self, port: &Port, service: Arc<dyn Service>) {
        port.state().service = Some(service);
    }
}

fn digest_of(envelope: &Envelope) -> u64 {
    let mut bytes = bytes::BytesMut::new();
    codec::encode_envelope(envelope, &mut bytes);
    crate::world::digest(&bytes)
}

impl State {
    fn link(&self, from: HostId, to: HostId) -> &Link {
        self.links.get(&(from, to)).unwrap_or(&self.default)
    }

    /// Decides what becomes of `letter`, sent at `sent`.
    fn ways(&mut self, letter: &Letter<'_>, sent: Duration) -> Ways {
        let (from, to, kind) = (letter.from, letter.to, letter.kind);
        let is_segment = kind == Kind::Segment;
        self.traffic.sent(from, to, kind, letter.bytes);
        let verdict = match &mut self.filter {
            Some(filter) => filter(letter),
            None => Verdict::Pass,
        };
        let link = self.links.get(&(from, to)).unwrap_or(&self.default).clone();
        let mut ways = Ways { copies: Vec::new(), corrupt: false, reset: false };
        let mut later = Duration::ZERO;
        let mut lost = link.loss.draw(&mut self.rng) || link.cut == Cut::Blocked;
        match verdict {
            Verdict::Pass | Verdict::Duplicate => {}
            Verdict::Drop => lost = true,
            Verdict::Delay(more) => later = more,
            Verdict::Corrupt => ways.corrupt = true,
            Verdict::Reset => ways.reset = true,
        }
        lost |= (ways.corrupt || ways.reset) && !is_segment;
        if lost && is_segment {
            // Sent again until it gets through, as TCP does.
            later += RESEND;
            lost = false;
        }
        if lost {
            self.traffic.lost(from, to, kind);
            return ways;
        }
        let free = self.transmit(&link, letter, sent);
        let once = kind.is_reply() && kind == Kind::Reply || kind == Kind::Request || is_segment;
        let twice = link.duplicates.draw(&mut self.rng) || verdict == Verdict::Duplicate;
        for _ in 0..if twice && !once { 2 } else { 1 } {
            let (latency, detour) = link.draw_latency(&mut self.rng);
            ways.copies.push((free + later + latency + detour).max(self.now));
            if !detour.is_zero() {
                self.traffic.detour(from, to, kind);
            }
        }
        if ways.copies.len() > 1 {
            self.traffic.doubled(from, to, kind);
        }
        ways
    }

    /// When the last byte has left, if the link has a bandwidth.
    fn transmit(&mut self, link: &Link, letter: &Letter<'_>, sent: Duration) -> Duration {
        let Some(bandwidth) = link.bandwidth else { return sent };
        let busy = self.busy.entry((letter.from, letter.to)).or_default();
        let takes = Duration::from_micros(letter.bytes * 1_000_000 / bandwidth.max(1));
        *busy = (*busy).max(sent) + takes;
        *busy
    }
}
