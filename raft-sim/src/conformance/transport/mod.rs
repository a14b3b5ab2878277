//! The kit for transports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use raft_core::{Address, BoxFuture, NodeId, Transport};
use raft_transport::{MemoryNetwork, Network};

use super::{Clock, Violation};

mod bench;
mod bounds;
mod delivery;
mod lives;
mod messages;
mod streams;
mod tamper;

/// The endpoints of a small cluster on one network: what the kit examines, made anew for each part of it.
///
/// Called in the kit's runtime, of one thread.
pub trait Endpoints {
    /// What is examined.
    type Transport: Transport;

    /// Starts the endpoint of a node, one of `1 ..= nodes`. Asked for a node again, it starts a newer
    /// incarnation of it, while the older one may still be alive.
    fn start(&self, node: NodeId) -> BoxFuture<'_, Self::Transport>;

    /// Shuts an endpoint down.
    fn shutdown<'a>(&'a self, transport: &'a Self::Transport) -> BoxFuture<'a, ()>;

    /// Breaks or mends what connects two nodes, both ways, if that is possible.
    fn set_link(&self, a: NodeId, b: NodeId, state: LinkState) -> LinkControl {
        let _ = (a, b, state);
        LinkControl::Missing
    }

    /// Where the newest endpoint of a node takes streams.
    fn address(&self, node: NodeId) -> Option<Address> {
        let _ = node;
        None
    }

    /// How many frames and connections an endpoint has rejected, if it counts them.
    fn rejected(&self, transport: &Self::Transport) -> Option<u64> {
        let _ = transport;
        None
    }

    /// Starts an endpoint that claims to be `node` and belongs to another cluster, and knows the addresses
    /// of this one.
    fn start_stranger(&self, node: NodeId) -> BoxFuture<'_, Option<Self::Transport>> {
        let _ = node;
        Box::pin(async { None })
    }
}

/// What becomes of what connects two nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Nothing passes.
    Broken,
    /// Everything may pass.
    Whole,
}

/// Whether links can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkControl {
    /// They can, and it is done.
    Done,
    /// They cannot; the kit leaves this part out.
    Missing,
}

/// What a [`Transport`] has to keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TransportProperty {
    /// Messages of every kind and size that is allowed arrive, in the end.
    Delivers,
    /// What arrives was sent like that.
    Unaltered,
    /// What arrives is for the node at which it arrives.
    Addressed,
    /// `send` leaves the vector empty.
    Empties,
    /// `send` returns at once, whatever the other side does.
    NeverWaits,
    /// For a node that does not read, only so much is held.
    Bounded,
    /// A `receive` that is given up loses nothing.
    CancelSafe,
    /// After a connection was broken, messages arrive again.
    Recovers,
    /// Once a newer incarnation of a node has been heard of, the older one gets nothing.
    NewerWins,
    /// After a shutdown `receive` says so, whenever it is called, and whoever waits in it is told.
    Closes,
    /// What is wrong with one peer is not felt by the others.
    Independent,
    /// A stream on which nonsense arrives, or nothing, is closed.
    ClosesHostile,
    /// What is rejected is counted.
    Counts,
    /// Nobody of another cluster is heard.
    OneCluster,
}

impl fmt::Display for TransportProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivers => "a message does not arrive",
            Self::Unaltered => "a message arrived that was not sent like that",
            Self::Addressed => "a message arrived at a node it was not for",
            Self::Empties => "`send` left something in the vector",
            Self::NeverWaits => "`send` waited",
            Self::Bounded => "too much is held for a node that does not read",
            Self::CancelSafe => "a `receive` that was given up lost a message",
            Self::Recovers => "nothing arrives after a connection was broken",
            Self::NewerWins => "an older incarnation got a message",
            Self::Closes => "a `receive` did not tell of the shutdown",
            Self::Independent => "one peer disturbed the others",
            Self::ClosesHostile => "a hostile stream was not closed",
            Self::Counts => "what was rejected was not counted",
            Self::OneCluster => "somebody of another cluster was heard",
        })
    }
}

type Verdict<T> = Result<T, Violation<TransportProperty>>;

/// What a run did. A figure of zero means that this part was not possible, or not run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct TransportReport {
    /// Messages that had to arrive, and did.
    pub delivered: u64,
    /// How often messages had to be sent again, because the transport had dropped them.
    pub resent: u64,
    /// Bytes that were sent to a node that did not read.
    pub flooded_bytes: u64,
    /// Of these, the bytes that were held for it.
    pub held_bytes: u64,
    /// Links broken and mended.
    pub links_broken: u64,
    /// Streams in which something was altered, cut off or stalled on its way.
    pub streams_tampered: u64,
    /// Streams of somebody who does not speak the protocol, or speaks it wrongly.
    pub streams_hostile: u64,
}

