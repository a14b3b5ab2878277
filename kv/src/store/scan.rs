//! Ordered scans, a page at a time.

use std::ops::Bound;

use raft_core::LogIndex;

use super::Store;
use crate::blob::Blob;

/// Which entries to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scan {
    /// The first key.
    pub start: Vec<u8>,
    /// The key to stop before; `None`: to the end.
    pub end: Option<Vec<u8>>,
    /// Continue after this key: the cursor of the page before.
    pub after: Option<Vec<u8>>,
    /// The most entries in the page; at least one is listed, and at most what
    /// [`Limits`](crate::Limits) allow.
    pub entries_max: u32,
    /// The most bytes of keys and values in the page, likewise.
    pub bytes_max: u32,
}

impl Scan {
    /// The entries with `start <= key < end`.
    pub fn range(start: impl Into<Vec<u8>>, end: Option<Vec<u8>>) -> Self {
        Self { start: start.into(), end, after: None, entries_max: u32::MAX, bytes_max: u32::MAX }
    }

    /// The entries whose key begins with `prefix`.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let start = prefix.into();
        let end = successor(&start);
        Self::range(start, end)
    }

    /// With at most so many entries in a page.
    pub fn limit(self, entries_max: u32) -> Self {
        Self { entries_max, ..self }
    }

    /// The page after that with this cursor.
    pub fn after(self, cursor: impl Into<Vec<u8>>) -> Self {
        Self { after: Some(cursor.into()), ..self }
    }
}

/// The smallest key above every key with this prefix; `None` when there is none above them.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// A part of a scan's entries, as they are at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<B> {
    /// Keys, values and versions, in order.
    pub entries: Vec<(B, B, LogIndex)>,
    /// When there are more: the cursor for [`Scan::after`].
    pub next: Option<B>,
}

impl Store {
    /// A page of a scan. Bounded by the [`Limits`](crate::Limits), whatever `scan` wishes.
    pub fn scan(&self, scan: &Scan) -> Page<Blob> {
        let limits = &self.config.limits;
        let entries_max = scan.entries_max.clamp(1, limits.scan_entries_max.max(1)) as usize;
        let bytes_max = scan.bytes_max.min(limits.scan_bytes_max) as usize;
        let start = match &scan.after {
            Some(after) if *after >= scan.start => Bound::Excluded(&after[..]),
            _ => Bound::Included(&scan.start[..]),
        };
        let mut page: Page<Blob> = Page { entries: Vec::new(), next: None };
        let mut bytes = 0;
        for (key, item) in self.table.from(start) {
            if scan.end.as_ref().is_some_and(|end| key.as_slice() >= &end[..]) {
                break;
            }
            bytes += key.as_slice().len() + item.value.as_slice().len();
            let full = page.entries.len() == entries_max || bytes > bytes_max;
            if let (true, Some((last, _, _))) = (full, page.entries.last()) {
                page.next = Some(last.clone());
                break;
            }
            page.entries.push((key.clone(), item.value.clone(), item.version));
        }
        page
    }
}
