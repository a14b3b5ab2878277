//! How a shard goes from group to group, entry by entry, and what is refused.

mod common;

use common::{CLUSTER, Group, History, ONE, TWO, carry, copy, done, key_of, moving, older};
use kv::command::Ticket;
use raft_core::{ClusterId, GroupId, LogIndex};
use shardctrler::{ConfigNumber, Configuration, ShardCount, ShardId};
use shardkv::{
    AdoptRefusal, Move, Output, Phase, Position, TransferRefusal, TransferReply, command,
};

const S: ShardId = ShardId(0);

/// Thirty appends in one session.
fn filled() -> (Group, Group, History, Move, Ticket) {
    let mut ticket = None;
    let (one, two, history, of) = moving(|one| {
        let history = History::default();
        one.now = 5_000;
        let session = one.open(S);
        for seq in 1..=30 {
            let key = key_of(&history, S, seq as usize % 10);
            ticket = Some(Ticket { session, seq, acked: 25.min(seq) });
            done(one.append(S, ticket.expect("now"), &key, "x"));
        }
    });
    (one, two, history, of, ticket.expect("some"))
}

#[test]
fn a_shard_takes_its_sessions_versions_and_time_along() {
    let (mut one, mut two, history, of, last) = filled();
    let key = key_of(&history, S, 0);
    let first = done(one.append(S, last, &key, "x"));
    carry(&mut one, &mut two, of, 60);
    assert_eq!(two.value(S, &key).as_deref(), Some("xxx"));
    // The retry of a write that was done at the old owner.
    assert_eq!(done(two.append(S, last, &key, "x")), first, "answered and not done again");
    assert_eq!(two.value(S, &key).as_deref(), Some("xxx"));
    let next = done(two.append(S, Ticket { seq: 31, ..last }, &key, "y"));
    assert!(next.index > first.index, "versions never come back");
    let store = two.store.serving(S).expect("served");
    assert_eq!(store.log_time(), 5_000, "time does not go back");
    assert!(matches!(one.append(S, last, &key, "x"), Output::Elsewhere(it) if it.group == Some(2)));
}

#[test]
fn the_old_owner_serves_until_the_freeze_and_the_new_one_from_the_install() {
    let (mut one, mut two, history, of, last) = filled();
    let key = key_of(&history, S, 0);
    let write = |group: &mut Group, seq| group.append(S, Ticket { seq, ..last }, &key, "z");
    let elsewhere = |output: Output| match output {
        Output::Elsewhere(it) => it.group,
        other => panic!("{other:?}"),
    };
    done(write(&mut one, 31));
    assert_eq!(elsewhere(write(&mut two, 31)), Some(1), "still there");
    let at = copy(&one, &mut two, of, Position::default(), 60);
    done(write(&mut one, 32));
    one.apply(command::freeze(of));
    assert_eq!(elsewhere(write(&mut one, 33)), Some(2));
    assert!(one.store.serving(S).is_err());
    assert_eq!(elsewhere(write(&mut two, 33)), Some(1));
    let early = one.next(of, &at, 60).expect("a change is missing");
    let at = copy(&one, &mut two, of, early.at.clone(), 60);
    let install = one.next(of, &at, 60).expect_err("nothing more");
    assert_eq!(two.transfer(command::install(&install)), TransferReply::Installed);
    assert_eq!(one.phase(S), Some(Phase::Frozen), "kept until it is confirmed");
    done(write(&mut two, 33));
    one.apply(command::delete(of));
    assert_eq!(one.phase(S), None);
    assert!(one.store.is_settled() && two.store.is_settled());
}

#[test]
fn doubled_late_and_reordered_chunks_change_nothing() {
    let (one, mut two, _, of, _) = filled();
    let mut at = Position::default();
    let mut sent = Vec::new();
    while let Ok(chunk) = one.next(of, &at, 60) {
        let stage = command::stage(&chunk);
        assert_eq!(two.transfer(stage.clone()), TransferReply::At(chunk.next.clone()));
        let digest = two.store.digest();
        at = chunk.next;
        sent.push(stage);
        for again in &sent {
            assert_eq!(two.transfer(again.clone()), TransferReply::At(at.clone()));
            assert_eq!(two.store.digest(), digest);
        }
    }
    assert!(sent.len() > 3, "{}", sent.len());
    // From the back: only the first fits.
    let (one, mut two, _, of, _) = filled();
    let first = one.next(of, &Position::default(), 60).expect("a chunk");
    for late in sent.iter().rev() {
        two.transfer(late.clone());
    }
    assert_eq!(
        two.transfer(sent[1].clone()),
        TransferReply::At(one.next(of, &first.next, 60).expect("a chunk").next)
    );
}

