//! Messages that no honest node sends: any numbers, from anybody, at any time. A node may believe a liar of
//! its group; it must not panic, run out of numbers, or grow without bound.

use bytes::Bytes;
use proptest::prelude::*;
use raft_core::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Cause, Config, Effects, Entry, Envelope,
    GroupId, InstallProgress, InstallSnapshot, InstallSnapshotReply, LogId, LogIndex, Membership,
    Message, NodeId, Payload, Persisted, PreVote, PreVoteReply, Raft, Removed, RequestVote,
    RequestVoteReply, Role, Round, SnapshotChunk, SnapshotMeta, Term, TimeoutNow,
};

/// Small numbers mostly, so that they often fit; and the ends of the range.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => 0..6_u64,
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 1),
        1 => Just(1 << 62),
        1 => Just((1 << 62) - 1),
        1 => any::<u64>(),
    ]
}

fn log_id() -> impl Strategy<Value = LogId> {
    (number(), number()).prop_map(|(term, index)| LogId::new(Term(term), LogIndex(index)))
}

fn entries(prev: LogId) -> impl Strategy<Value = Vec<Entry>> {
    let consecutive = prop::collection::vec(0..3_u64, 0..4).prop_map(move |steps| {
        let mut last = prev;
        let next = |step| {
            let (term, index) = (last.term.0.wrapping_add(step), last.index.0.wrapping_add(1));
            last = LogId::new(Term(term), LogIndex(index));
            Entry { id: last, payload: Payload::Noop }
        };
        steps.into_iter().map(next).collect()
    });
    let any_id = prop::collection::vec(log_id(), 0..4);
    let any_id = any_id
        .prop_map(|ids| ids.into_iter().map(|id| Entry { id, payload: Payload::Noop }).collect());
    prop_oneof![4 => consecutive, 1 => any_id]
}

fn append() -> impl Strategy<Value = Message> {
    let fields = log_id().prop_flat_map(|prev| (Just(prev), entries(prev), number(), number()));
    fields.prop_map(|(prev, entries, commit, round)| {
        let (commit, round) = (LogIndex(commit), Round(round));
        Message::AppendEntries(AppendEntries { prev, entries, commit, round })
    })
}

fn install() -> impl Strategy<Value = Message> {
    (log_id(), number(), number(), 0..4_usize, number()).prop_map(
        |(last, offset, total, size, round)| {
            let membership = Membership::of_voters([1, 2, 3].map(NodeId));
            let data = Bytes::from(vec![7; size]);
            Message::InstallSnapshot(InstallSnapshot {
                meta: SnapshotMeta { last, membership },
                chunk: SnapshotChunk { offset, total, data, checksum: 0 },
                round: Round(round),
            })
        },
    )
}

fn reply() -> impl Strategy<Value = Message> {
    let outcome = prop_oneof![
        number().prop_map(|matched| AppendOutcome::Accepted { matched: LogIndex(matched) }),
        (number(), log_id())
            .prop_map(|(prev, hint)| AppendOutcome::Rejected { prev: LogIndex(prev), hint }),
        Just(AppendOutcome::Overloaded),
    ];
    let progress = prop_oneof![
        number().prop_map(|next_offset| InstallProgress::Receiving { next_offset }),
        Just(InstallProgress::Installed),
    ];
    prop_oneof![
        (number(), outcome).prop_map(|(round, outcome)| {
            Message::AppendEntriesReply(AppendEntriesReply { round: Round(round), outcome })
        }),
        (number(), log_id(), progress).prop_map(|(round, last, progress)| {
            let round = Round(round);
            Message::InstallSnapshotReply(InstallSnapshotReply { round, last, progress })
        }),
        any::<bool>().prop_map(|granted| Message::RequestVoteReply(RequestVoteReply { granted })),
        (number(), any::<bool>()).prop_map(|(term, granted)| {
            Message::PreVoteReply(PreVoteReply { term: Term(term), granted })
        }),
    ]
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![Just(Cause::Timeout), Just(Cause::Transfer)]
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        1 => (number(), log_id())
            .prop_map(|(term, last)| Message::PreVote(PreVote { term: Term(term), last })),
        1 => (log_id(), cause())
            .prop_map(|(last, cause)| Message::RequestVote(RequestVote { last, cause })),
        1 => log_id().prop_map(|last| Message::TimeoutNow(TimeoutNow { last })),
        1 => (number(), number()).prop_map(|(since, round)| {
            Message::Removed(Removed { since: LogIndex(since), round: Round(round) })
        }),
        2 => append(),
        2 => install(),
        3 => reply(),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Message { from: u64, term: u64, message: Message },
    Tick,
    Campaign,
    Propose,
    Read,
    Persist,
    Apply,
    Compact,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..5_u64, number(), message())
            .prop_map(|(from, term, message)| Event::Message { from, term, message }),
        2 => Just(Event::Tick),
        1 => Just(Event::Campaign),
        1 => Just(Event::Propose),
        1 => Just(Event::Read),
        3 => Just(Event::Persist),
        2 => Just(Event::Apply),
        1 => Just(Event::Compact),
    ]
}

