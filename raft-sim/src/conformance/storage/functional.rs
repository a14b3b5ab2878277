//! What a store does when nothing goes wrong.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft_core::{Entry, GroupId, LogId, Payload, Storage, StorageError, Suffix, WriteOp};

use super::judge::judge;
use super::model::History;
use super::subject::{Flaw, Subject, Trouble, flaw, read_all, write_pieces};
use super::workload::{
    Step, append, chunk, command, hard_state, id, membership, meta, pattern, random, receive,
    snapshot, write,
};
use super::{StorageProperty as Property, StorageReport, Verdict};

pub(super) fn check(subject: &Subject<'_, u64>, report: &mut StorageReport) -> Verdict<()> {
    let mut place = 0;
    let mut next = || {
        place += 1;
        place
    };
    for (name, steps) in scripts() {
        let history = History::of(steps);
        step_by_step(subject, next(), name, &history, report)?;
        in_one_life(subject, next(), name, &history, report)?;
    }
    let kit = subject.kit;
    let history = History::of(random(kit.seed, kit.groups, kit.steps));
    in_one_life(subject, next(), "a random history", &history, report)?;
    readers_are_undisturbed(subject, next())?;
    unfinished_leaves_nothing(subject, next())?;
    chunks_are_checked(subject, &mut next)
}

/// Histories that show one thing each.
fn scripts() -> Vec<(&'static str, Vec<Step>)> {
    let writes = |writes: Vec<Vec<raft_core::Write>>| writes.into_iter().map(Step::Write).collect();
    vec![
        ("an empty store", vec![]),
        (
            "hard states",
            writes(vec![
                vec![hard_state(1, 1, None)],
                vec![hard_state(1, 1, Some(2))],
                vec![hard_state(1, 7, None), hard_state(1, 7, Some(3)), hard_state(2, 1, Some(1))],
                vec![hard_state(1, u64::MAX, Some(u64::MAX))],
            ]),
        ),
        (
            "appends",
            writes(vec![
                vec![hard_state(1, 2, None), append(1, entries())],
                vec![append(1, vec![command(2, 4, "")])],
                vec![append(1, vec![command(2, 5, pattern(5, 200_000))])],
                vec![append(1, vec![command(2, 6, "a")]), append(1, vec![command(2, 7, "b")])],
            ]),
        ),
        ("overwritten entries", overwriting()),
        ("snapshots and compaction", compacting()),
        ("received snapshots", receiving()),
        ("many groups", many_groups()),
    ]
}

/// One of each kind.
fn entries() -> Vec<Entry> {
    let change = Payload::Membership(Box::new(membership(9)));
    vec![
        Entry { id: id(1, 1), payload: Payload::Noop },
        command(1, 2, vec![0, 255, 10]),
        Entry { id: id(2, 3), payload: change },
    ]
}

fn numbered(term: u64, indexes: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    indexes.map(|index| command(term, index, format!("{term} {index}"))).collect()
}

fn overwriting() -> Vec<Step> {
    vec![
        Step::Write(vec![hard_state(1, 1, None), append(1, numbered(1, 1..=6))]),
        // A shorter log, a longer one, and from the first entry on.
        Step::Write(vec![hard_state(1, 2, None), append(1, numbered(2, 3..=3))]),
        Step::Write(vec![hard_state(1, 3, None), append(1, numbered(3, 3..=9))]),
        Step::Write(vec![hard_state(1, 4, None), append(1, numbered(4, 1..=1))]),
        // Twice in one write.
        Step::Write(vec![
            append(1, numbered(4, 2..=5)),
            hard_state(1, 5, None),
            append(1, numbered(5, 3..=3)),
        ]),
    ]
}

fn compacting() -> Vec<Step> {
    let compact = |last: LogId| Step::Write(vec![write(1, WriteOp::Compact(last))]);
    let group = GroupId(1);
    vec![
        Step::Write(vec![hard_state(1, 1, None), append(1, numbered(1, 1..=9))]),
        snapshot(1, id(1, 3), 100),
        compact(id(1, 3)),
        snapshot(1, id(1, 5), 300_000),
        Step::Write(vec![append(1, numbered(1, 10..=10))]),
        compact(id(1, 5)),
        // All of the log, and nothing of it in the snapshot.
        snapshot(1, id(1, 10), 0),
        compact(id(1, 10)),
        Step::Write(vec![hard_state(1, 2, None), append(1, numbered(2, 11..=12))]),
        Step::Abandon { group, meta: meta(id(2, 12)), data: pattern(1, 100_000) },
        // Shorter than the one before and in one piece; then one that comes too late.
        Step::Snapshot { group, meta: meta(id(2, 11)), data: pattern(11, 70_000), piece: 1 << 20 },
        snapshot(1, id(1, 4), 10),
        Step::Write(vec![write(1, WriteOp::Compact(id(2, 11))), append(1, numbered(2, 13..=13))]),
    ]
}

