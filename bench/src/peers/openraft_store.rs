//! What openraft needs of its user, in memory and as cheap as it gets: a log in a deque, a state machine
//! that counts bytes, and a network that calls the peer's handle.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures::{Stream, StreamExt, TryStreamExt};
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::error::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft::storage::{
    EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder,
    RaftStateMachine,
};
use openraft::{EntryPayload, OptionalSend, Raft};

/// A command: shared bytes.
#[derive(Clone)]
pub(crate) struct Command(pub(crate) Arc<[u8]>);

impl Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of {} bytes", self.0.len())
    }
}

impl Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self, f)
    }
}

openraft::declare_raft_types!(pub(crate) Types: D = Command, R = u64, NodeId = u64, Node = ());

/// One node.
pub(crate) type Node = Raft<Types, Machine>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Entries {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    first: u64,
    entries: VecDeque<EntryOf<Types>>,
}

/// The log: consecutive entries.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Entries>>);

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<EntryOf<Types>>, io::Error> {
        let log = lock(&self.0);
        let end = log.first + log.entries.len() as u64;
        let low = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => *index + 1,
            Bound::Unbounded => 0,
        }
        .clamp(log.first, end);
        let high = match range.end_bound() {
            Bound::Included(index) => *index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        }
        .clamp(low, end);
        let range = (low - log.first) as usize..(high - log.first) as usize;
        Ok(log.entries.range(range).cloned().collect())
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types>>, io::Error> {
        Ok(lock(&self.0).vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let log = lock(&self.0);
        let last = log.entries.back().map(RaftEntry::log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> Result<(), io::Error> {
        lock(&self.0).vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        {
            let mut log = lock(&self.0);
            for entry in entries {
                if log.entries.is_empty() {
                    log.first = entry.index();
                }
                log.entries.push_back(entry);
            }
        }
        flushed.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> Result<(), io::Error> {
        let mut log = lock(&self.0);
        let keep = last.map_or(0, |id| id.index() + 1).saturating_sub(log.first);
        log.entries.truncate(keep as usize);
        Ok(())
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> Result<(), io::Error> {
        let mut log = lock(&self.0);
        let n = (upto.index() + 1).saturating_sub(log.first).min(log.entries.len() as u64);
        log.entries.drain(..n as usize);
        log.first = upto.index() + 1;
        log.purged = Some(upto);
        Ok(())
    }
}

#[derive(Default, Clone)]
struct State {
    last: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    bytes: u64,
}

/// The state machine: counts bytes.
#[derive(Default, Clone)]
pub(crate) struct Machine(Arc<Mutex<State>>);

impl Machine {
    fn snapshot(&self) -> SnapshotOf<Types, u64> {
        let state = lock(&self.0);
        SnapshotOf::<Types, u64> {
            meta: SnapshotMetaOf::<Types> {
                last_log_id: state.last,
                last_membership: state.membership.clone(),
            },
            snapshot: state.bytes,
        }
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = u64;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, u64>, io::Error> {
        Ok(self.snapshot())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = u64;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>), io::Error> {
        let state = lock(&self.0);
        Ok((state.last, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let bytes = {
                let mut state = lock(&self.0);
                state.last = Some(entry.log_id());
                match &entry.payload {
                    EntryPayload::Normal(command) => state.bytes += command.0.len() as u64,
                    EntryPayload::Membership(membership) => {
                        let (id, membership) = (Some(entry.log_id()), membership.clone());
                        state.membership = StoredMembershipOf::<Types>::new(id, membership);
                    }
                    EntryPayload::Blank => {}
                }
                state.bytes
            };
            if let Some(responder) = responder {
                responder.send(bytes);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        bytes: u64,
    ) -> Result<(), io::Error> {
        let (last, membership) = (meta.last_log_id, meta.last_membership.clone());
        *lock(&self.0) = State { last, membership, bytes };
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, u64>>, io::Error> {
        Ok(Some(self.snapshot()))
    }
}

/// The nodes, by id.
#[derive(Clone, Default)]
pub(crate) struct Peers(pub(crate) Arc<RwLock<BTreeMap<u64, Node>>>);

/// A way to one node: a call of its handle, its stream of appends passed through.
pub(crate) struct Link(Option<Node>);

#[derive(Debug)]
struct NoSuchNode;

impl Display for NoSuchNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such node")
    }
}

impl std::error::Error for NoSuchNode {}

impl Link {
    fn node(&self) -> Result<&Node, RPCError<Types>> {
        self.0.as_ref().ok_or_else(|| gone(NoSuchNode))
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &()) -> Link {
        Link(self.0.read().unwrap_or_else(PoisonError::into_inner).get(&target).cloned())
    }
}

fn gone(error: impl std::error::Error + 'static) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&error))
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type BoxedStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;
type Appended = Result<StreamAppendResult<Types>, RPCError<Types>>;

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = u64;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.node()?.append_entries(request).await.map_err(gone)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> Boxed<'s, Result<BoxedStream<'s, Appended>, RPCError<Types>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let out = self.node().map(|node| node.stream_append(input).map(|r| r.map_err(gone)));
        Box::pin(async move { Ok(Box::pin(out?) as BoxedStream<'s, _>) })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.node()?.vote(request).await.map_err(gone)
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, u64>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let gone = |error: &dyn std::error::Error| {
            StreamingError::Unreachable(Unreachable::from_string(error.to_string()))
        };
        let node = self.0.as_ref().ok_or_else(|| gone(&NoSuchNode))?;
        node.install_full_snapshot(vote, snapshot).await.map_err(|error| gone(&error))
    }
}
