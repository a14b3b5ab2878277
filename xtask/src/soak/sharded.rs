//! `cargo xtask soak --sharded`: groups that join and leave, shards that move, and leaders that are killed with -9
//! meanwhile, under the two workloads of the other soak.
//!
//! Every step counts only if writes of both workloads were acknowledged before it and after it. At the end the
//! exports are the inputs, every acknowledged token is there once, the replicas of each group have the same digest,
//! and groups without shards have no keys; and all of it again after a cold restart.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Options;
use super::cluster::{Cluster, eventually};
use super::data::Data;
use super::faults::seconds;
use super::import::{Imports, Slot};
use super::layout::Layout;
use super::random::Random;
use super::tokens::Appender;
use super::view::{Group, View};
use super::{check, load};

/// The groups that own shards, when they have joined.
const GROUPS: [u64; 3] = [1, 2, 3];
const CONTROLLER: u64 = 0;
/// What must be acknowledged between two steps.
const APPENDED_MIN: u64 = 20;
/// An acknowledgement that comes so soon after a leader's end was on its way.
const GRACE: Duration = Duration::from_millis(100);

/// What is done to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Join(u64),
    Leave(u64),
    Move,
    /// -9 to the node that leads the group; it is started again.
    Kill(u64),
}

/// Where each run begins. Changes are not waited for: the kills come while shards move.
const FIRST: [Step; 9] = [
    Step::Join(2),
    Step::Kill(1),
    Step::Join(3),
    Step::Kill(3),
    Step::Leave(1),
    Step::Kill(1),
    Step::Kill(CONTROLLER),
    Step::Move,
    Step::Join(1),
];

/// A run that is under way.
struct Sharded {
    // In the order in which they are to end.
    appender: Appender,
    imports: Imports,
    cluster: Cluster,
    dir: PathBuf,
    random: Random,
    begun: Instant,
    changes: u64,
    kills: Vec<Duration>,
}

/// Whether everything held; the line that sums up.
pub(super) fn run(dir: &Path, programs: &Path, options: Options) -> Result<String, String> {
    let mut soak = Sharded::start(dir, programs, options)?;
    for step in FIRST {
        soak.step(step)?;
    }
    while soak.begun.elapsed() < Duration::from_secs(60 * options.minutes) {
        let step = soak.random_step()?;
        soak.step(step)?;
    }
    soak.end()
}

impl Sharded {
    fn start(dir: &Path, programs: &Path, options: Options) -> Result<Self, String> {
        let (begun, seed) = (Instant::now(), options.seed);
        let program = programs.join("shardkv");
        let mut cluster = Cluster::new(dir, program, Layout::Sharded, options.transport)?;
        (0..cluster.count()).try_for_each(|node| cluster.start(node))?;
        eventually("every group has a leader", || {
            let view = cluster.view()?;
            let led = view.groups.values().filter(|group| group.leader.is_some());
            Ok((led.count() == GROUPS.len() + 1).then_some(()))
        })?;
        change(&cluster, &["join", "1", "--wait=30s"])?;
        let data = Data::load()?;
        println!(
            "{:7.1} s  six nodes run, and group 1 has all shards; importing the {} lines of {}",
            begun.elapsed().as_secs_f64(),
            data.lines.len(),
            data.from
        );
        let (imports, appender) = load::start(&cluster, data, dir, programs, seed)?;
        let (dir, random) = (dir.to_owned(), Random::new(seed));
        Ok(Self { appender, imports, cluster, dir, random, begun, changes: 0, kills: Vec::new() })
    }

