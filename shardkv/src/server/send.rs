//! How a shard goes to its new owner: one sender for each shard that leaves, on the node that leads.
//!
//! A sender knows nothing that it could not ask for: at each step it looks at the shard as it is now and at the
//! position of the copy, and does what comes next. So it may be ended at any time, and another one, here or on
//! another node, goes on. One chunk is under way at a time, and the next is sent when the new owner's group has
//! committed it: what a move takes of the new owner is bounded by what that can bear.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kv::Cursor;
use kv::command::SessionId;
use kv::rpc::{Calls, Elsewhere, Protocol, Reading, Replicated, deadline_after, encode};
use raft_core::{Address, GroupId};
use shardctrler::ShardId;
use tokio::time::{sleep, timeout};

use super::follow::ENTRY_TIME;
use super::{MoveStep, Shared};
use crate::command;
use crate::refusal::Output;
use crate::store::{Outgoing, ShardStore};
use crate::transfer::{
    Ask, Chunk, Install, Move, Position, TransferAnswer, TransferRefusal, TransferReply,
    TransferRequest,
};
use crate::wire::{self, Kind};

/// The service of the new owner. It needs no sessions: each request may be repeated.
struct Transfers {
    controller: shardctrler::Clerk,
    to: GroupId,
}

impl Protocol for Transfers {
    type Refusal = TransferRefusal;
    const WINDOW: u16 = 1;
    const MOVES: bool = true;

    fn open_session(&self) -> Vec<u8> {
        Vec::new()
    }

    fn opened(_: &Bytes) -> Reading<SessionId, TransferRefusal> {
        Reading::Nonsense
    }

    /// The new owner may have got other servers in a later configuration, which this group cannot adopt before
    /// the shard has left.
    async fn reroute(&self, _: Option<Elsewhere>) -> Vec<Address> {
        let newest = self.controller.newest().await.ok();
        let group = newest.as_ref().and_then(|config| config.group(self.to));
        group.map(|group| group.servers.values().cloned().collect()).unwrap_or_default()
    }
}

fn read_reply(reply: &Bytes) -> Reading<TransferReply, TransferRefusal> {
    match wire::read_other_reply(reply) {
        Ok(TransferAnswer::Reply(reply)) => Reading::Answer(reply),
        Ok(TransferAnswer::Fault(fault)) => Reading::Fault(fault),
        Err(_) => Reading::Nonsense,
    }
}

/// Sends a shard until it has left. Returns the shard.
pub(super) async fn send<R: Replicated<ShardStore>>(
    shared: &Arc<Shared<R>>,
    shard: ShardId,
) -> ShardId {
    let found = shared.replica.peek(|_, store| {
        let outgoing = store.outgoing(shard)?;
        let group = store.configuration()?.group(outgoing.of.to())?;
        Some((outgoing.of, group.servers.values().cloned().collect::<Vec<_>>()))
    });
    if let Some((of, endpoints)) = found {
        shared.event(MoveStep::Begun, Some(shard), of.number());
        let config = shared.config.transfer.calls.clone();
        let controller = shared.controller.with_deadline(config.attempt_timeout);
        let transfers = Transfers { controller, to: of.to() };
        let calls = Calls::new(transfers, Arc::clone(&shared.caller), endpoints, config);
        let sender = Sender { shared, calls, of, at: None, round_end: 0, rounds: 0 };
        sender.run().await;
        shared.local().slowed.remove(&shard);
    }
    shard
}

struct Sender<'a, R> {
    shared: &'a Shared<R>,
    calls: Calls<Transfers>,
    of: Move,
    /// How far the copy is, as far as is known.
    at: Option<Position>,
    /// The last change of the round that is under way.
    round_end: u64,
    rounds: u32,
}

/// What comes next.
enum Next {
    /// To ask, also whether the shard is served no more.
    Ask(bool, Ask),
    /// To send a piece of a shard that is served no more, or still is.
    Stage(bool, Chunk),
    /// To serve the shard no more.
    Freeze,
    /// To have it installed.
    Install(Install),
    /// To wait.
    Wait,
}

/// What became of it.
enum Step {
    /// The next may follow.
    Onward,
    /// The shard has left.
    Over,
    /// The other side is not ready, or not there.
    NotNow,
}

