//! One process: an own runtime with an own clock, which the world lets run up to its own time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use raft_core::{NodeId, Service};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::fate::Fate;
use crate::net::{HostId, Parcel, Port, SimCaller, SimNet, SimSockets, SimTransport};

/// How often tasks that are ready run when no time passes: several, because one may wake another.
const ROUNDS: usize = 6;

/// What a process is started with: its connections, and its fate.
#[derive(Clone)]
pub struct Process {
    pub(super) net: SimNet,
    pub(super) port: Arc<Port>,
    pub(super) seed: u64,
    pub(super) name: Arc<str>,
}

impl Process {
    /// Which process.
    pub fn host(&self) -> HostId {
        self.port.host
    }

    /// Its name, which is where services are found in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A seed for the randomness of this incarnation.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A transport for the node that this process is.
    pub fn transport(&self, node: NodeId) -> SimTransport {
        self.net.transport(&self.port, node)
    }

    /// Calls services.
    pub fn caller(&self) -> SimCaller {
        self.net.caller(&self.port)
    }

    /// Answers requests from now on.
    pub fn serve(&self, service: Arc<dyn Service>) {
        self.net.serve_with(&self.port, service);
    }

    /// Byte streams.
    pub fn sockets(&self) -> SimSockets {
        self.net.sockets(&self.port)
    }

    /// Whether it lives, and where it is to die.
    pub fn fate(&self) -> &Fate {
        &self.port.fate
    }
}

/// A process that runs.
pub(super) struct Life {
    runtime: Runtime,
    port: Arc<Port>,
    /// Its clock's time at its start.
    base: Instant,
    /// What its clock shows, since its start: whole milliseconds, as tokio's timers have them.
    local: Duration,
    /// The world's time when `exact` was set.
    since: Duration,
    /// What its clock ought to show at `since`.
    exact: Duration,
    /// How fast its clock goes, in thousandths of the world's.
    rate: u32,
}

impl Life {
    pub(super) fn new(port: Arc<Port>, now: Duration, rate: u32) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        // Needs neither a thread nor a file: it fails when memory is out.
        let runtime = runtime.expect("a runtime of one thread");
        let base = runtime.block_on(async { Instant::now() });
        let (local, exact) = (Duration::ZERO, Duration::ZERO);
        Self { runtime, port, base, local, since: now, exact, rate }
    }

    pub(super) fn fate(&self) -> &Fate {
        &self.port.fate
    }

    pub(super) fn spawn(&self, main: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(main);
    }

    /// Runs `action` where its code runs, so that it may spawn tasks; the tasks run at the next step.
    pub(super) fn within<R>(&self, action: impl FnOnce() -> R) -> R {
        let _guard = self.runtime.enter();
        action()
    }

    /// How many tasks there are in it.
    pub(super) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    fn clock_at(&self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.since).as_micros() as u64;
        self.exact + Duration::from_micros(passed * u64::from(self.rate) / 1000)
    }

    /// From `now` on its clock goes at this rate.
    pub(super) fn set_rate(&mut self, now: Duration, rate: u32) {
        self.exact = self.clock_at(now);
        self.since = now;
        self.rate = rate;
    }

    /// Its clock, and nothing else, is so much later all at once.
    pub(super) fn jump(&mut self, now: Duration, by: Duration) {
        self.exact += by;
        self.catch_up(now);
    }

    /// Its clock goes to where it ought to be in one step, as after a pause: timers that were due meanwhile
    /// see that it is late.
    pub(super) fn catch_up(&mut self, now: Duration) {
        let target = self.target(now);
        let (port, by) = (&self.port, target - self.local);
        self.runtime.block_on(async {
            port.set_clock(now, now);
            tokio::time::advance(by).await;
        });
        self.local = target;
    }

    fn target(&self, now: Duration) -> Duration {
        Duration::from_millis(self.clock_at(now).as_millis() as u64).max(self.local)
    }

    /// Runs everything that happens in it until `now`, takes what arrives then, and deals with it.
    pub(super) fn step(&mut self, now: Duration, net: &SimNet, arrived: Vec<Parcel>) {
        let target = self.target(now);
        let (base, port, local) = (self.base, &self.port, self.local);
        let behind = target - local;
        self.runtime.block_on(async {
            if target > local {
                // What it sends on the way is sent when it is sent, not when this step ends.
                port.set_clock(now.saturating_sub(behind), now);
                tokio::time::sleep_until(base + target).await;
            }
            port.set_clock(now, now);
            for parcel in arrived {
                if port.fate.is_alive() {
                    net.deliver(port, parcel);
                }
            }
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
        self.local = target;
    }
}