fn receiving() -> Vec<Step> {
    let data = pattern(3, 150_000);
    let mut steps = vec![Step::Write(vec![hard_state(1, 1, None), append(1, numbered(1, 1..=8))])];
    steps.extend(receive(1, id(1, 3), &data, 64_000, Suffix::Keep));
    // Begun and given up for a later one, of which nothing is here.
    steps.extend(receive(1, id(1, 7), &data, 64_000, Suffix::Keep).into_iter().take(1));
    steps.extend(receive(1, id(1, 20), &pattern(20, 1), 10, Suffix::Discard));
    steps.push(Step::Write(vec![append(1, numbered(1, 21..=22))]));
    // An empty one, over a log that says otherwise.
    steps.extend(receive(1, id(4, 21), &Bytes::new(), 10, Suffix::Discard));
    steps.push(Step::Write(vec![hard_state(1, 4, None), append(1, numbered(4, 22..=22))]));
    // Into a group that has nothing, together with something else.
    if let Some(Step::Write(mut last)) = receive(2, id(1, 5), &data, 1 << 20, Suffix::Discard).pop()
    {
        last.push(hard_state(2, 4, Some(2)));
        last.push(append(2, numbered(4, 6..=7)));
        steps.push(Step::Write(last));
    }
    steps
}

fn many_groups() -> Vec<Step> {
    // Out of order on purpose.
    let groups: Vec<u64> = (0..60).map(|at| (at * 37) % 60 + 1).chain([u64::MAX]).collect();
    let all = groups.iter().flat_map(|group| {
        let payload = group.to_le_bytes().to_vec();
        [hard_state(*group, 1, Some(*group)), append(*group, vec![command(1, 1, payload)])]
    });
    let mut steps = vec![Step::Write(all.collect())];
    steps.push(Step::Write(groups.iter().map(|group| hard_state(*group, 2, None)).collect()));
    steps.extend(receive(100, id(1, 5), &pattern(100, 10), 10, Suffix::Discard));
    steps
}

/// Opens the store, and sees that it holds what the model does.
async fn open_and_judge(
    subject: &Subject<'_, u64>,
    place: u64,
    history: &History,
    done: usize,
) -> Result<Box<dyn Storage>, Flaw> {
    let state = &history.states[done];
    let store = subject.open(place).await.map_err(Trouble::unexcused)?;
    let mut groups: BTreeSet<GroupId> = state.groups.keys().copied().collect();
    // One that was never written.
    groups.insert(GroupId(1000));
    let found = subject.found(&*store, groups).await.map_err(Trouble::unexcused)?;
    judge(&found, std::slice::from_ref(state), history, done)?;
    Ok(store)
}

/// A life for each step, except that chunks of a snapshot have to come in one.
fn step_by_step(
    subject: &Subject<'_, u64>,
    place: u64,
    name: &str,
    history: &History,
    report: &mut StorageReport,
) -> Verdict<()> {
    let mut at = 0;
    while at < history.steps.len() {
        let begin = at;
        at += 1;
        while history.steps.get(at).is_some_and(continues) {
            at += 1;
        }
        life(subject, place, name, history, begin..at)?;
        report.functional_steps += (at - begin) as u64;
    }
    life(subject, place, name, history, at..at)
}

fn continues(step: &Step) -> bool {
    let Step::Write(writes) = step else { return false };
    let later = |write: &raft_core::Write| match &write.op {
        WriteOp::Receive { chunk, .. } => chunk.offset > 0,
        _ => false,
    };
    writes.iter().any(later)
}

fn in_one_life(
    subject: &Subject<'_, u64>,
    place: u64,
    name: &str,
    history: &History,
    report: &mut StorageReport,
) -> Verdict<()> {
    life(subject, place, name, history, 0..history.steps.len())?;
    report.functional_steps += history.steps.len() as u64;
    let end = history.steps.len();
    life(subject, place, name, history, end..end)
}

fn life(
    subject: &Subject<'_, u64>,
    place: u64,
    name: &str,
    history: &History,
    steps: std::ops::Range<usize>,
) -> Verdict<()> {
    subject.clock.live(async {
        let at = |number: usize| match number.checked_sub(1).map(|before| &history.steps[before]) {
            Some(step) => format!("{name}: opened after step {number}, {step}"),
            None => format!("{name}: opened"),
        };
        let store = open_and_judge(subject, place, history, steps.start).await;
        let store = store.map_err(|flaw| subject.violation(at(steps.start), flaw))?;
        for (number, step) in (1..).zip(&history.steps).take(steps.end).skip(steps.start) {
            let outcome = subject.run(&*store, step).await;
            subject.expect(format!("{name}: step {number}, {step}"), outcome)?;
        }
        Ok(())
    })
}

