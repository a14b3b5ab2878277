//! Shards that move between the groups of three servers, under load.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_core::{Address, Caller, GroupId, NodeId};
use raft_transport::{CallerConfig, GroupCaller, TcpCaller, TokioNetwork, group_address};
use shardctrler::{Configuration, Group, ShardId};
use shardkv::Phase;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use crate::load::{self, Put};
use crate::measure::Latencies;
use crate::sample::Missing::Failed;
use crate::sample::{Measured, Missing, Points, Sample};
use crate::suite::Plan;

const GROUPS: [GroupId; 2] = [GroupId(1), GroupId(2)];
const CLIENTS: usize = 64;
/// Clients of a shard that does not move.
const OTHERS: usize = 8;
const SMALL: u64 = 1_000;
const VALUE: [u8; 64] = [b'v'; 64];
/// How long a move may take, and how often it is looked for.
const MOVE_MAX: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(2);

/// A client; clones share its connections and its sessions.
#[derive(Clone)]
struct Client {
    clerk: shardkv::Clerk,
    controller: shardctrler::Clerk,
    addresses: Vec<Address>,
}

impl Put for Client {
    async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String> {
        self.clerk.put(&key, &value).await.map(drop).map_err(|error| error.to_string())
    }
}

/// All figures, in one run.
pub(crate) fn measure(plan: &Plan) -> Measured {
    let groups = "0=1+2+3,1=1+2+3,2=1+2+3";
    let cluster = Cluster::start_as::<3>(&plan.dir, "sharded", &["--groups", groups])?;
    load::on_one_thread(async { all(&cluster, plan).await })?
}

async fn all(cluster: &Cluster, plan: &Plan) -> Measured {
    let client = Client::new(cluster);
    let large = if plan.quick { 20_000 } else { 200_000 };
    client.join(GROUPS[0]).await?;
    let alone = load::closed_loop(std::slice::from_ref(&client), CLIENTS, &[], plan).await?;
    let config = client.controller.newest().await?;
    let [small_tag, large_tag, other_tag] = tags(&config);
    client.fill(&small_tag, SMALL).await?;
    client.fill(&large_tag, large).await?;
    client.fill(&other_tag, SMALL).await?;

    let begun = Instant::now();
    client.join(GROUPS[1]).await?;
    client.until(|states| states[1].iter().any(|(_, phase)| *phase == Phase::Serving)).await?;
    let join = begun.elapsed();
    client.settled().await?;

    let small = client.moved(&small_tag, SMALL, &other_tag, plan).await?;
    let large = client.moved(&large_tag, large, &other_tag, plan).await?;
    client.controller.rebalance([].into()).await?;
    client.settled().await?;
    let both = load::closed_loop(std::slice::from_ref(&client), CLIENTS, &[], plan).await?;

    let ms = |span: Duration| Sample::amount(span.as_secs_f64() * 1e3);
    let over = |a: Option<f64>, b: Option<f64>| Some(Sample::amount(a? / b?));
    let mut points = Points::from([
        ("join to first shard".to_owned(), ms(join)),
        ("pause, 1000 keys".to_owned(), ms(small.pause)),
        ("pause, 200000 keys".to_owned(), ms(large.pause)),
    ]);
    let pauses = (Some(large.pause.as_secs_f64()), Some(small.pause.as_secs_f64()));
    for (name, sample) in [
        ("pause, large over small", over(pauses.0, pauses.1)),
        ("p99 of others, during over without", over(large.during_p99, large.without_p99)),
        ("rate of one group over two", over(alone.rate, both.rate)),
    ] {
        points.extend(sample.map(|sample| (name.to_owned(), sample)));
    }
    Ok(points)
}

/// Hash tags of three shards, of which the first two are in the part that moves least.
fn tags(config: &Configuration) -> [String; 3] {
    let tag = |shard: u16| {
        let mut all = (0_u32..).map(|n| format!("{{{n}}}"));
        all.find(|tag| config.shard_of(tag.as_bytes()) == ShardId(shard)).unwrap_or_default()
    };
    [0, 1, 2].map(tag)
}

/// What a move has cost.
struct Cost {
    /// The longest time without a write of the shard that was accepted.
    pause: Duration,
    during_p99: Option<f64>,
    without_p99: Option<f64>,
}

/// What writers have seen.
#[derive(Default)]
struct Seen {
    last: Cell<Option<Instant>>,
    longest: Cell<Duration>,
    latencies: RefCell<Latencies>,
}

impl Client {
    fn new(cluster: &Cluster) -> Self {
        let caller = TcpCaller::new(CallerConfig::new(1), Arc::new(TokioNetwork));
        let caller: Arc<dyn Caller> = Arc::new(GroupCaller::new(Arc::new(caller)));
        let addresses = cluster.addresses();
        let at = addresses.iter().map(|at| group_address(at, GroupId(0)));
        let controller = shardctrler::Clerk::new(caller.clone(), at, Default::default());
        let clerk = shardkv::Clerk::new(caller, controller.clone(), Default::default());
        Self { clerk, controller, addresses }
    }

