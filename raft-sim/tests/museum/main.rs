//! The museum: bugs that other systems had, and faults of every class, kept as tests.
//!
//! `m` and a number is a bug of another system, `c` and a number an item of the fault catalogue. The tables say which
//! test keeps which; a name without a path is of this directory, and `*` stands for the rest of a name. What is not
//! about the core, the storage or the key/value service is not here.
//!
//! # Bugs of other systems
//!
//! | | what | kept by |
//! |---|---|---|
//! | 1 | a vote is forgotten | `election::m01_*` |
//! | 2 | stepping down clears the vote | `election::m02_*` |
//! | 3 | votes of an earlier term count | `election::m03_*` |
//! | 4 | late pre-votes count, a refusal brings no term | `election::m04_*` |
//! | 5 | no stable leader when links are missing | `election::m05_*` |
//! | 6 | commit without a quorum | `log::m06_*` |
//! | 7 | a matching suffix is truncated | `log::m07_*` |
//! | 8 | acknowledgements of a discarded log count | `log::m08_*` |
//! | 9 | a leader counts itself before its disk has it | `log::m09_*` |
//! | 10 | snapshots that do not come, come twice, or conflict | `snapshot::m10_*` |
//! | 11 | a change before the first commit of the term | `raft-core/tests/golden/change_is_refused` |
//! | 12 | the joint membership is left too early, or never | `raft-core/tests/golden/joint_is_finished_by_the_next_leader` |
//! | 13 | a membership outlives its entry | `raft-core/tests/golden/change_is_rolled_back` |
//! | 14 | snapshots with another membership, or none | `raft-core/tests/golden/snapshot_brings_the_membership`, `raft-core/tests/random_members.rs::members_change_*` |
//! | 15 | writes lost by a change; a wiped node votes again | `raft-core/tests/random_members.rs::members_change_*`, `raft-core/tests/golden/newcomer_has_no_vote` |
//! | 16 | a learner does not vote | `election::m16_*` |
//! | 17 | stale reads after a pause, or by a wrong quorum | `reads::m17_*` |
//! | 18 | an old leader acts on its timers | `sessions::m18_*` |
//! | 19 | an entry is applied twice after a crash | `snapshot::m19_*` |
//! | 20 | a failed sync is tried again | `disk::m20_*` |
//! | 21 | the length is durable and the data are not | `store::m21_*` |
//! | 22 | a rotten tail is cut | `store::m22_*` |
//! | 23 | a write in doubt is repeated as a new one | `sessions::m23_*` |
//! | 24 | locks without fencing | not yet: there are no locks |
//! | 25 | full disks | `disk::m25_*` |
//! | 26 | reads that rest on a clock | `reads::m26_*` |
//!
//! # The network, as nodes see it
//!
//! | | what | kept by |
//! |---|---|---|
//! | 1–4 | loss, delay, disorder, duplicates | `raft-sim/tests/swarm_faults.rs::links`, `log::m06_commit_*` |
//! | 5 | late replays | `election::m03_*`, `log::m08_*`, `reads::m17_late_*` |
//! | 6–10 | partitions of all shapes | `raft-sim/tests/swarm_faults.rs::partitions`, `election::m05_*` |
//! | 12 | replies are lost or late | `raft-sim/tests/swarm_faults.rs::filters`, `sessions::m23_*` |
//!
//! # Processes
//!
//! | | what | kept by |
//! |---|---|---|
//! | 26 | a crash at every effect | `crashes::c26_*` |
//! | 27 | kill -9 on real files | `server/tests/cluster.rs::nothing_acknowledged_*`, and `cargo xtask soak` |
//! | 28 | a crash during the recovery | `crashes::c28_*`, `raft-storage/tests/crash.rs::a_power_cut_during_*` |
//! | 29 | all at once | `raft-sim/tests/swarm_faults.rs::outages`, `raft-sim/tests/lab3_persist.rs::persist_*` |
//! | 30 | pauses | `clocks::c30_*`, `clients::c30_*`, `reads::m17_a_leader_that_was_paused_*` |
//! | 31 | a slow node | `clocks::c31_*` |
//! | 32 | no memory | a process that dies is 26; that it dies is up to the allocator |
//! | 33 | a panic in the state machine | `raft-core/tests/node_faults.rs::a_panic_of_the_state_machine_*` |
//! | 35 | a crash in a snapshot or a rotation | `crashes::c26_*`, `raft-storage/tests/spare.rs::a_power_cut_*` |
//! | 36 | a shutdown under load | `load::c36_*`, `raft-core/tests/node_faults.rs::shutdown_answers_*` |
//! | 37 | two processes on a directory | `owners::c37_*`, `server/tests/cluster.rs::a_directory_belongs_*` |
//!
//! # Disks
//!
//! | | what | kept by |
//! |---|---|---|
//! | 38 | the unsynced is lost | `raft-storage/tests/crash.rs::a_power_cut_at_every_*`, `crashes::c26_*` |
//! | 39 | any part of it is | `raft-storage/tests/crash.rs::every_subset_*` |
//! | 40 | a torn record | `raft-storage/tests/crash.rs::a_log_cut_at_every_byte_*`, `store::m22_a_torn_*` |
//! | 41 | a name is lost | `raft-storage/tests/crash.rs::a_power_cut_at_every_*`, `store::m21_*` |
//! | 42 | length without data, data without length | `store::m21_*` |
//! | 43, 44 | rot in the last record, or before it | `store::m22_rot_*` |
//! | 45, 47 | rot in a header or the hard state | `raft-storage/tests/crash.rs::a_flipped_bit_*` |
//! | 46 | rot in a snapshot | `raft-storage/tests/faults.rs::a_damaged_snapshot_*` |
//! | 48, 49 | misdirected writes and reads | `store::c48_*`, `store::c49_*` |
//! | 50–54 | an operation fails, or is done in part | `disk::m20_any_*` |
//! | 55 | no space | `disk::m25_*` |
//! | 56 | no space for another file | `raft-storage/tests/faults.rs::every_failing_operation_*` |
//! | 57 | a truncated file | `directories::c57_*` |
//! | 58 | a missing segment | `directories::c58_*` |
//! | 59 | a missing snapshot | `directories::c59_*` |
//! | 60 | a missing hard state or identity | `directories::c60_*` |
//! | 61 | an empty directory | `server/tests/bad_input.rs::a_node_that_lost_*`, `raft-transport/tests/peers.rs::a_wiped_*` |
//! | 62 | somebody else's, another version's or an old one | `owners::c62_*`, `raft-storage/tests/faults.rs::another_owner_*` |
//! | 63 | slow syncs | `disk::c63_*` |
//! | 64 | syncs that lie | cannot be survived, and is found: `raft-sim/tests/swarm_catches.rs::syncs_that_lie_*` |
//! | 65 | nothing can be written any more | `disk::m20_any_*` |
//! | 66 | files that are left over | `owners::c66_*` |
//! | 67 | names from a clock | there are none |
//!
//! # Clocks
//!
//! | | what | kept by |
//! |---|---|---|
//! | 68 | the clock jumps | `clocks::c68_*`; no code may read the wall clock: `clippy.toml` |
//! | 69 | clocks drift | `clocks::c69_*` |
//! | 70 | ticks after a pause | `clocks::c30_c70_*`, `raft-core/tests/node_faults.rs::a_pause_is_no_burst_*` |
//! | 71 | leases | there are none: `reads::m26_*` |
//! | 72 | timers starve | `clocks::c31_*` |
//! | 73 | the same seed on all nodes | `clocks::c73_*`, `raft-core/tests/golden/election_split_vote_resolves` |
//! | 76–81 | changes of membership, transfers of leadership | not yet: there are none |
//!
//! # Clients
//!
//! | | what | kept by |
//! |---|---|---|
//! | 85 | a repetition elsewhere and later | `raft-sim/tests/kv_cluster.rs::a_ticket_is_good_*`, `shardkv/tests/moves.rs::a_shard_takes_its_sessions_*` |
//! | 86 | numbers in disorder | `sessions::c86_*`, `kv/tests/sessions.rs::requests_may_come_in_any_order` |
//! | 87 | idle clerks | `sessions::c87_*`, `kv/tests/memory.rs::keys_and_idle_sessions_*` for 100,000 |
//! | 88, 89 | values and keys of all sizes and bytes | `clients::c88_c89_*`, `kv/tests/clerk.rs::limits_are_refused_*` |
//! | 90 | calls that are given up | `clients::c90_*`, `kv/tests/clerk.rs::a_dropped_call_*` |
//! | 90 | who does not read | `raft-transport/tests/calls.rs::a_client_that_does_not_read_*` |
//! | 91 | a leader that is not one any more | `clients::c91_*`, `shardkv/tests/sim/clients.rs::a_clerk_waits_for_the_first_group_*` |
//!
//! # Load
//!
//! | | what | kept by |
//! |---|---|---|
//! | 94 | more than it can do | `raft-core/tests/node_bounds.rs::a_full_inbox_is_overloaded_and_recovers` |
//! | 95 | queues of connections | `raft-transport/tests/peers.rs::a_queue_is_*`, `raft-transport/tests/calls.rs::calls_in_flight_*` |
//! | 96 | what is in flight | `raft-core/tests/node_bounds.rs::the_writers_queue_*`, `raft-core/tests/golden/window_bounds_what_is_in_flight` |
//! | 97 | a follower far behind | `load::c97_*` |
//! | 98 | applying is slow | `raft-core/tests/node_bounds.rs::the_appliers_queue_*`, `raft-core/tests/golden/overloaded_leader` |
//! | 99 | large snapshots | by pieces: `raft-core/tests/node_snapshots.rs::the_number_of_transfers_is_bounded`; none of 1 GiB is made |
//! | 100 | a noisy client | `raft-transport/tests/calls.rs::a_server_bounds_*`; shards: not yet |

mod clients;
mod clocks;
mod crashes;
mod directories;
mod disk;
mod election;
mod ledger;
mod load;
mod log;
mod owners;
mod reads;
mod serving;
mod sessions;
mod snapshot;
mod store;
mod support;

/// Every test that the tables name is there.
#[test]
fn the_tables_name_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let here = root.join("raft-sim/tests/museum");
    let rows = include_str!("main.rs").lines().filter(|line| line.starts_with("//! | "));
    let quoted = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let mut names = 0;
    for quoted in quoted.filter(|quoted| quoted.contains("::")) {
        let (file, name) = quoted.split_once("::").expect("it has one");
        let path = match file.contains('/') {
            true => root.join(file),
            false => here.join(file).with_extension("rs"),
        };
        let source =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let named = match name.strip_suffix('*') {
            Some(begin) => format!("fn {begin}"),
            None => format!("fn {name}("),
        };
        assert!(source.contains(&named), "{quoted} is not there");
        names += 1;
    }
    assert!(names > 90, "only {names}");
}
