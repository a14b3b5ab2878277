//! An exhaustive walk of the real core: every schedule of three or four nodes, to a bound.
//!
//! A state of the world is a few `Raft` values, their disks (what is durable, and a queue of what is not),
//! the messages in flight, and what has ever happened. From each state the walk takes every action there
//! is: a node campaigns, stops hearing its leader, leads no longer, proposes, changes the members, hands over,
//! sends a heartbeat, makes its oldest write durable, or crashes and comes back without the writes that were not durable; any message
//! arrives, in any order, and some arrive twice. After each action every invariant of the model is checked
//! (`tests/model`). Budgets bound the rest.
//!
//! What need not be walked, and why:
//! - losing a message: it is the schedule in which that message never arrives;
//! - a node that is down for a while: the schedule in which nothing arrives meanwhile;
//! - a crash that keeps some of the queued writes: they were made durable first, and nothing came of it;
//! - a message that its receiver will ignore for ever is taken out of the world (`is_dead`);
//! - nodes that start equal are interchangeable until something happens to one of them: the first thing
//!   always happens to the lowest.
//!
//! `WALK_DEPTH=1` (or more) raises the budgets.

#[allow(dead_code)] // The random simulation uses what the walk does not.
mod model;

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use bytes::Bytes;
use raft_core::{
    Config, Entry, Envelope, GroupId, HardState, LogId, LogIndex, Membership, Message, NodeId,
    Payload, Persisted, Role, Target, Term,
};

use self::model::{Cluster, Mixer};

/// How often each thing may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Budget {
    campaigns: u8,
    proposals: u8,
    crashes: u8,
    heartbeats: u8,
    /// A follower gives its leader up, or a leader itself.
    silences: u8,
    duplicates: u8,
    changes: u8,
    transfers: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Campaign(usize),
    Silence(usize),
    Propose(usize),
    Change { at: usize, target: usize },
    Transfer { at: usize, to: usize },
    Heartbeat(usize),
    Persist(usize),
    Crash(usize),
    Deliver { message: usize, again: bool },
}

const NODES_MAX: usize = 4;

#[derive(Clone)]
struct World {
    cluster: Cluster,
    /// What the members may be changed to.
    targets: Rc<[Target]>,
    hashes: [u64; NODES_MAX],
    /// In flight, in the order of their hashes.
    network: Vec<(u64, Rc<Envelope>)>,
    budget: Budget,
    /// Nodes to which nothing has happened yet, when they started equal.
    untouched: [bool; NODES_MAX],
    /// Whether the answer to a PreVote takes no time. Safety does not rest on PreVote, which only decides
    /// when there are elections; `elections` walks its schedules too.
    quick_pre_votes: bool,
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = Mixer::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// As small as it gets: a tick is a heartbeat, three are an election timeout.
fn config(id: NodeId) -> Config {
    let mut config = Config::new(id, GroupId(1));
    config.election_ticks = 3;
    config.heartbeat_ticks = 1;
    config
}

impl World {
    fn new(disks: Vec<Persisted>, committed: Vec<Entry>, one_by_one: bool, budget: Budget) -> Self {
        let equal = disks.iter().all(|disk| *disk == disks[0]);
        let cluster = Cluster::new(disks, committed, |id| {
            let mut config = config(id);
            if one_by_one {
                config.append_bytes_max = 1;
            }
            config
        });
        Self::of(cluster, [equal; NODES_MAX], budget)
    }

    /// Nodes with empty disks, some of which are the first members. All that are have to be told apart.
    fn of_members(nodes: usize, initial: &Membership, targets: &[Target], budget: Budget) -> Self {
        let disks = vec![disk(0, &[]); nodes];
        let cluster = Cluster::of_members(disks, vec![], initial, config);
        Self { targets: targets.into(), ..Self::of(cluster, [false; NODES_MAX], budget) }
    }

    fn of(cluster: Cluster, untouched: [bool; NODES_MAX], budget: Budget) -> Self {
        let mut world = Self {
            cluster,
            targets: [].into(),
            hashes: [0; NODES_MAX],
            network: Vec::new(),
            budget,
            untouched,
            quick_pre_votes: true,
        };
        (0..world.cluster.nodes.len()).for_each(|at| world.settle(at));
        world
    }

