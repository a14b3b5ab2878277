//! Whose a data directory is, before anything else: the node's that it was made for, or that of a node that the settings
//! or the cluster name now.

use std::path::PathBuf;
use std::sync::Arc;

use raft_core::{ClusterId, GroupId, Incarnation, Membership, NodeId, Storage, StorageError};
use raft_storage::{DirectoryOrigin, FileDisk, Identity, Wal, WalOptions, read_identity};
use raft_transport::Subject;

use super::book::{AddressBook, Contents};
use super::holds::{Held, Hold, Holds};
use super::joining::{ask_for_number, joining, look_for_earlier_life};
use super::protocol::{Joined, WireMode};
use super::setup::listed;
use crate::client::entropy;
use crate::config::{Config, Mode, PLAIN};
use crate::exit::{Done, Exit, Failure};
use crate::units::Size;
use crate::wire::Wire;

/// A data directory that is open, with the settings that it completes.
pub(super) struct Opened {
    pub(super) config: Config,
    pub(super) identity: Identity,
    pub(super) wal: Arc<Wal>,
    pub(super) book: Arc<AddressBook>,
    pub(super) holds: Holds,
}

pub(super) async fn open(mut config: Config, wire: &Wire) -> Result<Opened, Failure> {
    let dir = config.data_dir.value.clone();
    let unusable = |error: StorageError| {
        Failure::refused(format!("cannot use the data directory {}: {error}", dir.display()))
    };
    let found = existing(&dir).await.map_err(unusable)?;
    let life = Incarnation(entropy());
    let mut joined = None;
    match (&found, config.contact()) {
        (Some(found), _) => config.complete(found.cluster.0, found.node.0),
        (None, Some(contact)) => {
            let named = named_by_certificate(wire);
            check_certificate(&config, named)?;
            let asked = joining(&config, named, life);
            let answer = ask_for_number(&wire.caller(), &contact, asked).await?;
            check_joined(&config, &answer)?;
            config.complete(answer.cluster, answer.node);
            joined = Some(answer);
        }
        (None, None) => look_for_earlier_life(&config, &wire.caller(), &dir).await?,
    }
    let wanted = Identity {
        cluster: ClusterId(config.cluster_id.value),
        node: NodeId(config.node_id.value),
        incarnation: life,
    };
    let disk = FileDisk::new(&dir).map_err(|error| unusable(error.into()))?;
    let holds = Holds::open(&dir)?;
    if found.is_none() {
        // Before the directory has its identity: whoever finds that finds these as well.
        begin_holds(&config, &holds, joined.as_ref())?;
    }
    config.complete_mode(&holds.all());
    let wal = Wal::open(Arc::new(disk), wanted, WalOptions::default()).await.map_err(unusable)?;
    let (identity, origin) = (wal.identity(), wal.origin());
    if origin == DirectoryOrigin::Created {
        tracing::info!(dir = %dir.display(), node = identity.node.0, "made a new data directory");
    }
    let path = dir.join("book");
    let book = AddressBook::open(path, identity.node, identity.incarnation, origin, entropy())?;
    check_groups(&config, &holds, &wal.groups().await.map_err(unusable)?)?;
    make_holds(&config, &holds, &wal.groups().await.map_err(unusable)?, &book)?;
    if let Some(joined) = joined {
        book.merge(&Contents::from(joined.book));
    }
    for (id, at) in &config.peers.value.0 {
        book.hint(NodeId(*id), at.address());
    }
    for (group, nodes) in config.made_groups() {
        book.place(group, 0, &Membership::of_voters(nodes));
    }
    match holds.is_removed() {
        true => Err(removed(identity.node)),
        false => Ok(Opened { config, identity, wal: Arc::new(wal), book: Arc::new(book), holds }),
    }
}

/// The identity of the directory, if it has one.
async fn existing(dir: &PathBuf) -> Result<Option<Identity>, StorageError> {
    match dir.is_dir() {
        true => read_identity(&FileDisk::inline(dir)?).await,
        false => Ok(None),
    }
}

fn named_by_certificate(wire: &Wire) -> Option<NodeId> {
    match wire.subject()? {
        Subject::Node { node, .. } => Some(node),
        _ => None,
    }
}

fn check_certificate(config: &Config, named: Option<NodeId>) -> Done {
    let own = config.node_id.value;
    match named {
        Some(NodeId(node)) if own != 0 && own != node => Err(Failure::refused(format!(
            "the certificate is of node {node}, and this is node {own}"
        ))
        .hint("leave --node-id out: the certificate says it")),
        _ => Ok(()),
    }
}

/// What all nodes must have alike.
fn check_joined(config: &Config, joined: &Joined) -> Done {
    for (name, ours, theirs) in [
        ("key_bytes_max", config.key_bytes_max.value, Size(joined.key_bytes_max)),
        ("value_bytes_max", config.value_bytes_max.value, Size(joined.value_bytes_max)),
    ] {
        if ours != theirs {
            return Err(Failure::usage(format!(
                "{name} is {theirs} in the cluster, and {ours} here"
            ))
            .hint(format!("start this node with --{} {theirs}", name.replace('_', "-"))));
        }
    }
    Ok(())
}

