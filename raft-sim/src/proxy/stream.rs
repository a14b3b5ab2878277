//! [`StreamProxy`]: before a listener.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use raft_core::Address;
use raft_transport::{Listener, Network, Stream};
use tokio::io::split;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::control::Control;
use super::pump::{Ended, Pump};
use super::rules::{StreamRules, Way};
use super::unit::Unit;

/// More connections than this are closed at once.
const CONNECTIONS_MAX: usize = 1024;
/// How long dialling the target may take.
const DIAL_MAX: Duration = Duration::from_secs(2);
/// After a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A proxy for streams over any [`Network`]: TCP between processes, streams in memory in tests. Dropped, it ends, and
/// with it the connections through it.
#[derive(Debug)]
pub struct StreamProxy {
    address: Address,
    control: Control<StreamRules>,
    task: JoinHandle<()>,
}

/// What all connections share.
struct Shared {
    network: Arc<dyn Network>,
    target: Address,
    unit: Unit,
    control: Control<StreamRules>,
}

impl StreamProxy {
    /// Listens at `listen`, and dials `target` for each connection. Everything passes as it is until the
    /// [`control`](Self::control) has other rules; what those draw comes from `seed`. Within a runtime only.
    ///
    /// # Errors
    ///
    /// When it cannot listen there.
    pub async fn start(
        network: Arc<dyn Network>,
        listen: &Address,
        target: Address,
        unit: Unit,
        seed: u64,
    ) -> io::Result<Self> {
        let listener = network.bind(listen).await?;
        let (address, control) = (listener.address().clone(), Control::new());
        let shared = Arc::new(Shared { network, target, unit, control: control.clone() });
        let task = tokio::spawn(accept_all(listener, shared, fastrand::Rng::with_seed(seed)));
        Ok(Self { address, control, task })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its switches and counters.
    pub fn control(&self) -> &Control<StreamRules> {
        &self.control
    }
}

impl Drop for StreamProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept_all(
    mut listener: Box<dyn Listener>,
    shared: Arc<Shared>,
    mut random: fastrand::Rng,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    let seeds = [random.u64(..), random.u64(..)];
                    connections.spawn(connection(Arc::clone(&shared), stream, seeds));
                }
                Ok(_) => shared.control.tally().refused.one(),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

/// Both ways of a connection, until one breaks it or both have ended.
async fn connection(shared: Arc<Shared>, dialler: Box<dyn Stream>, seeds: [u64; 2]) {
    let Ok(Ok(target)) = timeout(DIAL_MAX, shared.network.connect(&shared.target)).await else {
        return shared.control.tally().refused.one();
    };
    shared.control.tally().connections.one();
    let (from_dialler, to_dialler) = split(dialler);
    let (from_target, to_target) = split(target);
    let [to, from] = seeds.map(fastrand::Rng::with_seed);
    let (control, unit) = (&shared.control, shared.unit);
    let to = Pump::new((from_dialler, to_target), control, Way::ToTarget, unit, to).run();
    let from = Pump::new((from_target, to_dialler), control, Way::FromTarget, unit, from).run();
    let (mut to, mut from) = (std::pin::pin!(to), std::pin::pin!(from));
    tokio::select! {
        biased;
        ended = &mut to => if ended == Ended::Shut { from.await; },
        ended = &mut from => if ended == Ended::Shut { to.await; },
    }
}
