//! The labs' `GenericTest`: clients append and read for a while, whatever happens, and everything is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kv::ClerkError;
use raft_sim::kv::{Job, KvClient, SimClerk};

use super::{Net, SECOND, Seen, World, millis};

/// On which keys clients work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// Each on its own, so that it knows what it must read.
    Own,
    /// Each time on any of as many as there are clients; also puts.
    Shared,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crashes {
    Never,
    /// All servers go down for a second at the end of each round.
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partitions {
    Never,
    /// Another random split every 1.0 to 1.2 s.
    Random,
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Generic {
    pub servers: u64,
    pub clients: usize,
    pub net: Net,
    pub keys: Keys,
    pub crashes: Crashes,
    pub partitions: Partitions,
    pub limit: Option<u64>,
}

impl Generic {
    pub const fn reliable(clients: usize) -> Self {
        Self {
            servers: 5,
            clients,
            net: Net::Reliable,
            keys: Keys::Own,
            crashes: Crashes::Never,
            partitions: Partitions::Never,
            limit: None,
        }
    }

    pub const fn unreliable(self) -> Self {
        Self { net: Net::Unreliable, ..self }
    }

    pub const fn crashing(self) -> Self {
        Self { crashes: Crashes::All, ..self }
    }

    pub const fn partitioned(self) -> Self {
        Self { partitions: Partitions::Random, ..self }
    }

    pub const fn limited(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    pub fn run(self, seed: u64) -> Seen {
        let mut world = World::new(seed, self.servers, self.net, self.limit);
        let clients: Vec<KvClient> = (0..self.clients).map(|_| world.kv.client()).collect();
        let observer = world.kv.client();
        for round in 0..3 {
            let stop = Arc::new(AtomicBool::new(false));
            let jobs: Vec<_> = clients
                .iter()
                .enumerate()
                .map(|(n, client)| self.begin(&mut world, *client, n, round, &stop))
                .collect();
            self.disturb(&mut world, &stop);
            let values = world.kv.finish_all(60 * SECOND, &jobs).expect("clients end");
            for (n, value) in values.into_iter().enumerate() {
                let value = value.unwrap_or_else(|error| panic!("client {n}: {error}"));
                if self.keys == Keys::Own {
                    self.check_value(&mut world, observer, n, &value);
                }
            }
            world.sleep(SECOND);
            world.check_sizes();
        }
        world.end()
    }

    fn begin(
        self,
        world: &mut World,
        client: KvClient,
        n: usize,
        round: u32,
        stop: &Arc<AtomicBool>,
    ) -> Job<Result<String, ClerkError>> {
        let (rng, stop, keys) = (world.rng.fork(), Arc::clone(stop), self.clients);
        world.kv.spawn(client, move |clerk| async move {
            match self.keys {
                Keys::Own => own_key(clerk, n, round, rng, &stop).await,
                Keys::Shared => shared_keys(clerk, n, round, keys, rng, &stop).await,
            }
        })
    }

    /// Five seconds of it.
    fn disturb(self, world: &mut World, stop: &AtomicBool) {
        match self.partitions {
            Partitions::Never => world.sleep(5 * SECOND),
            Partitions::Random => {
                let mut left = 5 * SECOND;
                while !left.is_zero() {
                    world.split_at_random();
                    let pause = millis(world.rng.u64(1000..1200)).min(left);
                    world.sleep(pause);
                    left -= pause;
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        if self.partitions == Partitions::Random {
            world.heal();
            // As the originals: servers may settle before they go down.
            world.sleep(SECOND);
        }
        if self.crashes == Crashes::All {
            world.crash_all();
            world.sleep(SECOND);
            world.restart_all();
        }
    }

    /// The client's key holds what it has appended, each once and in order.
    fn check_value(self, world: &mut World, observer: KvClient, n: usize, value: &str) {
        let read = world
            .kv
            .call(30 * SECOND, observer, move |mut clerk| async move { clerk.get(key(n)).await });
        let read = read.expect("in time").expect("read").expect("a value");
        assert_eq!(read.value, value, "client {n}");
    }
}

fn key(n: usize) -> String {
    format!("{n}")
}

async fn own_key(
    mut clerk: SimClerk,
    n: usize,
    round: u32,
    mut rng: fastrand::Rng,
    stop: &AtomicBool,
) -> Result<String, ClerkError> {
    let mut value = String::new();
    clerk.put(key(n), &value).await?;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        if rng.bool() {
            let more = format!("x {round} {n} {count} y");
            clerk.append(key(n), &more).await?;
            value += &more;
            count += 1;
        } else {
            let read = clerk.get(key(n)).await?.map(|read| read.value);
            assert_eq!(read.as_deref(), Some(value.as_bytes()), "client {n} reads its own writes");
        }
    }
    Ok(value)
}

async fn shared_keys(
    mut clerk: SimClerk,
    n: usize,
    round: u32,
    keys: usize,
    mut rng: fastrand::Rng,
    stop: &AtomicBool,
) -> Result<String, ClerkError> {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let at = key(rng.usize(..keys));
        let value = format!("x {round} {n} {count} y");
        count += 1;
        match rng.u32(..100) {
            ..50 => clerk.append(at, value).await.map(|_| ())?,
            50..55 => clerk.put(at, value).await.map(|_| ())?,
            _ => clerk.get(at).await.map(|_| ())?,
        }
    }
    Ok(String::new())
}
