//! How a shard goes from group to group. All of it is fenced by the number of the configuration.

use raft_core::GroupId;
use shardctrler::{ConfigNumber, ShardId};

use super::holding::{Holding, Shard, Staged};
use super::{Current, ShardStore};
use crate::refusal::Output;
use crate::transfer::{Chunk, Install, Move, TransferRefusal, TransferReply};

/// A shard that leaves, as it is now: a view, at no cost.
#[derive(Clone)]
pub struct Outgoing {
    /// Where it goes.
    pub of: Move,
    /// Whether it is served no more.
    pub frozen: bool,
    pub(crate) shard: Shard,
}

impl ShardStore {
    /// The shards that leave in the current configuration, in order.
    pub fn leaving(&self) -> Vec<ShardId> {
        let leaves = |holding: &Holding| {
            matches!(holding, Holding::Leaving { .. } | Holding::Frozen { to: Some(_), .. })
        };
        self.holdings.iter().filter(|(_, it)| leaves(it)).map(|(shard, _)| *shard).collect()
    }

    /// A shard that leaves.
    pub fn outgoing(&self, shard: ShardId) -> Option<Outgoing> {
        let (to, frozen, contents) = match self.holdings.get(&shard)? {
            Holding::Leaving { to, shard } => (*to, false, shard),
            Holding::Frozen { to: Some(to), shard } => (*to, true, shard),
            _ => return None,
        };
        Some(Outgoing { of: self.way(shard, to)?, frozen, shard: contents.clone() })
    }

    fn way(&self, shard: ShardId, to: GroupId) -> Option<Move> {
        let config = self.configuration()?;
        Some(Move::new(config.cluster(), config.number(), shard, self.settings.group, to))
    }

    /// Whether a shard that is here now moves like this.
    fn is_leaving(&self, of: Move) -> bool {
        let fenced = |outgoing: Outgoing| outgoing.of == of || planted!(FenceIgnored);
        self.outgoing(of.shard()).is_some_and(fenced)
    }

    pub(super) fn freeze(&mut self, of: Move) -> Output {
        if self.is_leaving(of) {
            let held = self.holdings.remove(&of.shard());
            let frozen = match held {
                Some(Holding::Leaving { to, shard }) => {
                    Some(Holding::Frozen { to: Some(to), shard })
                }
                held => held,
            };
            if let Some(frozen) = frozen {
                self.holdings.insert(of.shard(), frozen);
            }
            self.tell();
        }
        Output::Done
    }

    pub(super) fn delete(&mut self, of: Move) -> Output {
        let frozen = self.outgoing(of.shard()).is_some_and(|it| it.frozen);
        if frozen && self.is_leaving(of) {
            if let Some(Holding::Frozen { shard, .. }) = self.holdings.remove(&of.shard()) {
                (self.release)(shard.store.into());
            }
            self.tell();
        }
        Output::Done
    }

    /// The copy that a move is to go on with, or what to tell whoever wants to.
    pub(crate) fn arriving(&self, of: Move) -> Result<&Staged, TransferReply> {
        let refused = |refusal| Err(TransferReply::Refused(refusal));
        if of.cluster() != self.settings.cluster {
            return refused(TransferRefusal::WrongCluster);
        }
        if of.to() != self.settings.group {
            return refused(TransferRefusal::WrongGroup);
        }
        let number = self.number();
        let Some(Current { config, first, .. }) = &self.current else {
            return Err(TransferReply::Behind { number: number.0 });
        };
        if of.number() > number {
            return Err(TransferReply::Behind { number: number.0 });
        }
        // Everything that came in an earlier configuration was complete before the next was adopted.
        let passed = of.number() < number;
        match self.holdings.get(&of.shard()) {
            _ if passed && of.number() <= *first => refused(TransferRefusal::Forgotten),
            _ if passed => Err(TransferReply::Installed),
            _ if config.owner(of.shard()) != Some(self.settings.group) => {
                refused(TransferRefusal::NoSuchMove)
            }
            Some(Holding::Arriving { from, staged }) => match *from == of.from() {
                true => Ok(staged),
                false => refused(TransferRefusal::NoSuchMove),
            },
            _ => Err(TransferReply::Installed),
        }
    }

