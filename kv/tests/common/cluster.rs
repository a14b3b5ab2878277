//! A model of a group, for the tests of clerk and server: one log that is applied at once, nodes of which
//! one leads, and a network that does what a script says.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kv::{Clerk, ClerkConfig, KvServer, NodeStatus, Output, Replica, ServerConfig, Store};
use raft_core::node::{ProposalError, QueryError};
use raft_core::{
    Address, BoxFuture, CallError, Caller, Command, LogId, LogIndex, NodeId, ProposeError,
    ReadError, Role, Service, StateMachine, Term,
};
use tokio::time::sleep;

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Deliver,
    /// Certainly not sent.
    NotSent,
    /// Lost on the way; the connection breaks.
    DropRequest,
    /// Applied; its reply is lost and the connection breaks.
    DropReply,
    /// Lost on the way, and nobody says so.
    Vanish,
    /// Applied; the reply never comes.
    Silence,
    /// The reply takes this many milliseconds.
    Delay(u64),
    /// Delivered now, and a second copy so many milliseconds later, whose reply nobody gets.
    Twice(u64),
    /// Answered with bytes that are no reply.
    Garbage,
    /// The leader takes the proposal and loses its leadership: applied, and reported unknown.
    Unknown,
    /// The leader applies the proposal and never says so.
    Stall,
    Overloaded,
}

pub struct State {
    pub store: Store,
    pub index: u64,
    pub term: u64,
    pub leader: Option<u64>,
    /// What the next proposals meet inside of the leader.
    force: Option<Fate>,
    /// What each request meets, in turn; then `Deliver`.
    pub script: Vec<Fate>,
    /// Every request that was called, with its address.
    pub calls: Vec<(Address, Bytes)>,
    pub in_flight: usize,
    pub in_flight_most: usize,
}

#[derive(Clone)]
pub struct Cluster {
    pub state: Arc<Mutex<State>>,
    servers: Arc<BTreeMap<Address, KvServer<Node>>>,
}

#[derive(Clone)]
pub struct Node {
    id: NodeId,
    state: Arc<Mutex<State>>,
}

impl State {
    fn apply(&mut self, data: Bytes) -> Output {
        self.index += 1;
        let id = LogId::new(Term(self.term), LogIndex(self.index));
        self.store.apply(&[Command { id, data }]).remove(0)
    }
}

impl Replica for Node {
    fn propose(
        &self,
        command: Bytes,
    ) -> impl Future<Output = Result<Output, ProposalError>> + Send + 'static {
        let mut state = self.state.lock().expect("a lock");
        let mut stalled = false;
        let leader = state.leader.map(NodeId);
        let result = match (leader == Some(self.id), state.force.take()) {
            (false, _) => Err(ProposalError::Rejected(ProposeError::NotLeader { leader })),
            (true, Some(Fate::Overloaded)) => {
                let (in_flight_bytes, in_flight_bytes_max) = (2, 1);
                let overloaded = ProposeError::Overloaded { in_flight_bytes, in_flight_bytes_max };
                Err(ProposalError::Rejected(overloaded))
            }
            (true, Some(Fate::Unknown)) => {
                let _ = state.apply(command);
                Err(ProposalError::Unknown { leader: None })
            }
            (true, force) => {
                stalled = force == Some(Fate::Stall);
                Ok(state.apply(command))
            }
        };
        async move {
            match stalled {
                true => std::future::pending().await,
                false => result,
            }
        }
    }

    fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, QueryError>> + Send {
        let state = self.state.lock().expect("a lock");
        let leader = state.leader.map(NodeId);
        let result = match leader == Some(self.id) {
            true => Ok(look(&state.store)),
            false => Err(QueryError::Refused(ReadError::NotLeader { leader })),
        };
        async move { result }
    }

    fn term(&self) -> Term {
        Term(self.state.lock().expect("a lock").term)
    }

    fn log_time(&self) -> u64 {
        self.state.lock().expect("a lock").store.log_time()
    }

    fn status(&self) -> NodeStatus {
        let state = self.state.lock().expect("a lock");
        let leads = state.leader == Some(self.id.0);
        let last = LogId::new(Term(state.term), LogIndex(state.index));
        NodeStatus {
            role: if leads { Role::Leader } else { Role::Follower },
            term: Term(state.term),
            leader: state.leader.map(NodeId),
            commit: last.index,
            applied: last,
            last,
            durable: last.index,
            snapshot: None,
            log_bytes: 0,
            keys: state.store.keys() as u64,
            sessions: state.store.sessions() as u64,
            log_time: state.store.log_time(),
            digest: state.store.digest(),
        }
    }
}

