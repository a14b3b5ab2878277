//! A store that moves: whatever is written while it is copied, the copy is equal in the end.

use kv::command::{self, SessionId, Ticket};
use kv::{Cursor, Op, Store, StoreConfig};
use raft_core::LogIndex;

const HOUR: u32 = 3_600_000;

struct Source {
    store: Store,
    index: u64,
    now: u64,
    sessions: Vec<(SessionId, u64)>,
    rng: fastrand::Rng,
}

impl Source {
    fn new(seed: u64) -> Self {
        let mut config = StoreConfig::default();
        config.sessions_max = 6;
        let store = Store::new(config);
        let rng = fastrand::Rng::with_seed(seed);
        Self { store, index: 0, now: 0, sessions: Vec::new(), rng }
    }

    fn apply(&mut self, command: &[u8]) {
        self.index += 1;
        let _ = self.store.apply_at(LogIndex(self.index), command);
    }

    /// Something happens: sessions are opened, expire and are crowded out; keys come, change and go.
    fn step(&mut self) {
        self.now += self.rng.u64(0..2_000);
        if self.sessions.is_empty() || self.rng.u32(0..8) == 0 {
            let ttl = if self.rng.bool() { HOUR } else { 5_000 };
            self.apply(&command::open_session(self.now, ttl));
            self.sessions.push((SessionId(LogIndex(self.index)), 0));
        }
        let at = self.rng.usize(0..self.sessions.len());
        let (session, seq) = &mut self.sessions[at];
        *seq += 1;
        let acked = seq.saturating_sub(self.rng.u64(0..4)).max(1);
        let ticket = Ticket { session: *session, seq: *seq, acked };
        let (key, other) = (self.rng.u32(0..40).to_string(), self.rng.u32(0..40).to_string());
        let value = vec![b'v'; self.rng.usize(0..60)];
        let (key, other) = (key.as_bytes(), other.as_bytes());
        let command = match self.rng.u32(0..5) {
            0 => command::write(self.now, ticket, Op::Put { key, value: &value }),
            1 => command::write(self.now, ticket, Op::Append { key, value: &value }),
            2 => command::write(self.now, ticket, Op::Delete { key }),
            3 => command::batch(
                self.now,
                ticket,
                &[Op::Put { key, value: &value }, Op::Delete { key: other }],
            ),
            // Half of it is undone.
            _ => command::batch(
                self.now,
                ticket,
                &[
                    Op::Put { key, value: &value },
                    Op::CompareAndSet { key: other, expect: kv::Expect::Value(b"no"), then: None },
                ],
            ),
        };
        self.apply(&command);
    }

    fn steps(&mut self, max: usize) {
        for _ in 0..self.rng.usize(0..=max) {
            self.step();
        }
    }
}

#[test]
fn a_copy_that_is_made_while_all_changes_is_equal() {
    for seed in 0..200 {
        let mut source = Source::new(seed);
        source.steps(300);
        source.store.track();
        let mut copy = Store::new(source.store.config().clone());
        let mut cursor = Cursor::Start;
        while cursor != Cursor::End {
            let (piece, next) = source.store.export(&cursor, source.rng.usize(1..200));
            assert!(next > cursor, "it goes on");
            copy.import(&piece).expect("a piece");
            cursor = next;
            source.steps(6);
        }
        let mut watermark = 0;
        for round in 0.. {
            let (piece, last) = source.store.export_changes(watermark, source.rng.usize(1..300));
            copy.import(&piece).expect("a piece");
            assert_eq!(piece.is_empty(), last == watermark);
            watermark = last;
            if round < 10 {
                source.steps(6);
            } else if watermark == source.store.changes().expect("numbered").last() {
                break;
            }
        }
        copy.advance_log_time(source.store.log_time());
        assert_eq!(copy.digest(), source.store.digest(), "seed {seed}");
        assert_eq!(copy.recomputed_digest(), copy.digest());
        let sizes = |store: &Store| (store.keys(), store.sessions(), store.data_bytes());
        assert_eq!(sizes(&copy), sizes(&source.store));
    }
}

#[test]
fn changes_cost_nothing_of_the_state() {
    let (mut plain, mut tracked) = (Source::new(3), Source::new(3));
    tracked.store.track();
    for _ in 0..200 {
        plain.step();
        tracked.step();
    }
    assert_eq!(plain.store.digest(), tracked.store.digest());
    assert!(plain.store.changes().is_none());
    let changes = tracked.store.changes().expect("numbered").clone();
    // What a snapshot keeps of them is all of it.
    let mut again = kv::Changes::default();
    for (number, touched) in changes.after(0) {
        assert!(again.push(number, touched.clone()));
        assert!(!again.push(number, touched.clone()), "once");
    }
    assert_eq!(again, changes);
}

#[test]
fn what_is_no_piece_is_refused() {
    let mut source = Source::new(5);
    source.steps(300);
    let (piece, _) = source.store.export(&Cursor::Start, usize::MAX);
    let config = source.store.config().clone();
    for cut in 1..piece.len().min(2_000) {
        let mut copy = Store::new(config.clone());
        // It ends at the end of a record, or is refused.
        let _ = copy.import(&piece[..cut]);
        assert_eq!(copy.recomputed_digest(), copy.digest());
    }
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..5_000 {
        let mut wrong = piece.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..wrong.len());
            wrong[at] = rng.u8(..);
        }
        let mut copy = Store::new(config.clone());
        let _ = copy.import(&wrong);
        assert_eq!(copy.recomputed_digest(), copy.digest());
    }
}
