//! How a group follows the configurations: the node that leads asks for the next one, and proposes it when all
//! that moved in the current one is where it belongs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kv::ClerkError;
use kv::rpc::Replicated;
use raft_core::Role;
use shardctrler::{Configuration, Refusal};
use tokio::select;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{MoveStep, Shared};
use crate::command;
use crate::refusal::{AdoptRefusal, Output};
use crate::store::ShardStore;

/// The pause after something has failed: the controller is away, or the configuration cannot be adopted.
const RETRY: Duration = Duration::from_millis(100);
/// How long an entry may take. Whatever becomes of it, the state is looked at then.
pub(super) const ENTRY_TIME: Duration = Duration::from_secs(5);
/// The state is looked at at least this often, whatever is told.
const LOOK: Duration = Duration::from_secs(1);

/// Follows while this node leads, until it stops.
pub(super) async fn run<R: Replicated<ShardStore>>(shared: &Arc<Shared<R>>) {
    let mut changes = shared.replica.changes();
    loop {
        let now = *changes.borrow_and_update();
        if now.role == Role::Leader {
            // Another term begins anew: what waits belongs to the one before.
            let other = changes.wait_for(|it| it.role != Role::Leader || it.term != now.term);
            select! {
                biased;
                ended = other => if ended.is_err() { return },
                () = lead(shared) => {}
            }
            shared.local().slowed.clear();
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Never ends by itself. Dropped, all that it has begun ends.
async fn lead<R: Replicated<ShardStore>>(shared: &Arc<Shared<R>>) {
    let mut moves = JoinSet::new();
    let mut moving = BTreeSet::new();
    loop {
        let mut news = shared.replica.peek(|_, store| store.news());
        let (settled, leaving) =
            shared.replica.peek(|_, store| (store.is_settled(), store.leaving()));
        for shard in leaving {
            if moves.len() < shared.config.transfer.moves_max.max(1) && moving.insert(shard) {
                let shared = Arc::clone(shared);
                moves.spawn(async move { super::send::send(&shared, shard).await });
            }
        }
        if settled && moves.is_empty() {
            // Only here: a configuration that is there already could not be adopted before.
            if next(shared).await.is_err() {
                sleep(RETRY).await;
            }
            continue;
        }
        select! {
            biased;
            Some(ended) = moves.join_next() => {
                // A move that has ended in a panic would be begun again for ever: better not at all.
                if let Ok(shard) = ended {
                    moving.remove(&shard);
                }
            }
            _ = news.changed() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// What stands in the way of the next configuration.
struct NotNow;

/// Waits for the next configuration and proposes it.
async fn next<R: Replicated<ShardStore>>(shared: &Shared<R>) -> Result<(), NotNow> {
    let (known, number) =
        shared.replica.peek(|_, store| (store.configuration().is_some(), store.number()));
    let controller = shared.controller.with_deadline(shared.config.watch);
    let found = match known {
        false => Some(first(shared, &controller).await?),
        true if planted!(ConfigurationSkipped) => {
            let newest = controller.newest().await.map_err(|_| NotNow)?;
            sleep(RETRY).await;
            (newest.number() > number).then_some(newest)
        }
        true => controller.watch(number).await.map_err(|_| NotNow)?,
    };
    // Nothing new: it is asked again.
    let Some(config) = found else { return Ok(()) };
    let proposed = timeout(ENTRY_TIME, shared.replica.propose(command::adopt(&config))).await;
    match proposed {
        Ok(Ok(Output::Adopted(Ok(number)))) => {
            shared.event(MoveStep::Adopted, None, number);
            Ok(())
        }
        // Somebody else was faster.
        Ok(Ok(Output::Adopted(Err(AdoptRefusal::NotNext { .. } | AdoptRefusal::Unsettled)))) => {
            Ok(())
        }
        _ => Err(NotNow),
    }
}

/// The configuration to begin with: the oldest that there is.
async fn first<R: Replicated<ShardStore>>(
    shared: &Shared<R>,
    controller: &shardctrler::Clerk,
) -> Result<Configuration, NotNow> {
    let config = match controller.query(shardctrler::ConfigNumber::ZERO).await {
        Err(ClerkError::Refused(Refusal::Compacted { oldest, .. })) => {
            controller.query(oldest).await.map_err(|_| NotNow)?
        }
        other => other.map_err(|_| NotNow)?,
    };
    match config.cluster() == shared.settings.cluster {
        true => Ok(config),
        false => Err(NotNow),
    }
}
