//! A digest of the whole state.

use kv::rpc::encode;

use super::ShardStore;
use super::holding::Holding;
use super::snapshot::{Header, header_of};

/// Mixes a number in, by a folded multiplication. Not part of any format.
fn mix(sum: u64, number: u64) -> u64 {
    let product = u128::from(sum.rotate_left(23) ^ number ^ 0x2d35_8dcc_aa6c_78a5)
        * u128::from(0x8bb8_4b93_962e_acc9_u64);
    (product as u64) ^ ((product >> 64) as u64)
}

impl ShardStore {
    /// A digest of the whole state: configuration, shards with their sessions, copies that arrive. Replicas that
    /// have applied the same entries have the same. Costs as much as shards are many.
    pub fn digest(&self) -> u64 {
        let header: Header = header_of(self);
        let head = crc32fast::hash(&encode(Vec::new(), &header));
        self.holdings.iter().fold(mix(u64::from(head), 1), |sum, (shard, holding)| {
            let sum = mix(sum, u64::from(shard.0));
            match holding {
                Holding::Serving(it) => mix(mix(mix(sum, 1), it.revision), it.store.digest()),
                Holding::Leaving { to, shard } => {
                    mix(mix(mix(mix(sum, 2), to.0), shard.revision), shard.store.digest())
                }
                Holding::Frozen { to, shard } => {
                    let to = to.map_or(0, |to| to.0);
                    mix(mix(mix(mix(sum, 3), to), shard.revision), shard.store.digest())
                }
                Holding::Arriving { from, staged } => {
                    let at = crc32fast::hash(&encode(Vec::new(), &staged.position));
                    mix(mix(mix(mix(sum, 4), from.0), u64::from(at)), staged.store.digest())
                }
            }
        })
    }
}