    fn hash(&self) -> u64 {
        let mut hasher = Mixer::default();
        (self.hashes, self.budget, self.untouched).hash(&mut hasher);
        self.cluster.history.hash(&mut hasher);
        self.network.iter().for_each(|(hash, _)| hasher.write_u64(*hash));
        hasher.finish()
    }

    /// Takes what came out of an event at node `at`.
    fn settle(&mut self, at: usize) {
        loop {
            let output = self.cluster.settle(at);
            for envelope in output.messages {
                let hash = hash_of(&envelope);
                let place = self.network.partition_point(|(other, _)| *other < hash);
                // The same message twice in flight is one message that arrives twice: see `duplicates`.
                if self.network.get(place).is_none_or(|(other, _)| *other != hash) {
                    self.network.insert(place, (hash, Rc::new(envelope)));
                }
            }
            assert!(output.snapshots.is_empty(), "nothing is ever compacted here");
            if self.cluster.nodes[at].applies.is_empty() {
                break;
            }
            while !self.cluster.nodes[at].applies.is_empty() {
                self.cluster.node(at).apply_oldest();
            }
            let (app, history) = (self.cluster.nodes[at].app, &self.cluster.history);
            assert_eq!(app.hash, history.hash_at(app.applied), "equal histories, equal states");
        }
        self.hashes[at] = hash_of(&*self.cluster.nodes[at]);
        let nodes = &self.cluster.nodes;
        self.network.retain(|(_, envelope)| !is_dead(envelope, nodes));
    }

    fn actions(&self, actions: &mut Vec<Action>) {
        actions.clear();
        let budget = &self.budget;
        let first_untouched = self.untouched.iter().position(|untouched| *untouched);
        let may_act = |at: usize| !self.untouched[at] || first_untouched == Some(at);
        for (message, (_, envelope)) in self.network.iter().enumerate() {
            if may_act(envelope.to.0 as usize - 1) {
                actions.push(Action::Deliver { message, again: false });
                if budget.duplicates > 0 {
                    actions.push(Action::Deliver { message, again: true });
                }
            }
        }
        for at in (0..self.cluster.nodes.len()).filter(|at| may_act(*at)) {
            let node = &self.cluster.nodes[at];
            let status = node.raft.status();
            let leads = status.role == Role::Leader;
            let mut offer = |action, possible| {
                if possible {
                    actions.push(action);
                }
            };
            offer(Action::Persist(at), !node.disk.queue.is_empty());
            let proposes = leads && budget.proposals > 0 && status.handover.is_none();
            offer(Action::Propose(at), proposes);
            if leads && budget.changes > 0 {
                let since = status.membership_since;
                for (target, members) in self.targets.iter().enumerate() {
                    let result = node.raft.clone().change_membership(since, members);
                    offer(Action::Change { at, target }, result.is_ok());
                }
            }
            if leads && budget.transfers > 0 && status.handover.is_none() {
                for to in status.membership.voters.iter().filter(|to| **to != node.id) {
                    offer(Action::Transfer { at, to: to.0 as usize - 1 }, true);
                }
            }
            offer(Action::Heartbeat(at), leads && budget.heartbeats > 0);
            offer(Action::Campaign(at), !leads && budget.campaigns > 0);
            offer(Action::Silence(at), status.leader.is_some() && budget.silences > 0);
            // A crash of a node that has nothing to lose but its role is a restart; it counts too.
            offer(Action::Crash(at), budget.crashes > 0);
        }
    }

