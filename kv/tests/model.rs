//! Random operations against a model that is a plain map, with snapshots in between.

mod common;

use std::collections::BTreeMap;

use common::{HOUR, Log, restore, snapshot};
use kv::command::{self, Ticket};
use kv::{Expect, Op, OpOutcome, Outcome, Scan, StoreConfig};
use proptest::prelude::*;
use raft_core::{LogIndex, StateMachine};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, LogIndex)>;

/// An operation that owns its bytes.
#[derive(Clone, Debug)]
enum Owned {
    Put(Vec<u8>, Vec<u8>),
    Append(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    IfAbsent(Vec<u8>, Vec<u8>),
    IfValue(Vec<u8>, Vec<u8>, Option<Vec<u8>>),
    IfVersion(Vec<u8>, u64, Option<Vec<u8>>),
}

impl Owned {
    fn op(&self) -> Op<'_> {
        match self {
            Self::Put(key, value) => Op::Put { key, value },
            Self::Append(key, value) => Op::Append { key, value },
            Self::Delete(key) => Op::Delete { key },
            Self::IfAbsent(key, value) => {
                Op::CompareAndSet { key, expect: Expect::Absent, then: Some(value) }
            }
            Self::IfValue(key, value, then) => {
                Op::CompareAndSet { key, expect: Expect::Value(value), then: then.as_deref() }
            }
            Self::IfVersion(key, version, then) => {
                let expect = Expect::Version(LogIndex(*version));
                Op::CompareAndSet { key, expect, then: then.as_deref() }
            }
        }
    }
}

/// Few keys and values, short and long, so that operations meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(0..3_u8, 0..3),
        (0..4_u8)
            .prop_map(|n| [b"a key that is too long to be kept inline".as_slice(), &[n]].concat()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(0..2_u8, 0..3),
        proptest::collection::vec(0..2_u8, 20..40)
    ]
}

fn op() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (key(), value()).prop_map(|(k, v)| Owned::Put(k, v)),
        (key(), value()).prop_map(|(k, v)| Owned::Append(k, v)),
        key().prop_map(Owned::Delete),
        (key(), value()).prop_map(|(k, v)| Owned::IfAbsent(k, v)),
        (key(), value(), proptest::option::of(value()))
            .prop_map(|(k, v, t)| Owned::IfValue(k, v, t)),
        (key(), 0..60_u64, proptest::option::of(value()))
            .prop_map(|(k, v, t)| Owned::IfVersion(k, v, t)),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    One(Owned),
    Batch(Vec<Owned>),
    /// Repeat the write so many writes ago.
    Again(usize),
    /// Go on with a store that is restored from a snapshot.
    Restart(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => op().prop_map(Step::One),
        3 => proptest::collection::vec(op(), 0..5).prop_map(Step::Batch),
        2 => (0..4_usize).prop_map(Step::Again),
        1 => (1..200_usize).prop_map(Step::Restart),
        1 => (0..10_000_u64).prop_map(Step::Pass),
    ]
}

/// One operation on the model; `None` says that the expectation does not hold.
fn model_op(model: &mut Model, op: Op<'_>, index: LogIndex) -> OpOutcome {
    let key = op.key().to_vec();
    match op {
        Op::Put { value, .. } => {
            model.insert(key, (value.to_vec(), index));
            OpOutcome::Put
        }
        Op::Append { value, .. } => {
            let entry = model.entry(key).or_default();
            entry.0.extend_from_slice(value);
            entry.1 = index;
            OpOutcome::Append { length: entry.0.len() as u64 }
        }
        Op::Delete { .. } => OpOutcome::Delete { existed: model.remove(&key).is_some() },
        Op::CompareAndSet { expect, then, .. } => {
            let current = model.get(&key);
            let met = match expect {
                Expect::Absent => current.is_none(),
                Expect::Value(value) => current.is_some_and(|(held, _)| held == value),
                Expect::Version(version) => current.is_some_and(|(_, held)| *held == version),
            };
            if !met {
                return OpOutcome::Mismatch { current: current.map(|(_, version)| *version) };
            }
            match then {
                Some(value) => model.insert(key, (value.to_vec(), index)),
                None => model.remove(&key),
            };
            OpOutcome::Swapped
        }
    }
}

