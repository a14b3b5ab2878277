//! A simulated group of real cores: a network that loses, doubles, delays and parts; disks that are slow, stall,
//! and lose what they had not written; proposals, reads, snapshots, and changes of the members. After every event
//! the invariants of `model` hold.

#[path = "../model/mod.rs"]
mod model;

mod members;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bytes::Bytes;
use raft_core::{
    ApplyOp, Cause, Config, Envelope, GroupId, InstallSnapshot, LogIndex, Message, NodeId,
    Persisted, ProposeError, ReadId, Role, SnapshotChunk, SnapshotRequest,
};

pub(crate) use self::members::Members;
use self::model::{Cluster, Output, Snapshot, mix};

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `part` of 1,000.
    fn chance(&mut self, part: u64) -> bool {
        self.below(1000) < part
    }

    /// One of these.
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Units of time in a tick.
const TICK: u64 = 4;
const ELECTION_TICKS: u32 = 5;
/// The longest election timeout.
const TIMEOUT: u64 = 2 * ELECTION_TICKS as u64 * TICK;
const CHUNK: usize = 8;

/// How bad a run is. Each fault is off in a third of the runs. Parts are of 1,000, per unit of time or
/// message; the rest are units of time.
struct Plan {
    loss: u64,
    duplicates: u64,
    delay: u64,
    parting: u64,
    crashes: u64,
    pauses: u64,
    disk: u64,
    stalls: u64,
    proposals: u64,
    reads: u64,
    snapshots: u64,
    applying: u64,
    changes: u64,
    transfers: u64,
    /// Of the crashes of a node that is no member.
    wipes: u64,
}

impl Plan {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            loss: rng.pick(&[0, 20, 200]),
            duplicates: rng.pick(&[0, 20, 100]),
            delay: rng.pick(&[1, 5, 30]),
            parting: rng.pick(&[0, 10, 40]),
            crashes: rng.pick(&[0, 5, 20]),
            pauses: rng.pick(&[0, 2, 8]),
            disk: rng.pick(&[1, 4, 20]),
            stalls: rng.pick(&[0, 3, 10]),
            proposals: rng.pick(&[20, 100, 500]),
            reads: rng.pick(&[0, 50, 200]),
            snapshots: rng.pick(&[0, 10, 50]),
            applying: rng.pick(&[100, 500, 1000]),
            changes: 0,
            transfers: 0,
            wipes: 0,
        }
    }

    fn healed() -> Self {
        Self {
            loss: 0,
            duplicates: 0,
            delay: 2,
            parting: 0,
            crashes: 0,
            pauses: 0,
            disk: 2,
            stalls: 0,
            proposals: 0,
            reads: 0,
            snapshots: 0,
            applying: 1000,
            changes: 0,
            transfers: 0,
            wipes: 0,
        }
    }
}

/// What is of a node and not of its core.
#[derive(Clone, Copy, Default)]
struct Host {
    /// Down, or paused, until then.
    away_until: u64,
    /// When the writes that the disk is at are durable, and how many they are.
    writing: Option<(u64, usize)>,
    stalled_until: u64,
    incarnation: u64,
}

/// What has happened, over all runs: a campaign that met too little of it fails.
#[derive(Default, Debug)]
pub(crate) struct Coverage {
    pub(crate) events: u64,
    pub(crate) elections: u64,
    pub(crate) step_downs_without_quorum: u64,
    pub(crate) step_downs_with_stalled_disk: u64,
    pub(crate) crashes: u64,
    pub(crate) writes_lost: u64,
    pub(crate) commands: u64,
    pub(crate) overloaded: u64,
    pub(crate) reads: u64,
    pub(crate) snapshots_taken: u64,
    pub(crate) snapshots_sent: u64,
    pub(crate) snapshots_installed: u64,
    pub(crate) truncations: u64,
    pub(crate) held_votes: u64,
    pub(crate) changes_begun: u64,
    pub(crate) changes_committed: u64,
    /// Voters that were asked for before they had caught up.
    pub(crate) not_caught_up: u64,
    pub(crate) told_removed: u64,
    pub(crate) wiped: u64,
    pub(crate) transfers: u64,
    pub(crate) refused_in_transfer: u64,
    /// Elections that a leader has asked for.
    pub(crate) handed_over: u64,
}

