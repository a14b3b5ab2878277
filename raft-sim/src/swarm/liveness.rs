//! The liveness phase: faults have ended for a quorum, or for all, and what must happen then happens in time.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::GroupStatus;
use raft_core::{Config, Entry, LogId, LogIndex, NodeId, Role, StateMachine};

use super::absence::{Absence, Minority};
use super::dice::Dice;
use super::faults::Faults;
use super::safety::check;
use super::setting::Setting;
use super::suite::Failure;
use super::tally::Tally;
use super::ward::Ward;
use crate::cluster::{Cluster, GROUP, Wire};

/// What must happen, and by when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Liveness {
    /// A quorum agrees on a leader: ten election timeouts, each of up to twice its least; and over streams the
    /// time until broken ones are noticed and dialled again.
    pub leader: Duration,
    /// For so long it stays leader, whatever a minority does that takes no part.
    pub steady: Duration,
    /// What is proposed then is applied by all that run.
    pub commit: Duration,
    /// All nodes have applied the same.
    pub convergence: Duration,
    /// Logs are compacted.
    pub compaction: Duration,
    /// Clients that may be connected to every node.
    pub clients: usize,
    /// Who takes no part at first.
    pub minority: Option<Minority>,
}

/// Ticks of an election timeout in a [`Cluster`], at least.
const ELECTION_TICKS: u32 = 10;
/// Proposals that must be committed.
const PROPOSALS: u64 = 10;
/// How often conditions are looked at.
const STEP: Duration = Duration::from_millis(20);

impl Liveness {
    /// For clusters like this, after these faults.
    pub fn of(setting: &Setting, faults: &Faults) -> Self {
        let timeouts = setting.cluster().tick * ELECTION_TICKS * 2 * 10;
        let seconds = Duration::from_secs;
        let streams = if setting.wire == Wire::Streams { seconds(6) } else { seconds(0) };
        Self {
            leader: timeouts + streams,
            steady: timeouts / 2,
            commit: seconds(10),
            convergence: seconds(60),
            compaction: seconds(20),
            clients: 0,
            minority: faults.minority,
        }
    }

    /// Runs the phase.
    ///
    /// # Errors
    /// What did not happen in time, or what was broken.
    pub fn run<S: StateMachine>(
        self,
        cluster: &mut Cluster<S>,
        setting: &Setting,
        ward: &mut Ward,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut dice = Dice::new(setting.seed, "liveness");
        let absence = Absence::draw(self.minority, &mut dice, cluster, ward);
        absence.begin(cluster, ward, tally);
        let mut living = Living { cluster, ward, tally };
        self.serve(&mut living, |at| !absence.has(at))?;
        self.steady(&mut living)?;
        if absence.is_any() {
            let Living { cluster, ward, tally } = &mut living;
            absence.end(*cluster, ward, tally);
            self.serve(&mut living, |_| true)?;
        }
        self.converge(&mut living)?;
        self.tidy(&mut living, setting)
    }

    /// Those that run elect a leader and commit.
    fn serve<S: StateMachine>(
        self,
        living: &mut Living<'_, S>,
        takes_part: impl Fn(usize) -> bool,
    ) -> Result<(), Failure> {
        living.wait("liveness-leader", self.leader, |c| leader_of_quorum(c).is_some())?;
        // A node that is far behind gets a snapshot or a long log first.
        let limit = self.commit + self.convergence;
        let until = living.cluster.sim().now() + limit;
        loop {
            let last = living.propose(PROPOSALS, 20, self.commit)?;
            let everywhere = |c: &Cluster<S>| {
                let mut all = (0..c.len()).filter(|at| takes_part(*at));
                all.all(|at| applied(c, at).is_some_and(|index| index >= last.index))
            };
            // Another leader may not have them: then they are lost, and others are proposed.
            let replaced = |c: &Cluster<S>| c.leaders().iter().any(|(_, term)| *term > last.term);
            let left = until.saturating_sub(living.cluster.sim().now());
            living.wait("liveness-commit", left, |c| everywhere(c) || replaced(c))?;
            if everywhere(living.cluster) {
                return Ok(());
            }
        }
    }

