//! Random histories of a key/value store that tells more or less.

use std::collections::BTreeSet;

use bytes::Bytes;
use fastrand::Rng;
use raft_sim::checker::models::{Current, Expect, Got, KvInput, KvModel, KvOp, KvOutput};

use crate::orders::{Slot, Spec, compare, history};

/// Indexes that a client is told are multiples of this, so that there is always room for others between.
const GRID: u64 = 100;

/// A store of one key, with an index for every operation but a get.
struct Store {
    /// The indexes and versions that stand in the history.
    mentioned: BTreeSet<u64>,
}

#[derive(Clone, Default)]
struct State {
    item: Option<(Vec<u8>, u64)>,
    index: u64,
}

impl State {
    fn length(&self) -> u64 {
        self.item.as_ref().map_or(0, |(value, _)| value.len() as u64)
    }

    fn meets(&self, expect: &Expect) -> bool {
        match (expect, &self.item) {
            (Expect::Absent, item) => item.is_none(),
            (Expect::Value(expected), Some((value, _))) => value == expected,
            (Expect::Version(expected), Some((_, version))) => version == expected,
            (_, None) => false,
        }
    }

    /// Does an operation at an index, and tells all that there is to be told.
    fn apply(&self, op: &KvOp, at: u64) -> (State, KvOutput) {
        let index = Some(at);
        let after = |item| State { item, index: at };
        match op {
            KvOp::Get => {
                let got = match &self.item {
                    None => Got::Missing,
                    Some((value, version)) => {
                        Got::Found { value: value.clone().into(), version: Some(*version) }
                    }
                };
                (self.clone(), KvOutput::Got(got))
            }
            KvOp::Put(value) => (after(Some((value.to_vec(), at))), KvOutput::Done { index }),
            KvOp::Append(tail) => {
                let mut value = self.item.as_ref().map_or(vec![], |(value, _)| value.clone());
                value.extend_from_slice(tail);
                let length = Some(value.len() as u64);
                (after(Some((value, at))), KvOutput::Appended { index, length })
            }
            KvOp::Delete => {
                let existed = Some(self.item.is_some());
                (after(None), KvOutput::Deleted { index, existed })
            }
            KvOp::CompareAndSet { expect, then } if self.meets(expect) => {
                let item = then.as_ref().map(|value| (value.to_vec(), at));
                (after(item), KvOutput::Done { index })
            }
            KvOp::CompareAndSet { .. } => {
                let current = match self.item {
                    None => Current::Absent,
                    Some((_, version)) => Current::Version(version),
                };
                (after(self.item.clone()), KvOutput::Mismatch { index, current })
            }
        }
    }
}

fn told<T: PartialEq>(told: &Option<T>, all: &Option<T>) -> bool {
    told.is_none() || told == all
}

/// Whether a client may be told this where this is all that there is to be told.
fn fits(output: &KvOutput, all: &KvOutput, after: &State) -> bool {
    match (output, all) {
        (KvOutput::Got(Got::MissingOrEmpty), KvOutput::Got(_)) => after.length() == 0,
        (
            KvOutput::Got(Got::Found { value, version }),
            KvOutput::Got(Got::Found { value: right, version: all }),
        ) => value == right && told(version, all),
        (KvOutput::Done { index }, KvOutput::Done { index: all }) => told(index, all),
        (
            KvOutput::Appended { index, length },
            KvOutput::Appended { index: all_index, length: all_length },
        ) => told(index, all_index) && told(length, all_length),
        (
            KvOutput::Deleted { index, existed },
            KvOutput::Deleted { index: all_index, existed: all_existed },
        ) => told(index, all_index) && told(existed, all_existed),
        (
            KvOutput::Mismatch { index, current },
            KvOutput::Mismatch { index: all_index, current: all_current },
        ) => told(index, all_index) && (*current == Current::Untold || current == all_current),
        (output, all) => output == all,
    }
}

impl Spec for Store {
    type Input = KvInput;
    type Output = KvOutput;
    type State = State;

    fn after(&self, state: &State, input: &KvInput, output: Option<&KvOutput>) -> Vec<State> {
        // What matters of an index that was not told is whether it is one that is mentioned elsewhere.
        let mentioned = self.mentioned.range(state.index + 2..).copied();
        let states = mentioned.chain([state.index + 1]).filter_map(|at| {
            let (after, all) = state.apply(&input.op, at);
            output.is_none_or(|output| fits(output, &all, &after)).then_some(after)
        });
        states.collect()
    }
}

fn value(rng: &mut Rng) -> Bytes {
    Bytes::from_static(rng.choice([&b""[..], b"a", b"b", b"ab"]).expect("not empty"))
}

fn grid(rng: &mut Rng) -> u64 {
    rng.u64(1..=7) * GRID
}

