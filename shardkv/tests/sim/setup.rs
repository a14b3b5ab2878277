//! [`Setup`]: what a world is like; seeds, and jobs of clients.

use std::time::Duration;

use raft_sim::shardkv::Layout;

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// What a world is like.
#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    pub groups: u64,
    pub layout: Layout,
    /// The labs' `maxraftstate`.
    pub limit: Option<u64>,
    pub unreliable: bool,
    /// The production transport, over byte streams.
    pub streams: bool,
    pub server: shardkv::ServerConfig,
    pub clerk: shardkv::ClerkConfig,
}

impl Setup {
    /// Three groups of three, ten shards, no faults.
    pub fn new(seed: u64) -> Self {
        let mut clerk = shardkv::ClerkConfig::default();
        // The labs' clerks try for ever.
        clerk.deadline = 100 * SECOND;
        clerk.calls.attempt_timeout = SECOND;
        clerk.calls.backoff_max = 100 * MS;
        let mut server = shardkv::ServerConfig::default();
        server.transfer.calls.attempt_timeout = SECOND;
        server.transfer.calls.backoff_max = 100 * MS;
        let streams = seed % 4 == 3;
        let (groups, layout, limit, unreliable) = (3, Layout::Apart, None, false);
        Self { seed, groups, layout, limit, unreliable, streams, server, clerk }
    }

    pub fn limit(self, bytes: u64) -> Self {
        Self { limit: Some(bytes), ..self }
    }

    pub fn unreliable(mut self) -> Self {
        self.clerk.calls.attempt_timeout = 200 * MS;
        self.server.transfer.calls.attempt_timeout = 200 * MS;
        Self { unreliable: true, ..self }
    }
}

/// Tells which seed it was when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={}", self.0);
        }
    }
}

/// Runs a scenario under twenty seeds, or under those in `SHARDKV_SEEDS`: `7`, or `100..200`.
pub fn seeds(scenario: impl Fn(Setup)) {
    many_seeds(20, scenario);
}

/// The same, under so many.
pub fn many_seeds(count: u64, scenario: impl Fn(Setup)) {
    let range = |text: &str| {
        let (first, end) = text.split_once("..").unwrap_or((text, ""));
        let first: u64 = first.parse().expect("a number");
        first..end.parse().unwrap_or(first + 1)
    };
    let chosen = std::env::var("SHARDKV_SEEDS").ok();
    for seed in chosen.as_deref().map_or(0..count, range) {
        let _seed = Seed(seed);
        scenario(Setup::new(seed));
    }
}
