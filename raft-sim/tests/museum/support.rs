//! What the exhibits share: a journal as state machine, and a client that remembers what it was promised.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raft_core::node::{Applied, ProposalError, QueryError};
use raft_core::{
    Command, LogIndex, Restore, RestoreError, Role, SnapshotSource, StateMachine, Term, Whole,
};
use raft_sim::net::{Letter, Verdict};
use raft_sim::{Cluster, ClusterConfig};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The longest election timeout of a [`ClusterConfig`] as it is.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
/// Within this a healthy cluster has a leader, and all nodes have what it has.
pub(crate) const RECOVERY: Duration = Duration::from_secs(5);

/// Runs an exhibit under so many seeds; a failure names the seed.
pub(crate) fn each_seed(count: u64, mut exhibit: impl FnMut(u64)) {
    for seed in 1..=count {
        let _named = Named(seed);
        exhibit(seed);
    }
}

struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}

/// A state machine that keeps every command with its index: what was applied twice, or never, shows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Journal(Vec<(LogIndex, u64)>);

impl Journal {
    /// The numbers, in the order in which they were applied.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.0.iter().map(|(_, number)| *number).collect()
    }

    /// The first command that does not come after the one before it, or that comes again.
    fn flaw(&self) -> Option<(LogIndex, u64)> {
        let (mut last, mut seen) = (LogIndex::ZERO, BTreeSet::new());
        for (index, number) in &self.0 {
            if *index <= last || !seen.insert(*number) {
                return Some((*index, *number));
            }
            last = *index;
        }
        None
    }
}

/// A command with a number in front, and as long as wanted.
pub(crate) fn command(number: u64, bytes: usize) -> Vec<u8> {
    let mut command = number.to_le_bytes().to_vec();
    command.resize(bytes.max(8), 0);
    command
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

impl StateMachine for Journal {
    type Output = usize;

    fn apply(&mut self, commands: &[Command]) -> Vec<usize> {
        let mut lengths = Vec::new();
        for command in commands {
            self.0.push((command.id.index, number_of(&command.data)));
            lengths.push(self.0.len());
        }
        lengths
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        let words = self.0.iter().flat_map(|(index, number)| [index.0, *number]);
        Whole::source(words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|bytes| {
            if bytes.len() % 16 != 0 {
                return Err(RestoreError { reason: "not pairs of numbers".to_owned() });
            }
            let pair = |pair: &[u8]| (LogIndex(number_of(pair)), number_of(&pair[8..]));
            Ok(Self(bytes.chunks_exact(16).map(pair).collect()))
        })
    }
}

pub(crate) fn journals(config: ClusterConfig) -> Cluster<Journal> {
    Cluster::start(config, Journal::default)
}

/// A cluster of so many nodes, and who leads it.
pub(crate) fn led(seed: u64, nodes: u64) -> (Cluster<Journal>, usize) {
    led_by(ClusterConfig::new(seed, nodes))
}

pub(crate) fn led_by(config: ClusterConfig) -> (Cluster<Journal>, usize) {
    let mut cluster = journals(config);
    let leader = await_leader(&mut cluster);
    (cluster, leader)
}

/// Waits until somebody leads and everybody who is up and connected has what it has.
pub(crate) fn await_leader<S: StateMachine>(cluster: &mut Cluster<S>) -> usize {
    let ready = |c: &Cluster<S>| {
        let Some(status) = c.leader().and_then(|leader| c.status(leader)) else { return false };
        status.commit == status.last.index
    };
    assert!(cluster.run_until(RECOVERY, ready).reached(), "nobody leads");
    cluster.run_for(100 * MS);
    cluster.leader().expect("somebody leads")
}

/// The nodes besides these.
pub(crate) fn others<S: StateMachine>(cluster: &Cluster<S>, but: &[usize]) -> Vec<usize> {
    (0..cluster.len()).filter(|at| !but.contains(at)).collect()
}

pub(crate) fn role<S: StateMachine>(cluster: &Cluster<S>, at: usize) -> Option<Role> {
    cluster.status(at).map(|status| status.role)
}

pub(crate) fn term<S: StateMachine>(cluster: &Cluster<S>, at: usize) -> Term {
    cluster.status(at).map_or(Term(0), |status| status.term)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a task in a node's process will say.
#[derive(Debug)]
pub(crate) struct Pending<T>(Arc<Mutex<Option<T>>>);

impl<T: Clone> Pending<T> {
    pub(crate) fn get(&self) -> Option<T> {
        lock(&self.0).clone()
    }
}

/// Runs a task in a node's process. Nothing is ever heard of one that dies with it.
pub(crate) fn spawn<S: StateMachine, T: Send + 'static>(
    cluster: &mut Cluster<S>,
    at: usize,
    task: impl Future<Output = T> + Send + 'static,
) -> Pending<T> {
    let answer = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&answer);
    let host = cluster.host(at);
    cluster.sim().within(host, || {
        tokio::spawn(async move {
            let outcome = task.await;
            *lock(&tell) = Some(outcome);
        })
    });
    Pending(answer)
}

