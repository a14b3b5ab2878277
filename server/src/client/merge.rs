//! [`Merged`]: a scan over all shards, in the order of the keys.
//!
//! A shard has keys from everywhere, so a page of each shard is held, and the smallest key comes first. Each page
//! is linearizable, as of its own moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kv::{Page, Scan};
use shardctrler::ShardId;
use tokio::task::JoinSet;

use super::clerk::{ClerkError, Entry};

/// Bytes of the pages that are held, all shards together, but for pages of one large entry each.
const HELD_BYTES_MAX: u32 = 32 << 20;
/// The smallest page that is worth asking for.
const PAGE_BYTES_MIN: u32 = 4 << 10;
/// How many shards are asked at once.
const ASKED_MAX: usize = 64;
/// Entries of a piece.
const PIECE_ENTRIES: usize = 4_096;

/// The entries of all shards, merged.
pub(crate) struct Merged {
    clerk: shardkv::Clerk,
    scan: Scan,
    /// `None` before the first look.
    held: Option<BTreeMap<ShardId, Held>>,
    /// The first key that is held of each shard.
    heads: BTreeSet<(Bytes, ShardId)>,
    /// A shard of which nothing is held and there is more: it may have the smallest key.
    dry: Option<ShardId>,
}

/// What is held of a shard.
struct Held {
    entries: VecDeque<Entry>,
    /// Where its next page begins; `None` after the last one.
    next: Option<Bytes>,
}

impl Merged {
    pub(super) fn new(clerk: shardkv::Clerk, scan: Scan) -> Self {
        Self { clerk, scan, held: None, heads: BTreeSet::new(), dry: None }
    }

    /// The next entries; `None` after the last. After an error it may be asked again.
    pub(super) async fn next(&mut self) -> Option<Result<Vec<Entry>, ClerkError>> {
        if self.held.is_none()
            && let Err(error) = self.first_pages().await
        {
            return Some(Err(error));
        }
        let mut piece = Vec::new();
        while piece.len() < PIECE_ENTRIES {
            match self.smallest().await {
                Ok(Some(entry)) => piece.push(entry),
                Ok(None) => break,
                // What was merged already is not lost, and the error comes again.
                Err(_) if !piece.is_empty() => break,
                Err(error) => return Some(Err(error)),
            }
        }
        (!piece.is_empty()).then_some(Ok(piece))
    }

    async fn first_pages(&mut self) -> Result<(), ClerkError> {
        // Whoever has asked for something knows how many shards there are.
        self.clerk.scan(ShardId(0), &self.scan.clone().limit(1)).await?;
        let count = self.clerk.configuration().map_or(1, |config| config.shard_count().get());
        let bytes_max = (HELD_BYTES_MAX / u32::from(count)).max(PAGE_BYTES_MIN);
        self.scan.bytes_max = self.scan.bytes_max.min(bytes_max);
        let (mut held, mut asking) = (BTreeMap::new(), JoinSet::new());
        let mut shards = (0..count).map(ShardId);
        loop {
            while asking.len() < ASKED_MAX
                && let Some(shard) = shards.next()
            {
                let (clerk, scan) = (self.clerk.clone(), self.scan.clone());
                asking.spawn(async move { (shard, clerk.scan(shard, &scan).await) });
            }
            let Some(ended) = asking.join_next().await else { break };
            // A panic of the clerk is one here.
            let (shard, page) =
                ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            held.insert(shard, Held::from(page?));
        }
        let head = |(shard, held): (&ShardId, &Held)| Some((held.head()?, *shard));
        self.heads = held.iter().filter_map(head).collect();
        self.held = Some(held);
        Ok(())
    }

    /// Takes the entry with the smallest key.
    async fn smallest(&mut self) -> Result<Option<Entry>, ClerkError> {
        let all = self.held.get_or_insert_default();
        if let Some(shard) = self.dry
            && let Some(held) = all.get_mut(&shard)
            && let Some(after) = held.next.clone()
        {
            *held = self.clerk.scan(shard, &self.scan.clone().after(after)).await?.into();
            self.heads.extend(held.head().map(|key| (key, shard)));
        }
        self.dry = None;
        let Some((_, shard)) = self.heads.pop_first() else { return Ok(None) };
        let Some(held) = all.get_mut(&shard) else { return Ok(None) };
        let entry = held.entries.pop_front();
        match held.head() {
            Some(key) => _ = self.heads.insert((key, shard)),
            None => self.dry = held.next.as_ref().map(|_| shard),
        }
        Ok(entry)
    }
}

impl Held {
    fn head(&self) -> Option<Bytes> {
        self.entries.front().map(|(key, ..)| key.clone())
    }
}

impl From<Page<Bytes>> for Held {
    fn from(page: Page<Bytes>) -> Self {
        Self { entries: page.entries.into(), next: page.next }
    }
}