#[test]
fn a_corrupt_chunk_is_refused_and_the_right_one_taken_then() {
    let (one, mut two, _, of, _) = filled();
    let chunk = one.next(of, &Position::default(), 60).expect("a chunk");
    let digest = two.store.digest();
    for at in 0..chunk.piece.len() {
        let mut wrong = chunk.clone();
        wrong.piece[at] ^= 0x10;
        let refused = TransferReply::Refused(TransferRefusal::Corrupt);
        assert_eq!(two.transfer(command::stage(&wrong)), refused);
        // With a checksum that fits it may be taken, or is no piece: then nothing of it was.
        wrong = shardkv::Chunk::new(of, chunk.at.clone(), chunk.next.clone(), vec![9; at + 1]);
        assert_eq!(two.transfer(command::stage(&wrong)), refused);
        assert_eq!(two.store.digest(), digest);
    }
    assert_eq!(two.transfer(command::stage(&chunk)), TransferReply::At(chunk.next));
}

#[test]
fn a_chunk_must_go_forward() {
    let (one, mut two, _, of, _) = filled();
    let chunk = one.next(of, &Position::default(), 60).expect("a chunk");
    let to = |next: Position| shardkv::Chunk { next, ..chunk.clone() };
    let nowhere = to(chunk.at.clone());
    let other = to(Position { attempt: 1, ..chunk.next.clone() });
    let both = to(Position { watermark: 1, ..chunk.next.clone() });
    for wrong in [nowhere, other, both] {
        let refused = TransferReply::Refused(TransferRefusal::Backwards);
        assert_eq!(two.transfer(command::stage(&wrong)), refused);
    }
}

#[test]
fn what_is_of_another_move_is_refused_for_what_it_is() {
    let (one, mut two, _, of, _) = filled();
    let chunk = one.next(of, &Position::default(), 60).expect("a chunk");
    let with = |of| command::stage(&shardkv::Chunk { of, ..chunk.clone() });
    let refused = |refusal| TransferReply::Refused(refusal);
    let digest = two.store.digest();
    let number = of.number();
    let wrong = [
        (Move::new(ClusterId(8), number, S, ONE, TWO), refused(TransferRefusal::WrongCluster)),
        (Move::new(CLUSTER, number, S, ONE, GroupId(3)), refused(TransferRefusal::WrongGroup)),
        (Move::new(CLUSTER, number, S, GroupId(3), TWO), refused(TransferRefusal::NoSuchMove)),
        (Move::new(CLUSTER, number, ShardId(1), ONE, TWO), refused(TransferRefusal::NoSuchMove)),
        (Move::new(CLUSTER, number, ShardId(9), ONE, TWO), refused(TransferRefusal::NoSuchMove)),
        (
            Move::new(CLUSTER, number.next(), S, ONE, TWO),
            TransferReply::Behind { number: number.0 },
        ),
        // All that came in an earlier configuration is here.
        (older(of), TransferReply::Installed),
        // A group that began with this configuration has nothing from it.
        (Move::new(CLUSTER, ConfigNumber::ZERO, S, ONE, TWO), refused(TransferRefusal::Forgotten)),
    ];
    for (of, reply) in wrong {
        assert_eq!(two.transfer(with(of)), reply, "{of:?}");
        assert_eq!(two.store.digest(), digest);
    }
}

#[test]
fn a_copy_that_is_not_equal_begins_anew() {
    let (mut one, mut two, _, of, _) = filled();
    one.apply(command::freeze(of));
    let install = one.next(of, &copy_of_nothing(&one, of), 60).expect_err("nothing more");
    let wrong = [
        shardkv::Install { keys: install.keys + 1, ..install.clone() },
        shardkv::Install { sessions: 0, ..install.clone() },
        shardkv::Install { digest: !install.digest, ..install.clone() },
        shardkv::Install { log_time: install.log_time + 1, ..install.clone() },
    ];
    for (attempt, wrong) in wrong.into_iter().enumerate() {
        let at = Position { attempt: attempt as u32, ..Position::default() };
        let at = copy(&one, &mut two, of, at, 60);
        let wrong = shardkv::Install { at: at.clone(), ..wrong };
        let refused = TransferReply::Refused(TransferRefusal::Unequal);
        assert_eq!(two.transfer(command::install(&wrong)), refused);
        assert_eq!(two.phase(S), Some(Phase::Arriving), "it is not served");
        // What was sent for the attempt before is of no use any more.
        let right = shardkv::Install { at, ..install.clone() };
        let begun = Position { attempt: attempt as u32 + 1, ..Position::default() };
        assert_eq!(two.transfer(command::install(&right)), TransferReply::At(begun.clone()));
        if attempt == 3 {
            let at = copy(&one, &mut two, of, begun, 60);
            let right = one.next(of, &at, 60).expect_err("nothing more");
            assert_eq!(two.transfer(command::install(&right)), TransferReply::Installed);
        }
    }
}

