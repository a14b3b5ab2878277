//! Networks, crashes and disks of the scenarios.
//!
//! Where the labs' harnesses differ, a scenario runs with both, in turns by its seed.

use std::time::Duration;

use raft_sim::Keep;
use raft_sim::net::{Letter, Link, PerMille, Verdict};

/// The labs' networks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Net {
    /// U[1, 10) ms for a message (MadRaft) with even seeds, 0 ms (Go) with odd ones.
    Reliable,
    /// U[1, 27) ms for a message, and 10% of all messages lost.
    Unreliable,
}

impl Net {
    pub fn link(self, seed: u64) -> Link {
        let below = |ms: u64| Duration::from_micros(ms * 1000 - 1);
        match self {
            Self::Reliable if seed.is_multiple_of(2) => {
                Link::with_latency(Duration::from_millis(1), below(10))
            }
            Self::Reliable => Link::with_latency(Duration::ZERO, Duration::ZERO),
            Self::Unreliable => {
                let mut link = Link::with_latency(Duration::from_millis(1), below(27));
                link.loss = PerMille(100);
                link
            }
        }
    }
}

/// The labs' "long reordering": two thirds of all replies take 200 + U[0, U[0, 2000)) ms longer.
pub fn long_reordering(seed: u64) -> impl FnMut(&Letter<'_>) -> Verdict + Send + 'static {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |letter| {
        if !letter.kind.is_reply() || rng.u8(0..3) == 0 {
            return Verdict::Pass;
        }
        let most = rng.u64(1..=2000);
        Verdict::Delay(Duration::from_millis(200 + rng.u64(0..most)))
    }
}

/// How servers crash. The labs' end the process and keep its files; here the power may fail, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The process ends, what it has written stays.
    Kill,
    /// Of what was not synced, this is left.
    PowerLoss(Keep),
}

impl Crash {
    /// All of them in turns, each with either network.
    pub fn of(seed: u64) -> Self {
        match seed / 2 % 3 {
            0 => Self::PowerLoss(Keep::RandomSectors),
            1 => Self::PowerLoss(Keep::Nothing),
            _ => Self::Kill,
        }
    }
}

/// What a scenario runs on.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub seed: u64,
    pub servers: u64,
    pub net: Net,
    pub disks: Disks,
    pub snapshots: Snapshots,
}

/// How long disks take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disks {
    /// No time at all.
    Instant,
    /// U[0, 2] ms for a write and U[0, 8] ms for a sync: a crash finds something that is not synced.
    Slow,
}

/// Whether servers take snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Snapshots {
    Never,
    /// The service of each takes one when so many commands more were applied, and the log keeps nothing
    /// behind it.
    EveryTenCommands,
}

impl Setup {
    pub fn reliable(seed: u64, servers: u64) -> Self {
        let (net, disks) = (Net::Reliable, Disks::Instant);
        Self { seed, servers, net, disks, snapshots: Snapshots::Never }
    }

    pub fn unreliable(seed: u64, servers: u64) -> Self {
        Self { net: Net::Unreliable, ..Self::reliable(seed, servers) }
    }

    pub fn crashing(self) -> Self {
        Self { disks: Disks::Slow, ..self }
    }

    pub fn snapshotting(self) -> Self {
        Self { snapshots: Snapshots::EveryTenCommands, ..self }
    }
}