struct Sim<'a> {
    rng: Rng,
    plan: Plan,
    cluster: Cluster,
    hosts: Vec<Host>,
    now: u64,
    sent: u64,
    /// In flight, by when they arrive.
    network: BTreeMap<(u64, u64), Envelope>,
    /// Directed links that are cut.
    cut: Vec<Vec<bool>>,
    /// Snapshots that are being written: when, by whom, in which life.
    snapshots: Vec<(u64, usize, u64, Snapshot)>,
    /// Reads that wait, and the highest index committed anywhere when they began.
    reads: BTreeMap<(usize, u64, ReadId), LogIndex>,
    coverage: &'a mut Coverage,
}

impl<'a> Sim<'a> {
    fn new(seed: u64, members: Members, coverage: &'a mut Coverage) -> Self {
        let mut rng = Rng(seed);
        let count = rng.pick(members.nodes());
        let mut plan = Plan::draw(&mut rng);
        let initial = members.draw(&mut rng, count, &mut plan);
        let append_bytes_max = rng.pick(&[1, 200, 1 << 20]);
        let window_messages_max = rng.pick(&[1, 2, 256]);
        let window_bytes_max = rng.pick(&[100, 1 << 20]);
        let in_flight_bytes_max = rng.pick(&[600, 2000, 1 << 20]);
        let applying_bytes_max = rng.pick(&[1, 300, 1 << 20]);
        let trailing_bytes_max = rng.pick(&[0, 200, 1000]);
        let heartbeat_ticks = rng.pick(&[1, 2]);
        let cluster =
            Cluster::of_members(vec![Persisted::default(); count], vec![], &initial, |id| {
                let mut config = Config::new(id, GroupId(1));
                config.election_ticks = ELECTION_TICKS;
                config.heartbeat_ticks = heartbeat_ticks;
                config.append_bytes_max = append_bytes_max;
                config.window_messages_max = window_messages_max;
                config.window_bytes_max = window_bytes_max;
                config.command_bytes_max = 64;
                config.in_flight_bytes_max = in_flight_bytes_max;
                config.applying_bytes_max = applying_bytes_max;
                config.trailing_bytes_max = trailing_bytes_max;
                config.reads_max = 20;
                config.seed = seed;
                config
            });
        Self {
            rng,
            plan,
            cluster,
            hosts: vec![Host::default(); count],
            now: 0,
            sent: 0,
            network: BTreeMap::new(),
            cut: vec![vec![false; count]; count],
            snapshots: Vec::new(),
            reads: BTreeMap::new(),
            coverage,
        }
    }

    /// Lets one unit of time pass.
    fn pass(&mut self) {
        self.now += 1;
        while let Some(parcel) = self.network.first_entry()
            && parcel.key().0 <= self.now
        {
            let envelope = parcel.remove();
            let at = envelope.to.0 as usize - 1;
            if self.hosts[at].away_until <= self.now {
                self.cluster.node(at).raft.step(envelope);
                self.settle(at);
            }
        }
        for at in 0..self.hosts.len() {
            if self.hosts[at].away_until <= self.now {
                self.pass_at(at);
            }
        }
        self.finish_snapshots();
        if self.rng.chance(self.plan.parting) {
            self.part();
        }
    }

