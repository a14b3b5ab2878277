//! One connection to a service, and the calls on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut, Bytes};
use raft_core::{Address, CallError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::Shared;
use crate::codec::{Claim, Frame, FrameKind, Reader};
use crate::handshake::{Dialling, HandshakeError};
use crate::link::{Gate, Link, LinkError};

/// One connection, or what is left of it between two.
pub(super) struct Line {
    address: Address,
    state: Mutex<State>,
    /// A request waits to be written.
    filled: Notify,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// The number of the last call.
    last: u64,
    /// Requests that wait to be put into the link.
    waiting: BTreeMap<u64, Bytes>,
    /// All calls that have no reply yet.
    calls: BTreeMap<u64, Call>,
    bytes: usize,
    failures: u32,
}

#[derive(Default)]
enum Phase {
    /// No task.
    #[default]
    Idle,
    /// A task connects or is connected.
    Running,
    /// No task, and none to be begun before `until`.
    Failed { until: Instant, reason: String },
}

struct Call {
    bytes: usize,
    /// Where its request begins in the link, once it is in there.
    begins: Option<u64>,
    reply: oneshot::Sender<Result<Bytes, CallError>>,
}

/// Forgets the call when its future is dropped.
struct Forget {
    line: Arc<Line>,
    number: u64,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.line.lock().remove(self.number);
    }
}

/// Calls over `line`.
pub(super) async fn call(
    shared: &Arc<Shared>,
    line: Arc<Line>,
    request: Bytes,
) -> Result<Bytes, CallError> {
    let (number, answer) = line.begin(shared, request)?;
    let _forget = Forget { line, number };
    // It is dropped without an answer only together with the whole caller.
    answer.await.unwrap_or(Err(CallError::Unknown { reason: "the caller was dropped".into() }))
}

impl State {
    fn remove(&mut self, number: u64) -> Option<Call> {
        self.waiting.remove(&number);
        let call = self.calls.remove(&number)?;
        self.bytes -= call.bytes;
        Some(call)
    }
}

