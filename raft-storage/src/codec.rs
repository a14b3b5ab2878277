//! Reading fixed little-endian numbers without panicking, and the encodings that several files share.

use std::collections::BTreeSet;

use raft_core::{LogId, Membership, NodeId};

/// The CRC-32 (IEEE) of `data`, continued from `salt`: the same bytes elsewhere have another checksum.
pub(crate) fn salted_crc(salt: u32, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(data);
    hasher.finalize()
}

/// Takes numbers off the front of bytes that cannot be trusted.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*taken))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*taken))
    }

    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(crate) fn put_log_id(out: &mut Vec<u8>, id: LogId) {
    out.extend_from_slice(&id.term.0.to_le_bytes());
    out.extend_from_slice(&id.index.0.to_le_bytes());
}

/// Three sets, each as a count and its members in order.
pub(crate) fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    for set in [&membership.voters, &membership.outgoing, &membership.learners] {
        out.extend_from_slice(&(set.len() as u32).to_le_bytes());
        for node in set {
            out.extend_from_slice(&node.0.to_le_bytes());
        }
    }
}

pub(crate) fn membership_bytes(membership: &Membership) -> usize {
    12 + 8 * (membership.voters.len() + membership.outgoing.len() + membership.learners.len())
}

pub(crate) fn take_membership(fields: &mut Fields<'_>) -> Option<Membership> {
    let mut set = || -> Option<BTreeSet<NodeId>> {
        let count = fields.u32()?;
        (0..count).map(|_| fields.u64().map(NodeId)).collect()
    };
    Some(Membership { voters: set()?, outgoing: set()?, learners: set()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_survives_and_a_short_one_is_refused() {
        let mut membership = Membership::of_voters([1, 2, 3].map(NodeId));
        membership.learners.insert(NodeId(9));
        let mut bytes = Vec::new();
        put_membership(&mut bytes, &membership);
        assert_eq!(bytes.len(), membership_bytes(&membership));
        assert_eq!(take_membership(&mut Fields(&bytes)), Some(membership));
        for len in 0..bytes.len() {
            assert_eq!(take_membership(&mut Fields(&bytes[..len])), None);
        }
        assert_eq!(take_membership(&mut Fields(&[0xff; 64])), None, "a count beyond the bytes");
    }
}
