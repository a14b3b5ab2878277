//! Snapshots of a group at every step of a move.

mod common;

use common::{CLUSTER, Group, History, ONE, TWO, copy, done, key_of, moving};
use kv::command::Ticket;
use raft_core::{GroupId, RestoreError, StateMachine};
use shardctrler::ShardId;
use shardkv::{Position, Settings, ShardStore, command};

const S: ShardId = ShardId(0);

fn bytes(store: &ShardStore, chunk: usize) -> Vec<u8> {
    let mut source = store.snapshot();
    let mut all = Vec::new();
    while let Some(piece) = source.next_chunk(chunk) {
        all.extend_from_slice(&piece);
    }
    all
}

fn restore(settings: Settings, bytes: &[u8], chunk: usize) -> Result<ShardStore, RestoreError> {
    let mut restoring = ShardStore::new(settings).restore();
    for piece in bytes.chunks(chunk) {
        restoring.push(piece)?;
    }
    restoring.finish()
}

/// A group that is restored is the same, byte for byte, and goes on as the first would.
fn round_trip(group: &Group) -> ShardStore {
    let first = bytes(&group.store, 1 << 20);
    assert_eq!(bytes(&group.store, 7), first, "however it is cut");
    let settings = group.store.settings().clone();
    let again = restore(settings.clone(), &first, 1 << 20).expect("a snapshot");
    assert_eq!(again.digest(), group.store.digest());
    assert_eq!(again.shard_states(), group.store.shard_states());
    assert_eq!(bytes(&again, 1 << 20), first);
    let bytewise = restore(settings, &first, 1).expect("a snapshot");
    assert_eq!(bytewise.digest(), group.store.digest());
    again
}

fn filled() -> (Group, Group, History, shardkv::Move, Ticket) {
    let mut ticket = None;
    let (one, two, history, of) = moving(|one| {
        let session = one.open(S);
        for seq in 1..=20 {
            let key = key_of(&History::default(), S, seq as usize % 7);
            ticket = Some(Ticket { session, seq, acked: 15.min(seq) });
            done(one.append(S, ticket.expect("now"), &key, "x"));
        }
    });
    (one, two, history, of, ticket.expect("some"))
}

#[test]
fn at_every_step_of_a_move() {
    round_trip(&Group::new(ONE));
    let (mut one, mut two, history, of, last) = filled();
    let key = key_of(&history, S, 2);
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    done(one.append(S, Ticket { seq: 21, ..last }, &key, "y"));
    let at = copy(&one, &mut two, of, Position::default(), 60);
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    // What has changed since is not forgotten by a restored replica.
    done(one.append(S, Ticket { seq: 22, ..last }, &key, "z"));
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    one.apply(command::freeze(of));
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    let at = copy(&one, &mut two, of, at, 60);
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    let install = one.next(of, &at, 60).expect_err("nothing more");
    two.transfer(command::install(&install));
    one.apply(command::delete(of));
    (one.store, two.store) = (round_trip(&one), round_trip(&two));
    assert!(two.value(S, &key).expect("there").ends_with("yz"));
}

#[test]
fn of_another_group_or_cluster_it_is_refused() {
    let (one, ..) = filled();
    let all = bytes(&one.store, 1 << 20);
    for wrong in [Settings::new(CLUSTER, TWO), Settings::new(raft_core::ClusterId(8), ONE)] {
        assert!(restore(wrong, &all, 1 << 20).is_err());
    }
    assert!(restore(Settings::new(CLUSTER, GroupId(1)), &all, 1 << 20).is_ok());
}

#[test]
fn cut_or_changed_it_is_refused() {
    let (one, two, ..) = filled();
    for group in [one, two] {
        let all = bytes(&group.store, 1 << 20);
        let settings = group.store.settings();
        for cut in 0..all.len() {
            assert!(restore(settings.clone(), &all[..cut], 1 << 20).is_err(), "cut at {cut}");
        }
        for at in 0..all.len() {
            let mut wrong = all.clone();
            wrong[at] ^= 1;
            assert!(restore(settings.clone(), &wrong, 1 << 20).is_err(), "changed at {at}");
        }
        let longer = [&all[..], &[0]].concat();
        assert!(restore(settings.clone(), &longer, 1 << 20).is_err());
    }
}
