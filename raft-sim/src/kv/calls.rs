//! [`Calls`]: a production clerk, of whatever service has the operations of `kv`.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use kv::{Appended, Batched, Clerk, ClerkError, Deleted, Expect, Op, Page, Scan, Swap, Versioned};
use raft_core::LogIndex;

/// A part of a store that is scanned at one moment: a shard, by its number; or the whole of a store without shards.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Part(pub u16);

/// A clerk whose calls a [`SimClerk`](super::SimClerk) records. Each method is as that of [`Clerk`].
#[allow(missing_docs, reason = "they are those of the clerks")]
pub trait Calls: Clone + Send + Sync + 'static {
    /// Why the service can refuse a request for ever.
    type Refusal: Send + 'static;

    fn with_deadline(&self, deadline: Duration) -> Self;

    fn get(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Versioned>, ClerkError<Self::Refusal>>> + Send;

    fn put(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<LogIndex, ClerkError<Self::Refusal>>> + Send;

    fn append(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<Appended, ClerkError<Self::Refusal>>> + Send;

    fn delete(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Deleted, ClerkError<Self::Refusal>>> + Send;

    fn compare_and_set(
        &self,
        key: &[u8],
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> impl Future<Output = Result<Swap, ClerkError<Self::Refusal>>> + Send;

    fn batch(
        &self,
        ops: &[Op<'_>],
    ) -> impl Future<Output = Result<Batched, ClerkError<Self::Refusal>>> + Send;

    /// The part that a key is in; `None` while the clerk does not know.
    fn part_of(&self, key: &[u8]) -> Option<Part>;

    /// A page of a scan of one part.
    fn scan(
        &self,
        part: Part,
        scan: &Scan,
    ) -> impl Future<Output = Result<Page<Bytes>, ClerkError<Self::Refusal>>> + Send;
}

/// A clerk whose methods are called so.
macro_rules! calls {
    ($clerk:ty, $refusal:ty, |$it:ident, $key:ident| $part_of:expr, |$its:ident, $part:ident, $scan:ident| $page:expr) => {
        impl $crate::kv::Calls for $clerk {
            type Refusal = $refusal;

            fn with_deadline(&self, deadline: std::time::Duration) -> Self {
                self.with_deadline(deadline)
            }

            async fn get(
                &self,
                key: &[u8],
            ) -> Result<Option<kv::Versioned>, kv::ClerkError<$refusal>> {
                self.get(key).await
            }

            async fn put(
                &self,
                key: &[u8],
                value: &[u8],
            ) -> Result<raft_core::LogIndex, kv::ClerkError<$refusal>> {
                self.put(key, value).await
            }

            async fn append(
                &self,
                key: &[u8],
                value: &[u8],
            ) -> Result<kv::Appended, kv::ClerkError<$refusal>> {
                self.append(key, value).await
            }

            async fn delete(&self, key: &[u8]) -> Result<kv::Deleted, kv::ClerkError<$refusal>> {
                self.delete(key).await
            }

            async fn compare_and_set(
                &self,
                key: &[u8],
                expect: kv::Expect<'_>,
                then: Option<&[u8]>,
            ) -> Result<kv::Swap, kv::ClerkError<$refusal>> {
                self.compare_and_set(key, expect, then).await
            }

            async fn batch(
                &self,
                ops: &[kv::Op<'_>],
            ) -> Result<kv::Batched, kv::ClerkError<$refusal>> {
                self.batch(ops).await
            }

            fn part_of(&self, $key: &[u8]) -> Option<$crate::kv::Part> {
                let $it = self;
                $part_of
            }

            async fn scan(
                &self,
                $part: $crate::kv::Part,
                $scan: &kv::Scan,
            ) -> Result<kv::Page<bytes::Bytes>, kv::ClerkError<$refusal>> {
                let $its = self;
                $page.await
            }
        }
    };
}
#[cfg(feature = "shardkv")]
pub(crate) use calls;

calls!(Clerk, kv::Refusal, |_it, _key| Some(Part(0)), |it, _part, scan| it.scan(scan));
