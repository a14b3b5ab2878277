//! Bytes from outside: any of them, without a panic.

mod common;

use bytes::Bytes;
use common::log::{HOUR, Log, restore, snapshot};
use common::{join, move_shard, rebalance, set_servers, weighing};
use kv::CommandError;
use kv::command::{SessionId, Ticket};
use proptest::prelude::*;
use raft_core::{ClusterId, LogIndex};
use shardctrler::{ConfigNumber, Limits, Settings, ShardCount, command};

/// Commands of every kind.
fn commands() -> Vec<Bytes> {
    let ticket = |seq| Ticket { session: SessionId(LogIndex(2)), seq, acked: 1 };
    let settings = Settings::new(ClusterId(1), ShardCount::default());
    let changes = [
        join([1, 2, 3]),
        weighing(4, 7),
        move_shard(3, 1),
        set_servers(1, &["a", "b"]),
        rebalance([(1, 3)]),
        common::leave([2]),
    ];
    let changes = changes.iter().enumerate();
    [command::found(1, &settings), command::open_session(2, HOUR)]
        .into_iter()
        .chain(changes.map(|(n, change)| command::change(3, ticket(n as u64 + 1), change)))
        .collect()
}

fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let one = (0..commands().len(), any::<proptest::sample::Index>(), any::<u8>(), any::<bool>());
    one.prop_map(|(which, at, byte, cut)| {
        let mut bytes = commands()[which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        bytes
    })
}

#[test]
fn a_command_ends_where_it_ends() {
    for good in commands() {
        assert!(command::read(&good).is_ok());
        for cut in 0..good.len() {
            assert!(command::read(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(command::read(&[&good[..], b"\0"].concat()).is_err(), "longer");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn any_command_has_its_turn(
        data in prop_oneof![mangled(), proptest::collection::vec(any::<u8>(), 0..60)],
    ) {
        let mut log = Log::new(10, Limits::default());
        for good in &commands()[1..4] {
            log.apply(good.clone()).expect("a turn");
        }
        let before = log.newest().number();
        let read = command::read(&data);
        let output = log.apply(data.into());
        prop_assert_eq!(read.is_err(), output == Err(CommandError::Malformed));
        let after = log.newest();
        prop_assert!(after.number() == before || after.number() == before.next());
        common::reference::check(&after).map_err(TestCaseError::fail)?;
        prop_assert!(log.controller.configuration(ConfigNumber(0)).is_ok());
        let bytes = snapshot(&log.controller, 1 << 20);
        prop_assert!(restore(&bytes, 50).is_ok());
    }

    #[test]
    fn any_bytes_are_a_snapshot_or_none(
        at in any::<proptest::sample::Index>(),
        with in proptest::collection::vec(any::<u8>(), 0..20),
        cut in any::<bool>(),
    ) {
        let mut log = Log::new(10, Limits::default());
        for good in &commands()[1..] {
            log.apply(good.clone()).expect("a turn");
        }
        let mut bytes = snapshot(&log.controller, 1 << 20);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        }
        bytes.splice(at.min(bytes.len())..(at + with.len()).min(bytes.len()), with);
        if let Ok(restored) = restore(&bytes, 64) {
            prop_assert_eq!(restored.digest(), log.controller.digest());
        }
    }
}
