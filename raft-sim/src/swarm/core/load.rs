//! What is proposed: to whoever says that he leads, also to those who are wrong.

use std::time::Duration;

use bytes::Bytes;

use super::Scratch;
use crate::cluster::Cluster;
use crate::swarm::dice::Dice;

/// How much is proposed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Load {
    /// Commands in a second.
    pub per_second: u64,
    /// The size of commands is drawn up to this, small ones as often as large ones.
    pub bytes_max: u64,
    /// Whether one in a hundred commands has the largest size there is, 64 KiB.
    pub giants: bool,
}

const GIANT_BYTES: u64 = super::super::setting::COMMAND_BYTES_MAX;

impl Load {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let bytes_max = dice.pick(&[0, 100, 1000, 10_000, GIANT_BYTES]);
        // Larger commands come less often: a run is not to spend its time on copying.
        let most = (1_000_000 / bytes_max.max(1)).clamp(20, 200);
        Self { per_second: dice.scaled(5, most), bytes_max, giants: dice.percent(30) }
    }

    /// Smaller ones, with what is smaller.
    pub(super) fn simpler(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        if self.bytes_max > 100 || self.giants {
            let small = Self { bytes_max: self.bytes_max.min(100), giants: false, ..self.clone() };
            all.push(("small commands".to_owned(), small));
        }
        if self.per_second > 5 {
            let per_second = self.per_second / 2;
            all.push((
                format!("{per_second} commands per second"),
                Self { per_second, ..self.clone() },
            ));
        }
        all
    }
}

/// A load while it is proposed.
pub(super) struct Loading {
    load: Load,
    dice: Dice,
    begun: Option<Duration>,
    offered: u64,
}

impl Loading {
    pub(super) fn new(load: Load, dice: Dice) -> Self {
        Self { load, dice, begun: None, offered: 0 }
    }

    /// Proposes what is due by `now`.
    pub(super) fn more(&mut self, cluster: &Cluster<Scratch>, now: Duration) {
        let begun = *self.begun.get_or_insert(now);
        let due = (now - begun).as_millis() as u64 * self.load.per_second / 1000;
        let leaders = cluster.leaders();
        while self.offered < due {
            self.offered += 1;
            // Nobody leads: it is as if a client had given up.
            if leaders.is_empty() {
                continue;
            }
            let (at, _) = self.dice.pick(&leaders);
            let command = self.command();
            cluster.offer(at, command);
        }
    }

    fn command(&mut self) -> Bytes {
        let giant = self.load.giants && self.dice.percent(1);
        let len = match giant {
            true => GIANT_BYTES,
            false if self.load.bytes_max == 0 => 0,
            false => self.dice.scaled(1, self.load.bytes_max),
        };
        let mut data = vec![self.offered as u8; len as usize];
        let number = self.offered.to_le_bytes();
        let known = number.len().min(data.len());
        data[..known].copy_from_slice(&number[..known]);
        data.into()
    }
}
