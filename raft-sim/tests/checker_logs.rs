//! Logs from outside: whatever stands in them, the parsers answer.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use raft_sim::checker::models::{Current, Expect, Got, KvInput, KvOp, KvOutput};
use raft_sim::checker::models::{KvModel, Register};
use raft_sim::checker::{Budget, Limits, check};
use raft_sim::history::kv_log::{self, KvHistory};
use raft_sim::history::{ClientId, History, Moment, Operation, Outcome, jepsen};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
}

/// An operation that a log can hold. (Of an empty value without a version it cannot.)
fn operation() -> impl Strategy<Value = (KvOp, KvOutput)> {
    let index = || prop::option::of(0_u64..100);
    let found = (bytes(), index())
        .prop_filter("not told apart from a missing key", |(value, version)| {
            !value.is_empty() || version.is_some()
        })
        .prop_map(|(value, version)| Got::Found { value, version });
    let got = prop_oneof![Just(Got::Missing), Just(Got::MissingOrEmpty), found];
    let expect = prop_oneof![
        Just(Expect::Absent),
        bytes().prop_map(Expect::Value),
        any::<u64>().prop_map(Expect::Version),
    ];
    let current = prop_oneof![
        Just(Current::Untold),
        Just(Current::Absent),
        any::<u64>().prop_map(Current::Version),
    ];
    let swap = prop_oneof![
        index().prop_map(|index| KvOutput::Done { index }),
        (index(), current).prop_map(|(index, current)| KvOutput::Mismatch { index, current }),
    ];
    prop_oneof![
        got.prop_map(|got| (KvOp::Get, KvOutput::Got(got))),
        (bytes(), index()).prop_map(|(value, index)| (KvOp::Put(value), KvOutput::Done { index })),
        (bytes(), index(), index()).prop_map(|(value, index, length)| {
            (KvOp::Append(value), KvOutput::Appended { index, length })
        }),
        (index(), prop::option::of(any::<bool>()))
            .prop_map(|(index, existed)| (KvOp::Delete, KvOutput::Deleted { index, existed })),
        (expect, prop::option::of(bytes()), swap)
            .prop_map(|(expect, then, output)| (KvOp::CompareAndSet { expect, then }, output)),
    ]
}

/// A history in which each operation has its own client, returns four places after its call or never.
fn history() -> impl Strategy<Value = KvHistory> {
    let one = (bytes(), operation(), any::<bool>());
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let moment = |position: usize| {
            let time = Duration::from_nanos(position as u64 * 1_234_567);
            Moment { position: position as u64, time }
        };
        let operation = |(place, (key, (op, output), returns))| Operation {
            client: ClientId(place as u64),
            input: KvInput { key, op },
            called: moment(3 * place),
            outcome: match returns {
                true => Outcome::Returned { output, at: moment(3 * place + 4) },
                false => Outcome::Unknown,
            },
        };
        History::new(all.into_iter().enumerate().map(operation).collect()).expect("a history")
    })
}

/// Without the positions, of which a log keeps the order only.
fn without_positions(history: &KvHistory) -> KvHistory {
    let mut positions: Vec<_> = history.iter().map(|(_, op)| op.called.position).collect();
    let returned = history.iter().filter_map(|(_, op)| op.outcome.returned());
    positions.extend(returned.map(|at| at.position));
    positions.sort_unstable();
    let place = |at: Moment| {
        let position = positions.binary_search(&at.position).expect("it is among them") as u64;
        Moment { position, ..at }
    };
    let operation = |op: &Operation<KvInput, KvOutput>| Operation {
        called: place(op.called),
        outcome: match &op.outcome {
            Outcome::Returned { output, at } => {
                Outcome::Returned { output: output.clone(), at: place(*at) }
            }
            Outcome::Unknown => Outcome::Unknown,
        },
        ..op.clone()
    };
    History::new(history.operations().iter().map(operation).collect()).expect("a history")
}

fn small() -> Limits {
    Limits { memo_bytes_max: 1 << 20, ..Limits::new(Budget::Steps(10_000)) }
}

/// Pieces of both formats, and of none.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\n",
        b" ",
        b"INFO  jepsen.util - ",
        b"INFO jepsen.util - 1 :invoke :read nil\n",
        b"INFO jepsen.util - 1 :invoke :cas [1 2]\n",
        b"INFO jepsen.util - 1 :ok :read 1\n",
        b"INFO jepsen.util - 1 :fail :cas [1 2]\n",
        b"INFO jepsen.util - 2 :info :write x\n",
        b"18446744073709551616",
        b"[-1 1]",
        b"{:process 1, :type :invoke, :f :put, :key \"a\", :value \"\\x00\"}\n",
        b"{:process 1, :type :ok, :f :put, :key \"a\", :value \"\\x00\", :index 1}\n",
        b"{:process 2, :type :invoke, :f :cas, :key \"a\", :expect nil, :value nil}\n",
        b"{:process 2, :type :ok, :f :cas, :key \"a\", :expect nil, :value nil, :swapped false}\n",
        b"{:process ",
        b", :type :fail",
        b":f :get :key \"a\" :value",
        b"}",
        b"\"\\",
        b"\xFF\xC3",
    ];
    let piece = prop::sample::select(pieces);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_history_is_read_back_as_it_was_written(history in history()) {
        let log = kv_log::write(&history);
        prop_assert!(history.is_empty() || kv_log::detect(log.as_bytes()));
        prop_assert_eq!(kv_log::parse(log.as_bytes()), Ok(without_positions(&history)));
    }

    #[test]
    fn any_bytes_get_an_answer(log in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (jepsen::parse(&log), kv_log::parse(&log));
    }

    #[test]
    fn any_pieces_get_an_answer_and_a_verdict(log in fragments()) {
        if let Ok(history) = jepsen::parse(&log) {
            check(&Register, &history, &small());
        }
        if let Ok(history) = kv_log::parse(&log) {
            check(&KvModel, &history, &small());
        }
    }
}

#[test]
fn a_line_that_is_wrong_is_told() {
    let call = "{:process 0, :type :invoke, :f :put, :key \"a\", :value \"1\"}";
    for (line, expected) in [
        ("{:process 0", "expected a value"),
        ("{:type :ok}", "expected a number as :process"),
        ("{:process 1, :type :invoke, :f :get}", "expected a text as :key"),
        (
            "{:process 1, :type :invoke, :f :pop, :key \"a\"}",
            "expected :get, :put, :append, :delete or :cas as :f",
        ),
        (
            "{:process 1, :type :ok, :f :get, :key \"a\", :value nil}",
            "client 1 returns from what it did not call",
        ),
        (
            "{:process 0, :type :ok, :f :put, :key \"a\", :value \"2\"}",
            "client 0 returns from another operation than it had called",
        ),
        (call, "client 0 calls while its last operation has not returned"),
    ] {
        let error = kv_log::parse(format!("{call}\n\n{line}\n").as_bytes()).expect_err(line);
        assert_eq!(error.to_string(), format!("line 3: {expected}"));
    }
}
