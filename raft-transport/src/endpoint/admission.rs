//! Who belongs to the cluster, and where.

use raft_core::{Address, Incarnation, NodeId};

use crate::codec::Refusal;

/// What a transport must know of the other nodes: the resolver that finds them, and who is let in.
///
/// Asked at each dial and each handshake, and nothing of the answers is kept, so that they may change at any time, all of
/// them at once if need be: a connection that there is goes on until it breaks, and the next attempt goes to where the
/// node is then. An address is `host:port`, and a host name is looked up at each dial as well. The answer has to be at
/// hand: whoever has to ask others for it keeps it up to date aside. A closure from [`NodeId`] to an address is one.
pub trait Peers: Send + Sync + 'static {
    /// Where `node` can be reached; `None` if it does not belong to the cluster. It is not let in then.
    fn address(&self, node: NodeId) -> Option<Address>;

    /// Whether `node` may be connected, in this life of its data directory.
    fn admit(&self, node: NodeId, incarnation: Incarnation) -> Admission {
        let _ = (node, incarnation);
        Admission::Admitted
    }
}

impl<F: Fn(NodeId) -> Option<Address> + Send + Sync + 'static> Peers for F {
    fn address(&self, node: NodeId) -> Option<Address> {
        self(node)
    }
}

/// The answer of [`Peers::admit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It may.
    Admitted,
    /// Not a node of the cluster.
    UnknownNode,
    /// The node lost its data directory, and with it what it had promised.
    WrongIncarnation,
}

impl Admission {
    /// What `node`, about which this was said, is told.
    pub(super) fn of(self, node: NodeId) -> Result<(), Refusal> {
        match self {
            Self::Admitted => Ok(()),
            Self::UnknownNode => Err(Refusal::UnknownNode(node)),
            Self::WrongIncarnation => Err(Refusal::WrongIncarnation),
        }
    }
}