pub fn address(node: u64) -> Address {
    Address::from(format!("node-{node}"))
}

impl Cluster {
    /// Three nodes; the third leads.
    pub fn new(config: ServerConfig) -> Self {
        let state = Arc::new(Mutex::new(State {
            store: Store::new(config.store.clone()),
            index: 0,
            term: 1,
            leader: Some(3),
            force: None,
            script: Vec::new(),
            calls: Vec::new(),
            in_flight: 0,
            in_flight_most: 0,
        }));
        let book = (1..=3).map(|node| (NodeId(node), address(node)));
        let server = |node: u64| {
            let replica = Node { id: NodeId(node), state: state.clone() };
            (address(node), KvServer::new(replica, book.clone(), config.clone()))
        };
        let servers = Arc::new((1..=3).map(server).collect());
        Self { state, servers }
    }

    pub fn clerk(&self, config: ClerkConfig) -> Clerk {
        Clerk::new(Arc::new(self.clone()), (1..=3).map(address), config)
    }

    /// What the next requests meet.
    pub fn script(&self, fates: &[Fate]) {
        self.state.lock().expect("a lock").script = fates.to_vec();
    }

    pub fn elect(&self, leader: Option<u64>) {
        let mut state = self.state.lock().expect("a lock");
        state.term += 1;
        state.leader = leader;
    }

    pub fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let state = self.state.lock().expect("a lock");
        state.store.get(key).map(|item| item.value.as_slice().to_vec())
    }

    /// How many requests were called since the last question.
    pub fn calls(&self) -> usize {
        std::mem::take(&mut self.state.lock().expect("a lock").calls).len()
    }
}

/// Counts a call as in flight until it is dropped.
struct InFlight(Arc<Mutex<State>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().expect("a lock").in_flight -= 1;
    }
}

impl Caller for Cluster {
    fn call(&self, address: &Address, request: Bytes) -> BoxFuture<'_, Result<Bytes, CallError>> {
        let mut state = self.state.lock().expect("a lock");
        state.calls.push((address.clone(), request.clone()));
        state.in_flight += 1;
        state.in_flight_most = state.in_flight_most.max(state.in_flight);
        let fate = match state.script.is_empty() {
            true => Fate::Deliver,
            false => state.script.remove(0),
        };
        let in_flight = InFlight(self.state.clone());
        drop(state);
        let server = self.servers.get(address).cloned();
        Box::pin(async move {
            let _in_flight = in_flight;
            let lost = |reason: &str| Err(CallError::Unknown { reason: reason.into() });
            let nowhere = || Err(CallError::NotSent { reason: "nobody there".into() });
            let Some(server) = server else { return nowhere() };
            match fate {
                Fate::Deliver => {}
                Fate::NotSent => return nowhere(),
                Fate::DropRequest => return lost("request"),
                Fate::DropReply => {
                    server.call(request).await;
                    return lost("reply");
                }
                Fate::Vanish => std::future::pending().await,
                Fate::Silence => {
                    server.call(request.clone()).await;
                    std::future::pending().await
                }
                Fate::Delay(ms) => sleep(Duration::from_millis(ms)).await,
                Fate::Twice(ms) => {
                    let (server, copy) = (server.clone(), request.clone());
                    tokio::spawn(async move {
                        sleep(Duration::from_millis(ms)).await;
                        server.call(copy).await;
                    });
                }
                Fate::Garbage => return Ok(Bytes::from_static(b"\xff\xff")),
                Fate::Unknown | Fate::Overloaded | Fate::Stall => {
                    self.state.lock().expect("a lock").force = Some(fate);
                }
            }
            Ok(server.call(request).await)
        })
    }
}
