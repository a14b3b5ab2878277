//! The ids of connections.

use quinn::{ConnectionId, ConnectionIdGenerator};

const ID_BYTES: usize = 8;

/// Ids that say nothing. A node cannot tell its forgotten connections from those that never were, and answers to
/// either with a reset, which only the other end of a connection that was can verify: so a node that starts anew is
/// noticed at once, as it is over TCP. (RFC 9000, section 10.3.)
#[derive(Debug)]
pub(super) struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; ID_BYTES];
        // It does not fail where there is TLS; and if it did, an id that is taken already is not used.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}