pub(crate) type Proposed = Pending<Result<Applied<usize>, ProposalError>>;
pub(crate) type Query = Pending<Result<Vec<u64>, QueryError>>;

/// Reads at a node, linearizably.
pub(crate) fn read(cluster: &mut Cluster<Journal>, at: usize) -> Query {
    let group = cluster.group(at).expect("it runs");
    spawn(cluster, at, async move { group.read(|machine| machine.inner().numbers()).await })
}

/// Proposes numbers, and remembers which ones were answered.
#[derive(Default)]
pub(crate) struct Client {
    next: u64,
    asked: Vec<(u64, Proposed)>,
}

impl Client {
    /// Proposes the next number at a node. Gives it.
    pub(crate) fn propose(&mut self, cluster: &mut Cluster<Journal>, at: usize) -> u64 {
        self.propose_bytes(cluster, at, 40)
    }

    pub(crate) fn propose_bytes(
        &mut self,
        cluster: &mut Cluster<Journal>,
        at: usize,
        bytes: usize,
    ) -> u64 {
        self.next += 1;
        let number = self.next;
        if let Some(group) = cluster.group(at) {
            let proposal = group.propose(command(number, bytes).into());
            self.asked.push((number, spawn(cluster, at, proposal)));
        }
        number
    }

    /// Proposes at whoever leads, if anybody does.
    pub(crate) fn propose_somewhere(&mut self, cluster: &mut Cluster<Journal>) {
        if let Some(leader) = cluster.leader() {
            self.propose(cluster, leader);
        }
    }

    /// The numbers that were answered as applied.
    pub(crate) fn acked(&self) -> Vec<u64> {
        let acked = self.asked.iter().filter(|(_, answer)| matches!(answer.get(), Some(Ok(_))));
        acked.map(|(number, _)| *number).collect()
    }

    /// What became of a number, if that is known.
    pub(crate) fn outcome(&self, number: u64) -> Option<Result<Applied<usize>, ProposalError>> {
        let asked = self.asked.iter().find(|(asked, _)| *asked == number);
        asked.and_then(|(_, answer)| answer.get())
    }
}

/// The end of an exhibit: with all nodes up and the network whole, there is a leader, everything that was
/// answered is there, on all nodes, once, and nothing that must hold was broken.
pub(crate) fn settle(cluster: &mut Cluster<Journal>, client: &mut Client) {
    cluster.net().clear_filter();
    cluster.net().heal();
    for at in 0..cluster.len() {
        let host = cluster.host(at);
        cluster.sim().resume(host);
        if !cluster.is_up(at) || cluster.stopped(at).is_some() {
            cluster.reboot(at);
        }
    }
    let led = |c: &Cluster<Journal>| c.leader().is_some();
    let led = cluster.run_until(RECOVERY, led).reached();
    cluster.check().expect("nothing is broken");
    assert!(led, "nobody leads");
    let mut last = 0;
    for _ in 0..50 {
        let leader = cluster.leader().unwrap_or(0);
        last = client.propose(cluster, leader);
        let done = |_: &Cluster<Journal>| matches!(client.outcome(last), Some(Ok(_)));
        if cluster.run_until(RECOVERY / 10, done).reached() {
            break;
        }
    }
    let (acked, all) = (client.acked(), 0..cluster.len());
    assert!(acked.contains(&last), "the cluster does not serve: {:?}", client.outcome(last));
    let all_have = |c: &Cluster<Journal>| {
        all.clone().all(|at| c.peek(at, |journal| journal.numbers().contains(&last)) == Some(true))
    };
    let all_have = cluster.run_until(RECOVERY, all_have).reached();
    cluster.check().expect("nothing is broken");
    assert!(all_have, "a node stays behind");
    let journal = cluster.peek(0, Journal::clone).expect("it runs");
    assert_eq!(journal.flaw(), None, "applied twice, or out of order");
    for at in all {
        let same = cluster.peek(at, |other| *other == journal);
        assert_eq!(same, Some(true), "node {at} has another state");
    }
    let there: BTreeSet<u64> = journal.numbers().into_iter().collect();
    let lost: Vec<u64> = acked.into_iter().filter(|number| !there.contains(number)).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
}

/// Everything passes.
pub(crate) fn pass(_: &Letter<'_>) -> Verdict {
    Verdict::Pass
}