    /// Nobody deposes a leader that serves, and nobody who takes no part reaches for a later term meanwhile: it would
    /// depose the leader when it is back.
    fn steady<S: StateMachine>(self, living: &mut Living<'_, S>) -> Result<(), Failure> {
        let term = |c: &Cluster<S>, at: usize| c.status(at).map(|status| status.term);
        let leader = |c: &Cluster<S>| Some((c.leader()?, term(c, c.leader()?)?));
        let first = leader(living.cluster);
        let reached = first.map(|(_, term)| term);
        let nodes = 0..living.cluster.len();
        let terms: Vec<_> = nodes.clone().map(|at| term(living.cluster, at).max(reached)).collect();
        let until = living.cluster.sim().now() + self.steady;
        while living.cluster.sim().now() < until {
            living.step()?;
        }
        let last = leader(living.cluster);
        let later = nodes.into_iter().find(|at| term(living.cluster, *at) > terms[*at]);
        if last == first && later.is_none() {
            return Ok(());
        }
        let what = format!("{first:?} led, then {last:?}: {}", describe(living.cluster));
        Err(Failure::new("liveness-steady", what))
    }

    fn converge<S: StateMachine>(self, living: &mut Living<'_, S>) -> Result<(), Failure> {
        living.wait("liveness-convergence", self.convergence, |c| {
            let states: BTreeSet<_> = (0..c.len()).map(|at| state(c, at)).collect();
            states.len() == 1 && !states.contains(&None)
        })
    }

    /// Logs are compacted below the limit, and nothing is left over.
    fn tidy<S: StateMachine>(
        self,
        living: &mut Living<'_, S>,
        setting: &Setting,
    ) -> Result<(), Failure> {
        if let Some(snapshot) = setting.snapshot_bytes {
            let bytes = snapshot.min(16 << 10);
            let count = 2 * snapshot / (bytes + Entry::OVERHEAD_BYTES) + 2;
            living.propose(count, bytes as usize, self.commit)?;
            self.converge(living)?;
            let mut config = Config::new(NodeId(1), GROUP);
            (setting.queues.change())(&mut config);
            let bytes_max = config.trailing_bytes_max + snapshot + bytes + Entry::OVERHEAD_BYTES;
            // A leader keeps so much for those who were getting a snapshot when it took its own.
            let leader_max = bytes_max.max(config.in_flight_bytes_max);
            let is_short = |status: GroupStatus| match status.role {
                Role::Leader => status.log_bytes <= leader_max,
                _ => status.log_bytes <= bytes_max,
            };
            living.wait("liveness-compaction", self.compaction, |c| {
                (0..c.len()).all(|at| c.status(at).is_some_and(is_short))
            })?;
        }
        let what =
            (0..living.cluster.len()).find_map(|at| left_over(living.cluster, at, self.clients));
        what.map_or(Ok(()), |what| Err(Failure::new("liveness-leftovers", what)))
    }
}

/// What a node that has nothing to do holds and should not.
fn left_over<S: StateMachine>(
    cluster: &mut Cluster<S>,
    at: usize,
    clients: usize,
) -> Option<String> {
    let (id, host, peers) = (cluster.id(at), cluster.host(at), cluster.len() - 1);
    let tasks = cluster.sim().tasks(host);
    // The loop, an applier, a writer, a snapshot; and for each peer and each client a few.
    let tasks_max = 12 + 6 * peers + 3 * clients;
    if tasks > tasks_max {
        return Some(format!("{id:?} has {tasks} tasks, of {tasks_max}"));
    }
    let proposals = cluster.status(at).map_or(0, |status| status.proposals);
    if proposals > 0 {
        return Some(format!("{proposals} proposals wait at {id:?}, and all is applied"));
    }
    None
}

