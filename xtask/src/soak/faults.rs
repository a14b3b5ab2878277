//! The faults, each done and proved while writes are under way: writes are acknowledged before it, and
//! again after it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Soak;
use super::cluster::{PAUSE_MIN, eventually};
use super::torn::{Kind, Torn};

/// An acknowledgement that comes so soon after a leader's end was its own: an election takes longer.
const GRACE: Duration = Duration::from_millis(100);
/// What the import and the appender must each have got through to count as under way.
const IMPORTED_MIN: u64 = 200;
const APPENDED_MIN: u64 = 20;
/// Appends that are applied and not yet acknowledged.
const APPENDS_IN_FLIGHT: u64 = 100;

/// What may befall the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    KillLeader,
    /// And half a batch is left at the end of its log.
    KillLeaderTorn,
    KillFollower,
    KillFollowerTorn,
    /// All at once, as in a power cut.
    KillAll,
    PauseLeader,
    PauseFollower,
    /// In order, and all of them.
    RestartAll,
}

/// Where each run begins.
pub(super) const FIRST: [Fault; 4] =
    [Fault::KillLeader, Fault::PauseFollower, Fault::KillLeaderTorn, Fault::KillLeader];
const ALL: [Fault; 8] = [
    Fault::KillLeader,
    Fault::KillLeaderTorn,
    Fault::KillFollower,
    Fault::KillFollowerTorn,
    Fault::KillAll,
    Fault::PauseLeader,
    Fault::PauseFollower,
    Fault::RestartAll,
];

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    /// From the end of a leader to the next append that was acknowledged.
    pub(super) leader_kills: Vec<Duration>,
    pub(super) leader_pauses: Vec<Duration>,
    pub(super) follower_kills: u64,
    pub(super) follower_pauses: u64,
    pub(super) kills_of_all: Vec<Duration>,
    pub(super) restarts: Vec<Duration>,
    pub(super) torn_writes: u64,
}

impl Soak {
    pub(super) fn random_fault(&mut self) -> Fault {
        ALL[self.random.below(ALL.len() as u64) as usize]
    }

    pub(super) fn inflict(&mut self, fault: Fault) -> Result<(), String> {
        self.writes_go_on()?;
        match fault {
            Fault::KillLeader => self.kill_leader(false)?,
            Fault::KillLeaderTorn => self.kill_leader(true)?,
            Fault::KillFollower => self.kill_follower(false)?,
            Fault::KillFollowerTorn => self.kill_follower(true)?,
            Fault::KillAll => self.kill_all()?,
            Fault::PauseLeader => self.pause_leader()?,
            Fault::PauseFollower => self.pause_follower()?,
            Fault::RestartAll => self.restart_all()?,
        }
        self.writes_go_on()
    }

    fn kill_leader(&mut self, torn: bool) -> Result<(), String> {
        let (leader, term) = self.cluster.leader()?;
        let at = Instant::now();
        self.cluster.kill(leader)?;
        let downtime = self.appender.downtime(at, GRACE)?;
        let (next, next_term) = self.cluster.leader()?;
        if next_term <= term {
            return Err(format!(
                "a leader of term {term} was killed, and term {next_term} goes on"
            ));
        }
        self.writes_go_on()?;
        self.done.leader_kills.push(downtime);
        self.tell(&format!(
            "killed the leader, node {} (term {term}); {} until the next acknowledged append, by node \
             {} (term {next_term})",
            leader + 1,
            seconds(downtime),
            next + 1
        ));
        self.come_back(leader, torn)
    }

    fn kill_follower(&mut self, torn: bool) -> Result<(), String> {
        let follower = self.follower()?;
        self.cluster.kill(follower)?;
        self.writes_go_on()?;
        self.done.follower_kills += 1;
        self.tell(&format!("killed a follower, node {}; writes went on", follower + 1));
        self.come_back(follower, torn)
    }

    /// Starts a node that was killed, perhaps with a torn write, and waits until it has caught up.
    fn come_back(&mut self, node: usize, torn: bool) -> Result<(), String> {
        let torn = if torn { Some(self.tear(node)?) } else { None };
        sleep(Duration::from_millis(self.random.below(2000)));
        self.cluster.start(node)?;
        self.all_caught_up()?;
        let Some(torn) = torn else { return Ok(()) };
        if !torn.is_cut()? {
            return Err(format!("node {} runs on a log with a torn write in it", node + 1));
        }
        self.done.torn_writes += 1;
        self.tell(&format!("node {} started, cut the torn write and caught up", node + 1));
        Ok(())
    }