fn random_op(rng: &mut Rng) -> KvOp {
    match rng.u8(0..8) {
        0..3 => KvOp::Get,
        3 => KvOp::Put(value(rng)),
        4..6 => KvOp::Append(value(rng)),
        6 => KvOp::Delete,
        _ => {
            let expect = match rng.u8(0..4) {
                0 => Expect::Absent,
                1 => Expect::Value(value(rng)),
                _ => Expect::Version(grid(rng)),
            };
            KvOp::CompareAndSet { expect, then: rng.bool().then(|| value(rng)) }
        }
    }
}

/// Leaves out some of what could be told.
fn forget(rng: &mut Rng, op: &KvOp, output: &mut KvOutput, state: &State) {
    match output {
        KvOutput::Got(Got::Found { version, .. }) if rng.bool() => *version = None,
        KvOutput::Got(_) | KvOutput::Done { .. } => {}
        KvOutput::Appended { length, .. } if rng.bool() => *length = None,
        KvOutput::Deleted { existed, .. } if rng.bool() => *existed = None,
        // A mismatch of a version that is not told is what the model says it does not check.
        KvOutput::Mismatch { current, .. } if rng.bool() => match op {
            KvOp::CompareAndSet { expect: Expect::Version(_), .. } => {}
            _ => *current = Current::Untold,
        },
        _ => {}
    }
    if matches!(output, KvOutput::Got(_)) && state.length() == 0 && rng.bool() {
        *output = KvOutput::Got(Got::MissingOrEmpty);
    }
    if rng.bool()
        && let Some(index) = index(output)
    {
        *index = None;
    }
}

fn index(output: &mut KvOutput) -> Option<&mut Option<u64>> {
    match output {
        KvOutput::Got(_) => None,
        KvOutput::Done { index }
        | KvOutput::Appended { index, .. }
        | KvOutput::Deleted { index, .. }
        | KvOutput::Mismatch { index, .. } => Some(index),
    }
}

/// A lie, or by chance the truth.
fn lie(rng: &mut Rng, output: &mut KvOutput) {
    match output {
        KvOutput::Got(got) => {
            *got = match rng.u8(0..3) {
                0 => Got::Missing,
                1 => Got::Found { value: value(rng), version: None },
                _ => Got::Found { value: value(rng), version: Some(grid(rng)) },
            }
        }
        KvOutput::Appended { length, .. } if rng.bool() => *length = Some(rng.u64(0..4)),
        KvOutput::Deleted { existed, .. } if rng.bool() => *existed = Some(rng.bool()),
        KvOutput::Mismatch { current, .. } if rng.bool() => {
            let version = Current::Version(grid(rng));
            *current = if rng.bool() { Current::Absent } else { version };
        }
        output => *index(output).expect("no get") = Some(grid(rng)),
    }
}

/// What up to six operations on one key might have been told: that which a store would tell that does one
/// after the other, and in half of the cases a lie.
fn random_ops(rng: &mut Rng) -> Vec<(Slot, KvInput, Option<KvOutput>)> {
    let count = rng.u64(1..=6);
    let overlap = rng.u64(1..=6);
    let mut state = State::default();
    let mut ops = Vec::new();
    for place in 1..=count {
        let op = random_op(rng);
        let (after, mut output) = state.apply(&op, place * GRID);
        let unknown = rng.u8(0..5) == 0;
        // One of unknown outcome takes effect as often as not.
        if !unknown || rng.bool() {
            state = after;
        }
        forget(rng, &op, &mut output, &state);
        let slot = Slot {
            called: (10 + place).saturating_sub(rng.u64(0..overlap)),
            returned: 10 + place + rng.u64(0..overlap),
        };
        let input = KvInput { key: Bytes::from_static(b"k"), op };
        ops.push((slot, input, (!unknown).then_some(output)));
    }
    if rng.u8(0..4) > 0 {
        let place = rng.usize(..ops.len());
        if let Some(output) = &mut ops[place].2 {
            lie(rng, output);
        }
    }
    ops
}

fn mentioned((_, input, output): &(Slot, KvInput, Option<KvOutput>)) -> Vec<u64> {
    let mut output = output.clone();
    let mut numbers = Vec::from_iter(output.as_mut().and_then(index).and_then(|index| *index));
    if let KvOp::CompareAndSet { expect: Expect::Version(version), .. } = input.op {
        numbers.push(version);
    }
    match output {
        Some(KvOutput::Got(Got::Found { version, .. })) => numbers.extend(version),
        Some(KvOutput::Mismatch { current: Current::Version(version), .. }) => {
            numbers.push(version)
        }
        _ => {}
    }
    numbers
}

#[test]
fn random_histories_of_up_to_six_operations() {
    let mut legal = 0;
    let count = 300_000;
    for seed in 0..count {
        let ops = random_ops(&mut Rng::with_seed(seed));
        let store = Store { mentioned: ops.iter().flat_map(mentioned).collect() };
        legal += u64::from(compare(&store, &KvModel, &history(ops)));
    }
    assert!(legal > count / 2 && legal < count * 4 / 5, "{legal} of {count} are linearizable");
}
