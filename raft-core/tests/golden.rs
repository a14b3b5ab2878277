//! Golden scripts: one file per behaviour in `tests/golden/`, each of which reads as a trace.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p raft-core --test golden` writes the outputs anew. Judge what has
//! changed: a golden that was only recorded shows nothing.
//!
//! | command | |
//! |---|---|
//! | `cluster nodes=3 [learners=1] [spare=1] [FIELD=N]… [chunk_bytes=4] [apply=manual]` | a new cluster; fields of `Config` |
//! | `boot 2 term=3 [voted=1] log=1.1.2` | a node whose disk holds a log of entries of these terms |
//! | `campaign 1`, `tick 1 2 [n=10]` | |
//! | `beat 1 [n=10]` | ticks, each followed by `stabilize` |
//! | `propose 1 a b`, `read 1 [n=2]` | in one turn; errors are shown |
//! | `deliver [from=1] [to=2] [kind=AppendEntries] [n=1] [last]` | hands over messages in order, or only the last |
//! | `drop …`, `duplicate …` | loses or doubles the messages that `deliver` would hand over |
//! | `partition 1 2 from 3`, `block from=1 to=2`, `heal` | |
//! | `sync 1 [n=1]`, `apply 1`, `snapshot 1` | the disk and the state machine of a node |
//! | `crash 1`, `restart 1` | |
//! | `change 1 voters=1.2.4 [learners=5] [expect=3]` | asks for these members |
//! | `transfer 1 to=2` | asks a leader to hand over |
//! | `join 4` | a node with an empty disk that knows of no group |
//! | `members [1]`, `progress 1` | who belongs to the group, and how far they are |
//! | `stabilize [1 2]` | syncs and delivers (among these nodes) until all is quiet |
//! | `status [1]`, `log 1`, `network`, `state 1` | |
//! | `step KIND to=2 from=1 term=5 …` | a message from nowhere |

#[allow(dead_code, reason = "every test uses a part of it")]
#[path = "common/cluster.rs"]
mod cluster;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;

use bytes::Bytes;
use cluster::{Cluster, GROUP, ShownMembers};
use goldenscript::{ArgumentConsumer, Command, Context};
use raft_core::*;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Runner {
    cluster: Option<Cluster>,
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        if command.name == "cluster" {
            self.cluster = Some(new_cluster(&mut args)?);
        } else {
            let cluster = self.cluster.as_mut().ok_or("no cluster yet")?;
            let said = execute(cluster, &command.name, &mut args)?;
            args.reject_next()?;
            return Ok(said + &cluster.take_trace());
        }
        args.reject_next()?;
        Ok(String::new())
    }
}

