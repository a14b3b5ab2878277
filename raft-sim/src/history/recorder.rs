//! [`Recorder`]: writes a history down while it happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ClientId, History, Moment, OpId, Operation, Outcome};

/// Writes down what clients ask and are told. Clones write into the same history.
///
/// The order of the history is the order in which this process called the recorder. Times are tokio's, so
/// that they are virtual ones where the clock is.
///
/// ```
/// use raft_sim::history::Recorder;
///
/// let recorder = Recorder::new();
/// let mut client = recorder.client();
/// let call = client.call("get x");
/// // ... ask the system under test ...
/// call.returned("1");
/// drop(client.call("put x 2")); // No answer came: nobody knows whether it was done.
/// client.call("get x").returned("2"); // Goes on under a new client id.
///
/// let history = recorder.history();
/// assert_eq!((history.len(), history.unknown()), (3, 1));
/// ```
pub struct Recorder<I, O> {
    shared: Arc<Shared<I, O>>,
}

struct Shared<I, O> {
    clock: Clock,
    log: Mutex<Log<I, O>>,
}

/// The time since the history began.
type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

struct Log<I, O> {
    next_position: u64,
    next_client: u64,
    next_op: usize,
    /// In the order of the calls, and of `OpId`s: those without effect are taken out.
    operations: Vec<(OpId, Operation<I, O>)>,
}

impl<I, O> Clone for Recorder<I, O> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<I, O> Default for Recorder<I, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I, O> Recorder<I, O> {
    /// A recorder of an empty history that begins now.
    pub fn new() -> Self {
        let began = Instant::now();
        Self::with_clock(move || began.elapsed())
    }

    /// The same with other times: for processes whose clocks do not agree.
    pub fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let log = Log { next_position: 0, next_client: 0, next_op: 0, operations: Vec::new() };
        Self { shared: Arc::new(Shared { clock: Box::new(clock), log: Mutex::new(log) }) }
    }

    /// A new client.
    pub fn client(&self) -> Client<I, O> {
        let id = self.shared.log().fresh_client();
        Client { shared: self.shared.clone(), id, in_doubt: false }
    }

    /// What happened so far. What has not returned yet has an unknown outcome.
    pub fn history(&self) -> History<I, O>
    where
        I: Clone,
        O: Clone,
    {
        let log = self.shared.log();
        let operations = log.operations.iter().map(|(_, operation)| operation.clone()).collect();
        History::new(operations).expect("clients do one thing at a time")
    }

    /// How many operations were called so far, without those that had no effect.
    pub fn len(&self) -> usize {
        self.shared.log().operations.len()
    }

    /// Whether nothing was called so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<I, O> Shared<I, O> {
    /// No code that can panic runs under the lock, so that a poisoned one is as good as any.
    fn log(&self) -> MutexGuard<'_, Log<I, O>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I, O> Log<I, O> {
    fn fresh_client(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client - 1)
    }

    fn moment(&mut self, clock: &Clock) -> Moment {
        self.next_position += 1;
        Moment { position: self.next_position - 1, time: clock() }
    }

    fn place(&self, op: OpId) -> usize {
        let place = self.operations.binary_search_by_key(&op, |(id, _)| *id);
        place.expect("taken out only by its own call, which is then gone")
    }
}

/// A client that does one operation at a time.
pub struct Client<I, O> {
    shared: Arc<Shared<I, O>>,
    id: ClientId,
    /// The last operation has not returned, so that this id must not be used again.
    in_doubt: bool,
}

impl<I, O> Client<I, O> {
    /// The id of the last operation, or of the next one if there was none. It changes after an operation
    /// of unknown outcome.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Notes that the client asks now. The answer is noted by the [`Call`]; dropping it leaves the outcome
    /// unknown.
    #[must_use = "dropped, its outcome is unknown"]
    pub fn call(&mut self, input: I) -> Call<'_, I, O> {
        let mut log = self.shared.log();
        if self.in_doubt {
            self.id = log.fresh_client();
        }
        self.in_doubt = true;
        let (op, called) = (OpId(log.next_op), log.moment(&self.shared.clock));
        log.next_op += 1;
        let operation = Operation { client: self.id, input, called, outcome: Outcome::Unknown };
        log.operations.push((op, operation));
        drop(log);
        Call { client: self, op }
    }
}

/// An operation that has not returned. Dropped, it never will: whether it was done is unknown.
pub struct Call<'a, I, O> {
    client: &'a mut Client<I, O>,
    op: OpId,
}

impl<I, O> Call<'_, I, O> {
    /// Notes that the client is answered now.
    pub fn returned(self, output: O) {
        let mut log = self.client.shared.log();
        let (at, place) = (log.moment(&self.client.shared.clock), log.place(self.op));
        log.operations[place].1.outcome = Outcome::Returned { output, at };
        drop(log);
        self.client.in_doubt = false;
    }

    /// Leaves the outcome unknown, as dropping it does.
    pub fn unanswered(self) {}

    /// Strikes the operation out: it certainly had no effect, and will have none. To be used for a read
    /// that failed as well. A write that failed for an unknown reason is not of this kind.
    pub fn had_no_effect(self) {
        let mut log = self.client.shared.log();
        let place = log.place(self.op);
        log.operations.remove(place);
        drop(log);
        self.client.in_doubt = false;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moments_are_in_order_and_in_virtual_time() {
        let recorder = Recorder::new();
        let (mut one, mut two) = (recorder.client(), recorder.client());
        let first = one.call("a");
        tokio::time::sleep(Duration::from_millis(30)).await;
        let second = two.call("b");
        second.returned(2);
        first.returned(1);
        let history = recorder.history();
        let moments: Vec<_> = history
            .iter()
            .map(|(_, op)| (op.called, op.outcome.returned().expect("both returned")))
            .collect();
        let later = Duration::from_millis(30);
        let at = |position, time| Moment { position, time };
        let first = (at(0, Duration::ZERO), at(3, later));
        assert_eq!(moments, [first, (at(1, later), at(2, later))]);
    }

    #[test]
    fn a_client_in_doubt_gets_a_new_id_and_a_struck_out_call_leaves_no_trace() {
        let recorder = Recorder::new();
        let mut client = recorder.client();
        client.call("refused").had_no_effect();
        client.call("read").returned(());
        let other = recorder.client();
        assert_eq!((client.id(), other.id()), (ClientId(0), ClientId(1)));
        drop(client.call("timed out"));
        client.call("read").returned(());
        let history = recorder.history();
        let clients: Vec<_> = history.iter().map(|(_, op)| (op.input, op.client.0)).collect();
        assert_eq!(clients, [("read", 0), ("timed out", 0), ("read", 2)]);
        assert_eq!(history.unknown(), 1);
    }
}
