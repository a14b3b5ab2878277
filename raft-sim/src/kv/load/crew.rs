//! [`Crew`]: the clients of a run while they work, and what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kv::Store;

use super::KvLoad;
use super::work::{Board, Work, work};
use crate::cluster::Cluster;
use crate::kv::{Job, KvClient, KvClients, KvCluster};
use crate::net::{HostId, PerMille};
use crate::world::Waited;

/// How long a client that was killed stays away, or is paused, at most.
const AWAY_MAX_MS: u64 = 3000;

/// Clients that work.
pub struct Crew {
    load: KvLoad,
    rng: fastrand::Rng,
    board: Arc<Board>,
    members: Vec<Member>,
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
    /// Clients that begin at once. Randomness of the work comes from `seed`.
    pub fn start(kv: &mut KvCluster, load: &KvLoad, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x6372_6577);
        let keys = load.keys_of_clients(&mut rng);
        let board = Arc::new(Board::default());
        let (nodes, clients) = kv.parts();
        let known: Vec<usize> = (0..nodes.len()).collect();
        let members = keys.into_iter().map(|keys| {
            let client = clients.add(nodes, &known);
            Member { client, keys, job: Job::new(), away: None, lives: 0 }
        });
        let mut crew = Self {
            load: load.clone(),
            rng,
            board,
            members: members.collect(),
            trouble_at: Duration::ZERO,
        };
        crew.set_loss(nodes, load.trouble);
        for at in 0..crew.members.len() {
            crew.begin(nodes, clients, at);
        }
        crew
    }

    fn begin(&mut self, nodes: &mut Cluster<Store>, clients: &KvClients, at: usize) {
        let member = &mut self.members[at];
        member.lives += 1;
        let job = Work {
            name: format!("{at}.{}", member.lives),
            keys: member.keys.clone(),
            load: self.load.clone(),
            rng: self.rng.fork(),
            board: Arc::clone(&self.board),
        };
        member.job = clients.spawn(nodes, member.client, |clerk| work(clerk, job));
    }

    fn set_loss(&self, nodes: &Cluster<Store>, loss: u16) {
        let hosts: Vec<HostId> = (0..nodes.len()).map(|at| nodes.host(at)).collect();
        for member in &self.members {
            for node in &hosts {
                for (from, to) in [(member.client.host(), *node), (*node, member.client.host())] {
                    nodes.net().change_link(from, to, |link| link.loss = PerMille(loss));
                }
            }
        }
    }

    /// Kills, pauses and revives clients. To be called every now and then with the time.
    pub fn disturb(&mut self, nodes: &mut Cluster<Store>, clients: &mut KvClients, now: Duration) {
        for at in 0..self.members.len() {
            if self.members[at].away.is_some_and(|until| until <= now) {
                self.revive(nodes, clients, at);
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
                    nodes.sim().kill(host);
                    self.board.count("clients killed");
                } else {
                    nodes.sim().pause(host);
                    self.board.count("clients paused");
                }
            }
        }
    }

    fn revive(&mut self, nodes: &mut Cluster<Store>, clients: &mut KvClients, at: usize) {
        self.members[at].away = None;
        let client = self.members[at].client;
        if nodes.sim().is_up(client.host()) {
            nodes.sim().resume(client.host());
        } else {
            let mut known: Vec<usize> = (0..nodes.len()).collect();
            self.rng.shuffle(&mut known);
            clients.restart(nodes, client, &known);
            self.begin(nodes, clients, at);
        }
    }

    /// The trouble is over: all clients run, on good links. Each ends when the call that it has in flight has
    /// returned, and then a write and a read have.
    pub fn calm(&mut self, kv: &mut KvCluster) {
        let (nodes, clients) = kv.parts();
        self.set_loss(nodes, 0);
        for at in 0..self.members.len() {
            if self.members[at].away.is_some() {
                self.revive(nodes, clients, at);
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
        self.calm(kv);
        match kv.nodes_mut().sim().run_until(limit, |_| self.is_done()) {
            Waited::Reached => Ok(()),
            Waited::TimedOut => Err(self.waiting()),
        }
    }

    /// How often clients did what, and how it ended.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.board.counts()
    }
}