fn readers_are_undisturbed(subject: &Subject<'_, u64>, place: u64) -> Verdict<()> {
    let name = "a reader, while newer snapshots replace its own";
    let work = async {
        let store = subject.open(place).await?;
        let group = GroupId(1);
        let entries = append(1, numbered(1, 1..=9));
        subject.run(&*store, &Step::Write(vec![hard_state(1, 1, None), entries])).await?;
        let mut readers = Vec::new();
        for index in 1..=9 {
            let len = 40_000 * (10 - index as usize);
            subject.run(&*store, &snapshot(1, id(1, index), len)).await?;
            let compact = Step::Write(vec![write(1, WriteOp::Compact(id(1, index)))]);
            subject.run(&*store, &compact).await?;
            let opened = subject.within(store.open_snapshot(group)).await?;
            let newest = opened.filter(|reader| reader.meta() == &meta(id(1, index)));
            let none = || flaw(Property::SnapshotsKept, format!("no snapshot of {index} to open"));
            // Of every other one, so that some files have readers and some have not.
            readers.extend(newest.map(Some).ok_or_else(none)?.filter(|_| index % 2 == 1));
            for reader in &mut readers {
                let (last, total) = (reader.meta().last, reader.total());
                let read = subject.within(read_all(&mut **reader)).await;
                let wanted = pattern(last.index.0, total as usize);
                if read.is_ok_and(|read| read == wanted) {
                    continue;
                }
                let detail =
                    format!("the snapshot of {last} cannot be read after that of {index} came");
                return Err(flaw(Property::ReadersUndisturbed, detail).into());
            }
        }
        Ok(())
    };
    subject.expect(name, subject.clock.live(work))
}

fn unfinished_leaves_nothing(subject: &Subject<'_, u64>, place: u64) -> Verdict<()> {
    let name = "a snapshot that is dropped before it is finished";
    let empty = History::of(vec![]);
    for _ in 0..2 {
        let work = async {
            let store = open_and_judge(subject, place, &empty, 0).await?;
            let group = GroupId(5);
            let mut writer = subject.within(store.create_snapshot(group, meta(id(1, 9)))).await?;
            let data = pattern(9, 500_000);
            subject.within(write_pieces(&mut *writer, &data, 5000)).await?;
            drop(writer);
            tokio::task::yield_now().await;
            match subject.within(store.open_snapshot(group)).await? {
                Some(_) => Err(flaw(Property::UnfinishedLeavesNothing, "it can be opened").into()),
                None => Ok(()),
            }
        };
        let outcome: Result<(), Trouble> = subject.clock.live(work);
        outcome.map_err(|trouble| {
            let found = trouble.unexcused();
            let left = match found.property {
                Property::Works | Property::Ends => found,
                _ => flaw(Property::UnfinishedLeavesNothing, found.detail),
            };
            subject.violation(name, left)
        })?;
    }
    Ok(())
}

fn chunks_are_checked(subject: &Subject<'_, u64>, next: &mut impl FnMut() -> u64) -> Verdict<()> {
    let data = pattern(1, 1000);
    let damaged = {
        let mut chunk = chunk(&data, 0, 100);
        chunk.checksum ^= 1;
        chunk
    };
    let too_long = {
        let mut chunk = chunk(&data, 0, 1000);
        chunk.total = 999;
        chunk
    };
    let first = chunk(&data, 0, 100);
    let cases = [
        ("a chunk that continues nothing", vec![(5, chunk(&data, 100, 100))]),
        ("a chunk that leaves a gap", vec![(5, first.clone()), (5, chunk(&data, 200, 100))]),
        ("a chunk of another snapshot", vec![(5, first), (6, chunk(&data, 100, 100))]),
        ("a damaged chunk", vec![(5, damaged)]),
        ("a chunk that is longer than its whole", vec![(5, too_long)]),
    ];
    for (name, chunks) in cases {
        let place = next();
        let work = async {
            let store = subject.open(place).await?;
            let count = chunks.len();
            for (at, (index, chunk)) in chunks.into_iter().enumerate() {
                let (meta, suffix) = (meta(id(1, index)), Suffix::Discard);
                let step = write(1, WriteOp::Receive { meta, chunk, suffix });
                let outcome: Result<(), StorageError> = store.write(vec![step]).await;
                match outcome {
                    Err(_) if at + 1 == count => {}
                    Ok(()) if at + 1 < count => {}
                    Err(error) => return Err(error.into()),
                    Ok(()) => return Err(flaw(Property::ChunksChecked, "it was accepted").into()),
                }
            }
            Ok(())
        };
        subject.expect(name, subject.clock.live(subject.within::<_, Trouble>(work)))?;
    }
    Ok(())
}