fn carry_out(raft: &mut Raft, event: Event, effects: &Effects) {
    match event {
        Event::Message { from, term, message } => raft.step(Envelope {
            group: GroupId(1),
            from: NodeId(from),
            to: NodeId(1),
            term: Term(term),
            message,
        }),
        Event::Tick => raft.tick(),
        Event::Campaign => raft.campaign(),
        Event::Propose => {
            let _ = raft.propose(Bytes::from_static(b"x"));
        }
        Event::Read => {
            let _ = raft.read_index();
        }
        Event::Persist => {
            if let Some(write) = effects.writes.last() {
                raft.on_persisted(write.seq);
            }
        }
        Event::Apply => {
            let applied = raft.status().applied;
            let last = effects.applies.iter().rev().find_map(|apply| match &apply.op {
                raft_core::ApplyOp::Entries(entries) => entries.last().map(|entry| entry.id.index),
                raft_core::ApplyOp::Restore(meta) => Some(meta.last.index),
            });
            if let Some(last) = last.filter(|last| *last > applied) {
                raft.on_applied(last);
            }
        }
        Event::Compact => {
            let meta = raft.snapshot_meta(raft.status().applied);
            if let Some(meta) = meta.filter(|meta| meta.last.index.0 > 0) {
                raft.compact(meta);
            }
        }
    }
}

/// Entries that agree with a snapshot by their indexes, and are of an older term than it.
#[test]
fn entries_of_an_older_term_than_the_snapshot_before_them_are_dropped() {
    let voters = Membership::of_voters([1, 2, 3].map(NodeId));
    let config = Config::new(NodeId(1), GroupId(1));
    let mut raft = Raft::new(config, Persisted::default(), &voters).expect("a valid config");
    let noop = |index| Entry { id: LogId::new(Term(0), LogIndex(index)), payload: Payload::Noop };
    let meta = SnapshotMeta { last: LogId::new(Term(3), LogIndex(1)), membership: voters };
    let data = Bytes::from_static(b"xx");
    let chunk = SnapshotChunk { offset: 0, total: 2, data, checksum: 0 };
    let snapshot = InstallSnapshot { meta, chunk, round: Round(0) };
    let append = AppendEntries {
        prev: LogId::ZERO,
        entries: vec![noop(1), noop(2)],
        commit: LogIndex::ZERO,
        round: Round(0),
    };
    let messages = [Message::InstallSnapshot(snapshot), Message::AppendEntries(append)];
    for (term, message) in (4..).zip(messages) {
        let event = Event::Message { from: 2, term, message };
        carry_out(&mut raft, event, &Effects::default());
    }
    let status = raft.status();
    assert_eq!((status.last, status.dropped), (LogId::new(Term(3), LogIndex(1)), 1));
}

/// A leader that was told of other first members than this node says that it is none of them.
#[test]
fn nobody_is_removed_by_the_first_members() {
    let voters = Membership::of_voters([1, 2, 3].map(NodeId));
    let config = Config::new(NodeId(1), GroupId(1));
    let mut raft = Raft::new(config, Persisted::default(), &voters).expect("a valid config");
    let message = Message::Removed(Removed { since: LogIndex::ZERO, round: Round(1) });
    carry_out(&mut raft, Event::Message { from: 2, term: 2, message }, &Effects::default());
    assert_eq!((raft.status().removed, raft.status().dropped), (None, 1));
}

/// A peer misses what was never sent, up to the end of all numbers.
#[test]
fn a_rejection_of_what_was_never_sent_is_dropped() {
    let only = Membership::of_voters([1, 2].map(NodeId));
    let config = Config::new(NodeId(1), GroupId(1));
    let mut raft = Raft::new(config, Persisted::default(), &only).expect("a valid config");
    lead(&mut raft, &mut Effects::default());
    let outcome = AppendOutcome::Rejected { prev: LogIndex(u64::MAX), hint: LogId::ZERO };
    let reply = AppendEntriesReply { round: Round(0), outcome };
    let message = Message::AppendEntriesReply(reply);
    let event = Event::Message { from: 2, term: raft.status().term.0, message };
    carry_out(&mut raft, event, &Effects::default());
    assert_eq!(raft.status().dropped, 1);
}

/// Has the votes of node 2.
fn lead(raft: &mut Raft, effects: &mut Effects) {
    raft.campaign();
    for message in [
        Message::PreVoteReply(PreVoteReply { term: Term(1), granted: true }),
        Message::RequestVoteReply(RequestVoteReply { granted: true }),
    ] {
        let (from, term) = (2, raft.status().term.0);
        carry_out(raft, Event::Message { from, term, message }, effects);
        raft.drain(effects);
        carry_out(raft, Event::Persist, effects);
    }
    assert_eq!(raft.status().role, Role::Leader);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn never_panics(events in prop::collection::vec(event(), 1..120), leads in any::<bool>()) {
        let voters = Membership::of_voters([1, 2, 3].map(NodeId));
        let mut config = Config::new(NodeId(1), GroupId(1));
        (config.election_ticks, config.heartbeat_ticks) = (3, 1);
        let mut raft = Raft::new(config, Persisted::default(), &voters).expect("a valid config");
        let mut effects = Effects::default();
        if leads {
            lead(&mut raft, &mut effects);
        }
        for event in events {
            let before = raft.status().commit;
            carry_out(&mut raft, event, &effects);
            // Only the newest write and batch matter for what is reported.
            let (keep, applies) = (effects.writes.pop(), effects.applies.pop());
            effects.clear();
            effects.writes.extend(keep);
            effects.applies.extend(applies);
            raft.drain(&mut effects);
            prop_assert!(effects.messages.len() <= 1100, "one event, bounded work");
            let status = raft.status();
            // A peer may bring the largest term there is; elections count on from there.
            prop_assert!(status.term.0 < (1 << 62) + 1000);
            prop_assert!(before <= status.commit && status.commit <= status.last.index);
            prop_assert!(status.applied <= status.commit);
        }
    }
}
