//! What nodes promise each other: the votes and acknowledgements on the wire, and the copies on the disks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use raft_core::{
    AppendEntriesReply, AppendOutcome, Envelope, LogIndex, Message, NodeId, StateMachine, Term,
};
use raft_sim::Cluster;
use raft_sim::cluster::GROUP;
use raft_sim::net::{HostId, Letter, Verdict};
use raft_sim::watch::Watch;

use super::support::{Journal, lock};

/// What nodes promised each other, as it left them: votes and acknowledgements.
#[derive(Clone)]
pub(crate) struct Ledger {
    watch: Watch,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By voter and term: for whom, and what. A voter may repeat itself.
    votes: BTreeMap<(HostId, Term), BTreeSet<(HostId, bool)>>,
    acknowledgements: u64,
    /// The first acknowledgement of something that was not on the disk.
    broken: Option<String>,
}

impl Ledger {
    /// Has `rule` decide about everything that is sent, and writes promises down.
    pub(crate) fn keep<S: StateMachine>(
        cluster: &Cluster<S>,
        mut rule: impl FnMut(&Letter<'_>) -> Verdict + Send + 'static,
    ) -> Self {
        let ledger = Self { watch: cluster.watch().clone(), state: Arc::default() };
        let book = ledger.clone();
        cluster.net().set_filter(move |letter| {
            book.note(letter);
            rule(letter)
        });
        ledger
    }

    fn note(&self, letter: &Letter<'_>) {
        let Some(Envelope { from, to, term, message, .. }) = letter.envelope else { return };
        let mut state = lock(&self.state);
        match message {
            Message::RequestVoteReply(reply) => {
                let votes = state.votes.entry((letter.from, *term)).or_default();
                votes.insert((letter.to, reply.granted));
            }
            Message::AppendEntriesReply(AppendEntriesReply {
                outcome: AppendOutcome::Accepted { matched },
                ..
            }) => {
                state.acknowledgements += 1;
                let (here, there) = self.watch.view(GROUP, |view| {
                    let here = view.node(*from).and_then(|node| node.durable.term_at(*matched));
                    (here, view.node(*to).and_then(|node| node.submitted.term_at(*matched)))
                });
                // What the leader has compacted is not known here.
                if matched.0 > 0 && there.is_some() && here != there {
                    let what = format!(
                        "{from} acknowledged {matched} to {to} in {term} and has {here:?} there, \
                         not {there:?}"
                    );
                    state.broken.get_or_insert(what);
                }
            }
            _ => {}
        }
    }

    /// To whom `voter` gave its vote in a term.
    pub(crate) fn vote(&self, voter: HostId, term: Term) -> Vec<HostId> {
        self.said(voter, term, true)
    }

    /// Whom `voter` refused in a term.
    pub(crate) fn refused(&self, voter: HostId, term: Term) -> Vec<HostId> {
        self.said(voter, term, false)
    }

    fn said(&self, voter: HostId, term: Term, granted: bool) -> Vec<HostId> {
        let state = lock(&self.state);
        let votes = state.votes.get(&(voter, term)).into_iter().flatten();
        votes.filter(|(_, said)| *said == granted).map(|(to, _)| *to).collect()
    }

    /// How many times entries were acknowledged.
    pub(crate) fn acknowledgements(&self) -> u64 {
        lock(&self.state).acknowledgements
    }

    /// Nobody gave two votes in a term or acknowledged what was not on its disk, and everybody who led a term
    /// after `since` had the votes of a majority in it.
    pub(crate) fn check<S: StateMachine>(&self, cluster: &Cluster<S>, since: Term) {
        let state = lock(&self.state);
        assert_eq!(state.broken, None);
        let mut gained: BTreeMap<(HostId, Term), u64> = BTreeMap::new();
        for ((voter, term), votes) in &state.votes {
            let given: Vec<&HostId> =
                votes.iter().filter(|(_, granted)| *granted).map(|(to, _)| to).collect();
            assert!(given.len() < 2, "{voter:?} voted for {given:?} in {term}");
            for to in given {
                *gained.entry((*to, *term)).or_default() += 1;
            }
        }
        let leaders: Vec<(Term, NodeId)> = cluster
            .watch()
            .view(GROUP, |view| view.leaders.iter().map(|(term, node)| (*term, *node)).collect());
        for (term, node) in leaders.into_iter().filter(|(term, _)| *term > since) {
            let host = cluster.host(node.0 as usize - 1);
            let votes = gained.get(&(host, term)).copied().unwrap_or_default() + 1;
            let needed = cluster.len() as u64 / 2 + 1;
            assert!(votes >= needed, "{node} led {term} with {votes} votes");
        }
    }
}

/// Everything that a leader calls committed is on a majority of the disks.
pub(crate) fn check_commit(cluster: &Cluster<Journal>) {
    for (leader, _) in cluster.leaders() {
        let commit = cluster.status(leader).map_or(LogIndex::ZERO, |status| status.commit);
        let mut copies: BTreeMap<Term, usize> = BTreeMap::new();
        for at in 0..cluster.len() {
            let term = cluster.watch().view(GROUP, |view| {
                view.node(cluster.id(at)).and_then(|node| node.durable.term_at(commit))
            });
            term.into_iter().for_each(|term| *copies.entry(term).or_default() += 1);
        }
        let enough = copies.values().any(|count| *count > cluster.len() / 2);
        assert!(enough || commit == LogIndex::ZERO, "{commit} is committed, on disks: {copies:?}");
    }
}
