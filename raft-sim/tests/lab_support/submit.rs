//! Submitting: a command is proposed and waited for by somebody in the server's own process, as the labs' "rsm"
//! does it. What the state machine answers is the command's number.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Applied, ProposalError};

use super::Lab;

/// What became of a command.
pub type Outcome = Result<Applied<u64>, ProposalError>;

/// A command that was given to a server.
#[derive(Clone, Debug)]
pub struct Submitted(Arc<OnceLock<Outcome>>);

impl Submitted {
    /// What became of it, if it is known by now.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.0.get()
    }
}

impl Lab {
    /// Gives so many equal commands to a server, all at once.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn submit(&mut self, at: usize, command: &Bytes, count: usize) -> Vec<Submitted> {
        let group = self.cluster.group(at).expect("the server runs");
        let submitted = vec![(); count].into_iter().map(|()| Submitted(Arc::default()));
        let submitted: Vec<Submitted> = submitted.collect();
        let host = self.cluster.host(at);
        self.cluster.sim().within(host, || {
            for Submitted(outcome) in submitted.clone() {
                let proposed = group.propose(command.clone());
                tokio::spawn(async move {
                    let _ = outcome.set(proposed.await);
                });
            }
        });
        submitted
    }

    /// Lets time pass until all outcomes are known, at most `limit`.
    pub fn known_within(&mut self, limit: Duration, submitted: &[Submitted]) -> bool {
        let known = |_: &_| submitted.iter().all(|submitted| submitted.outcome().is_some());
        let waited = self.cluster.run_until(limit, known);
        self.check();
        waited.reached()
    }

    /// Gives `command` to one server after the other until one has applied it; gives its number.
    pub fn submit_to_any(&mut self, command: &Bytes, servers: &[usize]) -> u64 {
        let until = self.now() + Duration::from_secs(10);
        while self.now() < until {
            for at in servers {
                if self.cluster.group(*at).is_none() {
                    continue;
                }
                let submitted = self.submit(*at, command, 1);
                assert!(self.known_within(Duration::from_secs(10), &submitted));
                if let Some(Ok(applied)) = submitted[0].outcome() {
                    return applied.output;
                }
            }
            self.sleep_ms(50);
        }
        panic!("{command:?} was not applied in 10 s");
    }

    /// Exactly so many commands are applied on `servers` of them, within 10 s.
    pub fn check_count(&mut self, count: u64, servers: usize) {
        let limit = Duration::from_secs(10);
        let waited = self.cluster.run_until(limit, |cluster| {
            let counts = (0..cluster.len()).filter_map(|at| cluster.peek(at, |j| j.len()));
            counts.filter(|there| *there == count).count() >= servers
        });
        self.check();
        assert!(waited.reached(), "{servers} servers should have applied {count}");
    }
}
