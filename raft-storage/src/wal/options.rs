//! What can be chosen about a [`Wal`](crate::Wal).

/// Sizes of a [`Wal`](crate::Wal). They may change from one open to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalOptions {
    /// The size of a segment in bytes. A batch that is larger has a segment of its own.
    pub segment_bytes: u64,
    /// Up to this many segments in all, those that are no longer needed are kept to be recycled. Above it,
    /// and when at most half of their bytes are live, live entries of the oldest segment are copied forward
    /// so that it can be released. The log takes at most
    /// `max(segments_max, 2 × live bytes / segment_bytes)` segments, and three more.
    pub segments_max: usize,
    /// How many bytes are filled with zeros at a time, ahead of the writes, in a segment that is new.
    pub fill_bytes: u64,
}

impl Default for WalOptions {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, segments_max: 8, fill_bytes: 1 << 20 }
    }
}