fn execute(cluster: &mut Cluster, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
    let mut said = String::new();
    match name {
        "boot" => {
            let node = node(args)?;
            cluster.boot(node, persisted(args)?);
        }
        "campaign" => cluster.campaign(node(args)?),
        "tick" => {
            let count: u64 = key(args, "n")?.unwrap_or(1);
            let nodes = nodes(args, cluster)?;
            for _ in 0..count {
                nodes.iter().for_each(|node| cluster.tick(*node));
            }
        }
        "beat" => {
            let count: u64 = key(args, "n")?.unwrap_or(1);
            let nodes = nodes(args, cluster)?;
            let all = cluster.nodes();
            for _ in 0..count {
                nodes.iter().for_each(|node| cluster.tick(*node));
                cluster.stabilize(&all);
            }
        }
        "propose" => {
            let node = node(args)?;
            let commands: Vec<&str> = std::iter::from_fn(|| args.next_pos()).collect();
            if let Err(error) = cluster.propose(node, &commands) {
                writeln!(said, "refused: {error}")?;
            }
        }
        "read" => {
            let node = node(args)?;
            if let Err(error) = cluster.read(node, key(args, "n")?.unwrap_or(1)) {
                writeln!(said, "refused: {error}")?;
            }
        }
        "change" => {
            let (node, since) = (node(args)?, key(args, "expect")?.map(LogIndex));
            let target = Target { voters: ids(args, "voters")?, learners: ids(args, "learners")? };
            if let Err(error) = cluster.change(node, since, &target) {
                writeln!(said, "refused: {error}")?;
            }
        }
        "transfer" => {
            let (node, to) = (node(args)?, need(args, "to")?);
            if let Err(error) = cluster.transfer(node, to) {
                writeln!(said, "refused: {error}")?;
            }
        }
        "join" => cluster.join(node(args)?),
        "members" => {
            for node in nodes(args, cluster)? {
                let status = cluster.status(node);
                let (members, since) = (ShownMembers(status.membership), status.membership_since);
                write!(said, "{node} {members} since={since}")?;
                if let Some(since) = status.removed {
                    write!(said, " removed={since}")?;
                }
                if let Some(to) = status.handover {
                    write!(said, " handover={to}")?;
                }
                writeln!(said)?;
            }
        }
        "progress" => {
            for member in cluster.raft(node(args)?).progress() {
                let MemberProgress { node, matched, pending_entries, pending_bytes, .. } = member;
                write!(said, "{node} matched={matched} ")?;
                write!(
                    said,
                    "pending={pending_entries}/{pending_bytes}B {:?}",
                    member.replication
                )?;
                match member.catching_up {
                    None => writeln!(said)?,
                    Some(CatchingUp { rounds, is_done }) => {
                        let done = if is_done { "done" } else { "behind" };
                        writeln!(said, " rounds={rounds} {done}")?;
                    }
                }
            }
        }
        "sync" => {
            let count = key(args, "n")?.unwrap_or(usize::MAX);
            nodes(args, cluster)?.into_iter().for_each(|node| cluster.sync(node, count));
        }
        "apply" => cluster.apply(node(args)?),
        "snapshot" => {
            if cluster.snapshot(node(args)?).is_none() {
                writeln!(said, "no snapshot to take")?;
            }
        }
        "crash" => cluster.crash(node(args)?),
        "restart" => cluster.start(node(args)?),
        "partition" => partition(cluster, args)?,
        "block" => {
            cluster.block(need(args, "from")?, need(args, "to")?);
        }
        "heal" => cluster.heal(),
        "stabilize" => {
            let nodes = nodes(args, cluster)?;
            cluster.stabilize(&nodes);
        }
        "deliver" => {
            let envelopes = take_messages(cluster, args)?;
            if envelopes.is_empty() {
                return Err(format!("no such message among {:?}", cluster.network).into());
            }
            envelopes.into_iter().for_each(|envelope| cluster.step(envelope));
        }
        "drop" => writeln!(said, "lost {}", take_messages(cluster, args)?.len())?,
        "duplicate" => {
            for envelope in take_messages(cluster, args)? {
                cluster.network.push_back(envelope.clone());
                cluster.network.push_back(envelope);
            }
        }
        "step" => cluster.step(envelope(args)?),
        "network" => writeln!(said, "{} messages", cluster.network.len())?,
        "state" => writeln!(said, "{}", cluster.commands(node(args)?).join(" "))?,
        "status" => {
            for node in nodes(args, cluster)? {
                let Status { role, term, voted_for, leader, commit, applied, last, .. } =
                    cluster.status(node);
                let named = |node: Option<NodeId>| node.map_or("-".into(), |n| n.to_string());
                let (vote, leader) = (named(voted_for), named(leader));
                let Status { durable, compacted, dropped, .. } = cluster.status(node);
                writeln!(
                    said,
                    "{node} {role:?} {term} vote={vote} leader={leader} log=({compacted}..{last}] \
                     durable={durable} commit={commit} applied={applied} dropped={dropped}"
                )?;
            }
        }
        "log" => {
            let log = &cluster.persisted(node(args)?).log;
            let ids: Vec<String> = log.iter().map(|entry| entry.id.to_string()).collect();
            writeln!(said, "on disk: {}", ids.join(" "))?;
        }
        _ => return Err(format!("no command {name}").into()),
    }
    Ok(said)
}

fn new_cluster(args: &mut ArgumentConsumer<'_>) -> Outcome<Cluster> {
    let voters = key(args, "nodes")?.unwrap_or(3);
    let learners = key(args, "learners")?.unwrap_or(0);
    let spare = key(args, "spare")?.unwrap_or(0);
    let chunk_bytes = key(args, "chunk_bytes")?.unwrap_or(1024);
    let applies_at_once = args.take_key("apply").is_none();
    let mut fields: Vec<(String, u64)> = Vec::new();
    while let Some((field, value)) = args.next_key() {
        fields.push((field.to_owned(), value.parse()?));
    }
    let unknown =
        fields.iter().find(|(field, _)| !set(&mut Config::new(NodeId(1), GROUP), field, 0));
    if let Some((field, _)) = unknown {
        return Err(format!("no field {field}").into());
    }
    let mut cluster = Cluster::with_spare(voters, learners, spare, |config| {
        for (field, value) in &fields {
            set(config, field, *value);
        }
    });
    cluster.chunk_bytes = chunk_bytes;
    cluster.applies_at_once = applies_at_once;
    Ok(cluster)
}

