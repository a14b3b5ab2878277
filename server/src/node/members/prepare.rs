//! What comes before a node can be a member: it is there, it is the one that is meant, and it has a replica.

use std::time::Duration;

use raft_core::{Address, Incarnation, NodeId};
use tokio::time::{Instant, sleep};

use super::{Changing, Planned};
use crate::client::ask;
use crate::node::protocol::{ChangeRefusal, Probed, Reply, Request};

/// How long a node has to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it has to start a replica: it may have to read its log.
const START: Duration = Duration::from_secs(20);

impl Changing<'_> {
    /// Sees to it that the node has a replica, in the life that the cluster knows.
    pub(super) async fn prepare(
        &self,
        node: NodeId,
        told: Option<&str>,
    ) -> Result<(), ChangeRefusal> {
        if node == self.host.id {
            return Ok(());
        }
        let known = self.host.book.addresses().remove(&node);
        let address = told.map(Address::from).or(known);
        let address = address.ok_or(ChangeRefusal::NoAddress { node: node.0 })?;
        let found = self.probe(node, &address).await?;
        let life = Incarnation(found.life);
        if !self.host.book.introduce(node, life, &address) {
            return Err(ChangeRefusal::OtherLife { node: node.0 });
        }
        if found.has_replica {
            return Ok(());
        }
        self.remove_old_life(node).await?;
        // Before it has a replica: else that is told that it was removed, if the node was a member before.
        self.add_learner(node).await?;
        self.give_replica(node, &address, life).await
    }

    async fn add_learner(&self, node: NodeId) -> Result<(), ChangeRefusal> {
        let status = self.replica.operated.status();
        let mut target = status.membership.target();
        target.learners.insert(node);
        self.reach(Planned { since: status.membership_since, target }).await.map(|_| ())
    }

    async fn probe(&self, node: NodeId, address: &Address) -> Result<Probed, ChangeRefusal> {
        let probe = Request::Probe { group: self.group.0 };
        let until = Instant::now() + ANSWER;
        let found = loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(Reply::Probed(found)) = ask(&self.host.caller, address, &probe, left).await {
                break found;
            }
            if Instant::now() + PAUSE >= until {
                let address = address.0.clone();
                return Err(ChangeRefusal::Unreachable { node: node.0, address });
            }
            // It may just have started: whoever has tried before it did does not try again at once.
            sleep(PAUSE).await;
        };
        match (found.cluster, found.node) == (self.host.cluster.0, node.0) {
            true => Ok(found),
            false => Err(ChangeRefusal::OtherNode {
                node: node.0,
                address: address.0.clone(),
                found: found.node,
                cluster: found.cluster,
            }),
        }
    }

    /// A member without a replica has lost it, with all that it had promised: it has to go before it can come again.
    async fn remove_old_life(&self, node: NodeId) -> Result<(), ChangeRefusal> {
        let status = self.replica.operated.status();
        let mut target = status.membership.target();
        if !(target.voters.remove(&node) | target.learners.remove(&node)) {
            return Ok(());
        }
        if target.voters.is_empty() {
            return Err(ChangeRefusal::NoVoter);
        }
        tracing::warn!(
            group = self.group.0,
            node = node.0,
            "the node has lost its directory: what it was is removed first"
        );
        self.reach(Planned { since: status.membership_since, target }).await.map(|_| ())
    }

    async fn give_replica(
        &self,
        node: NodeId,
        address: &Address,
        life: Incarnation,
    ) -> Result<(), ChangeRefusal> {
        let order = Request::Host { group: self.group.0, life: life.0 };
        let not_hosted = |reason: String| Err(ChangeRefusal::NotHosted { node: node.0, reason });
        match ask(&self.host.caller, address, &order, START).await {
            Ok(Reply::Hosted(Ok(()))) => Ok(()),
            Ok(Reply::Hosted(Err(refusal))) => not_hosted(refusal.to_string()),
            Ok(_) => not_hosted("it did not understand".to_owned()),
            Err(_) => Err(ChangeRefusal::Unreachable { node: node.0, address: address.0.clone() }),
        }
    }
}
