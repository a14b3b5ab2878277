//! Who leads.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_core::{Role, Term};

use super::{ELECTION, Lab};

impl Lab {
    /// The connected servers that say they lead, by their terms.
    fn connected_leaders(&self) -> BTreeMap<Term, Vec<usize>> {
        let mut leaders: BTreeMap<Term, Vec<usize>> = BTreeMap::new();
        for (at, term) in self.cluster.leaders() {
            if self.is_connected(at) {
                leaders.entry(term).or_default().push(at);
            }
        }
        leaders
    }

    /// Looks for a leader among the connected servers, ten times, every 450 to 550 ms; two in one term fail.
    pub fn check_one_leader(&mut self) -> usize {
        for _ in 0..10 {
            let pause = self.rng.u64(450..550);
            self.sleep_ms(pause);
            let leaders = self.connected_leaders();
            for (term, leaders) in &leaders {
                assert_eq!(leaders.len(), 1, "{leaders:?} lead {term:?}");
            }
            if let Some((_, leaders)) = leaders.last_key_value() {
                return leaders[0];
            }
        }
        panic!("expected one leader, got none");
    }

    /// How long it takes from now until a connected server leads a newer term than `before`.
    pub fn time_to_elect(&mut self, before: Term) -> Duration {
        let (begin, connected) = (self.now(), self.connected.clone());
        let waited = self.cluster.run_until(5 * ELECTION, |cluster| {
            cluster.leaders().iter().any(|(at, term)| connected[*at] && *term > before)
        });
        assert!(waited.reached(), "no leader within {:?}", 5 * ELECTION);
        self.now() - begin
    }

    /// No connected server leads. The originals ask no more; here a cut leader knows after a second that it
    /// is none (CheckQuorum), so nobody at all may.
    pub fn check_no_leader(&mut self) {
        let leaders = self.cluster.leaders();
        assert!(leaders.is_empty(), "expected no leader, but {leaders:?} claim to be");
    }

    /// All connected servers are in one term.
    pub fn check_terms(&mut self) -> Term {
        let connected = (0..self.servers()).filter(|at| self.is_connected(*at));
        let terms: Vec<Term> =
            connected.filter_map(|at| self.cluster.status(at)).map(|status| status.term).collect();
        let first = *terms.first().expect("a connected server");
        assert!(terms.iter().all(|term| *term == first), "servers disagree on the term: {terms:?}");
        first
    }

    pub fn term(&self, at: usize) -> Option<Term> {
        self.cluster.status(at).map(|status| status.term)
    }

    pub fn leads(&self, at: usize) -> bool {
        self.cluster.status(at).is_some_and(|status| status.role == Role::Leader)
    }
}
