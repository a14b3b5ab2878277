//! What is done to the links.

use std::time::Duration;

use super::Run;
use super::world::NODES;

/// What is done to the links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The cable of a node that does not lead is pulled.
    FollowerAlone,
    /// The cable of the leader is pulled.
    LeaderAlone,
    /// The leader hears all others, and none hears it.
    LeaderMute,
    /// The leader is heard by all others, and hears none.
    LeaderDeaf,
    /// One follower does not hear the leader, which hears it.
    OneWay,
    /// The leader and one other are apart from the other three.
    Minority,
    /// The cable of a node is pulled and put back, again and again.
    Flapping,
}

/// Each of them, in the order of a short run.
pub(super) const FAULTS: [Fault; 7] = [
    Fault::FollowerAlone,
    Fault::LeaderAlone,
    Fault::OneWay,
    Fault::LeaderMute,
    Fault::LeaderDeaf,
    Fault::Minority,
    Fault::Flapping,
];

/// Answers while a fault lasts.
const ANSWERS: u64 = 60;

impl Fault {
    /// Does it, and waits for its effect; what has happened. Healing is left to the caller.
    pub(super) fn inflict(self, run: &mut Run, leader: usize, term: u64) -> Result<String, String> {
        let other = (leader + 1 + run.random.below(NODES as u64 - 1) as usize) % NODES;
        let others = || (0..NODES).filter(move |node| *node != leader);
        let (name, led) = (other + 1, leader + 1);
        let told = match self {
            Self::FollowerAlone => {
                run.nodes.world.pull(other)?;
                run.nodes.is_gone(other)?;
                format!("node {name} was alone")
            }
            Self::LeaderAlone => {
                run.nodes.world.pull(leader)?;
                run.nodes.is_gone(leader)?;
                format!("node {led}, which led, was alone")
            }
            Self::LeaderMute => {
                others().try_for_each(|node| run.nodes.world.cut(leader, node))?;
                format!("nobody heard node {led}, which led")
            }
            Self::LeaderDeaf => {
                others().try_for_each(|node| run.nodes.world.cut(node, leader))?;
                format!("node {led}, which led, heard nobody")
            }
            Self::OneWay => {
                run.nodes.world.cut(leader, other)?;
                run.nodes.falls_behind(other, leader)?;
                format!("node {name} did not hear node {led}, which led")
            }
            Self::Minority => {
                for node in others().filter(|node| *node != other) {
                    for of_minority in [leader, other] {
                        run.nodes.world.cut(of_minority, node)?;
                        run.nodes.world.cut(node, of_minority)?;
                    }
                }
                format!("nodes {led}, which led, and {name} were apart from the others")
            }
            Self::Flapping => {
                for _ in 0..6 {
                    run.nodes.world.pull(other)?;
                    run.pause(100, 500);
                    run.nodes.world.heal_all()?;
                    run.pause(100, 500);
                }
                format!("node {name} came and went six times")
            }
        };
        let told = match self.replaces_the_leader() {
            false => told,
            true => {
                let (next, _) = run.nodes.next_leader(leader, term)?;
                format!("{told}; node {} leads", next + 1)
            }
        };
        run.answered(ANSWERS)?;
        Ok(told)
    }

    fn replaces_the_leader(self) -> bool {
        match self {
            Self::LeaderAlone | Self::LeaderMute | Self::LeaderDeaf | Self::Minority => true,
            Self::FollowerAlone | Self::OneWay | Self::Flapping => false,
        }
    }
}

impl Run {
    fn pause(&mut self, from_ms: u64, to_ms: u64) {
        std::thread::sleep(Duration::from_millis(from_ms + self.random.below(to_ms - from_ms)));
    }
}