impl fmt::Display for TransportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delivered, resent, flooded_bytes, held_bytes, .. } = self;
        writeln!(f, "{delivered} messages delivered, {resent} of them sent more than once")?;
        writeln!(f, "{held_bytes} of {flooded_bytes} bytes held for a node that did not read")?;
        let Self { links_broken, streams_tampered, streams_hostile, .. } = self;
        write!(f, "{links_broken} links broken, {streams_tampered} streams tampered with, ")?;
        write!(f, "{streams_hostile} hostile ones")
    }
}

/// How a transport is examined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TransportKit {
    /// What everything that is drawn is drawn from.
    pub seed: u64,
    /// How many nodes there are; at least three.
    pub nodes: u64,
    /// The clock of the runtimes.
    pub clock: Clock,
    /// The largest command that must arrive, in bytes.
    pub message_bytes_max: usize,
    /// The most that may be held for a node that does not read, in bytes, at both ends and on the way. Twice
    /// as much is sent to it.
    pub held_bytes_max: u64,
    /// How long a message may take to arrive, in which it is sent again and again, and how long it may take
    /// to recover from a failure.
    pub patience: Duration,
    /// How long `send` may take, in real time. Only a `send` that waits for something takes as long.
    pub send_max: Duration,
    /// How many streams are tampered with, and how many are hostile.
    pub streams: u64,
}

impl Default for TransportKit {
    fn default() -> Self {
        Self {
            seed: 1,
            nodes: 3,
            clock: Clock::Paused,
            message_bytes_max: 256 << 10,
            held_bytes_max: 64 << 20,
            patience: Duration::from_secs(60),
            send_max: Duration::from_secs(10),
            streams: 100,
        }
    }
}

/// Examines a transport with the default [`TransportKit`].
///
/// ```
/// use raft_core::{BoxFuture, NodeId};
/// use raft_sim::conformance::{self, Endpoints, TransportKit};
/// use raft_transport::{ChannelNetwork, ChannelTransport};
///
/// struct Channels(ChannelNetwork);
///
/// impl Endpoints for Channels {
///     type Transport = ChannelTransport;
///     fn start(&self, node: NodeId) -> BoxFuture<'_, ChannelTransport> {
///         Box::pin(async move { self.0.transport(node) })
///     }
///     fn shutdown<'a>(&'a self, transport: &'a ChannelTransport) -> BoxFuture<'a, ()> {
///         Box::pin(async { transport.shutdown() })
///     }
/// }
///
/// let network = || Channels(ChannelNetwork::with_bounds(10_000, 1 << 20));
/// let kit = TransportKit { held_bytes_max: 2 << 20, ..TransportKit::default() };
/// println!("{}", kit.check(network).unwrap());
/// ```
pub fn transport<E: Endpoints>(
    make: impl Fn() -> E,
) -> Result<TransportReport, Violation<TransportProperty>> {
    TransportKit::default().check(make)
}

impl TransportKit {
    /// Examines a transport. `make` makes a network without nodes. To be called from outside of a tokio
    /// runtime.
    ///
    /// # Panics
    ///
    /// If there are fewer than three nodes.
    pub fn check<E: Endpoints>(
        &self,
        make: impl Fn() -> E,
    ) -> Result<TransportReport, Violation<TransportProperty>> {
        assert!(self.nodes >= 3, "at least three nodes are needed");
        let mut report = TransportReport::default();
        delivery::check(self, &make, &mut report)?;
        bounds::check(self, &make, &mut report)?;
        lives::check(self, &make, &mut report)?;
        Ok(report)
    }

    /// Examines a transport over byte streams: as [`Self::check`] does, and then with streams that are
    /// altered, cut off and stalled on their way, and with peers that do not speak the protocol.
    ///
    /// `make` makes a network without nodes over the given one, on which it listens and connects.
    ///
    /// # Panics
    ///
    /// As [`Self::check`]; and if [`Endpoints::address`] does not tell the addresses.
    pub fn check_streams<E: Endpoints>(
        &self,
        make: impl Fn(Arc<dyn Network>) -> E,
    ) -> Result<TransportReport, Violation<TransportProperty>> {
        let mut report = self.check(|| make(Arc::new(MemoryNetwork::default())))?;
        streams::check(self, &make, &mut report)?;
        Ok(report)
    }
}
