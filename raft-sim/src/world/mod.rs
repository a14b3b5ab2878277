//! [`Sim`]: processes, a network between them, and time, all from one seed.
//!
//! Each process has a tokio runtime of its own, of one thread, whose clock is paused and is moved by the world.
//! So whatever a process runs is production code, spawned tasks and timers included; a crash is to drop the
//! runtime, at whatever await its tasks are; a pause is not to run it; and its clock may go wrong alone.
//!
//! The world runs one process at a time. Next is always the process for which something arrives first; others
//! may stay behind by [`LAG`], never longer, and what they send counts from when they send it. Nothing arrives
//! in anybody's past. The same seed and the same calls make the same run, of which [`Sim::trace`] has a hash.
//!
//! What drives the world, a test, stands outside of it, and is not asynchronous.

mod fate;
mod host;
mod trace;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::fate::Fate;
pub use self::host::Process;
pub use self::trace::{Trace, digest};

use self::host::Life;
use crate::net::{HostId, Parcel, Port, SimNet};

/// How long a process to which nothing comes may stay behind the others.
pub const LAG: Duration = Duration::from_millis(10);

/// A simulated world.
pub struct Sim {
    now: Duration,
    rng: fastrand::Rng,
    net: SimNet,
    trace: Trace,
    hosts: BTreeMap<HostId, Host>,
    /// Called after every step of a process, with the process.
    watchers: Vec<Watcher>,
}

type Watcher = Box<dyn FnMut(Duration, HostId)>;

struct Host {
    name: Arc<str>,
    life: Option<Life>,
    /// Since when it is paused.
    paused: Option<Duration>,
    /// What arrived while it was paused.
    held: Vec<Parcel>,
    last_step: Duration,
    rate: u32,
    crash_at: Option<(String, u64)>,
    incarnations: u64,
    crashes: u64,
}

/// What became of [`Sim::run_until`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Waited {
    /// The condition holds.
    Reached,
    /// It did not hold within the limit.
    TimedOut,
}

impl Waited {
    /// Whether the condition holds.
    pub fn reached(self) -> bool {
        self == Self::Reached
    }
}

