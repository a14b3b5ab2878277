//! The clerk of a client, whose calls are recorded.

use bytes::Bytes;
use kv::{Page, Scan};
use shardctrler::ShardId;
use shardkv::{Clerk, ClerkError, Refusal};

use crate::kv::{Part, SimClerk, calls};

calls!(
    Clerk,
    Refusal,
    |it, key| it.configuration().map(|config| Part(config.shard_of(key).0)),
    |it, part, scan| it.scan(ShardId(part.0), scan)
);

impl SimClerk<Clerk> {
    /// See [`Clerk::scan`], and [`Self::scan_part`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn scan(&mut self, shard: ShardId, scan: &Scan) -> Result<Page<Bytes>, ClerkError> {
        self.scan_part(Part(shard.0), scan).await
    }
}
