//! [`World`]: a cluster of servers on one of the labs' networks, with disks that take time.

use std::time::Duration;

use kv::ClerkError;
use raft_sim::Keep;
use raft_sim::cluster::Wire;
use raft_sim::disk::OpKind;
use raft_sim::kv::{Judged, KvClient, KvCluster, KvConfig, SimClerk};
use raft_sim::net::{Link, PerMille};
use raft_sim::watch::Coverage;

use super::{SECOND, millis};

/// The labs' networks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Net {
    /// U[1, 10) ms for a message (MadRaft) with even seeds, 0 ms (Go) with odd ones.
    Reliable,
    /// U[1, 27) ms for a message, and 10% of all requests, replies and messages lost.
    Unreliable,
    /// No latency at all.
    Instant,
}

impl Net {
    fn link(self, seed: u64) -> Link {
        let below = |ms: u64| Duration::from_micros(ms * 1000 - 1);
        match self {
            Self::Reliable if seed.is_multiple_of(2) => Link::with_latency(millis(1), below(10)),
            Self::Reliable | Self::Instant => Link::with_latency(Duration::ZERO, Duration::ZERO),
            Self::Unreliable => {
                let mut link = Link::with_latency(millis(1), below(27));
                link.loss = PerMille(100);
                link
            }
        }
    }
}

/// No scenario may take longer.
const TIME_MAX: Duration = Duration::from_secs(120);

/// How much of everything a run had.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub coverage: Coverage,
    pub judged: Judged,
    /// Sectors of unsynced writes that losses of power cost.
    pub lost_sectors: u64,
    /// Messages that the network lost.
    pub lost_messages: u64,
    /// How long it took, in simulated time.
    pub time: Duration,
}

/// Servers, numbered from 0, and all that happens to them.
pub struct World {
    pub kv: KvCluster,
    pub rng: fastrand::Rng,
    seed: u64,
    crashes: u64,
    limit: Option<u64>,
}

impl World {
    /// `limit` is the labs' `maxraftstate`: the size of the log, in bytes, that it is time for a snapshot at.
    pub fn new(seed: u64, servers: u64, net: Net, limit: Option<u64>) -> Self {
        let mut config = KvConfig::new(seed, servers);
        // Every fourth seed runs the production transport, over byte streams.
        if seed % 4 == 3 {
            config.cluster.wire = Wire::Streams;
        }
        config.cluster.snapshot_bytes = limit;
        if limit.is_some() {
            config.cluster.raft = |raft| raft.trailing_bytes_max = 0;
        }
        // The labs' clerks try for ever.
        config.clerk.deadline = 600 * SECOND;
        if net == Net::Unreliable {
            config.clerk.attempt_timeout = millis(300);
        }
        let mut world = Self {
            kv: KvCluster::start(config),
            rng: fastrand::Rng::with_seed(seed),
            seed,
            crashes: 0,
            limit,
        };
        world.kv.nodes().net().set_default_link(net.link(seed));
        world.slow_disks();
        world
    }

    /// A crash finds something that is not synced.
    fn slow_disks(&mut self) {
        let up_to = |ms: u64| Duration::ZERO..=millis(ms);
        for at in 0..self.servers() {
            let disk = self.kv.nodes().disk(at);
            disk.set_latency(OpKind::Write, up_to(1));
            disk.set_latency(OpKind::Sync, up_to(4));
            disk.set_latency(OpKind::SyncDir, up_to(4));
        }
    }

    /// Disks that take no time.
    pub fn instant_disks(&mut self) {
        (0..self.servers()).for_each(|at| self.kv.nodes().disk(at).calm());
    }

    pub fn servers(&self) -> usize {
        self.kv.nodes().len()
    }

    pub fn sleep(&mut self, time: Duration) {
        self.kv.nodes_mut().run_for(time);
        self.check();
    }

    pub fn check(&self) {
        if let Err(violation) = self.kv.check() {
            panic!("{violation}");
        }
    }

    pub fn leader(&mut self) -> usize {
        let found = self.kv.nodes_mut().run_until(10 * SECOND, |nodes| nodes.leader().is_some());
        assert!(found.reached(), "nobody leads");
        self.kv.nodes().leader().expect("just seen")
    }

