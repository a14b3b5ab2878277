//! Every history of a register with up to five operations.

use raft_sim::checker::models::{Register, RegisterInput, RegisterOutput};

use crate::orders::{Slot, Spec, compare, history};
use RegisterInput::{CompareAndSet, Read, Write};
use RegisterOutput::{Done, Mismatch, Value};

struct Plain;

impl Spec for Plain {
    type Input = RegisterInput;
    type Output = RegisterOutput;
    type State = Option<i64>;

    fn after(
        &self,
        state: &Option<i64>,
        input: &RegisterInput,
        output: Option<&RegisterOutput>,
    ) -> Vec<Option<i64>> {
        let (after, told) = match *input {
            Read => (*state, Value(*state)),
            Write(value) => (Some(value), Done),
            CompareAndSet(from, to) if *state == Some(from) => (Some(to), Done),
            CompareAndSet(..) => (*state, Mismatch),
        };
        if output.is_none_or(|output| *output == told) { vec![after] } else { vec![] }
    }
}

type Kind = (RegisterInput, Option<RegisterOutput>);

/// What an operation can be, with the values 1 and 2.
const KINDS: [Kind; 10] = [
    (Read, Some(Value(None))),
    (Read, Some(Value(Some(1)))),
    (Read, Some(Value(Some(2)))),
    (Write(1), Some(Done)),
    (Write(2), Some(Done)),
    (CompareAndSet(1, 2), Some(Done)),
    (CompareAndSet(1, 2), Some(Mismatch)),
    (Write(1), None),
    (Write(2), None),
    (CompareAndSet(1, 2), None),
];

/// The histories there are, and how many of them are linearizable.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tally {
    histories: u64,
    linearizable: u64,
}

/// Every way in which `count` operations can overlap is one in blocks of time, such that in every block
/// something is called, and in every block but the last something returns. (Otherwise it could be joined
/// with its neighbour.) What the operations are called does not matter, so they are taken in order.
struct Walk {
    blocks: u64,
    ops: Vec<(Slot, usize)>,
    tally: Tally,
}

impl Walk {
    fn every(count: usize) -> Tally {
        let mut walk = Self { blocks: 0, ops: Vec::new(), tally: Tally::default() };
        for blocks in 1..=count as u64 {
            walk.blocks = blocks;
            walk.extend(count);
        }
        walk.tally
    }

    fn extend(&mut self, missing: usize) {
        if missing == 0 {
            return self.judge();
        }
        let least = self.ops.last().copied();
        for called in 0..self.blocks {
            for (kind, (_, output)) in KINDS.iter().enumerate() {
                // Of an unknown outcome it does not matter when it would have returned.
                let last = if output.is_some() { self.blocks } else { called + 1 };
                for returned in called..last {
                    let op = (Slot { called, returned }, kind);
                    if least.is_none_or(|least| least <= op) {
                        self.ops.push(op);
                        self.extend(missing - 1);
                        self.ops.pop();
                    }
                }
            }
        }
    }

    fn judge(&mut self) {
        let calls = |block| self.ops.iter().any(|(slot, _)| slot.called == block);
        let returns = |block| {
            let returns =
                |(slot, kind): &(Slot, usize)| slot.returned == block && KINDS[*kind].1.is_some();
            self.ops.iter().any(returns)
        };
        if !(0..self.blocks).all(calls) || !(0..self.blocks - 1).all(returns) {
            return;
        }
        let ops = self.ops.iter().map(|(slot, kind)| (*slot, KINDS[*kind].0, KINDS[*kind].1));
        let legal = compare(&Plain, &Register, &history(ops));
        self.tally.histories += 1;
        self.tally.linearizable += u64::from(legal);
    }
}

#[test]
fn every_history_of_up_to_five_operations() {
    // The numbers are those of the walk, so that nothing is left out unnoticed.
    for (count, histories, linearizable) in
        [(1, 10, 7), (2, 125, 62), (3, 2_075, 775), (4, 43_310, 12_824), (5, 1_089_102, 264_151)]
    {
        assert_eq!(Walk::every(count), Tally { histories, linearizable }, "{count} operations");
    }
}

/// 7 kinds that return and 3 that do not: two operations one after the other are 7 * 10 histories, and two
/// that overlap are 10 * 11 / 2, because their order does not matter.
#[test]
fn the_walk_counts_as_one_does_by_hand() {
    assert_eq!(Walk::every(2).histories, 7 * 10 + 10 * 11 / 2);
}