impl Sim {
    /// A world without processes, at time zero.
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let trace = Trace::default();
        let net = SimNet::new(rng.u64(..), trace.clone());
        let (hosts, watchers) = (BTreeMap::new(), Vec::new());
        Self { now: Duration::ZERO, rng, net, trace, hosts, watchers }
    }

    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The network.
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// What happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Randomness of this world, for whoever drives it.
    pub fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// `watch` is called after every step of a process that lives on; what it panics with ends the run.
    pub fn watch(&mut self, watch: impl FnMut(Duration, HostId) + 'static) {
        self.watchers.push(Box::new(watch));
    }

    /// A new process, not running yet. Services in it are reached at `name`, or at `name:port`.
    ///
    /// # Panics
    /// When there is one of that name.
    pub fn add_host(&mut self, name: &str) -> HostId {
        let id = HostId(self.hosts.len() as u32 + 1);
        self.net.add_host(name, id);
        let host = Host {
            name: name.into(),
            life: None,
            paused: None,
            held: Vec::new(),
            last_step: self.now,
            rate: 1000,
            crash_at: None,
            incarnations: 0,
            crashes: 0,
        };
        self.hosts.insert(id, host);
        id
    }

    fn host(&mut self, host: HostId) -> &mut Host {
        self.hosts.get_mut(&host).expect("a process of this world")
    }

    /// Starts a process: `main` makes its first task.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start<F>(&mut self, host: HostId, main: impl FnOnce(Process) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (now, seed, net, trace) =
            (self.now, self.rng.u64(..), self.net.clone(), self.trace.clone());
        let it = self.host(host);
        assert!(it.life.is_none(), "{} runs already", it.name);
        it.incarnations += 1;
        trace.event("start", host.0, &[it.incarnations]);
        let fate = Fate::new(host, it.crash_at.take(), trace);
        let port = Arc::new(Port::new(host, fate));
        net.plug(host, Some(Arc::clone(&port)));
        let process = Process { net, port: Arc::clone(&port), seed, name: Arc::clone(&it.name) };
        let life = Life::new(port, now, it.rate);
        let main = life.within(|| main(process));
        life.spawn(main);
        (it.last_step, it.paused) = (now, None);
        it.life = Some(life);
        self.step(host, Vec::new());
    }

    /// Whether a process runs, or would if it were not paused.
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|host| host.life.is_some())
    }

    /// Whether a process is paused.
    pub fn is_paused(&self, host: HostId) -> bool {
        self.hosts.get(&host).is_some_and(|host| host.paused.is_some())
    }

    /// How often a process was killed, or crashed at a point.
    pub fn crashes(&self, host: HostId) -> u64 {
        self.hosts.get(&host).map_or(0, |host| host.crashes)
    }

    /// Ends a process where it is: nothing of it is sent, written or answered any more. Nothing happens to one
    /// that does not run.
    pub fn kill(&mut self, host: HostId) {
        let trace = self.trace.clone();
        let it = self.host(host);
        if let Some(life) = it.life.take() {
            it.crashes += 1;
            it.paused = None;
            it.held.clear();
            life.fate().die();
            trace.event("crash", host.0, &[]);
            self.net.plug(host, None);
            drop(life);
        }
    }

    /// The process crashes when it reaches this effect for the `nth` time, counted from 1, in its next
    /// incarnation. [`Fate::reached`] tells which effects there are.
    pub fn crash_at(&mut self, host: HostId, effect: &str, nth: u64) {
        self.host(host).crash_at = Some((effect.to_owned(), nth));
    }

    /// The process does not crash at an effect any more, if it was to.
    pub fn disarm(&mut self, host: HostId) {
        let it = self.host(host);
        it.crash_at = None;
        if let Some(life) = &it.life {
            life.fate().disarm();
        }
    }

    /// Stops a process without its noticing.
    pub fn pause(&mut self, host: HostId) {
        let now = self.now;
        let it = self.host(host);
        if it.life.is_some() && it.paused.is_none() {
            it.paused = Some(now);
            self.trace.event("pause", host.0, &[]);
        }
    }

    /// Lets a paused process go on: all at once it is later, and everything that arrived meanwhile is there.
    pub fn resume(&mut self, host: HostId) {
        let now = self.now;
        let it = self.host(host);
        if it.paused.take().is_none() {
            return;
        }
        let held = std::mem::take(&mut it.held);
        if let Some(life) = &mut it.life {
            life.catch_up(now);
            self.trace.event("resume", host.0, &[]);
            self.step(host, held);
        }
    }

    /// A process's clock goes at `rate` thousandths of the world's from now on, also after a restart.
    pub fn set_rate(&mut self, host: HostId, rate: u32) {
        let now = self.now;
        let it = self.host(host);
        it.rate = rate;
        if let Some(life) = &mut it.life {
            life.set_rate(now, rate);
        }
    }

    /// A process's clock jumps ahead.
    pub fn jump(&mut self, host: HostId, by: Duration) {
        let now = self.now;
        if let Some(life) = &mut self.host(host).life {
            life.jump(now, by);
        }
    }

    /// Runs `action` within a process that is up, so that it may spawn tasks there. They begin at once.
    pub fn within<R>(&mut self, host: HostId, action: impl FnOnce() -> R) -> Option<R> {
        let outcome = self.host(host).life.as_ref().map(|life| life.within(action));
        if !self.is_paused(host) {
            self.step(host, Vec::new());
        }
        outcome
    }

    /// Which effects the running incarnation of a process has reached, and how often.
    pub fn reached(&self, host: HostId) -> BTreeMap<String, u64> {
        let life = self.hosts.get(&host).and_then(|host| host.life.as_ref());
        life.map(|life| life.fate().reached()).unwrap_or_default()
    }

    /// How many tasks a running process has: none that has ended, and none of an earlier incarnation.
    pub fn tasks(&self, host: HostId) -> usize {
        let life = self.hosts.get(&host).and_then(|host| host.life.as_ref());
        life.map_or(0, Life::tasks)
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.advance(until);
        }
    }

    /// Lets time pass until `condition` holds, which is looked at after every event, but not longer than
    /// `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        mut condition: impl FnMut(&mut Self) -> bool,
    ) -> Waited {
        let until = self.now + limit;
        loop {
            if condition(self) {
                return Waited::Reached;
            }
            if self.now >= until {
                return Waited::TimedOut;
            }
            self.advance(until);
        }
    }

    /// Goes to the next time at which something happens, at the latest to `until`.
    pub(crate) fn advance(&mut self, until: Duration) {
        let running =
            self.hosts.values().filter(|host| host.life.is_some() && host.paused.is_none());
        let lagging = running.map(|host| host.last_step + LAG).min();
        let next = [self.net.next_at(), lagging].into_iter().flatten().min().unwrap_or(until);
        self.now = next.clamp(self.now, until);
        self.trace.set_now(self.now);
        let mut arrivals = self.net.arrivals(self.now);
        let ids: Vec<HostId> = self.hosts.keys().copied().collect();
        for id in ids {
            let arrived = arrivals.remove(&id).unwrap_or_default();
            let at_the_end = self.now == until;
            let now = self.now;
            let it = self.host(id);
            if it.life.is_none() {
                arrived.into_iter().for_each(|parcel| self.net.undeliverable(parcel));
            } else if it.paused.is_some() {
                it.held.extend(arrived);
            } else if !arrived.is_empty() || now >= it.last_step + LAG || at_the_end {
                self.step(id, arrived);
            }
        }
    }

    fn step(&mut self, host: HostId, arrived: Vec<Parcel>) {
        let (now, net) = (self.now, self.net.clone());
        let it = self.host(host);
        it.last_step = now;
        let Some(life) = &mut it.life else { return };
        life.step(now, &net, arrived);
        let died = !life.fate().is_alive();
        if died {
            // What its code did from there to the next await has no effect, and is not looked at.
            return self.kill(host);
        }
        for watch in &mut self.watchers {
            watch(now, host);
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let hosts: Vec<HostId> = self.hosts.keys().copied().collect();
        for host in hosts {
            self.kill(host);
        }
    }
}
