//! Transports for `raft-core`: how nodes and clients reach each other.
//!
//! - [`ChannelNetwork`] joins nodes of one process: messages are moved, not serialised.
//! - [`NetTransport`] joins nodes over a network. One listener serves peers and clients.
//! - [`NetCaller`] calls the services of nodes from elsewhere.
//! - [`GroupCaller`] and [`GroupServices`] put the services of many groups on one listener.
//! - [`Carrier`] is what carries them: byte streams, secured or not, or QUIC.
//! - [`Peers`] finds nodes, whose addresses may all change at any time, and says who is let in.
//! - [`Tls`] secures connections: certificates on both sides say which node or client of which cluster it is.
//! - [`codec`] is what goes over the stream: frames, handshake, messages.
//! - [`Network`] is what is needed beneath: [`TokioNetwork`] is TCP, [`LoopbackNetwork`] TCP that does not
//!   leave the machine, [`MemoryNetwork`] needs no sockets.
//!
//! Everything outside is untrusted: whatever arrives is limited, checked and counted ([`Counters`]), and ends
//! at worst the connection it came over. Every queue has a bound and every wait a deadline, in [`NetConfig`]
//! and [`CallerConfig`]. Time is tokio's, randomness comes from a seed, and nothing starts a thread.
#![forbid(unsafe_code)]

mod caller;
mod carrier;
mod channel;
pub mod codec;
mod complaints;
mod config;
mod counters;
mod endpoint;
mod groups;
mod handshake;
mod inbox;
mod link;
mod network;
mod origins;
mod quic;
mod slots;
mod tasks;
mod tls;

pub use caller::NetCaller;
pub use carrier::Carrier;
pub use channel::{ChannelCaller, ChannelNetwork, ChannelTransport, Traffic};
pub use config::{Backoff, CallerConfig, Liveness, NetConfig, Security};
pub use counters::Counters;
pub use endpoint::{Admission, BindError, NetTransport, Peers};
pub use groups::{GroupCaller, GroupServices, Stray, group_address, split_address};
pub use network::{Listener, LoopbackNetwork, MemoryNetwork, Network, Stream, TokioNetwork};
pub use tls::{
    CertificateFault, ClientName, CredentialFiles, Credentials, CredentialsError, Subject,
    SubjectError, Tls, TlsError, read_private_key,
};
