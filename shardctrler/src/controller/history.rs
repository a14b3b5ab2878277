//! [`History`]: the configurations that there were.

use bytes::Bytes;
use imbl::Vector;
use raft_core::ClusterId;

use crate::codec::chain;
use crate::config::{ConfigNumber, Configuration};
use crate::raw;
use crate::refusal::Refusal;
use crate::settings::Limits;
use crate::shard::ShardCount;

/// Configurations with successive numbers, encoded. A clone is a view, at no cost.
///
/// Invariants: `kept` is never empty, and its last is `newest`; `oldest` is the number of its first; `bytes`
/// is the sum of their sizes; `chain` is the [`chain`] over all configurations there ever were, and `before`
/// that over those that are gone.
#[derive(Clone)]
pub(super) struct History {
    newest: Configuration,
    oldest: ConfigNumber,
    kept: Vector<Bytes>,
    bytes: u64,
    before: u64,
    chain: u64,
}

impl History {
    /// Configuration 0 alone.
    pub(super) fn new(cluster: ClusterId, count: ShardCount) -> Self {
        let empty = Configuration::empty(cluster, count);
        let encoded = raw::encode_configuration(&empty);
        Self::begin(empty, encoded.into(), 0)
    }

    /// A history that begins with this one, after what `before` stands for.
    pub(super) fn begin(first: Configuration, encoded: Bytes, before: u64) -> Self {
        let (oldest, chain, bytes) =
            (first.number(), chain(before, &encoded), encoded.len() as u64);
        Self { newest: first, oldest, kept: Vector::unit(encoded), bytes, before, chain }
    }

    pub(super) fn newest(&self) -> &Configuration {
        &self.newest
    }

    pub(super) fn oldest(&self) -> ConfigNumber {
        self.oldest
    }

    /// The configurations that are kept, encoded, in order.
    pub(super) fn kept(&self) -> &Vector<Bytes> {
        &self.kept
    }

    pub(super) fn before(&self) -> u64 {
        self.before
    }

    pub(super) fn chain(&self) -> u64 {
        self.chain
    }

    /// A configuration, encoded; `None` while there is none of this number.
    pub(super) fn get(&self, number: ConfigNumber) -> Result<Option<&Bytes>, Refusal> {
        let oldest = self.oldest;
        let place = number.0.checked_sub(oldest.0);
        let place = place.ok_or(Refusal::Compacted { asked: number, oldest })?;
        Ok(usize::try_from(place).ok().and_then(|place| self.kept.get(place)))
    }

    /// Adds the next configuration as it is: its number is the one after the newest.
    pub(super) fn push(&mut self, next: Configuration, encoded: Bytes) {
        self.bytes += encoded.len() as u64;
        self.chain = chain(self.chain, &encoded);
        self.kept.push_back(encoded);
        self.newest = next;
    }

    /// Drops the oldest until the limits hold. The newest is always kept.
    pub(super) fn compact(&mut self, limits: &Limits) {
        while self.kept.len() > 1
            && (self.kept.len() > limits.history_max as usize
                || self.bytes > limits.history_bytes_max)
        {
            if let Some(gone) = self.kept.pop_front() {
                self.bytes -= gone.len() as u64;
                self.before = chain(self.before, &gone);
                self.oldest = self.oldest.next();
            }
        }
    }
}