    fn act(&mut self, action: Action) {
        let budget = &mut self.budget;
        let at = match action {
            Action::Deliver { message, again } => {
                let envelope = if again {
                    budget.duplicates -= 1;
                    Rc::clone(&self.network[message].1)
                } else {
                    self.network.remove(message).1
                };
                let at = envelope.to.0 as usize - 1;
                self.cluster.node(at).raft.step((*envelope).clone());
                at
            }
            Action::Campaign(at) => {
                budget.campaigns -= 1;
                self.cluster.node(at).raft.campaign();
                at
            }
            Action::Silence(at) => {
                budget.silences -= 1;
                // An election timeout for a follower; for a leader, two checks of its quorum.
                let node = self.cluster.node(at);
                let ticks = if node.raft.status().role == Role::Leader { 6 } else { 3 };
                (0..ticks).for_each(|_| node.raft.tick());
                at
            }
            Action::Propose(at) => {
                budget.proposals -= 1;
                let command = [b'a' + budget.proposals];
                let command = Bytes::copy_from_slice(&command);
                self.cluster.node(at).raft.propose(command).expect("it leads");
                at
            }
            Action::Change { at, target } => {
                budget.changes -= 1;
                let raft = &mut self.cluster.node(at).raft;
                let since = raft.status().membership_since;
                raft.change_membership(since, &self.targets[target]).expect("it was offered");
                at
            }
            Action::Transfer { at, to } => {
                budget.transfers -= 1;
                let to = NodeId(to as u64 + 1);
                self.cluster.node(at).raft.transfer_leadership(to).expect("a voter");
                at
            }
            Action::Heartbeat(at) => {
                budget.heartbeats -= 1;
                self.cluster.node(at).raft.tick();
                at
            }
            Action::Persist(at) => {
                self.cluster.node(at).persist_oldest();
                at
            }
            Action::Crash(at) => {
                budget.crashes -= 1;
                self.cluster.node(at).restart();
                at
            }
        };
        self.untouched[at] = false;
        self.settle(at);
        if self.quick_pre_votes {
            self.hurry_pre_votes();
        }
    }

    /// Delivers answers to PreVotes at once.
    fn hurry_pre_votes(&mut self) {
        let is_answer = |(_, envelope): &(u64, Rc<Envelope>)| {
            matches!(envelope.message, Message::PreVoteReply(_))
        };
        while let Some(at) = self.network.iter().position(is_answer) {
            let envelope = self.network.remove(at).1;
            let at = envelope.to.0 as usize - 1;
            self.cluster.node(at).raft.step((*envelope).clone());
            self.untouched[at] = false;
            self.settle(at);
        }
    }

    /// Node `at` is elected, and its first entry committed everywhere; nothing is left in flight.
    fn lead(&mut self, at: usize) {
        self.cluster.node(at).raft.campaign();
        self.untouched = [false; NODES_MAX];
        self.settle(at);
        loop {
            let mut nodes = 0..self.cluster.nodes.len();
            let busy = nodes.find(|at| !self.cluster.nodes[*at].disk.queue.is_empty());
            if let Some(at) = busy {
                self.act(Action::Persist(at));
            } else if !self.network.is_empty() {
                self.act(Action::Deliver { message: 0, again: false });
            } else {
                break;
            }
        }
        assert_eq!(self.cluster.history.committed.len(), 1);
    }