    /// Two sides that do not hear each other, clients and all; whoever is on neither is left alone.
    pub fn split(&mut self, sides: [(&[usize], &[KvClient]); 2]) {
        let nodes = self.kv.nodes();
        let hosts = sides.map(|(servers, clients)| {
            let mut side = nodes.hosts(servers);
            side.extend(clients.iter().map(|client| client.host()));
            side
        });
        nodes.net().partition(&[&hosts[0], &hosts[1]]);
    }

    pub fn heal(&mut self) {
        self.kv.nodes().net().heal();
    }

    /// Each server is on either of two sides, which do not hear each other. Clients hear all.
    pub fn split_at_random(&mut self) {
        let (one, other): (Vec<_>, Vec<_>) = (0..self.servers()).partition(|_| self.rng.bool());
        self.split([(&one, &[]), (&other, &[])]);
    }

    /// All servers go down at once, by a loss of power or without one, in turns.
    pub fn crash_all(&mut self) {
        self.crashes += 1;
        let how = self.seed + self.crashes;
        for at in 0..self.servers() {
            self.crash(at, how);
        }
    }

    pub fn crash(&mut self, at: usize, how: u64) {
        let nodes = self.kv.nodes_mut();
        match how % 5 {
            0 => nodes.kill(at),
            1 => nodes.power_loss(at, Keep::RandomSectors),
            2 => nodes.power_loss(at, Keep::Nothing),
            3 => nodes.power_loss(at, Keep::Prefix),
            _ => nodes.power_loss(at, Keep::Everything),
        }
    }

    pub fn restart_all(&mut self) {
        for at in 0..self.servers() {
            if !self.kv.nodes().is_up(at) {
                self.kv.nodes_mut().restart(at);
            }
        }
    }

    /// A client does something, which must be done within `limit`.
    pub fn call<T, F>(
        &mut self,
        limit: Duration,
        client: KvClient,
        script: impl FnOnce(SimClerk) -> F,
    ) -> T
    where
        F: Future<Output = Result<T, ClerkError>> + Send + 'static,
        T: Send + 'static,
    {
        let done = self.kv.call(limit, client, script);
        let done = done.unwrap_or_else(|| panic!("not done within {limit:?}"));
        done.unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn put(&mut self, client: KvClient, key: &str, value: &str) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.call(10 * SECOND, client, |mut clerk| async move { clerk.put(key, value).await });
    }

    /// Panics unless the key has this value.
    pub fn expect(&mut self, client: KvClient, key: &str, value: &str) {
        let asked = key.to_owned();
        let read = self
            .call(10 * SECOND, client, |mut clerk| async move { clerk.get(asked).await })
            .map(|read| read.value);
        assert_eq!(read.as_deref(), Some(value.as_bytes()), "the value of {key}");
    }

    /// Panics unless the key has a value that begins so.
    pub fn expect_prefix(&mut self, client: KvClient, key: &str, prefix: &str) {
        let asked = key.to_owned();
        let read = self
            .call(10 * SECOND, client, |mut clerk| async move { clerk.get(asked).await })
            .expect("a value");
        assert!(read.value.starts_with(prefix.as_bytes()), "{key} is {:?}", read.value);
    }

    /// Logs that are longer than twice the limit have not been cut; without a limit there are no snapshots.
    pub fn check_sizes(&self) {
        for at in 0..self.servers() {
            let nodes = self.kv.nodes();
            match self.limit {
                Some(limit) => {
                    let bytes = nodes.log_bytes(at).expect("a server that runs");
                    assert!(
                        bytes <= 2 * limit,
                        "server {at} has a log of {bytes} bytes: {:?}",
                        nodes.status(at)
                    );
                }
                None => assert_eq!(nodes.snapshot_bytes(at), None, "server {at}"),
            }
        }
    }

    /// The end of every scenario.
    pub fn end(mut self) -> Seen {
        self.sleep(SECOND);
        self.check_sizes();
        let time = self.kv.nodes_mut().sim().now();
        assert!(time <= TIME_MAX, "it took {time:?}");
        let judged = self.kv.judge().unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(judged.replicas, self.servers(), "all servers that run have caught up");
        let nodes = self.kv.nodes();
        let losses = (0..self.servers()).map(|at| nodes.disk(at).losses().sectors);
        Seen {
            coverage: nodes.coverage(),
            judged,
            lost_sectors: losses.sum(),
            lost_messages: nodes.net().traffic().total().lost,
            time,
        }
    }
}