    fn tear(&mut self, node: usize) -> Result<Torn, String> {
        // The first is always the harder kind.
        let stale = self.done.torn_writes > 0 && self.random.below(4) == 0;
        let kind = if stale { Kind::StaleBytes } else { Kind::HalfBatch };
        let dir = self.cluster.data_dir(node);
        let mut inspect = self.cluster.shardkv(&["inspect", "wal"]);
        let torn = Torn::write(inspect.arg(&dir), &dir, kind)?;
        let name = torn.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what = match torn.kind {
            Kind::HalfBatch => "half a batch",
            Kind::StaleBytes => "half of its last record again",
        };
        let at = torn.at;
        self.tell(&format!("wrote {what} at {at} of node {}'s last segment, {name}", node + 1));
        Ok(torn)
    }

    fn kill_all(&mut self) -> Result<(), String> {
        let at = Instant::now();
        (0..3).try_for_each(|node| self.cluster.kill(node))?;
        (0..3).try_for_each(|node| self.cluster.start(node))?;
        let downtime = self.appender.downtime(at, GRACE)?;
        self.done.kills_of_all.push(downtime);
        self.tell(&format!("killed all nodes; {} until the next append", seconds(downtime)));
        self.all_caught_up()
    }

    fn restart_all(&mut self) -> Result<(), String> {
        self.cluster.stop_all()?;
        let at = Instant::now();
        (0..3).try_for_each(|node| self.cluster.start(node))?;
        let downtime = self.appender.downtime(at, Duration::ZERO)?;
        self.done.restarts.push(downtime);
        self.tell(&format!("stopped and started all; {} until the next append", seconds(downtime)));
        self.all_caught_up()
    }

    fn pause_leader(&mut self) -> Result<(), String> {
        let (leader, term) = self.cluster.leader()?;
        let at = Instant::now();
        self.pause(leader)?;
        let downtime = self.appender.downtime(at, GRACE)?;
        self.writes_go_on()?;
        self.resume(leader, at)?;
        let (_, now) = self.cluster.leader()?;
        if now <= term {
            return Err(format!("a leader of term {term} was paused, and term {now} goes on"));
        }
        self.done.leader_pauses.push(downtime);
        self.tell(&format!(
            "paused the leader, node {}, for {}; {} until the next acknowledged append",
            leader + 1,
            seconds(at.elapsed()),
            seconds(downtime)
        ));
        self.all_caught_up()
    }

    fn pause_follower(&mut self) -> Result<(), String> {
        let follower = self.follower()?;
        let at = Instant::now();
        self.pause(follower)?;
        self.writes_go_on()?;
        self.resume(follower, at)?;
        self.done.follower_pauses += 1;
        let took = seconds(at.elapsed());
        self.tell(&format!("paused a follower, node {}, for {took}; writes went on", follower + 1));
        self.all_caught_up()
    }

    fn pause(&mut self, node: usize) -> Result<(), String> {
        self.cluster.signal(node, "STOP")?;
        eventually("a node is paused", || Ok(self.cluster.is_paused(node).then_some(())))
    }

    /// Lets a paused node go on, when it has missed its election timeout for certain.
    fn resume(&mut self, node: usize, paused: Instant) -> Result<(), String> {
        let longer = PAUSE_MIN + Duration::from_millis(self.random.below(2000));
        sleep(longer.saturating_sub(paused.elapsed()));
        if !self.cluster.is_paused(node) {
            return Err(format!("node {} did not stay paused", node + 1));
        }
        self.cluster.signal(node, "CONT")
    }

    fn follower(&mut self) -> Result<usize, String> {
        let (leader, _) = self.cluster.leader()?;
        Ok((leader + 1 + self.random.below(2) as usize) % 3)
    }

    /// Both workloads have writes acknowledged from here on.
    fn writes_go_on(&self) -> Result<(), String> {
        let appended = || self.appender.told().acks();
        let (appends, applied) = (appended(), self.applied()?);
        eventually("writes are acknowledged", || {
            if self.imports.have_ended() {
                return Err("the imports have ended".to_owned());
            }
            // All that is applied is of the import or of the appender. The import may be between two
            // rounds, so waiting is right.
            let new_appends = appended() - appends;
            let imported =
                self.applied()?.saturating_sub(applied + new_appends + APPENDS_IN_FLIGHT);
            Ok((new_appends >= APPENDED_MIN && imported >= IMPORTED_MIN).then_some(()))
        })
    }

    fn applied(&self) -> Result<u64, String> {
        Ok(self.cluster.status()?.iter().map(|row| row.applied).max().unwrap_or(0))
    }

    /// Every node has applied what is committed now.
    fn all_caught_up(&mut self) -> Result<(), String> {
        let mut committed = None;
        eventually("all nodes catch up", || {
            self.cluster.all_run()?;
            let rows = self.cluster.status()?;
            let furthest = rows.iter().map(|row| row.commit).max();
            let committed = *committed.get_or_insert(furthest.unwrap_or(0));
            Ok(rows.iter().all(|row| row.reachable && row.applied >= committed).then_some(()))
        })
    }
}

pub(super) fn seconds(span: Duration) -> String {
    format!("{:.2} s", span.as_secs_f64())
}