    fn describe(&self, action: Action) -> String {
        match action {
            Action::Deliver { message, again } => {
                let Envelope { from, to, term, message, .. } = &*self.network[message].1;
                let again = if again { " (and once more later)" } else { "" };
                format!("{from} -> {to} {term} {message:?}{again}")
            }
            Action::Campaign(at) => format!("n{} campaigns", at + 1),
            Action::Silence(at) => format!("n{} hears nothing for an election timeout", at + 1),
            Action::Propose(at) => format!("n{} proposes", at + 1),
            Action::Change { at, target } => {
                format!("n{} changes to {:?}", at + 1, self.targets[target])
            }
            Action::Transfer { at, to } => format!("n{} hands over to n{}", at + 1, to + 1),
            Action::Heartbeat(at) => format!("n{} sends heartbeats", at + 1),
            Action::Persist(at) => {
                let write = self.cluster.nodes[at].disk.queue.front();
                format!("n{} has persisted {:?}", at + 1, write.map(|write| &write.op))
            }
            Action::Crash(at) => format!("n{} crashes and restarts", at + 1),
        }
    }
}

/// Whether the receiver will ignore the message whenever it arrives, or the sender its answer. Terms never
/// go back behind the durable one, and a node that does not lead a term any more never leads it again.
fn is_dead(envelope: &Envelope, nodes: &[Rc<model::Node>]) -> bool {
    let node = |id: NodeId| &nodes[id.0 as usize - 1];
    let durable = |id| node(id).disk.durable.hard_state.term;
    let leads = |id| {
        let status = node(id).raft.status();
        status.role == Role::Leader && status.term == envelope.term
    };
    let (from, to) = (envelope.from, envelope.to);
    match &envelope.message {
        Message::PreVote(request) => request.term <= durable(from) && envelope.term <= durable(to),
        Message::PreVoteReply(reply) if reply.granted => reply.term <= durable(to),
        Message::PreVoteReply(_) => envelope.term <= durable(to),
        // A vote is kept as long as it might be counted by mistake.
        Message::RequestVoteReply(reply) if reply.granted => leads(to),
        Message::RequestVoteReply(_) => envelope.term <= durable(to),
        // Only of the term that its receiver is in; and terms never go back.
        Message::TimeoutNow(_) | Message::Removed(_) => envelope.term < durable(to),
        Message::AppendEntriesReply(_) => envelope.term <= durable(to) && !leads(to),
        _ => false,
    }
}

/// A state on the way to where the walk is.
struct Step {
    world: World,
    actions: Vec<Action>,
    taken: Option<Action>,
}

impl Step {
    fn new(world: World) -> Self {
        let mut actions = Vec::new();
        world.actions(&mut actions);
        Self { world, actions, taken: None }
    }
}

/// Acts; when that breaks an invariant, prints the way there.
fn act(path: &[Step], world: &mut World, action: Action) {
    let result = catch_unwind(AssertUnwindSafe(|| world.act(action)));
    if let Err(panic) = result {
        eprintln!("broken after:");
        for step in path {
            let taken = step.taken.map(|action| step.world.describe(action));
            eprintln!("  {}", taken.unwrap_or_default());
        }
        resume_unwind(panic);
    }
}

/// How much was walked.
#[derive(Default)]
struct Walked {
    states: usize,
    transitions: u64,
    /// States in which something of note was the case.
    two_leaders: u64,
    committed_max: usize,
    terms_max: u64,
    /// States in which a leader is joint, and in which two nodes act on different memberships.
    joint: u64,
    differing: u64,
    /// The most changes that were committed.
    changes_max: u64,
}

impl Walked {
    fn note(&mut self, world: &World) {
        let nodes = world.cluster.nodes.iter().map(|node| node.raft.status());
        let leaders = nodes.clone().filter(|status| status.role == Role::Leader).count();
        self.two_leaders += u64::from(leaders > 1);
        self.committed_max = self.committed_max.max(world.cluster.history.committed.len());
        let joint = nodes.clone().any(|s| s.role == Role::Leader && s.membership.is_joint());
        self.joint += u64::from(joint);
        let mut members = nodes.clone().map(|status| status.membership);
        let first = members.next();
        self.differing += u64::from(members.any(|other| Some(other) != first));
        self.changes_max = self.changes_max.max(world.cluster.history.changes());
        let term = nodes.map(|status| status.term.0).max().unwrap_or(0);
        self.terms_max = self.terms_max.max(term);
    }
}

impl fmt::Display for Walked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} transitions, {} states with two leaders of different terms, \
             up to {} entries committed, up to term {}, {} states with a joint leader, {} with \
             different memberships, up to {} changes committed",
            self.states,
            self.transitions,
            self.two_leaders,
            self.committed_max,
            self.terms_max,
            self.joint,
            self.differing,
            self.changes_max
        )
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are kept");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[allow(clippy::disallowed_types)] // Never iterated.
type Visited = std::collections::HashSet<u64, BuildHasherDefault<Identity>>;

/// Depth first: the way to where the walk is, is all that it must remember besides what it has seen.
fn walk(name: &str, world: World) -> Walked {
    let limit: usize =
        std::env::var("WALK_STATES").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let mut walked = Walked::default();
    let mut visited = Visited::default();
    visited.insert(world.hash());
    let mut path = vec![Step::new(world)];
    while let Some(step) = path.last_mut() {
        step.taken = step.actions.pop();
        let Some(action) = step.taken else {
            path.pop();
            continue;
        };
        let mut next = step.world.clone();
        act(&path, &mut next, action);
        walked.transitions += 1;
        if visited.len() < limit && visited.insert(next.hash()) {
            walked.note(&next);
            path.push(Step::new(next));
        }
    }
    walked.states = visited.len();
    println!("{name}: {walked}");
    walked
}