    pub(super) fn stage(&mut self, chunk: &Chunk) -> TransferReply {
        let staged = match self.arriving(chunk.of) {
            Ok(staged) => staged,
            Err(reply) => return reply,
        };
        if staged.position != chunk.at && !planted!(ChunkTakenAnywhere) {
            return TransferReply::At(staged.position.clone());
        }
        if !chunk.at.may_go_to(&chunk.next) {
            return TransferReply::Refused(TransferRefusal::Backwards);
        }
        if !chunk.is_whole() {
            return TransferReply::Refused(TransferRefusal::Corrupt);
        }
        // In place: next to a copy that is kept, every change would copy.
        let Some(Holding::Arriving { staged, .. }) = self.holdings.get_mut(&chunk.of.shard())
        else {
            return TransferReply::Refused(TransferRefusal::NoSuchMove);
        };
        // What a piece that makes no sense leaves behind is found when the shard is installed.
        if staged.store.import(&chunk.piece).is_err() {
            return TransferReply::Refused(TransferRefusal::Corrupt);
        }
        let position = chunk.next.clone();
        staged.position = position.clone();
        TransferReply::At(position)
    }

    pub(super) fn install(&mut self, install: &Install) -> TransferReply {
        if planted!(InstalledTwice) {
            planted::begin_again(self, install.of);
        }
        let staged = match self.arriving(install.of) {
            Ok(staged) => staged,
            Err(reply) => return reply,
        };
        if staged.position != install.at || staged.position.cursor != kv::Cursor::End {
            return TransferReply::At(staged.position.clone());
        }
        let mut store = staged.store.clone();
        store.advance_log_time(install.log_time);
        let found = (store.keys() as u64, store.sessions() as u64, store.digest());
        let equal = found == (install.keys, install.sessions, install.digest);
        let shard = install.of.shard();
        if !equal && !planted!(UnequalInstalled) {
            let (attempt, from) = (staged.position.attempt.saturating_add(1), install.of.from());
            let staged = Staged::empty(&self.settings.store, attempt);
            self.holdings.insert(shard, Holding::Arriving { from, staged });
            return TransferReply::Refused(TransferRefusal::Unequal);
        }
        if planted!(SessionsLeftBehind) {
            store = planted::without_sessions(&store);
        }
        let revision = if planted!(RevisionLeftBehind) { 0 } else { install.revision };
        let served = Shard { store, revision };
        self.holdings.insert(shard, Holding::Serving(served));
        self.tell();
        TransferReply::Installed
    }

    /// Whether a shard arrives in this configuration, and has not yet.
    pub(crate) fn awaits(&self, shard: ShardId, number: ConfigNumber) -> bool {
        let arrives = matches!(self.holdings.get(&shard), Some(Holding::Arriving { .. }));
        arrives && self.number() == number
    }
}

/// What planted bugs need. Nothing else calls it.
mod planted {
    use kv::{Cursor, Store};

    use super::super::holding::{Holding, Staged};
    use super::{Move, ShardStore};

    pub(super) fn without_sessions(store: &Store) -> Store {
        let mut without = Store::new(store.config().clone());
        let mut at = Cursor::Start;
        loop {
            let (piece, next) = store.export(&at, 1);
            if !matches!(next, Cursor::Key(_)) {
                break;
            }
            let _ = without.import(&piece);
            at = next;
        }
        without.advance_log_time(store.log_time());
        without
    }

    pub(super) fn begin_again(store: &mut ShardStore, of: Move) {
        let shard = of.shard();
        let serves = matches!(store.holdings.get(&shard), Some(Holding::Serving(_)));
        if serves && of.number() == store.number() {
            let staged = Staged::empty(&store.settings.store, 0);
            store.holdings.insert(shard, Holding::Arriving { from: of.from(), staged });
        }
    }
}
