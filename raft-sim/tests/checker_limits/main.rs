//! The checker's limits: what is too hard is undecided, the same on every machine, and hides nothing.

mod store;

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use raft_sim::checker::models::{Got, KvInput, KvModel, KvOp, KvOutput};
use raft_sim::checker::{Budget, Limits, Verdict, Why, check};
use raft_sim::history::{ClientId, History, Moment, Operation, Outcome};

use store::{KvOperation, Tells, Workload};

fn with_steps(steps: u64) -> Limits {
    Limits::new(Budget::Steps(steps))
}

#[test]
fn long_histories_are_decided_in_few_steps_where_clients_are_told_much() {
    let few = Workload { key: "k", clients: 5, count: 500, tells: Tells::Little, lost_percent: 0 };
    let versions = Workload { clients: 15, count: 2_000, tells: Tells::Versions, ..few };
    for (workload, steps) in [
        (few, 50_000),
        (Workload { count: 200, lost_percent: 1, ..few }, 500_000),
        (Workload { tells: Tells::Lengths, ..versions }, 500_000),
        (versions, 20_000),
        (Workload { count: 10_000, ..versions }, 100_000),
        (Workload { lost_percent: 1, ..versions }, 50_000),
        (Workload { count: 400, lost_percent: 3, ..versions }, 50_000),
    ] {
        let operations = workload.run(&mut Rng::with_seed(1));
        let mut stale = operations.clone();
        let history = History::new(operations).expect("a history");
        let verdict = check(&KvModel, &history, &with_steps(steps));
        assert!(verdict.is_linearizable(), "{workload:?}");
        // A read in the middle sees what the first one saw.
        let returned = |n: &usize| stale[*n].outcome.output().is_some();
        let gets = (0..stale.len()).filter(|n| stale[*n].input.op == KvOp::Get);
        let gets: Vec<_> = gets.filter(returned).collect();
        let (first, middle) = (gets[0], gets[gets.len() / 2]);
        let output = stale[first].outcome.output().expect("the first ones return").clone();
        let at = stale[middle].outcome.returned().expect("the first ones return");
        stale[middle].outcome = Outcome::Returned { output, at };
        let history = History::new(stale).expect("a history");
        let verdict = check(&KvModel, &history, &with_steps(8 * steps));
        assert!(verdict.is_illegal(), "{workload:?}");
    }
}

/// Far too hard: many overlap, and nobody is told anything.
fn hard() -> Vec<KvOperation> {
    let (key, tells) = ("hard", Tells::Little);
    let workload = Workload { key, clients: 30, count: 120, tells, lost_percent: 0 };
    let mut operations = workload.run(&mut Rng::with_seed(2));
    // Nothing is known until the last, which saw what never was.
    operations.retain(|op| op.input.op != KvOp::Get);
    let end = Moment::at(100_000);
    let output = KvOutput::Got(Got::Found { value: Bytes::from_static(b"never"), version: None });
    operations.push(Operation {
        client: ClientId(1_000),
        input: KvInput { key: Bytes::from_static(b"hard"), op: KvOp::Get },
        called: end,
        outcome: Outcome::Returned { output, at: end },
    });
    operations
}

fn undecided(why: Why) -> Verdict<Bytes> {
    Verdict::Unknown(vec![(Bytes::from_static(b"hard"), why)])
}

#[test]
fn what_is_too_hard_is_undecided() {
    let history = History::new(hard()).expect("a history");
    assert_eq!(check(&KvModel, &history, &with_steps(100_000)), undecided(Why::Steps));
    let at_once = Limits::new(Budget::Time(Duration::ZERO));
    assert_eq!(check(&KvModel, &history, &at_once), undecided(Why::Time));
    let soon = Limits::new(Budget::Time(Duration::from_millis(50)));
    assert_eq!(check(&KvModel, &history, &soon), undecided(Why::Time));
    let small = Limits { memo_bytes_max: 1 << 20, ..Limits::default() };
    assert_eq!(check(&KvModel, &history, &small), undecided(Why::Memory));
}

/// Steps are what a verdict depends on, to the very last one.
#[test]
fn steps_are_counted_exactly() {
    let (key, tells) = ("k", Tells::Little);
    let workload = Workload { key, clients: 5, count: 100, tells, lost_percent: 2 };
    let history = History::new(workload.run(&mut Rng::with_seed(3))).expect("a history");
    let enough = |steps: u64| check(&KvModel, &history, &with_steps(steps)).is_linearizable();
    let (mut low, mut high) = (0, 100_000);
    while low < high {
        let middle = (low + high) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    assert!((100..50_000).contains(&low), "{low}");
    assert!((0..20).all(|_| enough(low) && !enough(low - 1)));
}

/// An illegal part is found though others are too hard and come first, and it is the same one however many
/// threads look.
#[test]
fn a_hard_part_does_not_hide_an_illegal_one() {
    let mut operations = hard();
    for (client, key) in [(2_000, "b"), (3_000, "a")] {
        // More of them than of the hard part, so that they come later.
        let from = operations.len();
        let mut rng = Rng::with_seed(4);
        let tells = Tells::Little;
        let workload = Workload { key, clients: 4, count: 400, tells, lost_percent: 0 };
        operations.extend(workload.run(&mut rng));
        for operation in &mut operations[from..] {
            operation.client.0 += client;
        }
        let get = |op: &KvOperation| matches!(&op.input.op, KvOp::Get);
        let last =
            from + operations[from..from + 400].iter().rposition(get).expect("there are some");
        let at = operations[last].outcome.returned().expect("the first ones return");
        let output = KvOutput::Got(Got::Missing);
        operations[last].outcome = Outcome::Returned { output, at };
    }
    let history = History::new(operations).expect("a history");
    for threads in [1, 2, 4] {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        for budget in [Budget::Steps(400_000), Budget::Time(Duration::from_secs(600))] {
            let limits = Limits { budget, threads, memo_bytes_max: 128 << 20 };
            let Verdict::Illegal(witness) = check(&KvModel, &history, &limits) else {
                panic!("illegal with {limits:?}")
            };
            assert_eq!(witness.part, "a", "{limits:?}");
        }
    }
}