fn depth() -> u8 {
    std::env::var("WALK_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

fn entry(term: u64, index: u64) -> Entry {
    Entry { id: LogId::new(Term(term), LogIndex(index)), payload: Payload::Noop }
}

/// A disk with a log of entries of these terms.
fn disk(term: u64, terms: &[u64]) -> Persisted {
    let log = terms.iter().zip(1..).map(|(term, index)| entry(*term, index)).collect();
    let hard_state = HardState { term: Term(term), voted_for: None };
    Persisted { hard_state, log, ..Persisted::default() }
}

const NOTHING: Budget = Budget {
    campaigns: 0,
    proposals: 0,
    crashes: 0,
    heartbeats: 0,
    silences: 0,
    duplicates: 0,
    changes: 0,
    transfers: 0,
};

/// Two campaigns from nothing: every schedule of PreVotes and votes, of their writes, and of what the two
/// leaders say of their first entries.
#[test]
fn elections() {
    let budget = Budget { campaigns: 2, crashes: depth(), ..NOTHING };
    let mut world = World::new(vec![disk(0, &[]); 3], vec![], false, budget);
    world.quick_pre_votes = false;
    let walked = walk("elections", world);
    assert!(walked.states >= 140_000 && walked.two_leaders > 5_000 && walked.committed_max >= 2);
}

/// A leader proposes; another node campaigns; one of them crashes and loses what it had not written.
#[test]
fn replication() {
    let n = 1 + depth();
    let budget = Budget { campaigns: 1, proposals: n, crashes: 1, ..NOTHING };
    let mut world = World::new(vec![disk(0, &[]); 3], vec![], false, budget);
    world.lead(0);
    let walked = walk("replication", world);
    assert!(walked.states >= 140_000 && walked.two_leaders > 1_000 && walked.committed_max >= 3);
}

/// The paper's figure 8: logs that differ, and entries of an earlier term that a later leader may overwrite.
/// Entries travel one by one.
#[test]
fn divergent_logs() {
    let disks = vec![disk(3, &[1, 2]), disk(3, &[1]), disk(3, &[1, 3])];
    let budget = Budget { campaigns: 1, crashes: 1 + depth(), ..NOTHING };
    let walked = walk("divergent logs", World::new(disks, vec![entry(1, 1)], true, budget));
    assert!(walked.states >= 60_000 && walked.committed_max >= 3);
}

/// One campaign, with a crash, and a message that comes twice.
#[test]
fn crash_and_duplicate() {
    let budget = Budget { campaigns: 1, crashes: 1, duplicates: 1 + depth(), ..NOTHING };
    let world = World::new(vec![disk(0, &[]); 3], vec![], false, budget);
    let walked = walk("crash and duplicate", world);
    assert!(walked.states >= 30_000);
}

/// Voters one, two, …, and learners after them.
fn members(voters: u64, learners: u64) -> Membership {
    let mut membership = Membership::of_voters((1..=voters).map(NodeId));
    membership.learners = (voters + 1..=voters + learners).map(NodeId).collect();
    membership
}

fn target(voters: &[u64]) -> Target {
    Target::of_voters(voters.iter().copied().map(NodeId))
}

/// A leader of two replaces the other one by a learner, or leaves all to it; and somebody campaigns meanwhile.
#[test]
fn joint_changes_of_three() {
    let targets = [target(&[1, 3]), target(&[3])];
    let n = 1 + depth();
    let budget = Budget { campaigns: n, changes: 2, crashes: 1, ..NOTHING };
    let mut world = World::of_members(3, &members(2, 1), &targets, budget);
    world.lead(0);
    let walked = walk("joint changes of three", world);
    assert!(walked.states >= 60_000 && walked.joint > 6_000 && walked.changes_max == 4);
}

/// A leader of two leaves everything to two others, and hands over to one of them.
#[test]
fn joint_changes_of_four() {
    let budget = Budget { changes: 1, campaigns: 1, crashes: depth(), ..NOTHING };
    let mut world = World::of_members(4, &members(2, 2), &[target(&[3, 4])], budget);
    world.lead(0);
    let walked = walk("joint changes of four", world);
    assert!(walked.states >= 50_000 && walked.joint > 3_000 && walked.changes_max == 2);
}

/// A leader hands over, with an entry on its way; messages are late.
#[test]
fn transfers() {
    let budget = Budget { transfers: 1, proposals: 1, crashes: depth(), ..NOTHING };
    let mut world = World::new(vec![disk(0, &[]); 3], vec![], false, budget);
    world.lead(0);
    let walked = walk("transfers", world);
    assert!(walked.states >= 250_000 && walked.terms_max >= 2 && walked.committed_max >= 3);
}
