//! The handshake: one frame each way, before anything else.
//!
//! Whoever dials says [`Hello`]: which protocols it speaks, and who it is. The other side answers with
//! [`Welcome`], which fixes the protocol, or with [`Refusal`], which says why not, and closes. All three have
//! fixed fields in this order for ever, so that programs of any two versions can at least refuse each other.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use raft_core::{ClusterId, Incarnation, NodeId};
use thiserror::Error;

use super::{DecodeError, Reader};

/// The oldest protocol this program speaks.
pub const PROTOCOL_MIN: u16 = 1;
/// The newest protocol this program speaks.
pub const PROTOCOL_MAX: u16 = 1;
/// The longest payload of a frame of the handshake.
pub const HANDSHAKE_BYTES_MAX: u32 = 256;

/// The protocols a program speaks: all from `min` to `max`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protocols {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl Protocols {
    /// What this program speaks.
    pub const OURS: Self = Self { min: PROTOCOL_MIN, max: PROTOCOL_MAX };

    /// The newest protocol that both speak.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// The first frame of whoever dials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    /// What it speaks.
    pub protocols: Protocols,
    /// Who it says it is.
    pub claim: Claim,
}

/// Who dials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// A node of the cluster.
    Peer {
        /// What it wants.
        intent: Intent,
        /// Its cluster.
        cluster: ClusterId,
        /// Its id.
        from: NodeId,
        /// Which life of its data directory it is in.
        incarnation: Incarnation,
        /// Whom it believes to reach.
        to: NodeId,
    },
    /// Somebody with requests.
    Client,
}

/// What a peer that dials wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intent {
    /// To be connected. Only the node with the lower id may want that, so that there is one connection.
    Connect,
    /// To be dialled, for it has something to send and the higher id; nothing follows after the answer.
    Knock,
}

/// The answer to a good [`Hello`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The protocol spoken from here on.
    pub protocol: u16,
    /// The cluster of whoever answers.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Which life of its data directory it is in.
    pub incarnation: Incarnation,
}

/// The answer to a bad [`Hello`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No protocol is spoken by both.
    #[error("no common protocol; spoken here: {0}")]
    Protocol(Protocols),
    /// Another cluster lives here.
    #[error("wrong cluster")]
    WrongCluster,
    /// Another node lives here.
    #[error("wrong node; this is {0}")]
    WrongNode(NodeId),
    /// The peer is not a node of this cluster.
    #[error("{0} is not known here")]
    UnknownNode(NodeId),
    /// The peer's data directory is not the one it had: it lost what it had promised.
    #[error("the data directory of the node is not the one it had")]
    WrongIncarnation,
    /// The other side is the one to dial, or node and peer have the same id.
    #[error("the node with the lower id dials")]
    WrongDirection,
    /// There are as many clients as are allowed.
    #[error("too many clients")]
    TooManyClients,
    /// Requests are not answered here, or not yet.
    #[error("no requests are answered here")]
    NoService,
    /// The first frame was not a hello.
    #[error("that was no hello")]
    NoHello,
    /// The hello claims to be another than the certificate is of.
    #[error("the certificate is not of the node that the hello claims to be from")]
    WrongCertificate,
}

impl Hello {
    /// Appends it to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u16_le(self.protocols.min);
        out.put_u16_le(self.protocols.max);
        match self.claim {
            Claim::Client => out.put_u8(1),
            Claim::Peer { intent, cluster, from, incarnation, to } => {
                out.put_u8(match intent {
                    Intent::Connect => 2,
                    Intent::Knock => 3,
                });
                out.put_u64_le(cluster.0);
                out.put_u64_le(from.0);
                out.put_u64_le(incarnation.0);
                out.put_u64_le(to.0);
            }
        }
    }

    /// Reads it. Bytes after it are for later versions, and are not looked at.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let protocols = protocols(&mut reader)?;
        let claim = match reader.tag("claim")? {
            1 => Claim::Client,
            2 => peer(&mut reader, Intent::Connect)?,
            3 => peer(&mut reader, Intent::Knock)?,
            tag => return Err(reader.unknown("claim", tag)),
        };
        Ok(Self { protocols, claim })
    }
}

fn protocols(reader: &mut Reader<'_>) -> Result<Protocols, DecodeError> {
    Ok(Protocols { min: reader.u16("oldest protocol")?, max: reader.u16("newest protocol")? })
}

fn peer(reader: &mut Reader<'_>, intent: Intent) -> Result<Claim, DecodeError> {
    Ok(Claim::Peer {
        intent,
        cluster: ClusterId(reader.u64("cluster")?),
        from: NodeId(reader.u64("sender")?),
        incarnation: Incarnation(reader.u64("incarnation")?),
        to: NodeId(reader.u64("receiver")?),
    })
}

impl Welcome {
    /// Appends it to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u16_le(self.protocol);
        out.put_u64_le(self.cluster.0);
        out.put_u64_le(self.node.0);
        out.put_u64_le(self.incarnation.0);
    }

    /// Reads it. Bytes after it are for later versions, and are not looked at.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            protocol: reader.u16("protocol")?,
            cluster: ClusterId(reader.u64("cluster")?),
            node: NodeId(reader.u64("node")?),
            incarnation: Incarnation(reader.u64("incarnation")?),
        })
    }
}

impl Refusal {
    /// Appends it to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Protocol(protocols) => {
                out.put_u8(1);
                out.put_u16_le(protocols.min);
                out.put_u16_le(protocols.max);
            }
            Self::WrongCluster => out.put_u8(2),
            Self::WrongNode(node) => {
                out.put_u8(3);
                out.put_u64_le(node.0);
            }
            Self::UnknownNode(node) => {
                out.put_u8(4);
                out.put_u64_le(node.0);
            }
            Self::WrongIncarnation => out.put_u8(5),
            Self::WrongDirection => out.put_u8(6),
            Self::TooManyClients => out.put_u8(7),
            Self::NoService => out.put_u8(8),
            Self::NoHello => out.put_u8(9),
            Self::WrongCertificate => out.put_u8(10),
        }
    }

    /// Reads it. Bytes after it are for later versions, and are not looked at.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(match reader.tag("refusal")? {
            1 => Self::Protocol(protocols(&mut reader)?),
            2 => Self::WrongCluster,
            3 => Self::WrongNode(NodeId(reader.u64("node")?)),
            4 => Self::UnknownNode(NodeId(reader.u64("node")?)),
            5 => Self::WrongIncarnation,
            6 => Self::WrongDirection,
            7 => Self::TooManyClients,
            8 => Self::NoService,
            9 => Self::NoHello,
            10 => Self::WrongCertificate,
            tag => return Err(reader.unknown("refusal", tag)),
        })
    }
}