fn set(config: &mut Config, field: &str, value: u64) -> bool {
    match field {
        "election_ticks" => config.election_ticks = value as u32,
        "heartbeat_ticks" => config.heartbeat_ticks = value as u32,
        "append_bytes_max" => config.append_bytes_max = value,
        "window_messages_max" => config.window_messages_max = value as usize,
        "window_bytes_max" => config.window_bytes_max = value,
        "command_bytes_max" => config.command_bytes_max = value,
        "in_flight_bytes_max" => config.in_flight_bytes_max = value,
        "applying_bytes_max" => config.applying_bytes_max = value,
        "reads_max" => config.reads_max = value as usize,
        "trailing_bytes_max" => config.trailing_bytes_max = value,
        // The same for all nodes, unlike the default.
        "seed" => config.seed = value,
        "preferred_leader" => config.preferred_leader = Some(NodeId(value)),
        _ => return false,
    }
    true
}

fn persisted(args: &mut ArgumentConsumer<'_>) -> Outcome<Persisted> {
    let term = Term(key(args, "term")?.unwrap_or(0));
    let voted_for = key(args, "voted")?.map(NodeId);
    let log = entries(args.take_key("log"), LogIndex::ZERO)?;
    let hard_state = HardState { term, voted_for };
    Ok(Persisted { hard_state, log, ..Persisted::default() })
}

/// Entries of these terms (`1.1.2`) after `prev`. Two entries are equal when their terms and indexes are.
fn entries(terms: Option<&str>, prev: LogIndex) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    for (at, term) in terms.unwrap_or_default().split('.').filter(|s| !s.is_empty()).enumerate() {
        let id = LogId::new(Term(term.parse()?), LogIndex(prev.0.wrapping_add(1 + at as u64)));
        entries.push(Entry { id, payload: Payload::Noop });
    }
    Ok(entries)
}

fn partition(cluster: &mut Cluster, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
    let mut sides: Vec<Vec<NodeId>> = vec![Vec::new()];
    while let Some(word) = args.next_pos() {
        match word {
            "from" => sides.push(Vec::new()),
            node => sides.last_mut().expect("a side").push(NodeId(node.parse()?)),
        }
    }
    for from in cluster.nodes() {
        for to in cluster.nodes() {
            if !sides.iter().any(|side| side.contains(&from) && side.contains(&to)) {
                cluster.block(from, to);
            }
        }
    }
    Ok(())
}

fn take_messages(cluster: &mut Cluster, args: &mut ArgumentConsumer<'_>) -> Outcome<Vec<Envelope>> {
    let from = key(args, "from")?.map(NodeId);
    let to = key(args, "to")?.map(NodeId);
    let kind = args.take_key("kind").map(str::to_owned);
    let count = key(args, "n")?.unwrap_or(usize::MAX);
    let only_last = args.next_pos() == Some("last");
    let wanted = |envelope: &Envelope| {
        from.is_none_or(|from| from == envelope.from)
            && to.is_none_or(|to| to == envelope.to)
            && kind.as_ref().is_none_or(|kind| kind == kind_of(&envelope.message))
    };
    let mut positions: Vec<usize> =
        (0..cluster.network.len()).filter(|at| wanted(&cluster.network[*at])).collect();
    if only_last {
        positions = positions.pop().into_iter().collect();
    }
    positions.truncate(count);
    let taken = positions.iter().rev().map(|at| cluster.network.remove(*at).expect("a message"));
    let mut taken: Vec<Envelope> = taken.collect();
    taken.reverse();
    Ok(taken)
}

fn kind_of(message: &Message) -> &'static str {
    match message {
        Message::PreVote(_) => "PreVote",
        Message::PreVoteReply(_) => "PreVoteReply",
        Message::RequestVote(_) => "RequestVote",
        Message::RequestVoteReply(_) => "RequestVoteReply",
        Message::AppendEntries(_) => "AppendEntries",
        Message::AppendEntriesReply(_) => "AppendEntriesReply",
        Message::InstallSnapshot(_) => "InstallSnapshot",
        Message::InstallSnapshotReply(_) => "InstallSnapshotReply",
        Message::TimeoutNow(_) => "TimeoutNow",
        Message::Removed(_) => "Removed",
    }
}

