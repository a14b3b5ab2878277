//! [`Calls`]: what every clerk is made of, whatever the service.
//!
//! One session, opened when the first write needs it; one route to the leader; a bound on what is in
//! flight. A write has a number in the session and keeps it through every attempt, so that it is applied
//! once; reads need no session.

use std::future::{Future, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft_core::{Address, Caller};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::attempts::{Attempts, Failure, Request};
use super::config::CallsConfig;
use super::error::{Cause, ClerkError};
use super::line::Line;
use super::route::Route;
use crate::command::{SessionId, Ticket};
use crate::fault::{Elsewhere, Fault};

/// What [`Calls`] must know of a service. Its requests have the [`envelope`](crate::rpc::request) of all,
/// and those that write begin with a [ticket](crate::rpc::push_ticket).
pub trait Protocol: Send + Sync + 'static {
    /// Why the service can refuse a request for ever.
    type Refusal: Send + 'static;

    /// The most requests of one session that may be unacknowledged.
    const WINDOW: u16;

    /// Whether what is asked for may move to where nobody has asked yet: then a request waits, within its
    /// deadline, while no endpoint is known.
    const MOVES: bool = false;

    /// The request that opens a session.
    fn open_session(&self) -> Vec<u8>;

    /// What the reply to it says.
    fn opened(reply: &Bytes) -> Reading<SessionId, Self::Refusal>;

    /// Where to go on asking: `told` is what a server said that serves the request no more, and `None` when
    /// several attempts in a row have failed. Nothing, if it is to go on where it is. It is dropped at the
    /// request's deadline. A service of one group never moves.
    fn reroute(&self, told: Option<Elsewhere>) -> impl Future<Output = Vec<Address>> + Send {
        let _ = told;
        ready(Vec::new())
    }
}

/// What a reply says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reading<T, R> {
    /// An answer of the service.
    Answer(T),
    /// The server has not done it, or does not know.
    Fault(Fault<R>),
    /// It makes no sense, or answers something else.
    Nonsense,
}

/// Requests to one group, each tried until it is answered or its time is over.
pub struct Calls<P: Protocol> {
    pub(super) caller: Arc<dyn Caller>,
    pub(super) config: CallsConfig,
    slots: Semaphore,
    state: Mutex<State>,
    /// Held by the call that opens a session, so that the others wait for it.
    opening: tokio::sync::Mutex<()>,
    /// The session's window has room again.
    room: Notify,
    pub(super) protocol: P,
}

pub(super) struct State {
    pub(super) line: Option<Line>,
    pub(super) route: Route,
}

/// A request's number. Dropping it tells the session that nobody waits for the reply any more.
struct Turn<'a, P: Protocol> {
    calls: &'a Calls<P>,
    ticket: Ticket,
}

impl<P: Protocol> Drop for Turn<'_, P> {
    fn drop(&mut self) {
        let mut state = self.calls.state();
        let line = state.line.as_mut().filter(|line| line.session() == self.ticket.session);
        if line.is_some_and(|line| line.end(self.ticket.seq)) {
            self.calls.room.notify_waiters();
        }
    }
}

/// When a call that begins now must be over.
pub fn deadline_after(time: Duration) -> Instant {
    let now = Instant::now();
    // A deadline beyond what the clock can say is as good as one in a century.
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(3 << 30))
}

impl<P: Protocol> Calls<P> {
    /// Calls to the group whose nodes are at `endpoints`, any of them, in any order.
    pub fn new(
        protocol: P,
        caller: Arc<dyn Caller>,
        endpoints: impl IntoIterator<Item = Address>,
        config: CallsConfig,
    ) -> Self {
        let route = Route::new(endpoints, config.seed);
        Self {
            caller,
            slots: Semaphore::new(config.in_flight_max.clamp(1, Semaphore::MAX_PERMITS)),
            state: Mutex::new(State { line: None, route }),
            opening: tokio::sync::Mutex::new(()),
            room: Notify::new(),
            config,
            protocol,
        }
    }

    /// What was configured.
    pub fn config(&self) -> &CallsConfig {
        &self.config
    }

    /// Asks for what has no effect, so that it may be repeated at will.
    ///
    /// # Errors
    ///
    /// [`ClerkError`], and never [`ClerkError::Unknown`].
    pub async fn read<T>(
        &self,
        request: Vec<u8>,
        deadline: Instant,
        read: impl Fn(&Bytes) -> Reading<T, P::Refusal>,
    ) -> Result<T, ClerkError<P::Refusal>> {
        let _slot = self.slot(deadline).await?;
        let request = Request { bytes: request, ticket: None };
        let result = self.attempt(request, &mut Attempts::new(deadline), read).await;
        result.map_err(|failure| match failure {
            // A read has no effect, so there is nothing to be in doubt about.
            Failure::Final(ClerkError::Unknown(cause)) => ClerkError::NotDone(cause),
            Failure::Final(error) => error,
            Failure::SessionExpired => ClerkError::NotDone(Cause::Protocol),
        })
    }