#[test]
fn what_a_malformed_chunk_leaves_behind_is_not_installed() {
    let (mut one, mut two, _, of, _) = filled();
    let mut stray = kv::Store::new(kv::StoreConfig::default());
    let put = kv::Op::Put { key: b"stray", value: b"v" };
    let session = stray.apply_at(LogIndex(1), &kv::command::open_session(0, 1_000));
    let session = kv::command::SessionId(session.expect("opened").index);
    let ticket = Ticket { session, seq: 1, acked: 1 };
    stray.apply_at(LogIndex(2), &kv::command::write(0, ticket, put)).expect("done");
    let (mut piece, _) = stray.export(&kv::Cursor::Start, 1);
    piece.extend([1, 0, 0, 0, 0xff]);
    let begun = Position::default();
    let next = Position { cursor: kv::Cursor::Key(b"z".to_vec()), ..begun.clone() };
    let malformed = shardkv::Chunk::new(of, begun.clone(), next, piece);
    let refused = |refusal| TransferReply::Refused(refusal);
    assert_eq!(two.transfer(command::stage(&malformed)), refused(TransferRefusal::Corrupt));
    // The copy is where it was, and one key too large.
    one.apply(command::freeze(of));
    let at = copy(&one, &mut two, of, begun, 60);
    let install = one.next(of, &at, 60).expect_err("nothing more");
    assert_eq!(two.transfer(command::install(&install)), refused(TransferRefusal::Unequal));
    let anew = Position { attempt: 1, ..Position::default() };
    let at = copy(&one, &mut two, of, anew, 60);
    let install = one.next(of, &at, 60).expect_err("nothing more");
    assert_eq!(two.transfer(command::install(&install)), TransferReply::Installed);
}

#[test]
fn an_install_is_of_a_whole_copy_and_happens_once() {
    let (mut one, mut two, history, of, last) = filled();
    let first = one.next(of, &Position::default(), 60).expect("a chunk");
    two.transfer(command::stage(&first));
    one.apply(command::freeze(of));
    let early = one.next(of, &copy_of_nothing(&one, of), 60).expect_err("all");
    let early = shardkv::Install { at: first.next.clone(), ..early };
    assert_eq!(two.transfer(command::install(&early)), TransferReply::At(first.next.clone()));
    let at = copy(&one, &mut two, of, first.next.clone(), 60);
    let install = one.next(of, &at, 60).expect_err("nothing more");
    assert_eq!(two.transfer(command::install(&install)), TransferReply::Installed);
    let key = key_of(&history, S, 0);
    done(two.append(S, Ticket { seq: 31, ..last }, &key, "y"));
    let digest = two.store.digest();
    // Doubled, and a chunk that is late.
    assert_eq!(two.transfer(command::install(&install)), TransferReply::Installed);
    assert_eq!(two.transfer(command::stage(&first)), TransferReply::Installed);
    assert_eq!(two.store.digest(), digest, "nothing is lost that was written since");
}

/// Where a copy would be that has everything.
fn copy_of_nothing(one: &Group, of: Move) -> Position {
    let mut at = Position::default();
    while let Ok(chunk) = one.next(of, &at, usize::MAX) {
        at = chunk.next;
    }
    at
}

#[test]
fn freeze_and_delete_are_fenced_and_may_be_repeated() {
    let (mut one, mut two, _, of, _) = filled();
    let wrong = [
        older(of),
        Move::new(CLUSTER, of.number().next(), S, ONE, TWO),
        Move::new(CLUSTER, of.number(), S, ONE, GroupId(3)),
        Move::new(CLUSTER, of.number(), ShardId(1), ONE, TWO),
        Move::new(ClusterId(8), of.number(), S, ONE, TWO),
    ];
    for wrong in wrong {
        let digest = one.store.digest();
        one.apply(command::freeze(wrong));
        one.apply(command::delete(wrong));
        assert_eq!(one.store.digest(), digest);
    }
    one.apply(command::delete(of));
    assert_eq!(one.phase(S), Some(Phase::Leaving), "not before it is frozen");
    carry(&mut one, &mut two, of, 60);
    let digests = (one.store.digest(), two.store.digest());
    for group in [&mut one, &mut two] {
        group.apply(command::freeze(of));
        group.apply(command::delete(of));
    }
    assert_eq!((one.store.digest(), two.store.digest()), digests, "silent when it is over");
}

