//! [`Operator`]: asks whoever leads a group about it.

use std::sync::Arc;
use std::time::Duration;

use kv::Cause;
use raft_core::{Address, CallError, Caller};
use raft_transport::group_address;
use tokio::time::{Instant, sleep, timeout};

use crate::node::{ChangeRefusal, Elsewhere, JoinRefusal, NODE, Reply, Request, TransferRefusal};

/// The pause before the next node is asked, or the same one again.
const PAUSE: Duration = Duration::from_millis(100);
/// So many hints are followed without a pause.
const HOPS_MAX: u32 = 3;

/// Asks a node once.
pub(crate) async fn ask(
    caller: &Arc<dyn Caller>,
    node: &Address,
    request: &Request,
    within: Duration,
) -> Result<Reply, Cause> {
    let call = timeout(within, caller.call(&group_address(node, NODE), request.encode()));
    match call.await {
        Ok(Ok(reply)) => Reply::decode(&reply).map_err(|_| Cause::Protocol),
        Ok(Err(CallError::NotSent { .. })) => Err(Cause::Unreachable),
        Ok(Err(_)) | Err(_) => Err(Cause::NoReply),
    }
}

/// Knows some nodes of a cluster, and remembers who answered last.
pub(crate) struct Operator {
    caller: Arc<dyn Caller>,
    endpoints: Vec<Address>,
    position: usize,
    target: Option<Address>,
}

impl Operator {
    pub(crate) fn new(
        caller: Arc<dyn Caller>,
        endpoints: impl IntoIterator<Item = Address>,
    ) -> Self {
        Self { caller, endpoints: endpoints.into_iter().collect(), position: 0, target: None }
    }

    /// Asks whoever can answer, until `deadline`. A request that may have been heard and was not answered is sent again:
    /// all of them may be.
    ///
    /// # Errors
    ///
    /// Why the node that was asked last has not answered.
    pub(crate) async fn ask(
        &mut self,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, Cause> {
        let (mut hops, mut unknown, mut cause) = (0, 0, Cause::Unreachable);
        loop {
            let Some(node) = self.target.clone().or_else(|| self.endpoints.first().cloned()) else {
                return Err(Cause::NoEndpoint);
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match ask(&self.caller, &node, request, left).await {
                Ok(reply) => match reply.elsewhere() {
                    None => return Ok(reply),
                    Some(Elsewhere::NotLeader { hint: Some((_, Some(at))) }) if *at != node.0 => {
                        self.target = Some(Address(at.clone()));
                        cause = Cause::NoLeader;
                        hops += 1;
                        if hops <= HOPS_MAX {
                            continue;
                        }
                        hops = 0;
                    }
                    Some(Elsewhere::NotLeader { .. }) => {
                        cause = Cause::NoLeader;
                        self.rotate();
                    }
                    Some(Elsewhere::NoSuchGroup { .. }) => {
                        unknown += 1;
                        if unknown >= self.endpoints.len() {
                            return Ok(reply);
                        }
                        self.rotate();
                    }
                },
                Err(error) => {
                    cause = error;
                    self.rotate();
                }
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(cause);
            }
            sleep(PAUSE).await;
        }
    }

    fn rotate(&mut self) {
        self.position = (self.position + 1) % self.endpoints.len().max(1);
        self.target = self.endpoints.get(self.position).cloned();
    }
}

impl Reply {
    /// Whether somebody else is to be asked.
    fn elsewhere(&self) -> Option<&Elsewhere> {
        match self {
            Self::Joined(Err(JoinRefusal::Elsewhere(elsewhere)))
            | Self::Members(Err(elsewhere))
            | Self::Changed(Err(ChangeRefusal::Elsewhere(elsewhere)))
            | Self::Transferred(Err(TransferRefusal::Elsewhere(elsewhere))) => Some(elsewhere),
            _ => None,
        }
    }
}
