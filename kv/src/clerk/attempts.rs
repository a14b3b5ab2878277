//! One request, tried until it is answered or its time is over.
//!
//! What must never be wrong is [`Fate`]: an attempt that may have reached a leader leaves a doubt, which
//! only an answer of the state machine itself removes. A server's refusal answers its own attempt and no
//! earlier one.

use bytes::{Bytes, BytesMut};
use raft_core::{Address, CallError};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::calls::{Calls, Protocol, Reading};
use super::error::{Cause, ClerkError};
use crate::command::Ticket;
use crate::envelope;
use crate::fault::{Elsewhere, Fault};
use crate::op::CommandError;

/// How many hints in a row are followed without a pause: nodes that point at each other cost a pause.
const HOPS_MAX: u32 = 2;

/// After how many failures in a row it is asked whether the group is the wrong one.
const FAILURES_UNTIL_LOOK: u32 = 3;

/// What is known of a request's attempts.
pub(super) struct Attempts {
    pub(super) deadline: Instant,
    /// Whether some attempt may have had its effect, or may yet have it.
    doubt: bool,
    cause: Cause,
    failures: u32,
    hops: u32,
}

/// Why there is no answer.
pub(super) enum Failure<R> {
    Final(ClerkError<R>),
    /// The session is gone, and no attempt was applied in it.
    SessionExpired,
}

/// What to do after an attempt.
enum Next<R> {
    /// Try again at once.
    Again,
    /// Try again after a pause.
    Pause,
    /// Ask for where to try again.
    Elsewhere(Elsewhere),
    Fail(Failure<R>),
}

impl Attempts {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, doubt: false, cause: Cause::NoTime, failures: 0, hops: 0 }
    }

    /// The call has no answer because of `cause`.
    fn fail<R>(&self, cause: Cause) -> Failure<R> {
        Failure::Final(match self.doubt {
            true => ClerkError::Unknown(cause),
            false => ClerkError::NotDone(cause),
        })
    }

    fn refused<R>(&self, refused: ClerkError<R>) -> Next<R> {
        Next::Fail(match self.doubt {
            // Another server, with other limits, may have accepted an earlier attempt.
            true => self.fail(Cause::Protocol),
            false => Failure::Final(refused),
        })
    }
}

/// A request's bytes, and what is patched in them for each attempt.
pub(super) struct Request {
    pub(super) bytes: Vec<u8>,
    /// The ticket of a write. Reads and the opening of sessions are safe to repeat without one.
    pub(super) ticket: Option<Ticket>,
}

