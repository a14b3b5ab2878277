//! [`Setting`]: how a cluster is configured, drawn from a seed.

use std::fmt;
use std::time::Duration;

use raft_core::Config;
use raft_storage::WalOptions;

use super::dice::Dice;
use super::suite::Scale;
use crate::cluster::{ClusterConfig, Wire};

/// How a cluster is configured, and for how long everything may go wrong in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// The seed of the cluster.
    pub seed: u64,
    /// 1, 3, 5 or 7.
    pub nodes: u64,
    /// How nodes reach each other.
    pub wire: Wire,
    /// When snapshots are taken.
    pub snapshot_bytes: Option<u64>,
    /// In how large pieces they travel.
    pub snapshot_chunk_bytes: usize,
    /// The size of the log's segments.
    pub segment_bytes: u64,
    /// The limits of queues.
    pub queues: Queues,
    /// The length of the safety phase.
    pub safety: Duration,
}

/// How much waits, and how much log is kept behind a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queues {
    /// The defaults of production.
    Wide,
    /// A few messages, and little log behind a snapshot.
    Medium,
    /// One or two messages, and nothing behind a snapshot.
    Tight,
}

/// The largest command that any setting takes.
pub(super) const COMMAND_BYTES_MAX: u64 = 64 << 10;

fn medium(config: &mut Config) {
    config.append_bytes_max = 64 << 10;
    config.window_messages_max = 16;
    config.window_bytes_max = 512 << 10;
    config.in_flight_bytes_max = 4 << 20;
    config.command_bytes_max = COMMAND_BYTES_MAX;
    config.applying_bytes_max = 64 << 10;
    config.trailing_bytes_max = 10 << 10;
}

fn tight(config: &mut Config) {
    config.append_bytes_max = 2 << 10;
    config.window_messages_max = 2;
    config.window_bytes_max = 4 << 10;
    config.in_flight_bytes_max = 256 << 10;
    config.command_bytes_max = COMMAND_BYTES_MAX;
    config.applying_bytes_max = 2 << 10;
    config.trailing_bytes_max = 0;
}

impl Queues {
    /// What changes a configuration accordingly.
    pub fn change(self) -> fn(&mut Config) {
        match self {
            Self::Wide => |_| (),
            Self::Medium => medium,
            Self::Tight => tight,
        }
    }
}

impl Setting {
    /// The setting of a seed.
    pub fn draw(seed: u64, scale: Scale) -> Self {
        let mut dice = Dice::new(seed, "setting");
        let safety = match scale {
            Scale::Short => dice.between(20, 60),
            Scale::Long => dice.between(60, 300),
        };
        Self {
            seed,
            nodes: dice.pick(&[1, 3, 3, 3, 3, 3, 5, 5, 5, 7]),
            wire: dice.pick(&[Wire::Messages, Wire::Messages, Wire::Streams]),
            snapshot_bytes: dice.pick(&[Some(1), Some(100), Some(1000), Some(64_000), None]),
            snapshot_chunk_bytes: dice.pick(&[512, 4 << 10, 64 << 10]),
            segment_bytes: dice.pick(&[16 << 10, 64 << 10, 256 << 10]),
            queues: dice.pick(&[Queues::Wide, Queues::Medium, Queues::Tight]),
            safety: Duration::from_secs(safety),
        }
    }

    /// Three nodes for a minute, with production's queues.
    pub fn calm() -> Self {
        Self {
            seed: 1,
            nodes: 3,
            wire: Wire::Messages,
            snapshot_bytes: Some(64_000),
            snapshot_chunk_bytes: 64 << 10,
            segment_bytes: 64 << 10,
            queues: Queues::Wide,
            safety: Duration::from_secs(60),
        }
    }

    /// The configuration of the cluster.
    pub fn cluster(&self) -> ClusterConfig {
        let mut config = ClusterConfig::new(self.seed, self.nodes);
        config.wire = self.wire;
        config.snapshot_bytes = self.snapshot_bytes;
        config.snapshot_chunk_bytes = self.snapshot_chunk_bytes;
        let (segment_bytes, fill_bytes) = (self.segment_bytes, self.segment_bytes / 4);
        config.wal = WalOptions { segment_bytes, segments_max: 4, fill_bytes };
        config.raft = self.queues.change();
        config
    }

    /// Smaller ones, with what is smaller.
    pub fn simpler(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let mut add = |what: String, setting: Self| {
            if setting != *self {
                all.push((what, setting));
            }
        };
        let half = (self.safety / 2).max(Duration::from_millis(500));
        add(format!("{half:?} long"), Self { safety: half, ..self.clone() });
        let less = (self.safety * 9 / 10).max(Duration::from_millis(500));
        add(format!("{less:?} long"), Self { safety: less, ..self.clone() });
        if self.nodes > 3 {
            add("3 nodes".to_owned(), Self { nodes: 3, ..self.clone() });
        }
        add("over messages".to_owned(), Self { wire: Wire::Messages, ..self.clone() });
        add("with wide queues".to_owned(), Self { queues: Queues::Wide, ..self.clone() });
        add("without snapshots".to_owned(), Self { snapshot_bytes: None, ..self.clone() });
        all
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, wire, queues, safety, .. } = self;
        write!(f, "  seed {seed}: {nodes} nodes over {wire:?}, {queues:?} queues, ")?;
        match self.snapshot_bytes {
            Some(bytes) => write!(f, "a snapshot every {bytes} bytes")?,
            None => f.write_str("no snapshots")?,
        }
        let (chunk, segment) = (self.snapshot_chunk_bytes, self.segment_bytes);
        write!(f, " in chunks of {chunk}, segments of {segment} bytes; {safety:?} of faults")
    }
}
