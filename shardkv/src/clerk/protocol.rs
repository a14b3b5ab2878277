//! [`Sharded`]: what the calls of one shard must know of the service.

use std::sync::Arc;

use bytes::Bytes;
use kv::command::SessionId;
use kv::rpc::{Answer, Elsewhere, Protocol, Reading, outcome};
use kv::{Outcome, Reply, SESSION_WINDOW};
use raft_core::Address;
use shardctrler::ShardId;

use super::router::Router;
use crate::refusal::Refusal;
use crate::wire::{self, Kind};

pub(super) struct Sharded {
    pub(super) shard: ShardId,
    pub(super) router: Arc<Router>,
}

impl Protocol for Sharded {
    type Refusal = Refusal;
    const WINDOW: u16 = SESSION_WINDOW;
    const MOVES: bool = true;

    fn open_session(&self) -> Vec<u8> {
        wire::shard_request(Kind::OpenSession, self.shard, 0)
    }

    fn opened(reply: &Bytes) -> Reading<SessionId, Refusal> {
        outcome::read(|answer, _| match answer {
            Answer::Written(Reply { index, outcome: Outcome::SessionOpened }) => {
                Some(SessionId(index))
            }
            _ => None,
        })(reply)
    }

    async fn reroute(&self, told: Option<Elsewhere>) -> Vec<Address> {
        self.router.reroute(self.shard, told).await
    }
}