/// The groups of a new node: those that it wants to be in, or those that are made with it. What the directory remembers
/// stays: it may have lost its identity and nothing else, and members that are other ones than a group was made with would
/// elect another leader.
fn begin_holds(config: &Config, holds: &Holds, joined: Option<&Joined>) -> Done {
    let id = NodeId(config.node_id.value);
    let begin = |group, hold| match holds.get(group) {
        Some(_) => Ok(()),
        None => holds.set(group, hold),
    };
    if let Some(joined) = joined {
        let there: Vec<GroupId> = joined.groups.iter().copied().map(GroupId).collect();
        let wanted = &config.join_groups.value;
        match joined.kind {
            WireMode::Plain if wanted.is_none() => begin(PLAIN, Hold::Spare)?,
            WireMode::Plain => begin(PLAIN, Hold::Wanted)?,
            WireMode::Sharded => {
                for group in wanted.among(&there)? {
                    begin(group, Hold::Wanted)?;
                }
            }
        }
    }
    for (group, nodes) in config.made_groups() {
        if nodes.contains(&id) {
            begin(group, Hold::Made(nodes))?;
        }
    }
    Ok(())
}

/// A replica that is not started would be missing in its group, and its log would grow old here.
fn check_groups(config: &Config, holds: &Holds, found: &[GroupId]) -> Done {
    let id = NodeId(config.node_id.value);
    let held = holds.all();
    let is_plain = config.mode.value == Mode::Plain;
    let made = config.made_groups();
    let given: Vec<GroupId> =
        made.iter().filter(|(_, nodes)| nodes.contains(&id)).map(|(group, _)| *group).collect();
    // One that a leader gave the node, or took from it, is not in the settings.
    let by_leader =
        |group: &GroupId| held.get(group).is_some_and(|hold| !matches!(hold, Hold::Made(_)));
    let foreign = |group: &&GroupId| (**group == PLAIN) != is_plain;
    let strange = |group: &&GroupId| !given.contains(group) && !by_leader(group);
    let joins = config.contact().is_some();
    let strange = held.keys().chain(found).find(foreign).or_else(|| {
        // What a node that joins has is what it remembers.
        found.iter().find(strange).filter(|_| !joins)
    });
    match strange {
        Some(strange) => Err(strange_group(config, *strange, &given)),
        None => same_nodes(config, &held),
    }
}

/// Who was there when a group was made cannot be changed by the settings.
fn same_nodes(config: &Config, held: &Held) -> Done {
    if config.mode.value == Mode::Plain {
        return Ok(());
    }
    let made = config.made_groups();
    for (group, hold) in held {
        let (Hold::Made(then), Some(now)) = (hold, made.get(group)) else { continue };
        if then != now {
            return Err(Failure::refused(format!(
                "group {} was made with the nodes {}, and `groups` says {}",
                group.0,
                listed(then.iter().map(|node| node.0)),
                listed(now.iter().map(|node| node.0))
            ))
            .hint(
                "give the group the nodes in `groups` that it was made with; `shardkv member` changes its \
                 members",
            ));
        }
    }
    Ok(())
}

fn strange_group(config: &Config, strange: GroupId, given: &[GroupId]) -> Failure {
    let dir = config.data_dir.value.display();
    match (config.mode.value, strange == PLAIN) {
        (Mode::Plain, _) => {
            Failure::refused(format!("{dir} is of a node of a sharded cluster, not of a plain one"))
                .hint("start it with mode = \"sharded\"")
        }
        (Mode::Sharded, true) => {
            Failure::refused(format!("{dir} is of a node of a plain cluster, not of a sharded one"))
                .hint("start it with mode = \"plain\"")
        }
        (Mode::Sharded, false) => Failure::refused(format!(
            "{dir} has a replica of group {}, and `groups` gives node {} only {}",
            strange.0,
            config.node_id.value,
            listed(given.iter().map(|group| group.0))
        ))
        .hint("a node keeps its groups: list it in `groups` where it was, or give it its own directory"),
    }
}

/// Remembers the groups that are made with this node later: those that the settings name, and nothing that follows from
/// their silence, for a node that a leader gave its groups has none in its settings.
fn make_holds(config: &Config, holds: &Holds, found: &[GroupId], book: &AddressBook) -> Done {
    let id = NodeId(config.node_id.value);
    for (group, nodes) in config.made_groups() {
        let is_named = !config.groups.value.0.is_empty() || found.contains(&group);
        if !nodes.contains(&id) || holds.get(group).is_some() || !is_named {
            continue;
        }
        if !found.contains(&group) && book.has_members(group) {
            return Err(Failure::refused(format!(
                "`groups` makes group {} with node {}, and that group exists",
                group.0, id.0
            ))
            .hint("`shardkv member add` makes the node a member of it"));
        }
        holds.set(group, Hold::Made(nodes))?;
    }
    Ok(())
}

/// A node that is a member of nothing any more.
pub(super) fn removed(node: NodeId) -> Failure {
    Failure::new(
        Exit::Removed,
        format!("node {} was removed from its cluster, and stops; its data is kept", node.0),
    )
    .hint("to come back it joins anew: `shardkv server --join ADDRESS`, with an empty --data-dir")
}