impl Line {
    pub(super) fn new(address: Address) -> Self {
        Self { address, state: Mutex::default(), filled: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lock().calls.len()
    }

    pub(super) fn in_use(&self) -> bool {
        let state = self.lock();
        matches!(state.phase, Phase::Running) || !state.calls.is_empty()
    }

    /// Queues a request, and sees to it that somebody writes it.
    fn begin(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        request: Bytes,
    ) -> Result<(u64, oneshot::Receiver<Result<Bytes, CallError>>), CallError> {
        let config = &shared.config;
        let mut state = self.lock();
        if let Phase::Failed { until, reason } = &state.phase
            && Instant::now() < *until
        {
            return Err(CallError::NotSent { reason: reason.clone() });
        }
        if state.calls.len() >= config.calls_max
            || state.bytes + request.len() > config.call_bytes_max
        {
            let reason = format!("overloaded: {} calls are in flight", state.calls.len());
            return Err(CallError::NotSent { reason });
        }
        state.last += 1;
        let number = state.last;
        let (reply, answer) = oneshot::channel();
        let bytes = request.len();
        state.bytes += bytes;
        state.calls.insert(number, Call { bytes, begins: None, reply });
        let idle = state.waiting.is_empty();
        state.waiting.insert(number, request);
        if !matches!(state.phase, Phase::Running) {
            let task = run(Arc::clone(shared), Arc::clone(self));
            if shared.tasks.spawn(task).is_err() {
                state.remove(number);
                return Err(CallError::NotSent { reason: "the caller was shut down".into() });
            }
            state.phase = Phase::Running;
        }
        drop(state);
        if idle {
            self.filled.notify_one();
        }
        Ok((number, answer))
    }

    /// Waits until a request is there to be written.
    async fn filled(&self) {
        loop {
            let filled = self.filled.notified();
            if !self.lock().waiting.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Puts requests into the link while it has room.
    fn put_requests(&self, link: &mut Link) {
        let mut state = self.lock();
        while link.has_room()
            && let Some((number, request)) = state.waiting.pop_first()
        {
            let begins = link.queued();
            let put = link.put(FrameKind::Request, |out| {
                out.put_u64_le(number);
                out.extend_from_slice(&request);
            });
            match put {
                Ok(()) => {
                    if let Some(call) = state.calls.get_mut(&number) {
                        call.begins = Some(begins);
                    }
                }
                Err(error) => {
                    let reason = error.to_string();
                    if let Some(call) = state.remove(number) {
                        let _ = call.reply.send(Err(CallError::NotSent { reason }));
                    }
                }
            }
        }
    }

    /// Gives the reply in `frame` to whoever waits for it; nobody may.
    fn take_reply(&self, frame: &Frame) -> Result<(), LinkError> {
        let mut reader = Reader::new(&frame.payload);
        let number = reader.u64("number");
        let number = number.map_err(|error| LinkError::Payload { at: frame.at, error })?;
        let reply = match frame.kind {
            FrameKind::Reply => Ok(reader.rest()),
            FrameKind::ReplyTooLong => {
                Err(CallError::Unknown { reason: "the reply does not fit a frame".into() })
            }
            kind => return Err(LinkError::Kind(kind)),
        };
        if let Some(call) = self.lock().remove(number) {
            let _ = call.reply.send(reply);
        }
        Ok(())
    }

    /// Ends all calls. `attempted` is up to where the link's bytes may have left.
    fn end(&self, state: &mut State, attempted: u64, reason: &str) {
        state.waiting.clear();
        state.bytes = 0;
        for (_, call) in std::mem::take(&mut state.calls) {
            let reason = reason.to_owned();
            let error = match call.begins {
                Some(begins) if begins < attempted => CallError::Unknown { reason },
                _ => CallError::NotSent { reason },
            };
            let _ = call.reply.send(Err(error));
        }
    }

    /// Ends all calls when the task is gone, and with it the knowledge of what was written.
    pub(super) fn fail(&self, reason: &str) {
        self.end(&mut self.lock(), u64::MAX, reason);
    }

    /// Connecting failed: all calls fail, and for a while those to come.
    fn failed(&self, shared: &Shared, reason: &str) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let mut random = fastrand::Rng::with_seed(shared.config.seed ^ u64::from(state.failures));
        let pause = shared.config.backoff.after(state.failures, &mut random);
        state.phase = Phase::Failed { until: Instant::now() + pause, reason: reason.to_owned() };
        self.end(&mut state, 0, reason);
    }
}

/// Connects, carries calls until the connection ends or is not used any more, and is gone.
async fn run(shared: Arc<Shared>, line: Arc<Line>) {
    let mut link = match connect(&shared, &line.address).await {
        Ok(link) => link,
        Err(error) => {
            // Whoever calls learns no more than that nothing was sent, and may try for long.
            if let HandshakeError::Tls(_) | HandshakeError::Link(LinkError::Tls(_)) = error {
                shared.complaints.error(format_args!("{}: {error}", line.address));
            }
            return line.failed(&shared, &format!("{}: {error}", line.address));
        }
    };
    line.lock().failures = 0;
    match carry(&shared, &line, &mut link).await {
        Ok(()) => {}
        Err(error) => {
            let mut state = line.lock();
            state.phase = Phase::Idle;
            let reason = format!("{}: {error}", line.address);
            line.end(&mut state, link.attempted(), &reason);
        }
    }
}

async fn connect(shared: &Shared, address: &Address) -> Result<Link, HandshakeError> {
    let config = &shared.config;
    let dialling = Dialling {
        dialler: &shared.dialler,
        dial_max: config.dial_max,
        handshake_max: config.handshake_max,
        liveness: config.liveness,
        tally: &shared.tally,
    };
    let mut link = dialling.dial(address, Claim::Client).await?.link;
    link.established(config.frame_bytes_max, config.liveness);
    Ok(link)
}

/// Ok when the connection was not used for long; the line is idle then.
async fn carry(shared: &Shared, line: &Line, link: &mut Link) -> Result<(), LinkError> {
    let unused_max = shared.config.unused_max;
    let unused = tokio::time::sleep(unused_max);
    tokio::pin!(unused);
    let mut last = 0;
    loop {
        while let Some(frame) = link.next_frame()? {
            line.take_reply(&frame)?;
        }
        line.put_requests(link);
        tokio::select! {
            biased;
            () = line.filled(), if link.has_room() => {}
            turned = link.turn(Gate::Open) => turned?,
            () = &mut unused => {
                let mut state = line.lock();
                if state.calls.is_empty() && state.last == last {
                    state.phase = Phase::Idle;
                    return Ok(());
                }
                last = state.last;
                unused.as_mut().reset(Instant::now() + unused_max);
            }
        }
    }
}
