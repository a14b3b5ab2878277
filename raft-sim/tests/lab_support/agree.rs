//! Agreement on commands.

use std::time::Duration;

use bytes::Bytes;
use raft_core::{LogId, Term};

use super::Lab;

/// A command is agreed on within this time, or the scenario fails.
const AGREEMENT: Duration = Duration::from_secs(10);
/// How long to wait for a command to be applied before it is proposed anew.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to wait when nobody leads.
const NO_LEADER: Duration = Duration::from_millis(50);

/// Whether a command that got lost is proposed anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    No,
    Yes,
}

/// The servers are in a later term: not every command of the earlier one needs to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MovedOn;

/// A command that is to be agreed on: the originals' `one`, many of which may be under way.
#[derive(Debug)]
pub struct One {
    command: Bytes,
    servers: usize,
    retry: Retry,
    until: Duration,
    /// The server that was asked last.
    asked: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No leader was found; another is looked for at this time.
    Looking(Duration),
    /// A leader took it, and has this long to commit it.
    Waiting(LogId, Duration),
    Agreed(u64),
}

impl One {
    pub fn new(lab: &mut Lab, command: Bytes, servers: usize, retry: Retry) -> Self {
        let now = lab.now();
        let state = State::Looking(now);
        Self { command, servers, retry, until: now + AGREEMENT, asked: 0, state }
    }

    /// The index that the servers agreed on.
    pub fn agreed(&self) -> Option<u64> {
        match self.state {
            State::Agreed(index) => Some(index),
            _ => None,
        }
    }

    /// Does what is to be done now, and says when there is something again at the latest.
    fn step(&mut self, lab: &mut Lab) -> Duration {
        let now = lab.now();
        self.state = match self.state {
            State::Waiting(id, until) => match lab.applied_by(id, self.servers) {
                Some(index) => State::Agreed(index),
                None if now < until => State::Waiting(id, until),
                None => {
                    assert_eq!(self.retry, Retry::Yes, "{:?} was not agreed on", self.command);
                    State::Looking(now)
                }
            },
            other => other,
        };
        if let State::Looking(at) = self.state
            && at <= now
        {
            assert!(now < self.until, "{:?} was not agreed on in 10 s", self.command);
            self.state = match self.ask(lab) {
                Some(id) => State::Waiting(id, now + ATTEMPT),
                None => State::Looking(now + NO_LEADER),
            };
        }
        match self.state {
            State::Looking(at) | State::Waiting(_, at) => at,
            State::Agreed(_) => Duration::MAX,
        }
    }

    /// Tries all connected servers; maybe one is the leader.
    fn ask(&mut self, lab: &mut Lab) -> Option<LogId> {
        for _ in 0..lab.servers() {
            self.asked = lab.next(self.asked, 1);
            if lab.is_connected(self.asked)
                && let Some(started) = lab.propose(self.asked, self.command.clone())
            {
                return Some(started.id);
            }
        }
        None
    }
}

impl Lab {
    /// The index of the command at `id`, once `servers` of them have applied it.
    fn applied_by(&self, id: LogId, servers: usize) -> Option<u64> {
        let at = |at| self.cluster.peek(at, |journal| journal.number_of(id)).flatten();
        let mut found = (0..self.servers()).filter_map(at).peekable();
        let index = found.peek().copied();
        index.filter(|_| found.count() >= servers)
    }

    /// Has `command` committed and applied by at least so many servers, within 10 s; gives its index.
    pub fn one(&mut self, command: impl Into<Bytes>, servers: usize, retry: Retry) -> u64 {
        let mut one = [One::new(self, command.into(), servers, retry)];
        self.work_on(&mut one, |ones| ones[0].agreed().is_some());
        one[0].agreed().expect("worked on until it is")
    }

    /// Lets time pass until enough of the commands are agreed on.
    pub fn work_on(&mut self, ones: &mut [One], enough: impl Fn(&[One]) -> bool) {
        loop {
            let next = ones.iter_mut().map(|one| one.step(self)).min().unwrap_or_default();
            self.check();
            if enough(ones) {
                return;
            }
            let waiting: Vec<(LogId, usize)> = ones
                .iter()
                .filter_map(|one| match one.state {
                    State::Waiting(id, _) => Some((id, one.servers)),
                    _ => None,
                })
                .collect();
            let limit = next - self.now();
            let _ = self.cluster.run_until(limit, |cluster| {
                let applied = |at, id| cluster.peek(at, |journal| journal.number_of(id)).flatten();
                waiting.iter().any(|(id, servers)| {
                    (0..cluster.len()).filter(|at| applied(*at, *id).is_some()).count() >= *servers
                })
            });
        }
    }

    /// Waits until `servers` have applied a command with this index, at most about 20 s, and gives it; or
    /// until one of them is in a later term than `term`.
    pub fn wait(
        &mut self,
        index: u64,
        servers: usize,
        term: Option<Term>,
    ) -> Result<Bytes, MovedOn> {
        let later = |lab: &Self| {
            let terms = (0..lab.servers()).filter_map(|at| lab.term(at));
            term.is_some_and(|term| terms.max().is_some_and(|newest| newest > term))
        };
        let mut pause = 10;
        for _ in 0..30 {
            if self.committed(index).0 >= servers {
                break;
            }
            self.sleep_ms(pause);
            pause = (pause * 2).min(1000);
            if later(self) {
                return Err(MovedOn);
            }
        }
        let (count, command) = self.committed(index);
        assert!(count >= servers, "only {count} decided for index {index}; wanted {servers}");
        Ok(command.expect("it was counted"))
    }
}
