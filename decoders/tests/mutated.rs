//! Mutations of the seeds, and bytes that are none.

#[allow(unreachable_pub)]
mod common;

use std::cell::Cell;

use decoders::{ALL, Decoder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 2_000;

/// What is done to an input.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// What stands at one place is put at another.
    Copy(Index, Index, usize),
}

/// Lengths and numbers at their ends.
const EXTREME: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let byte = || prop_oneof![any::<u8>(), prop::sample::select(&EXTREME[..])];
    prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), 0_u8..8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        at().prop_map(Mutation::Cut),
        (at(), vec(byte(), 1..12)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1_usize..12).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (at(), at(), 1_usize..40).prop_map(|(from, to, count)| Mutation::Copy(from, to, count)),
    ]
}

fn mutate(input: &mut Vec<u8>, mutation: Mutation) {
    if input.is_empty() {
        return;
    }
    let len = input.len();
    match mutation {
        Mutation::Set(at, byte) => input[at.index(len)] = byte,
        Mutation::Flip(at, mask) => input[at.index(len)] ^= mask,
        Mutation::Cut(at) => input.truncate(at.index(len)),
        Mutation::Insert(at, bytes) => {
            let at = at.index(len);
            input.splice(at..at, bytes);
        }
        Mutation::Remove(at, count) => {
            let at = at.index(len);
            input.drain(at..len.min(at + count));
        }
        Mutation::Copy(from, to, count) => {
            let from = from.index(len);
            let bytes = input[from..len.min(from + count)].to_vec();
            let to = to.index(len);
            input.splice(to..to, bytes);
        }
    }
}

fn inputs(decoder: &Decoder) -> impl Strategy<Value = Vec<u8>> + use<> {
    let mutated = (prop::sample::select((decoder.seeds)()), vec(mutation(), 1..5));
    let mutated = mutated.prop_map(|(mut seed, mutations)| {
        mutations.into_iter().for_each(|mutation| mutate(&mut seed, mutation));
        seed
    });
    prop_oneof![9 => mutated, 1 => vec(any::<u8>(), 0..200)]
}

#[test]
fn whatever_the_bytes() {
    for decoder in ALL {
        let mut runner =
            TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });
        let understood = Cell::new(0);
        let ran = runner.run(&inputs(decoder), |input| {
            understood.set(understood.get() + u32::from(common::check(decoder, &input)));
            Ok(())
        });
        ran.unwrap_or_else(|error| panic!("{}: {error}", decoder.name));
        println!("{}: {} of {CASES} understood", decoder.name, understood.get());
    }
}