/// A cluster that is left alone.
struct Living<'a, S: StateMachine> {
    cluster: &'a mut Cluster<S>,
    ward: &'a mut Ward,
    tally: &'a mut Tally,
}

impl<S: StateMachine> Living<'_, S> {
    /// Lets a little time pass. A node may yet stop because of what its disk did before, and is started again.
    fn step(&mut self) -> Result<(), Failure> {
        self.cluster.run_for(STEP);
        self.ward.visit(self.cluster, self.tally)?;
        check(self.cluster)
    }

    /// Lets time pass until `condition` holds.
    fn wait(
        &mut self,
        by: &str,
        limit: Duration,
        condition: impl Fn(&Cluster<S>) -> bool,
    ) -> Result<(), Failure> {
        let until = self.cluster.sim().now() + limit;
        while !condition(self.cluster) {
            if self.cluster.sim().now() >= until {
                let what = format!("not within {limit:?}: {}", describe(self.cluster));
                return Err(Failure::new(by, what));
            }
            self.step()?;
        }
        Ok(())
    }

    /// Has `count` new commands of so many bytes appended; the last of them.
    fn propose(&mut self, count: u64, bytes: usize, limit: Duration) -> Result<LogId, Failure> {
        let until = self.cluster.sim().now() + limit;
        let (mut done, mut last) = (0, LogId::ZERO);
        while done < count {
            let leader = leader_of_quorum(self.cluster);
            let command = Bytes::from(vec![done as u8; bytes]);
            match leader.map(|leader| self.cluster.propose(leader, command)) {
                Some(Ok(id)) => (done, last) = (done + 1, id),
                _ => self.step()?,
            }
            if self.cluster.sim().now() >= until {
                let what = format!("nothing is appended: {}", describe(self.cluster));
                return Err(Failure::new("liveness-commit", what));
            }
        }
        check(self.cluster)?;
        Ok(last)
    }
}

/// A leader that a quorum knows as such.
fn leader_of_quorum<S: StateMachine>(cluster: &Cluster<S>) -> Option<usize> {
    let leader = cluster.leader()?;
    let term = cluster.status(leader)?.term;
    let follows = |at: &usize| {
        let status = cluster.status(*at);
        status.is_some_and(|s| s.term == term && s.leader == Some(cluster.id(leader)))
    };
    let followers = (0..cluster.len()).filter(follows).count();
    (2 * followers > cluster.len()).then_some(leader)
}

fn applied<S: StateMachine>(cluster: &Cluster<S>, at: usize) -> Option<LogIndex> {
    cluster.status(at).map(|status| status.applied)
}

/// What a node has applied, and that it has nothing left to apply.
fn state<S: StateMachine>(
    cluster: &Cluster<S>,
    at: usize,
) -> Option<(LogIndex, crate::watch::Chain)> {
    let status = cluster.status(at)?;
    let chain = cluster.watch().view(GROUP, |view| {
        view.node(cluster.id(at)).map(|node| node.applied.1).unwrap_or_default()
    });
    (status.applied == status.last.index).then_some((status.applied, chain))
}

fn describe<S: StateMachine>(cluster: &Cluster<S>) -> String {
    let one = |at: usize| {
        let id = cluster.id(at);
        let Some(s) = cluster.status(at) else { return format!("{id:?} is not there") };
        let role = match s.role {
            Role::Leader => "leads",
            Role::Follower => "follows in",
            Role::Candidate => "is a candidate of",
            Role::PreCandidate => "asks for votes after",
        };
        let (term, commit, applied) = (s.term, s.commit, s.applied);
        let (last, bytes, snapshot) = (s.last, s.log_bytes, s.snapshot);
        format!(
            "{id:?} {role} {term:?} (snapshot {snapshot:?}, applied {applied:?}, commit {commit:?}, last {last:?}, \
             log of {bytes} bytes)"
        )
    };
    (0..cluster.len()).map(one).collect::<Vec<_>>().join("; ")
}