impl<P: Protocol> Calls<P> {
    /// Tries `request` until there is an answer.
    pub(super) async fn attempt<T>(
        &self,
        request: Request,
        attempts: &mut Attempts,
        read: impl Fn(&Bytes) -> Reading<T, P::Refusal>,
    ) -> Result<T, Failure<P::Refusal>> {
        let ticket = request.ticket;
        let mut bytes = BytesMut::from(Bytes::from(request.bytes));
        loop {
            let left = attempts.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(attempts.fail(attempts.cause));
            }
            let limit = left.min(self.config.attempt_timeout);
            let Some(target) = self.prepare(&mut bytes, ticket, limit) else {
                attempts.cause = Cause::NoEndpoint;
                if !P::MOVES {
                    return Err(attempts.fail(attempts.cause));
                }
                self.pause(attempts).await;
                self.reroute(attempts, None).await;
                continue;
            };
            let sent = bytes.freeze();
            let reply = timeout(limit, self.caller.call(&target, sent.clone())).await;
            let next = match reply {
                Ok(Ok(reply)) => match read(&reply) {
                    Reading::Answer(answer) => return Ok(answer),
                    Reading::Fault(fault) => self.on_fault(attempts, fault, &target),
                    Reading::Nonsense => self.on_silence(attempts, Cause::Protocol, &target),
                },
                Ok(Err(CallError::NotSent { .. })) => {
                    self.state().route.rotate(&target);
                    attempts.cause = Cause::Unreachable;
                    Next::Pause
                }
                Ok(Err(_)) | Err(_) if planted!(UnknownRetriedAsNew) && ticket.is_some() => {
                    Next::Fail(Failure::SessionExpired)
                }
                Ok(Err(_)) | Err(_) => self.on_silence(attempts, Cause::NoReply, &target),
            };
            match next {
                Next::Again => {}
                Next::Pause => self.pause_and_look(attempts).await,
                Next::Elsewhere(told) => {
                    if self.reroute(attempts, Some(told)).await && attempts.hops < HOPS_MAX {
                        attempts.hops += 1;
                    } else {
                        self.pause(attempts).await;
                    }
                }
                Next::Fail(failure) => return Err(failure),
            }
            // The caller may still hold the bytes of an attempt that was given up: then they are copied.
            bytes = sent.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        }
    }

    /// Patches the request for an attempt, and says whom to ask.
    fn prepare(
        &self,
        bytes: &mut BytesMut,
        ticket: Option<Ticket>,
        limit: std::time::Duration,
    ) -> Option<std::sync::Arc<Address>> {
        // Rounded up: a server that stops waiting before its client does makes doubts for nothing.
        let budget_ms = limit.as_millis().saturating_add(1);
        envelope::set_budget(bytes, u32::try_from(budget_ms).unwrap_or(u32::MAX));
        let state = self.state();
        if let (Some(ticket), Some(line)) = (ticket, &state.line)
            && line.session() == ticket.session
        {
            envelope::set_acked(bytes, line.refresh(ticket));
        }
        state.route.target()
    }

    /// There is no answer that means anything: the attempt may have had its effect.
    fn on_silence(
        &self,
        attempts: &mut Attempts,
        cause: Cause,
        target: &Address,
    ) -> Next<P::Refusal> {
        self.state().route.rotate(target);
        attempts.doubt = !planted!(UnknownIsNotDone);
        attempts.cause = cause;
        Next::Pause
    }

    fn on_fault(
        &self,
        attempts: &mut Attempts,
        fault: Fault<P::Refusal>,
        target: &Address,
    ) -> Next<P::Refusal> {
        let (cause, hint) = match fault {
            Fault::NotLeader(hint) => (Cause::NoLeader, hint),
            Fault::Unknown(hint) => {
                attempts.doubt = true;
                (Cause::NoLeader, hint)
            }
            Fault::Overloaded => {
                attempts.cause = Cause::Overloaded;
                return Next::Pause;
            }
            Fault::Deadline => (Cause::NoReply, None),
            Fault::Stopped => (Cause::Stopped, None),
            Fault::Refused(refusal) => return attempts.refused(ClerkError::Refused(refusal)),
            Fault::Malformed => return attempts.refused(ClerkError::NotDone(Cause::Protocol)),
            Fault::Command(error) => return on_command_error(attempts, error),
            Fault::WrongGroup(told) => {
                attempts.cause = Cause::WrongGroup;
                return Next::Elsewhere(told);
            }
        };
        attempts.cause = cause;
        let followed = self.state().route.follow(target, hint);
        match followed && attempts.hops < HOPS_MAX {
            true => {
                attempts.hops += 1;
                Next::Again
            }
            false => Next::Pause,
        }
    }

    /// Asks where to go on; says whether that is elsewhere.
    async fn reroute(&self, attempts: &Attempts, told: Option<Elsewhere>) -> bool {
        let found = timeout_at(attempts.deadline, self.protocol.reroute(told)).await;
        match found {
            Ok(endpoints) if !endpoints.is_empty() => self.state().route.replace(endpoints),
            _ => false,
        }
    }

    /// Pauses, and asks now and then whether the whole group is the wrong one.
    async fn pause_and_look(&self, attempts: &mut Attempts) {
        self.pause(attempts).await;
        if attempts.failures.is_multiple_of(FAILURES_UNTIL_LOOK) {
            self.reroute(attempts, None).await;
        }
    }

    pub(super) async fn pause(&self, attempts: &mut Attempts) {
        let pause = self.state().route.pause(&self.config, attempts.failures);
        attempts.failures = attempts.failures.saturating_add(1);
        attempts.hops = 0;
        let left = attempts.deadline.saturating_duration_since(Instant::now());
        sleep(pause.min(left)).await;
    }
}

fn on_command_error<R>(attempts: &mut Attempts, error: CommandError) -> Next<R> {
    Next::Fail(match error {
        CommandError::SessionExpired if attempts.doubt => attempts.fail(Cause::SessionExpired),
        CommandError::SessionExpired => {
            attempts.cause = Cause::SessionExpired;
            Failure::SessionExpired
        }
        // Somebody has acknowledged this very request: it may have been applied.
        CommandError::StaleSequence => {
            attempts.doubt = true;
            attempts.fail(Cause::Sequence)
        }
        CommandError::SessionWindow { .. } => attempts.fail(Cause::Sequence),
        CommandError::Malformed => attempts.fail(Cause::Protocol),
    })
}