    fn tell(&self, what: &str) {
        println!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// A step that makes sense as things are.
    fn random_step(&mut self) -> Result<Step, String> {
        let joined = self.cluster.view()?.joined();
        let away: Vec<u64> = GROUPS.into_iter().filter(|group| !joined.contains(group)).collect();
        let pick =
            |from: &[u64], random: &mut Random| from[random.below(from.len() as u64) as usize];
        Ok(match self.random.below(5) {
            0 if !away.is_empty() => Step::Join(pick(&away, &mut self.random)),
            1 if joined.len() > 1 => Step::Leave(pick(&joined, &mut self.random)),
            2 if joined.len() > 1 => Step::Move,
            _ => Step::Kill(self.random.below(GROUPS.len() as u64 + 1)),
        })
    }

    fn step(&mut self, step: Step) -> Result<(), String> {
        self.writes_go_on()?;
        match step {
            Step::Join(group) => self.change(&["join", &group.to_string()])?,
            Step::Leave(group) => self.change(&["leave", &group.to_string()])?,
            Step::Move => {
                let joined = self.cluster.view()?.joined();
                let to = joined[self.random.below(joined.len() as u64) as usize].to_string();
                let shard = self.random.below(16).to_string();
                self.change(&["move", &shard, "--to", &to])?;
            }
            Step::Kill(group) => self.kill_leader(group)?,
        }
        self.writes_go_on()
    }

    fn change(&mut self, words: &[&str]) -> Result<(), String> {
        let said = change(&self.cluster, words)?;
        self.changes += 1;
        self.tell(&format!("{}: {}", words.join(" "), said.lines().next().unwrap_or_default()));
        Ok(())
    }

    fn kill_leader(&mut self, group: u64) -> Result<(), String> {
        let leader = eventually("the group has a leader", || {
            let view = self.cluster.view()?;
            Ok(view.groups.get(&group).and_then(|group| group.leader))
        })?;
        let (node, at) = (leader as usize - 1, Instant::now());
        let moving = if self.cluster.view()?.is_settled { "" } else { ", while shards move" };
        self.cluster.kill(node)?;
        let downtime = self.appender.downtime(at, GRACE)?;
        self.kills.push(downtime);
        self.tell(&format!(
            "killed node {leader}, which led group {group}{moving}; {} until the next acknowledged append",
            seconds(downtime)
        ));
        self.cluster.start(node)?;
        eventually("a node that was killed answers again", || {
            self.cluster.all_run()?;
            let view = self.cluster.view()?;
            let replicas = |group: &Group| group.replicas.len() == 3;
            Ok(view.groups.values().all(replicas).then_some(()))
        })
    }

    /// Both workloads have writes acknowledged from here on.
    fn writes_go_on(&self) -> Result<(), String> {
        let (appends, imported) = (self.appender.told().acks(), self.applied()?);
        eventually("writes are acknowledged", || {
            if self.imports.have_ended() {
                return Err("the imports have ended".to_owned());
            }
            let new = self.appender.told().acks() - appends;
            let applied = self.applied()?.saturating_sub(imported);
            Ok((new >= APPENDED_MIN && applied > new).then_some(()))
        })
    }

    /// Entries of all groups together, as far as nodes answer.
    fn applied(&self) -> Result<u64, String> {
        let view = self.cluster.view()?;
        let furthest =
            |group: &Group| group.replicas.iter().map(|row| row.applied).max().unwrap_or(0);
        Ok(view.groups.values().map(furthest).sum())
    }

    fn end(mut self) -> Result<String, String> {
        let slots = self.imports.finish()?;
        self.appender.finish()?;
        self.tell("the import and the appender have ended; no more faults");
        self.same_states()?;
        let unknown_done = self.contents(&slots)?;
        self.cluster.stop_all()?;
        let nodes = 0..self.cluster.count();
        nodes.clone().try_for_each(|node| self.cluster.sound_log(node))?;
        nodes.clone().try_for_each(|node| self.cluster.start(node))?;
        self.tell("stopped all nodes, their logs are sound, and started them again");
        self.same_states()?;
        self.contents(&slots)?;
        let (told, slowest) = (self.appender.told(), self.kills.iter().max());
        Ok(format!(
            "soak of shards: {:.0} s; {} records in {} imports; {} appends acknowledged, {} unknown \
             ({unknown_done} done); {} changes; {} leaders killed (longest downtime {}); 0 violations",
            self.begun.elapsed().as_secs_f64(),
            self.imports.records(),
            self.imports.rounds(),
            told.acks(),
            told.unknown(),
            self.changes,
            self.kills.len(),
            seconds(slowest.copied().unwrap_or_default())
        ))
    }

    /// No shard is on its way, the replicas of each group are equal, and who owns nothing has nothing.
    fn same_states(&mut self) -> Result<(), String> {
        let mut last = View::default();
        let same = eventually("all replicas have the same state", || {
            self.cluster.all_run()?;
            last = self.cluster.view()?;
            let same = last.is_settled && last.groups.values().all(is_at_rest);
            Ok(same.then_some(()))
        });
        same.map_err(|error| format!("{error}; they say {last:?}"))?;
        let keys = |group: &u64| last.groups[group].replicas[0].keys.to_string();
        let keys: Vec<_> = GROUPS.iter().map(keys).collect();
        self.tell(&format!(
            "equal states in all groups; keys of groups 1 to 3: {}",
            keys.join(", ")
        ));
        Ok(())
    }

    fn contents(&self, slots: &[Slot]) -> Result<u64, String> {
        let (line, unknown_done) =
            check::contents(&self.cluster, &self.dir, slots, &self.appender.told())?;
        self.tell(&line);
        Ok(unknown_done)
    }
}

/// Whether the replicas have applied all of their logs and are equal, and have nothing if the group owns nothing.
/// Nodes that have just started are equal, too, before they know what is committed.
fn is_at_rest(group: &Group) -> bool {
    let Some((first, rest)) = group.replicas.split_first() else { return false };
    let equal = rest.iter().all(|row| {
        (row.applied, row.keys, &row.digest) == (first.applied, first.keys, &first.digest)
    });
    let applied = group.replicas.iter().all(|row| row.applied == row.last);
    rest.len() == 2
        && group.leader.is_some()
        && equal
        && applied
        && (group.joined || first.keys == 0)
}

/// `shardkv shard WORDS`; what it printed.
fn change(cluster: &Cluster, words: &[&str]) -> Result<String, String> {
    let output = cluster.client(&[&["shard"], words].concat()).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!(
            "`shardkv shard {}` ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