    /// Writes once, in a session. A session that had expired before any attempt could be applied is
    /// replaced by a new one; `request` is asked again then.
    ///
    /// # Errors
    ///
    /// [`ClerkError`].
    pub async fn write<T>(
        &self,
        request: impl Fn(Ticket) -> Vec<u8>,
        deadline: Instant,
        read: impl Fn(&Bytes) -> Reading<T, P::Refusal>,
    ) -> Result<T, ClerkError<P::Refusal>> {
        let _slot = self.slot(deadline).await?;
        let mut attempts = Attempts::new(deadline);
        loop {
            let turn = self.turn(deadline).await?;
            let request = Request { bytes: request(turn.ticket), ticket: Some(turn.ticket) };
            match self.attempt(request, &mut attempts, &read).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => {
                    if matches!(error, ClerkError::Unknown(Cause::SessionExpired)) {
                        self.forget(turn.ticket.session);
                    }
                    return Err(error);
                }
                Err(Failure::SessionExpired) => {
                    self.forget(turn.ticket.session);
                    drop(turn);
                    // Sessions that end as soon as they are opened must not make a busy loop.
                    self.pause(&mut attempts).await;
                    if Instant::now() >= deadline {
                        return Err(ClerkError::NotDone(Cause::SessionExpired));
                    }
                }
            }
        }
    }

    /// Asks the node at `endpoint`, leader or not, once.
    ///
    /// # Errors
    ///
    /// [`ClerkError::NotDone`].
    pub async fn ask<T>(
        &self,
        endpoint: &Address,
        request: Vec<u8>,
        time: Duration,
        read: impl Fn(&Bytes) -> Reading<T, P::Refusal>,
    ) -> Result<T, ClerkError<P::Refusal>> {
        let call = self.caller.call(endpoint, request.into());
        let reply = match timeout(time, call).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => return Err(ClerkError::NotDone(Cause::Unreachable)),
            Err(_) => return Err(ClerkError::NotDone(Cause::NoReply)),
        };
        match read(&reply) {
            Reading::Answer(answer) => Ok(answer),
            Reading::Fault(_) | Reading::Nonsense => Err(ClerkError::NotDone(Cause::Protocol)),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn slot(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, ClerkError<P::Refusal>> {
        match timeout_at(deadline, self.slots.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(ClerkError::NotDone(Cause::InFlight)),
        }
    }

    /// A number in the session, which is opened if there is none.
    async fn turn(&self, deadline: Instant) -> Result<Turn<'_, P>, ClerkError<P::Refusal>> {
        loop {
            // Made before the look: it hears every notice from now on.
            let room = self.room.notified();
            let looked = self.state().line.as_mut().map(Line::begin);
            match looked {
                Some(Some(ticket)) => return Ok(Turn { calls: self, ticket }),
                Some(None) => {
                    let waited = timeout_at(deadline, room).await;
                    waited.map_err(|_| ClerkError::NotDone(Cause::InFlight))?;
                }
                None => self.open(deadline).await?,
            }
        }
    }

    /// Opens a session, or waits for the call that does. A session whose reply is lost is left to expire.
    async fn open(&self, deadline: Instant) -> Result<(), ClerkError<P::Refusal>> {
        let opening = timeout_at(deadline, self.opening.lock()).await;
        let _opening = opening.map_err(|_| ClerkError::NotDone(Cause::NoReply))?;
        if self.state().line.is_some() {
            return Ok(());
        }
        let request = Request { bytes: self.protocol.open_session(), ticket: None };
        let opened = self.attempt(request, &mut Attempts::new(deadline), P::opened).await;
        match opened {
            Ok(session) => {
                self.state().line = Some(Line::new(session, P::WINDOW));
                Ok(())
            }
            // Whatever became of the session: the write that wanted it was not sent.
            Err(Failure::Final(ClerkError::Unknown(cause))) => Err(ClerkError::NotDone(cause)),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::SessionExpired) => Err(ClerkError::NotDone(Cause::Protocol)),
        }
    }

    /// The session is gone: the next write opens another.
    fn forget(&self, session: SessionId) {
        let mut state = self.state();
        if state.line.as_ref().is_some_and(|line| line.session() == session) {
            state.line = None;
        }
        drop(state);
        self.room.notify_waiters();
    }
}
