//! What the groups are answered from which shards come.

use bytes::Bytes;
use kv::rpc::{Fault, Replicated, decode};
use tokio::time::{Instant, timeout_at};

use super::{MoveStep, Shared};
use crate::command;
use crate::refusal::Output;
use crate::store::ShardStore;
use crate::transfer::{Ask, TransferAnswer, TransferRefusal, TransferReply, TransferRequest};
use crate::wire;

type TransferFault = Fault<TransferRefusal>;

impl<R: Replicated<ShardStore>> Shared<R> {
    pub(super) async fn receive(&self, body: &[u8], deadline: Instant) -> Bytes {
        let answer = match self.take(body, deadline).await {
            Ok(reply) => TransferAnswer::Reply(reply),
            Err(fault) => TransferAnswer::Fault(fault),
        };
        wire::other_reply(&answer).into()
    }

    async fn take(&self, body: &[u8], deadline: Instant) -> Result<TransferReply, TransferFault> {
        let request: TransferRequest = decode(body).map_err(|_| Fault::Malformed)?;
        self.check_leads()?;
        let of = request.ask.of();
        // What is certain already need not enter the log.
        let at = self.replica.peek(|_, store| store.arriving(of).map(|it| it.position.clone()));
        let at = match at {
            Ok(at) => at,
            Err(TransferReply::Installed) if planted!(InstalledTwice) => match &request.ask {
                Ask::Install(install) => install.at.clone(),
                _ => return Ok(TransferReply::Installed),
            },
            Err(reply) => return Ok(reply),
        };
        if request.frozen {
            self.local().awaited.insert(of.shard(), of.number());
        }
        let command = match &request.ask {
            Ask::Where(_) => return self.confirmed(of, deadline).await,
            Ask::Stage(chunk) if !chunk.is_whole() => {
                return Ok(TransferReply::Refused(TransferRefusal::Corrupt));
            }
            Ask::Stage(chunk) if chunk.at == at || planted!(ChunkTakenAnywhere) => {
                self.event(MoveStep::Staging, Some(of.shard()), of.number());
                command::stage(chunk)
            }
            Ask::Install(install) if install.at == at => {
                self.event(MoveStep::Receiving, Some(of.shard()), of.number());
                command::install(install)
            }
            Ask::Stage(_) | Ask::Install(_) => return Ok(TransferReply::At(at)),
        };
        match timeout_at(deadline, self.replica.propose(command)).await {
            Ok(Ok(Output::Transfer(reply))) => {
                if reply == TransferReply::Installed {
                    self.event(MoveStep::Installed, Some(of.shard()), of.number());
                }
                Ok(reply)
            }
            Ok(Ok(_)) => Err(Fault::Malformed),
            Ok(Err(error)) => {
                Err(self.directory.proposal_fault(error, |_, _| TransferRefusal::Corrupt))
            }
            Err(_) => Err(Fault::Unknown(None)),
        }
    }

    /// How far a copy is, linearizable: a leader that leads no more would send the old owner back.
    async fn confirmed(
        &self,
        of: crate::Move,
        deadline: Instant,
    ) -> Result<TransferReply, TransferFault> {
        let look = move |store: &ShardStore| match store.arriving(of) {
            Ok(staged) => TransferReply::At(staged.position.clone()),
            Err(reply) => reply,
        };
        match timeout_at(deadline, self.replica.read(look)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(self.directory.query_fault(error)),
            Err(_) => Err(Fault::Deadline),
        }
    }
}