    fn pass_at(&mut self, at: usize) {
        if (self.now + at as u64).is_multiple_of(TICK) {
            self.cluster.node(at).raft.tick();
            self.settle(at);
        }
        self.turn_disk(at);
        if self.rng.chance(self.plan.applying) && !self.cluster.nodes[at].applies.is_empty() {
            let restores = matches!(self.cluster.nodes[at].applies[0], ApplyOp::Restore(_));
            self.coverage.snapshots_installed += u64::from(restores);
            self.cluster.node(at).apply_oldest();
            let app = self.cluster.nodes[at].app;
            assert_eq!(app.hash, self.cluster.history.hash_at(app.applied), "equal states");
            self.settle(at);
        }
        let leads = self.cluster.nodes[at].raft.status().role == Role::Leader;
        if leads && self.rng.chance(self.plan.proposals) {
            self.propose(at);
        }
        if leads && self.rng.chance(self.plan.reads) {
            self.read(at);
        }
        if leads && self.rng.chance(self.plan.changes) {
            self.change(at);
        }
        if leads && self.rng.chance(self.plan.transfers) {
            self.transfer(at);
        }
        if self.rng.chance(self.plan.snapshots)
            && let Some(snapshot) = self.cluster.nodes[at].take_snapshot()
            && snapshot.meta.last.index.0 > 0
        {
            let due = self.now + self.rng.below(30);
            self.snapshots.push((due, at, self.hosts[at].incarnation, snapshot));
        }
        if self.rng.chance(self.plan.crashes) {
            self.crash(at);
        } else if self.rng.chance(self.plan.pauses) {
            self.hosts[at].away_until = self.now + self.rng.below(5 * TIMEOUT);
        }
    }

    fn turn_disk(&mut self, at: usize) {
        if self.rng.chance(self.plan.stalls) {
            let timeouts = self.rng.pick(&[1, 3, 8]);
            self.hosts[at].stalled_until = self.now + self.rng.below(timeouts * TIMEOUT);
        }
        let host = &mut self.hosts[at];
        if host.stalled_until > self.now {
            return;
        }
        match host.writing {
            None => {
                let queued = self.cluster.nodes[at].disk.queue.len();
                if queued > 0 {
                    host.writing = Some((self.now + self.rng.below(self.plan.disk), queued));
                }
            }
            Some((due, count)) if due <= self.now => {
                host.writing = None;
                if self.rng.chance(500) {
                    self.cluster.node(at).persist_batch(count);
                    self.settle_disk(at);
                } else {
                    for _ in 0..count {
                        self.cluster.node(at).persist_oldest();
                        self.settle_disk(at);
                    }
                }
            }
            Some(_) => {}
        }
    }

    fn settle_disk(&mut self, at: usize) {
        let output = self.cluster.settle(at);
        let is_vote = |envelope: &&Envelope| matches!(&envelope.message, Message::RequestVoteReply(reply) if reply.granted);
        self.coverage.held_votes += output.messages.iter().filter(is_vote).count() as u64;
        self.take(at, output);
    }

    fn settle(&mut self, at: usize) {
        let (role, term, _) = self.cluster.nodes[at].seen;
        let output = self.cluster.settle(at);
        let now = self.cluster.nodes[at].seen;
        if role == Role::Leader && now.0 != Role::Leader && now.1 == term {
            if self.hosts[at].stalled_until > self.now {
                self.coverage.step_downs_with_stalled_disk += 1;
            } else {
                self.coverage.step_downs_without_quorum += 1;
            }
        }
        self.take(at, output);
    }

    fn take(&mut self, at: usize, output: Output) {
        self.coverage.events += 1;
        for envelope in output.messages {
            match &envelope.message {
                Message::Removed(_) => self.coverage.told_removed += 1,
                Message::RequestVote(request) if request.cause == Cause::Transfer => {
                    self.coverage.handed_over += 1;
                }
                _ => {}
            }
            self.send(envelope);
        }
        for request in output.snapshots {
            self.send_chunk(at, &request);
        }
        for ready in output.reads {
            let key = (at, self.hosts[at].incarnation, ready.id);
            let acknowledged = self.reads.remove(&key).expect("confirmed once");
            assert!(ready.index >= acknowledged, "a stale read: {} {acknowledged}", ready.index);
            self.coverage.reads += 1;
        }
    }

    fn send(&mut self, envelope: Envelope) {
        let (from, to) = (envelope.from.0 as usize - 1, envelope.to.0 as usize - 1);
        if self.cut[from][to] || self.rng.chance(self.plan.loss) {
            return;
        }
        let copies = if self.rng.chance(self.plan.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            self.sent += 1;
            // Some arrive very late.
            let late =
                if self.plan.delay > 2 && self.rng.chance(20) { 200 } else { self.plan.delay };
            let due = self.now + 1 + self.rng.below(late);
            self.network.insert((due, self.sent), envelope.clone());
        }
        // Windows of 256 messages, to four peers, and their answers, a few rounds of them.
        assert!(self.network.len() < 50_000, "a storm: every answer makes more messages");
    }

