//! [`Crew`]: the clients of a run while they work, and what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;

use super::KvLoad;
use super::work::{Board, Work, work};
use crate::cluster::address_of;
use crate::kv::{Calls, Clients, Job, KvClient, KvCluster};
use crate::net::{HostId, PerMille};
use crate::world::{Sim, Waited};

/// How long a client that was killed stays away, or is paused, at most.
const AWAY_MAX_MS: u64 = 3000;

/// Clients that work.
pub struct Crew {
    load: KvLoad,
    rng: fastrand::Rng,
    board: Arc<Board>,
    members: Vec<Member>,
    /// The processes that clients talk to.
    servers: Vec<HostId>,
    /// What clients know when they start.
    known: Vec<Address>,
    /// When the next second of trouble begins.
    trouble_at: Duration,
}

struct Member {
    client: KvClient,
    keys: Vec<usize>,
    job: Job<()>,
    /// Until when it is down or paused.
    away: Option<Duration>,
    lives: u64,
}

impl Crew {
    /// Clients of a [`KvCluster`] that begin at once. Randomness of the work comes from `seed`.
    pub fn start(kv: &mut KvCluster, load: &KvLoad, seed: u64) -> Self {
        let (nodes, clients) = kv.parts();
        let servers = (0..nodes.len()).map(|at| nodes.host(at)).collect();
        let known = (0..nodes.len()).map(|at| address_of(nodes.id(at))).collect();
        Self::start_with(nodes.sim(), clients, load, seed, servers, known)
    }

    /// Clients that talk to these processes, and know these addresses when they start.
    pub(crate) fn start_with<C: Calls>(
        sim: &mut Sim,
        clients: &mut Clients<C>,
        load: &KvLoad,
        seed: u64,
        servers: Vec<HostId>,
        known: Vec<Address>,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x6372_6577);
        let keys = load.keys_of_clients(&mut rng);
        let members = keys.into_iter().map(|keys| {
            let client = clients.add(sim, &known);
            Member { client, keys, job: Job::new(), away: None, lives: 0 }
        });
        let mut crew = Self {
            load: load.clone(),
            rng,
            board: Arc::new(Board::default()),
            members: members.collect(),
            servers,
            known,
            trouble_at: Duration::ZERO,
        };
        crew.set_loss(sim, load.trouble);
        for at in 0..crew.members.len() {
            crew.begin(sim, clients, at);
        }
        crew
    }

    fn begin<C: Calls>(&mut self, sim: &mut Sim, clients: &Clients<C>, at: usize) {
        let member = &mut self.members[at];
        member.lives += 1;
        let job = Work {
            name: format!("{at}.{}", member.lives),
            keys: member.keys.clone(),
            load: self.load.clone(),
            rng: self.rng.fork(),
            board: Arc::clone(&self.board),
        };
        member.job = clients.spawn(sim, member.client, |clerk| work(clerk, job));
    }

    /// The processes of the clients.
    pub fn hosts(&self) -> Vec<HostId> {
        self.members.iter().map(|member| member.client.host()).collect()
    }

    fn set_loss(&self, sim: &Sim, loss: u16) {
        for member in &self.members {
            for node in &self.servers {
                for (from, to) in [(member.client.host(), *node), (*node, member.client.host())] {
                    sim.net().change_link(from, to, |link| link.loss = PerMille(loss));
                }
            }
        }
    }

    /// Kills, pauses and revives clients. To be called every now and then with the time.
    pub fn disturb<C: Calls>(&mut self, sim: &mut Sim, clients: &mut Clients<C>, now: Duration) {
        for at in 0..self.members.len() {
            if self.members[at].away.is_some_and(|until| until <= now) {
                self.revive(sim, clients, at);
            }
        }
        if self.load.trouble == 0 || now < self.trouble_at {
            return;
        }
        self.trouble_at = now + Duration::from_secs(1);
        for at in 0..self.members.len() {
            if self.members[at].away.is_none() && self.rng.u16(0..1000) < self.load.trouble {
                let host = self.members[at].client.host();
                let away = Duration::from_millis(self.rng.u64(1..AWAY_MAX_MS));
                self.members[at].away = Some(now + away);
                if self.rng.bool() {
                    sim.kill(host);
                    self.board.count("clients killed");
                } else {
                    sim.pause(host);
                    self.board.count("clients paused");
                }
            }
        }
    }

    fn revive<C: Calls>(&mut self, sim: &mut Sim, clients: &mut Clients<C>, at: usize) {
        self.members[at].away = None;
        let client = self.members[at].client;
        if sim.is_up(client.host()) {
            sim.resume(client.host());
        } else {
            let mut known = self.known.clone();
            self.rng.shuffle(&mut known);
            clients.restart(sim, client, &known);
            self.begin(sim, clients, at);
        }
    }

    /// The trouble is over: all clients run, on good links. Each ends when the call that it has in flight has
    /// returned, and then a write and a read have.
    pub fn calm<C: Calls>(&mut self, sim: &mut Sim, clients: &mut Clients<C>) {
        self.set_loss(sim, 0);
        for at in 0..self.members.len() {
            if self.members[at].away.is_some() {
                self.revive(sim, clients, at);
            }
        }
        self.board.calm();
    }

    /// Whether all clients have ended.
    pub fn is_done(&self) -> bool {
        self.members.iter().all(|member| member.job.is_done())
    }

    /// The clients that have not ended, and what each waits for.
    pub fn waiting(&self) -> Vec<String> {
        let waiting = self.members.iter().enumerate().filter(|(_, member)| !member.job.is_done());
        let names: Vec<String> = waiting.map(|(at, it)| format!("{at}.{}", it.lives)).collect();
        self.board.doing(&names)
    }

    /// [`Self::calm`], and waits until all clients have ended.
    ///
    /// # Errors
    /// When that takes longer than `limit`: see [`Self::waiting`].
    pub fn wind_up(&mut self, kv: &mut KvCluster, limit: Duration) -> Result<(), Vec<String>> {
        let (nodes, clients) = kv.parts();
        self.calm(nodes.sim(), clients);
        match nodes.sim().run_until(limit, |_| self.is_done()) {
            Waited::Reached => Ok(()),
            Waited::TimedOut => Err(self.waiting()),
        }
    }

    /// How often clients did what, and how it ended.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.board.counts()
    }
}
