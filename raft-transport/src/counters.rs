//! What a transport counts. Every message dropped, frame rejected and connection refused is one of these.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a transport has counted since it was made.
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters as they count.
        #[derive(Default, Debug)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Count,)*
        }

        impl Tally {
            pub(crate) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Raft messages written to a connection's buffer.
    sent,
    /// Raft messages that arrived.
    received,
    /// Raft messages dropped because the queue of their peer was full.
    dropped_full,
    /// Raft messages dropped because their peer was not connected and newer ones came.
    dropped_offline,
    /// Raft messages dropped because no address is known for their receiver.
    dropped_unknown,
    /// Raft messages dropped because they do not fit a frame.
    dropped_too_long,
    /// Bytes read.
    bytes_in,
    /// Bytes written.
    bytes_out,
    /// Connections closed for a frame with a wrong beginning or version.
    rejected_format,
    /// Connections closed for a wrong checksum.
    rejected_checksum,
    /// Connections closed for a frame that was too long.
    rejected_too_long,
    /// Connections that ended within a frame.
    rejected_truncated,
    /// Connections closed for a payload that could not be understood.
    rejected_payload,
    /// Connections closed for a kind of frame that has no place there.
    rejected_kind,
    /// Connections closed for a message between other nodes than the two that are connected.
    rejected_misaddressed,
    /// Handshakes refused: no common protocol.
    refused_protocol,
    /// Handshakes refused: another cluster.
    refused_cluster,
    /// Handshakes refused: meant for another node, or from an unknown one, or the wrong one dials.
    refused_node,
    /// Handshakes refused: another data directory.
    refused_incarnation,
    /// Handshakes refused: too many clients, or no service.
    refused_client,
    /// Connections closed because there were too many from their address.
    refused_address,
    /// Handshakes refused: the first frame was no hello.
    refused_no_hello,
    /// Handshakes that did not end in time.
    handshakes_late,
    /// Connections closed in their handshake because too many newer ones were in theirs.
    handshakes_full,
    /// Handshakes in which a peer refused this node.
    refused_by_peer,
    /// Certificates refused, of whoever dialled or was dialled: another authority has signed it.
    certificate_unknown_authority,
    /// Certificates refused: signed by itself.
    certificate_self_signed,
    /// Certificates refused: not valid any more.
    certificate_expired,
    /// Certificates refused: not valid yet.
    certificate_not_yet_valid,
    /// Certificates refused: of another cluster.
    certificate_other_cluster,
    /// Certificates refused: of another node than was dialled, or than the hello claims.
    certificate_other_node,
    /// Certificates refused: of a client, where only a node's will do.
    certificate_not_of_a_node,
    /// Connections refused: no certificate was shown.
    certificate_missing,
    /// Certificates refused for another reason.
    certificate_unusable,
    /// Connections closed because the other side does not speak TLS, and here it is spoken.
    refused_plaintext,
    /// Connections closed because the other side speaks TLS, and here it is not spoken.
    refused_tls,
    /// Connections that the other side has ended with a TLS alert: it refused a certificate of ours, say.
    tls_alerts,
    /// Connections that ended for another failure of TLS: a record that was altered, say.
    tls_errors,
    /// Failed attempts to accept a connection.
    accept_errors,
    /// Failed attempts to dial a peer.
    dial_errors,
    /// Connections with peers that were established.
    peer_connections,
    /// Connections with peers replaced by a newer one.
    peer_replaced,
    /// Connections with clients that were established.
    client_connections,
    /// Connections closed because nothing was heard for too long.
    closed_idle,
    /// Connections closed because the other side did not read.
    closed_stalled,
    /// Requests that arrived.
    requests,
    /// Replies written to a connection's buffer.
    replies,
    /// Replies that did not fit a frame.
    replies_too_long,
}

#[derive(Default, Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}
