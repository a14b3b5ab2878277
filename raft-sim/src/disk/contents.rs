//! The bytes of a file, sparse: what is zero takes no memory, and a copy shares its pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

const PAGE: u64 = 4096;
const ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

type Page = Arc<[u8; PAGE as usize]>;

/// Contents of a file. A page that is absent is all zeros.
#[derive(Clone, Default)]
pub(super) struct Contents {
    len: u64,
    pages: Arc<BTreeMap<u64, Page>>,
}

impl Contents {
    pub(super) fn of(data: &[u8]) -> Self {
        let mut contents = Self::default();
        contents.write(0, data);
        contents
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, offset: u64, max: u64) -> Bytes {
        let end = offset.saturating_add(max).min(self.len);
        let mut out = BytesMut::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let (begin, len) = within_page(at, end);
            match self.pages.get(&(at / PAGE)) {
                Some(page) => out.extend_from_slice(&page[begin..begin + len]),
                None => out.extend_from_slice(&ZEROS[..len]),
            }
            at += len as u64;
        }
        out.freeze()
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset + data.len() as u64;
        self.len = self.len.max(end);
        let mut at = offset;
        while at < end {
            let (begin, len) = within_page(at, end);
            let from = (at - offset) as usize;
            self.write_page(at / PAGE, begin, &data[from..from + len]);
            at += len as u64;
        }
    }

    /// Writes `len` zeros at `offset`; costs what is there, not what is written.
    pub(super) fn write_zeros(&mut self, offset: u64, len: u64) {
        self.len = self.len.max(offset + len);
        self.clear(offset, offset + len);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.clear(len, self.len);
        self.len = len;
    }

    /// Makes `begin .. end` zero.
    fn clear(&mut self, begin: u64, end: u64) {
        if begin >= end {
            return;
        }
        let numbers: Vec<u64> =
            self.pages.range(begin / PAGE..end.div_ceil(PAGE)).map(|(number, _)| *number).collect();
        for number in numbers {
            let at = begin.max(number * PAGE);
            let (from, len) = within_page(at, end);
            self.write_page(number, from, &ZEROS[..len]);
        }
    }

    fn write_page(&mut self, number: u64, begin: usize, data: &[u8]) {
        if is_zero(data) {
            if !self.pages.contains_key(&number) {
                return;
            }
            if data.len() == ZEROS.len() {
                Arc::make_mut(&mut self.pages).remove(&number);
                return;
            }
        }
        let page = Arc::make_mut(&mut self.pages).entry(number).or_insert_with(|| Arc::new(ZEROS));
        Arc::make_mut(page)[begin..begin + data.len()].copy_from_slice(data);
    }
}

/// Where `at` lies in its page, and how much of `at .. end` does.
fn within_page(at: u64, end: u64) -> (usize, usize) {
    let begin = at % PAGE;
    (begin as usize, (end - at).min(PAGE - begin) as usize)
}

/// Whether all of `data` is zero; quick, because segments are filled with zeros.
pub(super) fn is_zero(data: &[u8]) -> bool {
    data.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a plain vector, with lengths around the page size.
    #[test]
    fn reads_like_a_vector() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut contents = Contents::default();
        let mut plain: Vec<u8> = Vec::new();
        for _ in 0..3000 {
            let (at, len) = (rng.usize(0..20_000), rng.usize(0..9000));
            match rng.u32(0..4) {
                0 => {
                    contents.set_len(at as u64);
                    plain.resize(at, 0);
                }
                kind => {
                    let data = vec![if kind == 1 { 0 } else { rng.u8(..) }; len];
                    plain.resize(plain.len().max(at + len), 0);
                    plain[at..at + len].copy_from_slice(&data);
                    match rng.bool() && kind == 1 {
                        true => contents.write_zeros(at as u64, len as u64),
                        false => contents.write(at as u64, &data),
                    }
                }
            }
            assert_eq!(contents.len(), plain.len() as u64);
            let (from, max) = (rng.usize(0..25_000), rng.usize(0..10_000));
            let want = &plain
                [from.min(plain.len())..(from + max).min(plain.len()).max(from.min(plain.len()))];
            assert_eq!(contents.read(from as u64, max as u64), want);
        }
    }

    #[test]
    fn zeros_take_no_memory() {
        let mut contents = Contents::default();
        contents.set_len(1 << 40);
        contents.write_zeros(1 << 20, 1 << 39);
        contents.write(77, &vec![0; 1 << 20]);
        assert!(contents.pages.is_empty());
        contents.write(5000, &[1]);
        contents.write(4096, &ZEROS);
        assert!(contents.pages.is_empty());
    }
}
