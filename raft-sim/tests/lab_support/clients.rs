//! Clients that go on while servers come and go.

use std::time::Duration;

use bytes::Bytes;
use raft_core::LogId;

use super::Lab;

/// How long a client waits between two looks at whether its command is committed.
const PAUSES_MS: [u64; 5] = [10, 20, 50, 100, 200];

/// Proposes one command after another, at all servers, and notes those that it has seen committed.
#[derive(Debug)]
struct Client {
    number: u64,
    /// The command under way, where it stands if it is not lost, and how often it was looked for.
    waiting: Option<(Bytes, LogId, usize)>,
    /// When it goes on.
    at: Duration,
    seen: Vec<Bytes>,
}

impl Client {
    fn step(&mut self, lab: &mut Lab) {
        let ms = match self.waiting.take() {
            None => self.propose(lab),
            Some((command, id, looks)) => match PAUSES_MS.get(looks) {
                _ if lab.committed_at(id) => {
                    self.seen.push(command);
                    0
                }
                Some(ms) => {
                    self.waiting = Some((command, id, looks + 1));
                    *ms
                }
                // Perhaps a leader will commit it, perhaps not; it does not wait for ever.
                None => 0,
            },
        };
        self.at = lab.now() + Duration::from_millis(ms);
    }

    /// Proposes the next command at all servers; gives how long to wait.
    fn propose(&mut self, lab: &mut Lab) -> u64 {
        let command = lab.fresh();
        let taken = (0..lab.servers()).filter_map(|at| lab.propose(at, command.clone())).last();
        self.waiting = taken.map(|started| (command, started.id, 0));
        // At once it cannot be committed, if messages take their time.
        if self.waiting.is_some() { 1 } else { 79 + self.number * 17 }
    }
}

/// Some clients.
#[derive(Debug)]
pub struct Clients(Vec<Client>);

impl Clients {
    pub fn new(count: u64) -> Self {
        let client =
            |number| Client { number, waiting: None, at: Duration::ZERO, seen: Vec::new() };
        Self((0..count).map(client).collect())
    }

    /// Lets them go on for so long.
    pub fn go_on(&mut self, lab: &mut Lab, time: Duration) {
        let until = lab.now() + time;
        while let Some(client) = self.0.iter_mut().min_by_key(|client| client.at)
            && client.at < until
        {
            let pause = client.at.saturating_sub(lab.now());
            lab.sleep(pause);
            client.step(lab);
        }
        let rest = until - lab.now();
        lab.sleep(rest);
    }

    /// Every command that one of them has seen committed.
    pub fn seen(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter().flat_map(|client| &client.seen)
    }
}

impl Lab {
    /// Whether a server has applied the command at `id`.
    fn committed_at(&self, id: LogId) -> bool {
        let applied = |at| self.cluster.peek(at, |journal| journal.number_of(id)).flatten();
        (0..self.servers()).any(|at| applied(at).is_some())
    }
}
