//! The harness of the labs' scenarios, what `config.go` is for the originals: written on the public API of
//! `raft_sim` alone.
//!
//! An **index** is that of the originals: it counts commands, from 1. The entry with which a leader begins its
//! term is in the log, but has no index here.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses its part")]

mod agree;
mod clients;
mod journal;
mod leaders;
mod propose;
mod seeds;
mod setup;
mod submit;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::{BoxFuture, LogId, Service};
use raft_sim::cluster::GROUP;
use raft_sim::net::HostId;
use raft_sim::watch::Coverage;
use raft_sim::{Cluster, ClusterConfig};

pub use self::agree::{MovedOn, One, Retry};
pub use self::clients::Clients;
pub use self::journal::{Book, Journal, SNAPSHOT_INTERVAL};
pub use self::propose::{Started, number};
pub use self::seeds::{Over, seeds};
pub use self::setup::{Crash, Disks, Net, Setup, Snapshots, long_reordering};
pub use self::submit::{Outcome, Submitted};

/// The labs' bound on an election.
pub const ELECTION: Duration = Duration::from_secs(1);
/// No scenario may take longer.
pub const TIME_MAX: Duration = Duration::from_secs(120);

/// Servers, numbered from 0, and what is known about them.
pub struct Lab {
    pub cluster: Cluster<Journal>,
    pub rng: fastrand::Rng,
    pub setup: Setup,
    book: Book,
    connected: Vec<bool>,
    crash: Crash,
    /// Every command that ever got into a leader's log.
    accepted: BTreeSet<LogId>,
}

/// How much of everything there was.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub coverage: Coverage,
    /// Sectors of unsynced writes that losses of power cost.
    pub lost_sectors: u64,
}

impl Lab {
    pub fn new(setup: Setup) -> Self {
        let mut config = ClusterConfig::new(setup.seed, setup.servers);
        let book = Book::default();
        let machine = {
            let book = book.clone();
            move || Journal::new(&book)
        };
        let cluster = match setup.snapshots {
            Snapshots::Never => Cluster::start(config, machine),
            Snapshots::EveryTenCommands => {
                config.raft = |raft| raft.trailing_bytes_max = 0;
                Cluster::start_serving(config, machine, |group, _| {
                    let (group, due) =
                        (group.clone(), group.peek(|_, m| m.inner().snapshot_is_due()));
                    tokio::spawn(async move {
                        loop {
                            due.notified().await;
                            // One that fails, or comes too late, is followed by the next.
                            let _ = group.snapshot().await;
                        }
                    });
                    Arc::new(NoClients)
                })
            }
        };
        let servers = cluster.len();
        let mut lab = Self {
            cluster,
            rng: fastrand::Rng::with_seed(setup.seed),
            setup,
            book,
            connected: vec![true; servers],
            crash: Crash::of(setup.seed),
            accepted: BTreeSet::new(),
        };
        lab.set_net(setup.net);
        lab.set_disks();
        lab
    }

    pub fn servers(&self) -> usize {
        self.cluster.len()
    }

    /// `server + by`, round and round.
    pub fn next(&self, server: usize, by: usize) -> usize {
        (server + by) % self.servers()
    }

    pub fn set_net(&mut self, net: Net) {
        let link = net.link(self.setup.seed);
        self.cluster.net().change_links(|there| {
            let cut = there.cut;
            *there = link.clone();
            there.cut = cut;
        });
    }

    fn set_disks(&mut self) {
        use raft_sim::disk::OpKind::{Sync, SyncDir, Write};
        if self.setup.disks == Disks::Slow {
            let up_to = |ms: u64| Duration::ZERO..=Duration::from_millis(ms);
            for at in 0..self.servers() {
                self.cluster.disk(at).set_latency(Write, up_to(2));
                self.cluster.disk(at).set_latency(Sync, up_to(8));
                self.cluster.disk(at).set_latency(SyncDir, up_to(8));
            }
        }
    }

    pub fn now(&mut self) -> Duration {
        self.cluster.sim().now()
    }

    pub fn sleep(&mut self, time: Duration) {
        self.cluster.run_for(time);
        self.check();
    }

    pub fn sleep_ms(&mut self, ms: u64) {
        self.sleep(Duration::from_millis(ms));
    }

