//! [`Pages`]: a scan over all shards.

use bytes::Bytes;
use kv::{Page, Scan};
use shardctrler::ShardId;

use super::{Clerk, ClerkError};

/// The pages of a scan over all shards: in the order of (shard, key).
pub struct Pages {
    clerk: Clerk,
    scan: Scan,
    /// The shard of the next page; `None` after the last.
    shard: Option<ShardId>,
}

impl Pages {
    pub(super) fn new(clerk: Clerk, scan: Scan) -> Self {
        Self { clerk, scan, shard: Some(ShardId(0)) }
    }

    /// Where the next page begins: a shard, and the key after which it goes on in that shard. Another `Pages` may
    /// go on there.
    pub fn cursor(&self) -> Option<(ShardId, Option<Vec<u8>>)> {
        self.shard.map(|shard| (shard, self.scan.after.clone()))
    }

    /// The same, from a [`Self::cursor`] on.
    pub fn starting_at(mut self, shard: ShardId, after: Option<Vec<u8>>) -> Self {
        (self.shard, self.scan.after) = (Some(shard), after);
        self
    }

    /// The next page, which may be empty, with its shard; `None` after the last. After an error it may be asked
    /// for again.
    pub async fn next(&mut self) -> Option<Result<(ShardId, Page<Bytes>), ClerkError>> {
        let shard = self.shard?;
        let page = match self.clerk.scan(shard, &self.scan).await {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        self.scan.after = page.next.as_ref().map(|cursor| cursor.to_vec());
        if page.next.is_none() {
            let count = self.clerk.configuration().map(|config| config.shard_count());
            let next = shard.0.checked_add(1).map(ShardId);
            self.shard = next.filter(|next| count.is_some_and(|count| count.contains(*next)));
        }
        Some(Ok((shard, page)))
    }
}
