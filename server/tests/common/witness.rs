//! Clients of a plain cluster whose history is judged.
#![allow(dead_code, unreachable_pub, reason = "who includes it uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kv::{Clerk, ClerkConfig};
use raft_core::{Address, Caller};
use raft_sim::checker::models::{KvInput, KvModel, KvOutput};
use raft_sim::checker::{Limits, Verdict, check};
use raft_sim::history::Recorder;
use raft_sim::kv::SimClerk;
use raft_transport::{CallerConfig, Carrier, NetCaller};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Keys that are used at one time, so that clients meet at each.
const KEYS: u64 = 3;
/// A client's operations before it goes on to other keys, so that no value becomes long.
const OPERATIONS_PER_KEY: u64 = 40;
const PAUSE: Duration = Duration::from_millis(5);
/// Of this length a token is most of the message that it travels in: what alters the message alters the token.
const TOKEN_BYTES: usize = 100;
/// Long enough that nearly every operation is answered: those of unknown outcome make the judgement hard.
const DEADLINE: Duration = Duration::from_secs(20);
const ATTEMPT: Duration = Duration::from_millis(700);

/// What clients ask, and of whom.
#[derive(Clone)]
pub struct Asking {
    pub endpoints: Vec<Address>,
    pub carrier: Carrier,
    pub clients: u64,
    pub seed: u64,
}

/// Clients that append tokens, each of them unique, and read.
pub struct Witness {
    asking: Asking,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

struct Shared {
    recorder: Recorder<KvInput, KvOutput>,
    answered: AtomicU64,
    /// Of each key, the tokens whose append was acknowledged.
    appended: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

/// What was found to be right.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    pub operations: usize,
    pub unknown: usize,
    pub tokens: usize,
}

impl Witness {
    /// Starts the clients. Within a runtime only.
    pub fn start(asking: Asking) -> Self {
        let shared = Arc::new(Shared {
            recorder: Recorder::new(),
            answered: AtomicU64::new(0),
            appended: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for number in 0..asking.clients {
            let clerk = asking.clerk(&shared, number);
            clients.spawn(client(clerk, Arc::clone(&shared), number, asking.seed, stopped.clone()));
        }
        Self { asking, shared, stop, clients }
    }

    /// How many operations were answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Ends the clients, reads every key, and judges what all of them were told.
    pub async fn finish(self) -> Result<Judged, String> {
        let Self { asking, shared, stop, clients } = self;
        let _ = stop.send(true);
        clients.join_all().await;
        let tokens = read_all(&asking, &shared).await?;
        let history = shared.recorder.history();
        let judged = Judged { operations: history.len(), unknown: history.unknown(), tokens };
        match check(&KvModel, &history, &Limits::default()) {
            Verdict::Linearizable => Ok(judged),
            Verdict::Unknown(parts) => Err(format!("not decided: {parts:?}, {judged:?}")),
            Verdict::Illegal(witness) => {
                let told = witness.operations.iter().map(|id| format!("{:?}", history.op(*id)));
                let told = told.collect::<Vec<_>>().join("\n");
                Err(format!("not linearizable at {:?}:\n{told}", witness.part))
            }
        }
    }
}

impl Asking {
    fn clerk(&self, shared: &Shared, number: u64) -> SimClerk {
        let seed = self.seed.wrapping_mul(1000).wrapping_add(number);
        let caller = NetCaller::new(CallerConfig::new(seed), self.carrier.clone());
        let caller: Arc<dyn Caller> = Arc::new(caller);
        let mut config = ClerkConfig::default();
        (config.deadline, config.attempt_timeout, config.seed) = (DEADLINE, ATTEMPT, seed);
        let clerk = Clerk::new(Arc::clone(&caller), self.endpoints.clone(), config);
        SimClerk::recording(shared.recorder.clone(), clerk, caller)
    }
}

async fn client(
    mut clerk: SimClerk,
    shared: Arc<Shared>,
    number: u64,
    seed: u64,
    stopped: watch::Receiver<bool>,
) {
    let mut random = fastrand::Rng::with_seed(seed ^ number);
    for count in 0_u64.. {
        if *stopped.borrow() {
            return;
        }
        let key = format!("{}-{}", count / OPERATIONS_PER_KEY, random.u64(..KEYS));
        let answered = if random.u32(..10) < 6 {
            let token = format!("{:.<TOKEN_BYTES$};", format!("{number}.{count}"));
            let appended = clerk.append(&key, &token).await.is_ok();
            if appended {
                let mut all = shared.appended.lock().unwrap();
                all.entry(key).or_default().insert(token);
            }
            appended
        } else {
            clerk.get(&key).await.is_ok()
        };
        shared.answered.fetch_add(u64::from(answered), Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Every token that was acknowledged is there, and each that is there is there once.
async fn read_all(asking: &Asking, shared: &Shared) -> Result<usize, String> {
    let mut clerk = asking.clerk(shared, asking.clients);
    let appended = std::mem::take(&mut *shared.appended.lock().unwrap());
    let mut tokens = 0;
    for (key, wanted) in appended {
        let found = clerk.get(&key).await.map_err(|error| format!("reading {key}: {error}"))?;
        let found = found.map(|found| String::from_utf8_lossy(&found.value).into_owned());
        let found = found.unwrap_or_default();
        let mut there = BTreeSet::new();
        for token in found.split_inclusive(';') {
            if !there.insert(token) {
                return Err(format!("{token} is twice in {key}: {found}"));
            }
        }
        if let Some(lost) = wanted.iter().find(|token| !there.contains(token.as_str())) {
            return Err(format!("{lost} is lost from {key}: {found}"));
        }
        tokens += wanted.len();
    }
    Ok(tokens)
}