    fn send_chunk(&mut self, at: usize, request: &SnapshotRequest) {
        let durable = &self.cluster.nodes[at].disk.durable;
        let Some(snapshot) = durable.snapshot.as_ref().filter(|s| s.meta == request.meta) else {
            return;
        };
        let (begin, total) = (request.offset as usize, snapshot.data.len());
        if begin > total {
            return;
        }
        let data = snapshot.data.slice(begin..total.min(begin + CHUNK));
        let chunk =
            SnapshotChunk { offset: request.offset, total: total as u64, data, checksum: 0 };
        let install = InstallSnapshot { meta: request.meta.clone(), chunk, round: request.round };
        self.coverage.snapshots_sent += u64::from(begin == 0);
        self.send(Envelope {
            group: request.group,
            from: NodeId(at as u64 + 1),
            to: request.to,
            term: request.term,
            message: Message::InstallSnapshot(install),
        });
    }

    fn propose(&mut self, at: usize) -> Option<LogIndex> {
        let size = self.rng.below(60);
        let mut command = self.now.to_le_bytes().to_vec();
        command.resize(size as usize, at as u8);
        let result = self.cluster.node(at).raft.propose(Bytes::from(command));
        self.settle(at);
        match result {
            Ok(id) => {
                self.coverage.commands += 1;
                Some(id.index)
            }
            Err(ProposeError::Overloaded { .. }) => {
                self.coverage.overloaded += 1;
                None
            }
            Err(ProposeError::TransferInProgress { .. }) => {
                self.coverage.refused_in_transfer += 1;
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn read(&mut self, at: usize) {
        let acknowledged = LogIndex(self.cluster.history.committed.len() as u64);
        if let Ok(id) = self.cluster.node(at).raft.read_index() {
            self.reads.insert((at, self.hosts[at].incarnation, id), acknowledged);
        }
        self.settle(at);
    }

    fn finish_snapshots(&mut self) {
        for (due, at, incarnation, snapshot) in std::mem::take(&mut self.snapshots) {
            if self.hosts[at].incarnation != incarnation {
                continue;
            }
            if due > self.now || self.hosts[at].away_until > self.now {
                self.snapshots.push((due, at, incarnation, snapshot));
                continue;
            }
            self.coverage.snapshots_taken += 1;
            let node = self.cluster.node(at);
            let meta = snapshot.meta.clone();
            node.disk.install(snapshot);
            // The node may crash between the two.
            if self.rng.chance(50) && self.plan.crashes > 0 {
                self.crash(at);
            } else {
                self.cluster.node(at).raft.compact(meta);
                self.settle(at);
            }
        }
    }

    fn crash(&mut self, at: usize) {
        self.coverage.crashes += 1;
        let queued = self.cluster.nodes[at].disk.queue.len() as u64;
        let kept = self.rng.below(queued + 1);
        self.coverage.writes_lost += queued - kept;
        let wipe = self.plan.wipes > 0 && self.may_be_wiped(at) && self.rng.chance(self.plan.wipes);
        let node = self.cluster.node(at);
        (0..kept).for_each(|_| {
            node.disk.persist();
        });
        if wipe {
            self.wipe(at);
        } else {
            node.restart();
        }
        let host = &mut self.hosts[at];
        host.incarnation += 1;
        host.writing = None;
        host.away_until = self.now + self.rng.below(3 * TIMEOUT);
        self.settle(at);
    }

    /// Cuts links, or mends them.
    fn part(&mut self) {
        let count = self.hosts.len() as u64;
        let kind = self.rng.below(5);
        let alone = self.rng.below(count) as usize;
        let leader = self.leader().unwrap_or(alone);
        let side = self.rng.next();
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                self.cut[from][to] = match kind {
                    0 => false,
                    1 => (side >> from) & 1 != (side >> to) & 1,
                    2 => from == leader || to == leader,
                    // One way: it can send, or it can hear, and not both.
                    3 => {
                        if side & 1 == 0 {
                            from == alone
                        } else {
                            to == alone
                        }
                    }
                    // A bridge: only this one hears everybody.
                    _ => from != alone && to != alone && from % 2 != to % 2,
                };
            }
        }
    }

    fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| self.cluster.nodes[*at].raft.status().role == Role::Leader;
        (0..self.hosts.len()).filter(leads).max_by_key(|at| self.cluster.nodes[*at].seen.1)
    }