fn envelope(args: &mut ArgumentConsumer<'_>) -> Outcome<Envelope> {
    let kind = args.next_pos().ok_or("which kind?")?;
    let (from, to) = (need(args, "from")?, need(args, "to")?);
    let group = GroupId(key(args, "group")?.unwrap_or(GROUP.0));
    let term = Term(key(args, "term")?.unwrap_or(0));
    let round = Round(key(args, "round")?.unwrap_or(0));
    let message = match kind {
        "PreVote" => {
            let term = Term(key(args, "for")?.unwrap_or(0));
            Message::PreVote(PreVote { term, last: log_id(args, "last")? })
        }
        "PreVoteReply" => {
            let term = Term(key(args, "for")?.unwrap_or(0));
            Message::PreVoteReply(PreVoteReply { term, granted: flag(args, "granted") })
        }
        "RequestVote" => {
            let cause = if flag(args, "transfer") { Cause::Transfer } else { Cause::Timeout };
            Message::RequestVote(RequestVote { last: log_id(args, "last")?, cause })
        }
        "TimeoutNow" => Message::TimeoutNow(TimeoutNow { last: log_id(args, "last")? }),
        "Removed" => {
            let since = LogIndex(key(args, "since")?.unwrap_or(0));
            Message::Removed(Removed { since, round })
        }
        "RequestVoteReply" => {
            Message::RequestVoteReply(RequestVoteReply { granted: flag(args, "granted") })
        }
        "AppendEntries" => {
            let prev = log_id(args, "prev")?;
            let entries = match key(args, "at")? {
                // Out of place, on purpose.
                Some(index) => entries(args.take_key("entries"), LogIndex(index).prev())?,
                None => entries(args.take_key("entries"), prev.index)?,
            };
            let commit = LogIndex(key(args, "commit")?.unwrap_or(0));
            Message::AppendEntries(AppendEntries { prev, entries, commit, round })
        }
        "AppendEntriesReply" => {
            let outcome = match key(args, "accepted")? {
                Some(matched) => AppendOutcome::Accepted { matched: LogIndex(matched) },
                None => {
                    let prev = LogIndex(key(args, "rejected")?.ok_or("accepted or rejected?")?);
                    AppendOutcome::Rejected { prev, hint: log_id(args, "hint")? }
                }
            };
            Message::AppendEntriesReply(AppendEntriesReply { round, outcome })
        }
        "InstallSnapshot" => {
            let last = log_id(args, "last")?;
            let data = args.take_key("data").unwrap_or_default().to_owned();
            let offset = key(args, "offset")?.unwrap_or(0);
            let total = key(args, "total")?.unwrap_or(data.len() as u64);
            let chunk = SnapshotChunk { offset, total, data: Bytes::from(data), checksum: 0 };
            let membership = Membership::of_voters([NodeId(1), NodeId(2), NodeId(3)]);
            let meta = SnapshotMeta { last, membership };
            Message::InstallSnapshot(InstallSnapshot { meta, chunk, round })
        }
        "InstallSnapshotReply" => {
            let last = log_id(args, "last")?;
            let progress = match key(args, "next")? {
                Some(next_offset) => InstallProgress::Receiving { next_offset },
                None => InstallProgress::Installed,
            };
            Message::InstallSnapshotReply(InstallSnapshotReply { round, last, progress })
        }
        _ => return Err(format!("no kind {kind}").into()),
    };
    Ok(Envelope { group, from, to, term, message })
}

fn node(args: &mut ArgumentConsumer<'_>) -> Outcome<NodeId> {
    Ok(NodeId(args.next_pos().ok_or("which node?")?.parse()?))
}

/// The nodes that are named, or all that are up.
fn nodes(args: &mut ArgumentConsumer<'_>, cluster: &Cluster) -> Outcome<Vec<NodeId>> {
    let mut nodes = Vec::new();
    while let Some(node) = args.next_pos() {
        nodes.push(NodeId(node.parse()?));
    }
    if nodes.is_empty() {
        nodes = cluster.nodes().into_iter().filter(|node| cluster.is_up(*node)).collect();
    }
    Ok(nodes)
}

