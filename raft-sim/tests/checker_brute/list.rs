//! Random histories of two lists.

use fastrand::Rng;
use raft_sim::checker::models::{ListInput, ListModel, ListOp, ListOutput};

use crate::orders::{Slot, Spec, compare, history};

/// Both lists at once: the slow checker knows nothing of parts.
struct Lists;

impl Spec for Lists {
    type Input = ListInput<usize, u8>;
    type Output = ListOutput<u8>;
    type State = [Vec<u8>; 2];

    fn after(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Vec<Self::State> {
        let mut after = state.clone();
        let list = &mut after[input.list];
        let right = match (&input.op, output) {
            (ListOp::Read, Some(ListOutput::Elements(elements))) => list == elements,
            (ListOp::Read, _) => output.is_none(),
            (ListOp::Append(element), output) => {
                list.push(*element);
                match output {
                    Some(ListOutput::Appended { length: Some(length) }) => *length == list.len(),
                    Some(ListOutput::Elements(_)) => false,
                    _ => true,
                }
            }
        };
        if right { vec![after] } else { vec![] }
    }
}

type Op = (Slot, ListInput<usize, u8>, Option<ListOutput<u8>>);

/// Appends of numbers to two lists and reads of them, out of order now and then.
fn random_ops(rng: &mut Rng) -> Vec<Op> {
    let overlap = rng.u64(1..=5);
    let mut lists = [vec![], vec![]];
    let mut ops = Vec::new();
    for place in 1..=rng.u64(1..=6) {
        let list = rng.usize(..2);
        let (op, mut output) = match rng.bool() {
            true => (ListOp::Read, ListOutput::Elements(lists[list].clone())),
            false => {
                let element = rng.u8(0..3);
                lists[list].push(element);
                let length = rng.bool().then_some(lists[list].len());
                (ListOp::Append(element), ListOutput::Appended { length })
            }
        };
        if let (ListOutput::Elements(elements), 0) = (&mut output, rng.u8(0..4)) {
            let mistaken = elements.pop().unwrap_or(rng.u8(0..3));
            elements.insert(0, mistaken);
        }
        let slot = Slot {
            called: (10 + place).saturating_sub(rng.u64(0..overlap)),
            returned: 10 + place + rng.u64(0..overlap),
        };
        let output = (rng.u8(0..5) > 0).then_some(output);
        ops.push((slot, ListInput { list, op }, output));
    }
    ops
}

#[test]
fn random_histories_of_two_lists() {
    let mut legal = 0;
    let count = 200_000;
    for seed in 0..count {
        let ops = random_ops(&mut Rng::with_seed(seed));
        legal += u64::from(compare(&Lists, &ListModel::new(), &history(ops)));
    }
    assert!(legal > count / 2 && legal < count * 9 / 10, "{legal} of {count} are linearizable");
}