    async fn join(&self, group: GroupId) -> Result<(), Missing> {
        let servers = (1..).map(NodeId).zip(&self.addresses);
        let servers = servers.map(|(node, at)| (node, group_address(at, group)));
        self.controller.join([(group, Group::new(servers))].into()).await?;
        Ok(())
    }

    async fn fill(&self, tag: &str, keys: u64) -> Result<(), Missing> {
        let mut writes = JoinSet::new();
        for n in 0..keys {
            let (clerk, key) = (self.clerk.clone(), format!("{tag}{n:08}"));
            writes.spawn(async move { clerk.put(key.as_bytes(), &VALUE).await });
            while writes.len() >= CLIENTS
                && let Some(done) = writes.join_next().await
            {
                done.map_err(io::Error::other)??;
            }
        }
        while let Some(done) = writes.join_next().await {
            done.map_err(io::Error::other)??;
        }
        Ok(())
    }

    /// Moves the shard of `tag` to the other group while clients write to it, and to another shard.
    async fn moved(&self, tag: &str, keys: u64, other: &str, plan: &Plan) -> Result<Cost, Missing> {
        let (busy, others) = (Rc::<Seen>::default(), Rc::<Seen>::default());
        let mut writers = JoinSet::new();
        for n in 0..CLIENTS as u64 {
            writers.spawn_local(self.clone().write(tag.to_owned(), keys, n, busy.clone()));
        }
        for n in 0..OTHERS as u64 {
            writers.spawn_local(self.clone().write(other.to_owned(), SMALL, n, others.clone()));
        }
        tokio::time::sleep(plan.warm).await;
        drop(others.latencies.take());
        tokio::time::sleep(plan.measure).await;
        let without = others.latencies.take();
        busy.longest.set(Duration::ZERO);
        let config = self.controller.newest().await?;
        let shard = config.shard_of(tag.as_bytes());
        let to = if config.owner(shard) == Some(GROUPS[0]) { GROUPS[1] } else { GROUPS[0] };
        self.controller.move_shard(shard, to).await?;
        self.settled().await?;
        let during = others.latencies.take();
        // A pause that is under way ends with the next write.
        tokio::time::sleep(Duration::from_millis(20)).await;
        writers.abort_all();
        let (during_p99, without_p99) = (during.quantiles().1, without.quantiles().1);
        Ok(Cost { pause: busy.longest.get(), during_p99, without_p99 })
    }

    /// Writes until it is dropped.
    async fn write(self, tag: String, keys: u64, seed: u64, seen: Rc<Seen>) {
        for n in (0_u64..).map(|n| (n * 7_919 + seed * 104_729) % keys) {
            let begun = Instant::now();
            if self.clerk.put(format!("{tag}{n:08}").as_bytes(), &VALUE).await.is_err() {
                continue;
            }
            let now = Instant::now();
            seen.latencies.borrow_mut().add(now - begun);
            let gap = seen.last.replace(Some(now)).map_or(Duration::ZERO, |last| now - last);
            seen.longest.set(seen.longest.get().max(gap));
        }
    }

    /// Waits until both groups are at the newest configuration, and nothing moves in them.
    async fn settled(&self) -> Result<(), Missing> {
        let config = self.controller.newest().await?;
        let owned = GROUPS.map(|group| config.shards_of(group).collect::<Vec<_>>());
        self.until(|states| {
            (0..2).all(|at| {
                let served = states[at].iter().filter(|(_, phase)| *phase == Phase::Serving);
                states[at].len() == owned[at].len()
                    && served.map(|(shard, _)| *shard).eq(owned[at].iter().copied())
            })
        })
        .await
    }

    /// Waits until the leaders' shards are so.
    async fn until(
        &self,
        is_so: impl Fn(&[Vec<(ShardId, Phase)>; 2]) -> bool,
    ) -> Result<(), Missing> {
        let begun = Instant::now();
        while begun.elapsed() < MOVE_MAX {
            let states = [self.states(GROUPS[0]).await, self.states(GROUPS[1]).await];
            if is_so(&states) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failed(format!("shards still move after {MOVE_MAX:?}")))
    }

    /// What the leader of a group has.
    async fn states(&self, group: GroupId) -> Vec<(ShardId, Phase)> {
        for at in &self.addresses {
            let status = self.clerk.status(&group_address(at, group), group).await;
            if let Ok(status) = status
                && status.role == raft_core::Role::Leader
            {
                return status.shards.iter().map(|it| (it.shard, it.phase)).collect();
            }
        }
        Vec::new()
    }
}
