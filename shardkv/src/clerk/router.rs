//! [`Router`]: where shards are, as far as is known.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kv::rpc::Elsewhere;
use kv::{Cause, ClerkError as Error};
use raft_core::{Address, GroupId};
use shardctrler::{ConfigNumber, Configuration, ShardCount, ShardId};
use tokio::time::{Instant, sleep_until};

use super::ClerkError;

/// The controller is asked at most this often because something does not answer.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);
/// The most groups whose addresses are remembered although they are in the configuration no more.
const FORMER_GROUPS_MAX: usize = 1_024;

/// The configuration, remembered for all shards together.
pub(super) struct Router {
    controller: shardctrler::Clerk,
    known: Mutex<Known>,
    /// Held by the call that asks the controller, so that the others wait for it.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    config: Option<Configuration>,
    /// Where groups were that have left: they may still have shards.
    former: BTreeMap<GroupId, Vec<Address>>,
    asked: Option<Instant>,
    /// Why the controller did not answer last.
    cause: Option<Cause>,
}

impl Router {
    pub(super) fn new(controller: shardctrler::Clerk, timeout: Duration) -> Self {
        let controller = controller.with_deadline(timeout);
        Self { controller, known: Mutex::default(), asking: tokio::sync::Mutex::new(()) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn configuration(&self) -> Option<Configuration> {
        self.known().config.clone()
    }

    /// How many shards there are, for ever. Asks the controller until it answers, if it is not known.
    pub(super) async fn shard_count(&self, deadline: Instant) -> Result<ShardCount, ClerkError> {
        loop {
            if let Some(config) = &self.known().config {
                return Ok(config.shard_count());
            }
            if Instant::now() >= deadline {
                return Err(Error::NotDone(self.known().cause.unwrap_or(Cause::NoLeader)));
            }
            let asked = tokio::time::timeout_at(deadline, self.refresh(ConfigNumber::ZERO)).await;
            if asked.is_err() || self.configuration().is_none() {
                sleep_until(deadline.min(Instant::now() + REFRESH_PAUSE)).await;
            }
        }
    }

    /// Where a shard is asked for: at `group`, if it is known where that is, or else at its owner.
    pub(super) fn endpoints(&self, shard: ShardId, group: Option<GroupId>) -> Vec<Address> {
        let known = self.known();
        let Some(config) = &known.config else { return Vec::new() };
        let at = |group: GroupId| match config.group(group) {
            Some(group) => Some(group.servers.values().cloned().collect()),
            None => known.former.get(&group).cloned(),
        };
        group.and_then(at).or_else(|| at(config.owner(shard)?)).unwrap_or_default()
    }

    /// Where to go on after a server has `told` where the shard is, or a group has not answered.
    pub(super) async fn reroute(&self, shard: ShardId, told: Option<Elsewhere>) -> Vec<Address> {
        match told {
            Some(Elsewhere { number, group }) => {
                let number = ConfigNumber(number);
                if self.configuration().is_none_or(|config| config.number() < number) {
                    self.refresh(number).await;
                }
                let behind = self.configuration().is_some_and(|config| number < config.number());
                let group = group.map(GroupId);
                if let Some(group) = group.filter(|group| !self.is_known(*group)) {
                    self.recall(group, number).await;
                }
                // A server that is behind says where the shard was: it still may be there.
                match (behind, group) {
                    (true, None) => self.endpoints(shard, None),
                    (_, group) => self.endpoints(shard, group),
                }
            }
            None => {
                let asked = self.known().asked;
                if asked.is_none_or(|asked| asked + REFRESH_PAUSE <= Instant::now()) {
                    self.refresh(ConfigNumber(u64::MAX)).await;
                }
                self.endpoints(shard, None)
            }
        }
    }

    fn is_known(&self, group: GroupId) -> bool {
        let known = self.known();
        let joined = known.config.as_ref().is_some_and(|config| config.group(group).is_some());
        joined || known.former.contains_key(&group)
    }

    /// Learns where a group was that has left, from the configuration before `number`.
    async fn recall(&self, group: GroupId, number: ConfigNumber) {
        let before = ConfigNumber(number.0.saturating_sub(1));
        if let Ok(config) = self.controller.query(before).await
            && let Some(found) = config.group(group)
        {
            self.known().remember(group, found.servers.values().cloned().collect());
        }
    }

    /// Asks for the newest configuration, unless one with at least this number came meanwhile.
    async fn refresh(&self, number: ConfigNumber) {
        let _asking = self.asking.lock().await;
        let is_new = |config: &Configuration| config.number() >= number;
        if self.configuration().is_some_and(|config| is_new(&config)) {
            return;
        }
        self.known().asked = Some(Instant::now());
        match self.controller.newest().await {
            Ok(config) => self.known().learn(config),
            Err(Error::NotDone(cause)) => self.known().cause = Some(cause),
            Err(_) => {}
        }
    }
}

impl Known {
    fn learn(&mut self, config: Configuration) {
        let before = self.config.take();
        let stale = before.as_ref().is_some_and(|before| {
            before.cluster() != config.cluster() || before.number() > config.number()
        });
        if stale {
            self.config = before;
            return;
        }
        for (id, group) in before.iter().flat_map(|before| before.groups()) {
            if config.group(*id).is_none() {
                self.remember(*id, group.servers.values().cloned().collect());
            }
        }
        self.config = Some(config);
    }

    fn remember(&mut self, group: GroupId, endpoints: Vec<Address>) {
        if self.former.len() >= FORMER_GROUPS_MAX {
            self.former.pop_first();
        }
        self.former.insert(group, endpoints);
    }
}