#[test]
fn configurations_are_adopted_one_by_one_when_all_is_where_it_belongs() {
    let (mut one, mut two, mut history, of, _) = filled();
    let current = of.number();
    let next = history.moved(ShardId(1), TWO).clone();
    let after = history.moved(ShardId(1), ONE).clone();
    let adopt =
        |group: &mut Group, config: &Configuration| match group.apply(command::adopt(config)) {
            Output::Adopted(outcome) => outcome,
            other => panic!("{other:?}"),
        };
    let digest = one.store.digest();
    assert_eq!(adopt(&mut one, &history.0[current.0 as usize].clone()), Ok(current), "again");
    assert_eq!(adopt(&mut one, &after), Err(AdoptRefusal::NotNext { current }));
    assert_eq!(adopt(&mut one, &history.0[1].clone()), Err(AdoptRefusal::NotNext { current }));
    assert_eq!(adopt(&mut one, &next), Err(AdoptRefusal::Unsettled));
    assert_eq!(adopt(&mut two, &next), Err(AdoptRefusal::Unsettled));
    let four = ShardCount::new(4).expect("a number of shards");
    let five = ShardCount::new(5).expect("a number of shards");
    for foreign in [(ClusterId(8), four), (CLUSTER, five)] {
        let foreign = Configuration::empty(foreign.0, foreign.1);
        assert_eq!(adopt(&mut one, &foreign), Err(AdoptRefusal::WrongCluster));
    }
    assert_eq!(one.store.digest(), digest);
    carry(&mut one, &mut two, of, 60);
    assert_eq!(adopt(&mut one, &next), Ok(next.number()));
    assert_eq!(adopt(&mut two, &next), Ok(next.number()));
    assert_eq!(one.phase(ShardId(1)), Some(Phase::Leaving));
}

#[test]
fn a_group_begins_where_it_has_nothing() {
    let mut history = History::default();
    history.join(ONE);
    history.join(TWO);
    history.leave(ONE);
    let empty = history.leave(TWO).clone();
    let mut late = Group::new(TWO);
    let adopt = |group: &mut Group, config: &Configuration| group.apply(command::adopt(config));
    let refused = Output::Adopted(Err(AdoptRefusal::NotFromHere));
    assert_eq!(adopt(&mut late, &history.0[2]), refused, "it owns shards there");
    assert_eq!(adopt(&mut late, &empty), refused, "somebody has what nobody owns there");
    late.adopt(&history.0[1]);
    let three = Group::new(GroupId(3));
    let mut three = three;
    three.adopt(&history.0[2]);
    assert!(three.store.shard_states().is_empty() && three.store.is_settled());
}

#[test]
fn what_nobody_owns_stays_with_who_had_it() {
    let (mut one, mut two, mut history, of, last) = filled();
    carry(&mut one, &mut two, of, 60);
    let key = key_of(&history, S, 0);
    let value = two.value(S, &key).expect("there");
    // One leaves and gives its last shard to two; then two leaves.
    let config = history.leave(ONE).clone();
    one.adopt(&config);
    two.adopt(&config);
    carry(&mut one, &mut two, Move::new(CLUSTER, config.number(), ShardId(1), ONE, TWO), 60);
    let config = history.leave(TWO).clone();
    one.adopt(&config);
    two.adopt(&config);
    assert!(two.store.is_settled(), "nothing waits for anybody");
    assert_eq!(two.phase(S), Some(Phase::Frozen));
    assert!(matches!(two.append(S, last, &key, "x"), Output::Elsewhere(it) if it.group.is_none()));
    let config = history.join(ONE).clone();
    one.adopt(&config);
    two.adopt(&config);
    assert_eq!(one.phase(S), Some(Phase::Arriving), "it is not empty");
    assert_eq!(two.phase(S), Some(Phase::Frozen));
    carry(&mut two, &mut one, Move::new(CLUSTER, config.number(), S, TWO, ONE), 60);
    assert_eq!(one.value(S, &key), Some(value));
}
