//! What the settings of a node mean for its parts.

use kv::{Limits, StoreConfig};
use raft_core::node::{GroupConfig, StartError};
use raft_core::{GroupId, Membership, NodeId};
use raft_transport::BindError;

use crate::client::entropy;
use crate::config::Config;
use crate::exit::Failure;

/// What a command has besides its keys and values.
const COMMAND_OVERHEAD_BYTES: u64 = 64 << 10;

pub(super) fn store_config(config: &Config) -> StoreConfig {
    let (key, value) = (config.key_bytes_max.value.0, config.value_bytes_max.value.0);
    let mut limits = Limits::default();
    // Within 4 MiB, by `Config::check`.
    limits.key_bytes_max = u32::try_from(key).unwrap_or(limits.key_bytes_max);
    limits.value_bytes_max = u32::try_from(value).unwrap_or(limits.value_bytes_max);
    limits.batch_bytes_max =
        limits.batch_bytes_max.max(limits.key_bytes_max + limits.value_bytes_max);
    let mut store = StoreConfig::default();
    store.limits = limits;
    store
}

pub(super) fn group_config(
    config: &Config,
    id: NodeId,
    group: GroupId,
    initial: Membership,
) -> GroupConfig {
    let preferred = config.preferred_leaders.value.of(group);
    let mut group = GroupConfig::new(id, group, initial);
    group.raft.preferred_leader = preferred;
    group.snapshot_bytes = Some(config.snapshot_after.value.0);
    group.release = |useless| _ = tokio::task::spawn_blocking(move || drop(useless));
    group.raft.election_ticks = config.election_ticks();
    group.raft.heartbeat_ticks = config.heartbeat_ticks();
    group.raft.seed = entropy();
    group.raft.in_flight_bytes_max = config.in_flight_bytes_max.value.0;
    // The largest command is a compare-and-set, which has two values.
    let command = config.key_bytes_max.value.0 + 2 * config.value_bytes_max.value.0;
    let command = command + COMMAND_OVERHEAD_BYTES;
    group.raft.command_bytes_max = group.raft.command_bytes_max.max(command);
    group
}

pub(super) fn not_listening(error: BindError) -> Failure {
    let failure = Failure::refused(error.to_string());
    match error {
        BindError::Listen { .. } => failure.hint(
            "is another process listening there, or the host not one of this machine? --listen \
             gives another address",
        ),
        _ => failure,
    }
}

pub(super) fn not_started(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => Failure::usage(error.to_string()),
        error => Failure::refused(format!("the node does not start: {error}")),
    }
}

/// A row of numbers, as in messages.
pub(crate) fn listed(numbers: impl IntoIterator<Item = u64>) -> String {
    let numbers: Vec<_> = numbers.into_iter().map(|number| number.to_string()).collect();
    numbers.join(", ")
}