fn key<T: std::str::FromStr>(args: &mut ArgumentConsumer<'_>, name: &str) -> Outcome<Option<T>>
where
    T::Err: Error + 'static,
{
    Ok(args.take_key(name).map(str::parse).transpose()?)
}

/// `1.2.3`: nodes; none when it is not given.
fn ids(args: &mut ArgumentConsumer<'_>, name: &'static str) -> Outcome<BTreeSet<NodeId>> {
    let text = args.take_key(name).unwrap_or_default();
    let ids = text.split('.').filter(|id| !id.is_empty());
    ids.map(|id| Ok(NodeId(id.parse()?))).collect()
}

fn need(args: &mut ArgumentConsumer<'_>, name: &'static str) -> Outcome<NodeId> {
    Ok(NodeId(key(args, name)?.ok_or(name)?))
}

fn flag(args: &mut ArgumentConsumer<'_>, name: &str) -> bool {
    args.next_pos() == Some(name)
}

/// `3@1`: index three, term one. Zero when it is not given.
fn log_id(args: &mut ArgumentConsumer<'_>, name: &'static str) -> Outcome<LogId> {
    let Some(text) = args.take_key(name) else { return Ok(LogId::ZERO) };
    let (index, term) = text.split_once('@').ok_or(name)?;
    Ok(LogId::new(Term(term.parse()?), LogIndex(index.parse()?)))
}

/// One test per script, and one that no script is forgotten.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() -> std::io::Result<()> {
                let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/", stringify!($name));
                goldenscript::run(&mut Runner::default(), path)
            }
        )*

        #[test]
        fn every_script_is_a_test() -> std::io::Result<()> {
            let listed: BTreeSet<&str> = BTreeSet::from([$(stringify!($name)),*]);
            let found = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))?
                .map(|file| Ok(file?.file_name().into_string().expect("a plain name")))
                .collect::<std::io::Result<BTreeSet<String>>>()?;
            assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
            Ok(())
        }
    };
}

scripts! {
    change_is_refused
    change_is_rolled_back
    change_voters_by_joint_consensus
    joint_elects_by_both_majorities
    joint_is_finished_by_the_next_leader
    leader_votes_itself_out
    learner_must_catch_up_before_it_votes
    newcomer_has_no_vote
    one_to_three_and_back
    readded_node_starts_anew
    removed_is_not_said_of_a_member
    removed_node_disturbs_nobody
    snapshot_brings_the_membership
    swap_all_three_at_once
    timeout_now_is_checked
    transfer_catches_up_first
    transfer_is_given_up
    transfer_to_a_follower
    voted_out_follower_may_be_needed
    voted_out_leader_steps_down_in_time
    aba_of_async_writes
    append_waits_for_the_disk
    applies_are_bounded
    bad_messages_are_dropped_and_counted
    candidate_counts_itself_when_durable
    checkquorum_steps_down
    commit_rule_figure_8
    conflict_hint_skips_a_term
    disk_stall_steps_down
    election_split_vote_resolves
    election_three_nodes
    figure_7
    five_nodes_partial_connectivity
    follower_redirects_to_the_leader
    heartbeat_finds_lost_entries
    laggard_behind_compacted_log
    late_message_does_not_truncate
    leader_counts_itself_only_when_durable
    leader_sends_before_its_own_fsync
    leadership_goes_back_to_the_preferred
    learner_gets_the_log_and_has_no_vote
    learner_votes_when_it_is_asked
    lost_reply_is_made_good_by_a_heartbeat
    one_append_per_peer_for_a_batch
    one_node
    one_reply_for_what_one_sync_makes_durable
    one_way_partition_deposes_a_deaf_leader
    overloaded_follower
    overloaded_leader
    peer_that_is_away_holds_no_entries
    prevote_keeps_a_partitioned_node_quiet
    prevote_refusal_brings_the_newer_term
    read_index_waits_for_first_commit
    read_needs_a_quorum_that_answers_after_it
    reads_share_a_round
    reordered_messages_are_asked_for_again
    restart_resumes_from_the_disk_alone
    same_term_step_down_keeps_the_vote
    snapshot_discards_conflicting_log
    snapshot_in_chunks
    snapshot_keeps_matching_suffix
    snapshot_resumes_after_a_break
    snapshot_waits_for_its_own_log
    stale_pre_votes_are_not_counted
    stale_replies_fill_no_window
    stale_vote_replies_are_not_counted
    stalled_disk_does_not_campaign
    sticky_leader_ignores_disruptive_server
    trailing_log_spares_a_snapshot
    truncates_only_what_conflicts
    two_snapshots_in_a_row
    uncommitted_entries_of_a_dead_leader_are_replaced
    vote_waits_for_the_disk
    window_bounds_what_is_in_flight
    who_leads_no_more_keeps_no_entries
}
