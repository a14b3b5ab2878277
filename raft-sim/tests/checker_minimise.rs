//! What is left of an illegal history: enough, no more than is needed, and nothing invented.

use fastrand::Rng;
use raft_sim::checker::models::{Register, RegisterInput, RegisterOutput};
use raft_sim::checker::{Budget, Core, Limits, Model, Verdict, Witness, check, minimise};
use raft_sim::history::{ClientId, History, Moment, Operation, Outcome};

use RegisterInput::{CompareAndSet, Read, Write};
use RegisterOutput::{Done, Mismatch, Value};

type RegisterHistory = History<RegisterInput, RegisterOutput>;

fn limits() -> Limits {
    Limits::new(Budget::Steps(100_000))
}

fn illegal(history: &RegisterHistory) -> Option<Witness<()>> {
    match check(&Register, history, &limits()) {
        Verdict::Illegal(witness) => Some(witness),
        Verdict::Linearizable => None,
        Verdict::Unknown(why) => panic!("{why:?}"),
    }
}

/// Three clients of a register that works, but for one read that may see anything.
fn history(rng: &mut Rng) -> RegisterHistory {
    let mut state = None;
    let mut position = 0;
    let wrong = rng.usize(10..30);
    let operation = |place: usize| {
        let input = match rng.u8(0..4) {
            _ if place == wrong => Read,
            0 => Write(rng.i64(0..5)),
            1 => CompareAndSet(rng.i64(0..5), rng.i64(0..5)),
            _ => Read,
        };
        let output = match input {
            Read if place == wrong => Value(Some(rng.i64(0..5))),
            Read => Value(state),
            CompareAndSet(from, _) if state != Some(from) => Mismatch,
            Write(to) | CompareAndSet(_, to) => {
                state = Some(to);
                Done
            }
        };
        // They take effect in this order; the intervals of neighbours overlap.
        position += 4;
        let at = Moment::at(position + rng.u64(1..4));
        let outcome = if rng.u8(0..20) == 0 && input != Read {
            Outcome::Unknown
        } else {
            Outcome::Returned { output, at }
        };
        let called = Moment::at(position - rng.u64(0..4));
        Operation { client: ClientId(place as u64), input, called, outcome }
    };
    History::new((0..40).map(operation).collect()).expect("a history")
}

/// The core with one answer less.
fn without(history: &RegisterHistory, core: &Core<()>, place: usize) -> Core<()> {
    let mut less = core.clone();
    let id = less.needed.remove(place);
    let op = history.op(id);
    if !Register.observes(&op.input, op.outcome.output()) {
        less.optional.push(id);
    }
    less
}

#[test]
fn the_core_is_illegal_and_needs_all_that_it_has() {
    let mut smaller = 0;
    for seed in 0..200 {
        let history = history(&mut Rng::with_seed(seed));
        let Some(witness) = illegal(&history) else { continue };
        let core = minimise(&Register, &history, &witness, &limits(), 500);
        let whole = history.len() - history.unknown();
        assert!(illegal(&core.history(&history)).is_some(), "seed {seed}");
        assert!(core.needed.contains(&core.partial.offending), "seed {seed}");
        for place in 0..core.needed.len() {
            let less = without(&history, &core, place).history(&history);
            assert!(illegal(&less).is_none(), "seed {seed} does not need {:?}", core.needed[place]);
        }
        // The same every time.
        assert_eq!(core, minimise(&Register, &history, &witness, &limits(), 500), "seed {seed}");
        smaller += usize::from(core.needed.len() * 4 < whole);
    }
    assert!(smaller > 50, "only {smaller} are a quarter or less of the whole");
}

/// A minimiser that left out writes would find that this read saw what nobody wrote.
#[test]
fn the_write_that_was_read_is_not_left_out() {
    let all = [(Write(1), Done), (Write(2), Done), (Read, Value(Some(2))), (Read, Value(Some(1)))];
    let operation = |(place, (input, output)): (u64, (RegisterInput, RegisterOutput))| {
        let (called, at) = (Moment::at(2 * place), Moment::at(2 * place + 1));
        let outcome = Outcome::Returned { output, at };
        Operation { client: ClientId(0), input, called, outcome }
    };
    let history = History::new((0..).zip(all).map(operation).collect()).expect("a history");
    let witness = illegal(&history).expect("the last read is stale");
    let core = minimise(&Register, &history, &witness, &limits(), 500);
    let ids = |ids: &[raft_sim::history::OpId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    assert_eq!((ids(&core.needed), ids(&core.optional)), (vec![0, 1, 3], vec![]));
    // Where it is not known when the second write was over, the read of it is needed instead.
    let mut all = history.operations().to_vec();
    all[1].client = ClientId(1);
    all[1].outcome = Outcome::Unknown;
    let history = History::new(all).expect("a history");
    let witness = illegal(&history).expect("the last read is stale");
    let core = minimise(&Register, &history, &witness, &limits(), 500);
    assert_eq!((ids(&core.needed), ids(&core.optional)), (vec![0, 2, 3], vec![1]));
}

#[test]
fn without_checks_nothing_is_left_out() {
    let history = (0..).map(|seed| history(&mut Rng::with_seed(seed)));
    let (history, witness) = history
        .filter_map(|history| illegal(&history).map(|witness| (history, witness)))
        .next()
        .expect("some are");
    let core = minimise(&Register, &history, &witness, &limits(), 0);
    assert_eq!(core, Core::of(&history, &witness));
    assert_eq!(core.needed.len() + core.optional.len(), history.len());
}
