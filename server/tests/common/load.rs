//! Clients that read and write while something is done to a cluster, and the judge of what they were told.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use kv::{Appended, ClerkError, Versioned};
use raft_core::{Address, Caller, LogIndex};
use raft_sim::checker::models::{Got, KvInput, KvModel, KvOp, KvOutput};
use raft_sim::checker::{Limits, check};
use raft_sim::history::Recorder;
use raft_transport::{
    CallerConfig, Carrier, GroupCaller, LoopbackNetwork, NetCaller, group_address,
};

/// Clients at work.
const CLIENTS: u64 = 4;
const KEYS: u64 = 5;
/// Shorter than an election, so that some fates stay unknown.
const DEADLINE: Duration = Duration::from_millis(700);

type Record = Recorder<KvInput, KvOutput>;

/// What a client does, of either mode.
trait Store: Clone + Send + Sync + 'static {
    type Refusal: Send + std::fmt::Debug;
    fn get(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Option<Versioned>, ClerkError<Self::Refusal>>> + Send;
    fn put(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<LogIndex, ClerkError<Self::Refusal>>> + Send;
    fn append(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> impl Future<Output = Result<Appended, ClerkError<Self::Refusal>>> + Send;
}

macro_rules! store {
    ($clerk:ty, $refusal:ty) => {
        impl Store for $clerk {
            type Refusal = $refusal;
            async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, ClerkError<$refusal>> {
                self.get(key).await
            }
            async fn put(
                &self,
                key: &[u8],
                value: &[u8],
            ) -> Result<LogIndex, ClerkError<$refusal>> {
                self.put(key, value).await
            }
            async fn append(
                &self,
                key: &[u8],
                value: &[u8],
            ) -> Result<Appended, ClerkError<$refusal>> {
                self.append(key, value).await
            }
        }
    };
}

store!(kv::Clerk, kv::Refusal);
store!(shardkv::Clerk, shardkv::Refusal);

/// Clients that go on until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    running: JoinHandle<Record>,
}

impl Load {
    /// Of a cluster of this mode, of which these nodes are known at the beginning.
    pub fn start(mode: &str, endpoints: &str) -> Self {
        let endpoints: Vec<Address> = endpoints.split(',').map(Address::from).collect();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopping, counting, is_plain) = (stop.clone(), done.clone(), mode == "plain");
        let running = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let carrier = Carrier::plaintext(Arc::new(LoopbackNetwork));
                let caller = NetCaller::new(CallerConfig::new(1), carrier);
                let caller: Arc<dyn Caller> = Arc::new(GroupCaller::new(Arc::new(caller)));
                match is_plain {
                    true => {
                        let mut config = kv::ClerkConfig::default();
                        config.deadline = DEADLINE;
                        let clerk = kv::Clerk::new(caller, endpoints, config);
                        work(clerk, stopping, counting).await
                    }
                    false => {
                        let at =
                            endpoints.iter().map(|at| group_address(at, raft_core::GroupId(0)));
                        let controller = shardctrler::Clerk::new(
                            caller.clone(),
                            at,
                            shardctrler::ClerkConfig::default(),
                        );
                        let mut config = shardkv::ClerkConfig::default();
                        config.deadline = DEADLINE;
                        work(shardkv::Clerk::new(caller, controller, config), stopping, counting)
                            .await
                    }
                }
            })
        });
        Self { stop, done, running }
    }

    /// Waits until so many more operations were answered.
    #[track_caller]
    pub fn goes_on(&self, operations: u64) {
        let until = self.done.load(Ordering::Relaxed) + operations;
        super::eventually("clients are answered", || {
            assert!(!self.running.is_finished(), "the load has ended");
            (self.done.load(Ordering::Relaxed) >= until).then_some(())
        });
    }

    /// Stops the clients, and judges what they were told.
    #[track_caller]
    pub fn judge(self) {
        self.stop.store(true, Ordering::Relaxed);
        let history = self.running.join().expect("no panic").history();
        let verdict = check(&KvModel, &history, &Limits::default());
        assert!(verdict.is_linearizable(), "{} operations: {verdict:?}", history.len());
    }
}

async fn work<S: Store>(clerk: S, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Record {
    let record = Record::new();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (clerk, record, stop, done) =
            (clerk.clone(), record.clone(), stop.clone(), done.clone());
        clients.spawn(async move {
            let mut client = record.client();
            let mut turn = number;
            while !stop.load(Ordering::Relaxed) {
                turn += CLIENTS;
                if step(&clerk, &mut client, turn).await {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    clients.join_all().await;
    record
}

/// One operation; whether it was answered.
async fn step<S: Store>(
    clerk: &S,
    client: &mut raft_sim::history::Client<KvInput, KvOutput>,
    turn: u64,
) -> bool {
    let key = Bytes::from(format!("key {}", turn / CLIENTS % KEYS));
    let value = Bytes::from(format!("{turn};"));
    let op = match turn % 7 {
        0 => KvOp::Put(value.clone()),
        1 | 2 => KvOp::Append(value.clone()),
        _ => KvOp::Get,
    };
    let call = client.call(KvInput { key: key.clone(), op: op.clone() });
    let answered = match op {
        KvOp::Put(_) => clerk.put(&key, &value).await.map(|_| KvOutput::Done { index: None }),
        KvOp::Append(_) => clerk
            .append(&key, &value)
            .await
            .map(|it| KvOutput::Appended { index: None, length: Some(it.length) }),
        _ => clerk.get(&key).await.map(|found| KvOutput::Got(found.map_or(Got::Missing, got))),
    };
    match answered {
        Ok(output) => {
            call.returned(output);
            true
        }
        Err(ClerkError::Unknown(_)) => {
            call.unanswered();
            false
        }
        Err(ClerkError::NotDone(_)) => {
            call.had_no_effect();
            false
        }
        Err(ClerkError::Refused(refusal)) => panic!("{refusal:?}"),
    }
}

fn got(found: Versioned) -> Got {
    Got::Found { value: found.value, version: None }
}