fn model_batch(model: &mut Model, ops: &[Owned], index: LogIndex) -> Outcome {
    let mut tried = model.clone();
    let mut outcomes = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        match model_op(&mut tried, op.op(), index) {
            OpOutcome::Mismatch { current } => {
                return Outcome::BatchMismatch { op: at as u32, current };
            }
            outcome => outcomes.push(outcome),
        }
    }
    *model = tried;
    Outcome::Batch(outcomes.into())
}

fn same(log: &Log, model: &Model) -> Result<(), TestCaseError> {
    let page = log.store.scan(&Scan::range("", None));
    let entries: Model = page
        .entries
        .iter()
        .map(|(k, v, version)| (k.as_slice().to_vec(), (v.as_slice().to_vec(), *version)))
        .collect();
    prop_assert_eq!(&entries, model);
    prop_assert_eq!(log.store.digest(), log.store.recomputed_digest());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn the_store_does_what_a_map_does(steps in proptest::collection::vec(step(), 1..60)) {
        let mut log = Log::new(StoreConfig::default());
        let mut model = Model::new();
        let session = log.open(HOUR);
        let mut seq = 0;
        let mut done = Vec::new();
        for step in steps {
            match step {
                Step::One(_) | Step::Batch(_) => {
                    seq += 1;
                    let ticket = Ticket { session, seq, acked: seq.saturating_sub(2).max(1) };
                    let index = LogIndex(log.commands.len() as u64 + 1);
                    let (data, expected) = match &step {
                        Step::One(op) => (
                            command::write(log.now, ticket, op.op()),
                            Outcome::One(model_op(&mut model, op.op(), index)),
                        ),
                        Step::Batch(ops) => (
                            command::batch(log.now, ticket, &ops.iter().map(Owned::op).collect::<Vec<_>>()),
                            model_batch(&mut model, ops, index),
                        ),
                        _ => unreachable!("not a write"),
                    };
                    let reply = log.apply(data.clone()).expect("a turn");
                    prop_assert_eq!(reply.index, index);
                    prop_assert_eq!(&reply.outcome, &expected);
                    done.push((data, reply));
                }
                Step::Again(ago) => {
                    if let Some((data, first)) = done.iter().rev().nth(ago) {
                        match log.apply(data.clone()) {
                            Ok(reply) => prop_assert_eq!(&reply, first),
                            Err(error) => {
                                prop_assert_eq!(error, kv::CommandError::StaleSequence);
                                prop_assert!(ago > 2, "only what was acknowledged");
                            }
                        }
                    }
                }
                Step::Restart(pieces) => {
                    let bytes = snapshot(&log.store, pieces);
                    log.store = restore(&bytes, pieces).expect("restored");
                    prop_assert_eq!(snapshot(&log.store, 1 << 16), bytes);
                }
                Step::Pass(ms) => log.now += ms,
            }
            same(&log, &model)?;
        }
        // Another replica, with other batches and no restarts: equal bytes.
        let mut replica = Log::new(StoreConfig::default());
        for batch in log.commands.chunks(7) {
            replica.store.apply(batch);
        }
        prop_assert_eq!(snapshot(&replica.store, 1 << 16), snapshot(&log.store, 1 << 16));
    }

    #[test]
    fn no_bytes_panic_a_restore(data in proptest::collection::vec(any::<u8>(), 0..200), piece in 1..50_usize) {
        prop_assert!(restore(&data, piece).is_err());
        prop_assert!(restore(&[b"rkv\x01", &data[..]].concat(), piece).is_err());
    }
}