impl<R: Replicated<ShardStore>> Sender<'_, R> {
    async fn run(mut self) {
        let mut failures = 0;
        while let Some(next) = self.look() {
            match self.act(next).await {
                Step::Onward => failures = 0,
                Step::Over => return,
                Step::NotNow => {
                    self.at = None;
                    sleep(self.shared.config.transfer.retry * (1 << failures.min(4))).await;
                    failures += 1;
                }
            }
        }
    }

    /// What comes next, by the shard as it is now; nothing when it has left. The view ends here: one that is kept
    /// makes every change copy, and whoever has the last view of a shard that has left frees all of it.
    fn look(&mut self) -> Option<Next> {
        let outgoing = self.shared.replica.peek(|_, store| store.outgoing(self.of.shard()));
        let outgoing = outgoing.filter(|it| it.of == self.of)?;
        let frozen = outgoing.frozen;
        let Some(at) = self.at.clone() else { return Some(Next::Ask(frozen, Ask::Where(self.of))) };
        let last = outgoing.shard.store.changes().map_or(0, kv::Changes::last);
        Some(match (at.cursor == Cursor::End, frozen) {
            (false, _) => self.walk(&outgoing, at),
            // The copy is ahead of what is applied here: a leader that is new has to catch up.
            (true, _) if at.watermark > last => Next::Wait,
            (true, false) => self.follow(&outgoing, at, last),
            (true, true) if at.watermark < last => self.changes(&outgoing, at),
            (true, true) => self.install(&outgoing, at),
        })
    }

    /// The next piece of the shard as it is now: what changes behind it is sent later.
    fn walk(&self, outgoing: &Outgoing, at: Position) -> Next {
        self.event(MoveStep::Walking);
        let bytes_max = self.shared.config.transfer.chunk_bytes;
        let (piece, cursor) = outgoing.shard.store.export(&at.cursor, bytes_max);
        let next = Position { cursor, ..at.clone() };
        Next::Stage(outgoing.frozen, Chunk::new(self.of, at, next, piece))
    }

    /// Changes, until what is left fits in a chunk: then the shard is frozen.
    fn follow(&mut self, outgoing: &Outgoing, at: Position, last: u64) -> Next {
        if at.watermark >= self.round_end {
            (self.round_end, self.rounds) = (last, self.rounds + 1);
        }
        let bytes_max = self.shared.config.transfer.chunk_bytes;
        let (_, next) = outgoing.shard.store.export_changes(at.watermark, bytes_max);
        if next >= last {
            return Next::Freeze;
        }
        if self.rounds > self.shared.config.transfer.rounds_max {
            self.shared.local().slowed.insert(self.of.shard());
        }
        self.changes(outgoing, at)
    }

    fn changes(&self, outgoing: &Outgoing, at: Position) -> Next {
        self.event(MoveStep::Following);
        let bytes_max = self.shared.config.transfer.chunk_bytes;
        let (mut piece, watermark) = outgoing.shard.store.export_changes(at.watermark, bytes_max);
        if planted!(DeltaLost) && outgoing.frozen {
            piece.clear();
        }
        let next = Position { watermark, ..at.clone() };
        Next::Stage(outgoing.frozen, Chunk::new(self.of, at, next, piece))
    }

    fn install(&self, outgoing: &Outgoing, at: Position) -> Next {
        let store = &outgoing.shard.store;
        Next::Install(Install {
            of: self.of,
            at,
            keys: store.keys() as u64,
            sessions: store.sessions() as u64,
            revision: outgoing.shard.revision,
            log_time: store.log_time(),
            digest: store.digest(),
        })
    }

    async fn act(&mut self, next: Next) -> Step {
        match next {
            Next::Ask(frozen, ask) => self.ask(frozen, ask).await,
            Next::Stage(frozen, chunk) => self.stage(frozen, chunk).await,
            Next::Freeze => {
                self.event(MoveStep::Freezing);
                let step = self.enter(command::freeze(self.of)).await;
                if matches!(step, Step::Onward) {
                    self.event(MoveStep::Frozen);
                }
                step
            }
            Next::Install(install) => {
                self.event(MoveStep::Installing);
                if planted!(DeletedBeforeConfirmed) {
                    self.enter(command::delete(self.of)).await;
                }
                self.ask(true, Ask::Install(install)).await
            }
            Next::Wait => Step::NotNow,
        }
    }

    /// Sends a piece, at the pace that leaves room for others.
    async fn stage(&mut self, frozen: bool, chunk: Chunk) -> Step {
        let bytes = chunk.piece.len() as u64;
        let step = self.ask(frozen, Ask::Stage(chunk)).await;
        let slowed = self.shared.local().slowed.contains(&self.of.shard());
        if !frozen && !slowed {
            let rate = self.shared.config.transfer.bytes_per_second.max(1);
            sleep(Duration::from_micros(bytes.saturating_mul(1_000_000) / rate)).await;
        }
        step
    }

    /// Asks the new owner, and learns how far it is.
    async fn ask(&mut self, frozen: bool, ask: Ask) -> Step {
        let request = TransferRequest { frozen, ask };
        let request = encode(wire::request(Kind::Transfer, 128), &request);
        let deadline = deadline_after(self.shared.config.transfer.deadline);
        match self.calls.read(request, deadline, read_reply).await {
            Ok(TransferReply::At(position)) => {
                self.at = Some(position);
                Step::Onward
            }
            Ok(TransferReply::Installed) => self.let_go().await,
            Ok(TransferReply::Refused(TransferRefusal::Unequal)) => {
                self.at = None;
                Step::Onward
            }
            Ok(TransferReply::Behind { .. } | TransferReply::Refused(_)) | Err(_) => Step::NotNow,
        }
    }

    /// The new owner has the shard.
    async fn let_go(&mut self) -> Step {
        self.event(MoveStep::Confirmed);
        match self.enter(command::delete(self.of)).await {
            Step::Onward => {
                self.event(MoveStep::Deleted);
                Step::Over
            }
            other => other,
        }
    }

    /// Puts an entry into the own log. If it is not known to be there, the state tells.
    async fn enter(&self, command: Bytes) -> Step {
        match timeout(ENTRY_TIME, self.shared.replica.propose(command)).await {
            Ok(Ok(Output::Done)) => Step::Onward,
            _ => Step::NotNow,
        }
    }

    fn event(&self, step: MoveStep) {
        self.shared.event(step, Some(self.of.shard()), self.of.number());
    }
}