    fn heal(&mut self) {
        self.plan = Plan::healed();
        self.cut.iter_mut().flatten().for_each(|cut| *cut = false);
        for host in &mut self.hosts {
            host.away_until = 0;
            host.stalled_until = 0;
            host.writing = None;
        }
    }

    /// Whether every member follows one leader and has what it has, and no change is under way.
    fn agrees(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let status = self.cluster.nodes[leader].raft.status();
        let settled = status.membership_since <= status.commit && !status.membership.is_joint();
        let is_member = status.membership.contains(NodeId(leader as u64 + 1));
        settled
            && is_member
            && self.members().all(|node| {
                let theirs = node.raft.status();
                (theirs.term, theirs.leader, theirs.last)
                    == (status.term, status.leader, status.last)
                    && theirs.commit == status.last.index
                    && node.app.applied == status.last.index
            })
    }

    /// Time until `done`, which must be within `limit`.
    fn until(&mut self, limit: u64, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = self.now + limit;
        while !done(self) {
            if self.now >= deadline {
                for node in &self.cluster.nodes {
                    eprintln!("{:#?}", node.raft);
                }
                panic!("no {what} {limit} after the faults");
            }
            self.pass();
        }
    }
}

fn run(seed: u64, members: Members, coverage: &mut Coverage) {
    let mut sim = Sim::new(seed, members, coverage);
    let length = 400 + sim.rng.below(800);
    for _ in 0..length {
        sim.pass();
    }
    sim.heal();
    sim.until(10 * TIMEOUT, "leader", |sim| sim.leader().is_some());
    // The narrowest window sends one entry a round trip.
    let entries = sim.cluster.nodes.iter().map(|node| node.raft.status().last.index.0).max();
    sim.until(10 * TIMEOUT + 10 * entries.unwrap_or(0), "agreement", Sim::agrees);
    sim.until(2 * TIMEOUT, "end of the handover", |sim| {
        let leader = sim.leader().map(|at| sim.cluster.nodes[at].raft.status().handover);
        leader == Some(None) && sim.agrees()
    });
    // Whatever is accepted now must commit.
    let leader = sim.leader().expect("it agrees");
    let index = sim.propose(leader).expect("nothing is in flight");
    sim.until(5 * TIMEOUT, "commit", |sim| sim.members().all(|node| node.app.applied >= index));
    sim.stays_quiet();
    let elections = sim.cluster.history.leaders.len() as u64;
    let truncations = sim.cluster.history.truncations;
    let changes = sim.cluster.history.changes();
    coverage.elections += elections;
    coverage.truncations += truncations;
    coverage.changes_committed += changes;
}

/// Runs what the environment says, or as many seeds as `default`; what they met, and whether they were so many.
pub(crate) fn run_seeds(test: &str, members: Members, default: u64) -> Option<Coverage> {
    let mut coverage = Coverage::default();
    let seeds = match number("RANDOM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("RANDOM_FROM").unwrap_or(0);
            first..first + number("RANDOM_SEEDS").unwrap_or(default)
        }
    };
    for seed in seeds.clone() {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, members, &mut coverage)));
        if let Err(panic) = result {
            eprintln!("RANDOM_SEED={seed} cargo test -p raft-core --test {test}");
            resume_unwind(panic);
        }
    }
    println!("{} seeds: {coverage:?}", seeds.end - seeds.start);
    (seeds.end - seeds.start >= default).then_some(coverage)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