    /// A command that nobody else has.
    pub fn fresh(&mut self) -> Bytes {
        number(self.rng.u64(..))
    }

    pub fn any_server(&mut self) -> usize {
        let servers = self.servers();
        self.rng.usize(..servers)
    }

    /// With the probability `parts` / 1000.
    pub fn chance(&mut self, parts: u32) -> bool {
        self.rng.u32(..1000) < parts
    }
}

/// Links and processes.
impl Lab {
    pub fn is_connected(&self, at: usize) -> bool {
        self.connected[at]
    }

    /// Two servers hear each other when both are connected.
    pub fn connect(&mut self, at: usize) {
        self.connected[at] = true;
        self.relink();
    }

    pub fn connect_all(&mut self) {
        self.connected.fill(true);
        self.relink();
    }

    pub fn disconnect(&mut self, at: usize) {
        self.connected[at] = false;
        self.relink();
    }

    fn relink(&mut self) {
        let all: Vec<_> = (0..self.servers()).map(|at| self.cluster.host(at)).collect();
        let connected = all.iter().zip(&self.connected);
        let (together, alone): (Vec<_>, Vec<_>) = connected.partition(|(_, connected)| **connected);
        let hosts = |side: Vec<(&HostId, &bool)>| side.into_iter().map(|(host, _)| *host).collect();
        let (together, alone): (Vec<HostId>, Vec<HostId>) = (hosts(together), hosts(alone));
        let mut sides = vec![&together[..]];
        sides.extend(alone.iter().map(std::slice::from_ref));
        self.cluster.net().partition(&sides);
    }

    pub fn is_up(&self, at: usize) -> bool {
        self.cluster.is_up(at)
    }

    /// Crashes a server, which is not connected afterwards.
    pub fn crash(&mut self, at: usize) {
        self.check();
        self.disconnect(at);
        match self.crash {
            Crash::Kill => self.cluster.kill(at),
            Crash::PowerLoss(keep) => self.cluster.power_loss(at, keep),
        }
    }

    /// Starts a server from its disk; whether it is connected stays as it is.
    pub fn start(&mut self, at: usize) {
        self.cluster.restart(at);
    }

    /// Starts a server that crashed, and connects it.
    pub fn revive(&mut self, at: usize) {
        self.start(at);
        self.connect(at);
    }

    /// Crashes a server and starts it again.
    pub fn reboot(&mut self, at: usize) {
        self.crash(at);
        self.revive(at);
    }
}

/// What must hold.
impl Lab {
    /// No invariant was broken, all servers agree, and time is not up.
    pub fn check(&mut self) {
        self.cluster.check().unwrap_or_else(|violation| panic!("{violation}"));
        if let Some(wrong) = self.book.wrong() {
            panic!("{wrong}");
        }
        let now = self.now();
        assert!(now <= TIME_MAX, "a scenario takes two minutes at the most, this one {now:?}");
    }

    /// The end of a scenario; gives how much of everything there was.
    pub fn finish(mut self) -> Seen {
        self.check();
        self.check_no_gaps();
        let coverage = self.cluster.coverage();
        assert!(coverage.elections > 0, "nobody was elected: {coverage:?}");
        let losses = (0..self.servers()).map(|at| self.cluster.disk(at).losses().sectors);
        Seen { coverage, lost_sectors: losses.sum() }
    }

    /// Every command that is known to be committed was applied where it stands: none was left out. (That
    /// nothing else was applied is an invariant of the simulator's.)
    fn check_no_gaps(&self) {
        let applied = self.book.commands();
        let Some((last, _)) = applied.last() else { return };
        let applied: BTreeSet<LogId> = applied.iter().map(|(id, _)| *id).collect();
        self.cluster.watch().view(GROUP, |view| {
            let commands =
                view.committed.range(..=last.index).filter(|(_, print)| print.digest != 0);
            for id in commands.map(|(index, print)| LogId::new(print.term, *index)) {
                assert!(applied.contains(&id), "the command at {id} was committed, not applied");
            }
        });
    }
}

struct NoClients;

impl Service for NoClients {
    fn call(&self, _: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async { Bytes::new() })
    }
}
