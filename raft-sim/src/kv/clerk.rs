//! [`SimClerk`]: a production clerk whose calls go into the history.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kv::command::{SessionId, Ticket};
use kv::raw::{self, AttemptError};
use kv::{
    Appended, BatchOutcome, Batched, Clerk, ClerkError, Deleted, Expect, Op, Page, Reply, Scan,
    Swap, SwapOutcome, Versioned,
};
use raft_core::{Address, Caller, LogIndex};

use super::calls::{Calls, Part};
use super::client::Connection;
use super::effects::{input_of, output_of};
use super::journal::{Journal, Seen};
use crate::checker::models::{Current, Got, KvInput, KvOp, KvOutput};
use crate::history::{Call, Client, Recorder};

/// A client that does one thing at a time. Of all it asks and is told there is a record: calls of which it
/// is certain that they had no effect are struck out, and checked to have had none.
pub struct SimClerk<C = Clerk> {
    journal: Journal,
    client: Client<KvInput, KvOutput>,
    clerk: C,
    caller: Arc<dyn Caller>,
}

/// An answer about a key, for the history.
fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

impl<C: Calls> SimClerk<C> {
    pub(super) fn new(journal: Journal, connection: Connection<C>) -> Self {
        let client = journal.recorder.client();
        Self { journal, client, clerk: connection.clerk, caller: connection.caller }
    }

    /// A client outside of the simulation, whose calls the recorder notes: `clerk` calls by `caller`.
    pub fn recording(
        recorder: Recorder<KvInput, KvOutput>,
        clerk: C,
        caller: Arc<dyn Caller>,
    ) -> Self {
        Self::new(Journal::new(recorder), Connection { clerk, caller })
    }

    /// Another client in the same process, with the same session: both may have calls in flight.
    pub fn fork(&self) -> Self {
        Self {
            journal: self.journal.clone(),
            client: self.journal.recorder.client(),
            clerk: self.clerk.clone(),
            caller: Arc::clone(&self.caller),
        }
    }

    /// The same client, with another deadline for its calls.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { clerk: self.clerk.with_deadline(deadline), ..self }
    }

    /// The clerk itself. What is done with it is not recorded: writes show up as nobody's.
    pub fn clerk(&self) -> &C {
        &self.clerk
    }

    fn call(&mut self, key: &Bytes, op: KvOp) -> Call<'_, KvInput, KvOutput> {
        self.journal.names(key);
        self.client.call(KvInput { key: key.clone(), op })
    }

    /// See [`Clerk::get`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn get(
        &mut self,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Versioned>, ClerkError<C::Refusal>> {
        let (key, clerk) = (bytes(key), self.clerk.clone());
        let call = self.call(&key, KvOp::Get);
        let result = clerk.get(&key).await;
        match &result {
            Ok(found) => call.returned(KvOutput::Got(match found {
                None => Got::Missing,
                Some(item) => {
                    let (value, version) = (item.value.clone(), Some(item.version.0));
                    Got::Found { value, version }
                }
            })),
            Err(_) => call.had_no_effect(),
        }
        result
    }

    /// See [`Clerk::put`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn put(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<LogIndex, ClerkError<C::Refusal>> {
        let (key, value, clerk) = (bytes(key), bytes(value), self.clerk.clone());
        let journal = self.journal.clone();
        let call = self.call(&key, KvOp::Put(value.clone()));
        let result = clerk.put(&key, &value).await;
        let done = |index: &LogIndex| KvOutput::Done { index: Some(index.0) };
        note(&journal, call, &result, done);
        result
    }

    /// See [`Clerk::append`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn append(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Appended, ClerkError<C::Refusal>> {
        let (key, value, clerk) = (bytes(key), bytes(value), self.clerk.clone());
        let journal = self.journal.clone();
        let call = self.call(&key, KvOp::Append(value.clone()));
        let result = clerk.append(&key, &value).await;
        note(&journal, call, &result, |done| KvOutput::Appended {
            index: Some(done.index.0),
            length: Some(done.length),
        });
        result
    }

    /// See [`Clerk::delete`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn delete(
        &mut self,
        key: impl AsRef<[u8]>,
    ) -> Result<Deleted, ClerkError<C::Refusal>> {
        let (key, clerk, journal) = (bytes(key), self.clerk.clone(), self.journal.clone());
        let call = self.call(&key, KvOp::Delete);
        let result = clerk.delete(&key).await;
        note(&journal, call, &result, |done| KvOutput::Deleted {
            index: Some(done.index.0),
            existed: Some(done.existed),
        });
        result
    }

    /// See [`Clerk::compare_and_set`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn compare_and_set(
        &mut self,
        key: impl AsRef<[u8]>,
        expect: Expect<'_>,
        then: Option<&[u8]>,
    ) -> Result<Swap, ClerkError<C::Refusal>> {
        let (key, clerk, journal) = (bytes(key), self.clerk.clone(), self.journal.clone());
        let op = input_of(&Op::CompareAndSet { key: &key, expect, then }).op;
        let call = self.call(&key, op);
        let result = clerk.compare_and_set(&key, expect, then).await;
        note(&journal, call, &result, |swap| match swap.outcome {
            SwapOutcome::Swapped => KvOutput::Done { index: Some(swap.index.0) },
            SwapOutcome::Mismatch { current } => mismatch(swap.index, current),
        });
        result
    }

    /// See [`Clerk::batch`]. Each operation is recorded as one of its own, so no two may be of one key.
    ///
    /// # Errors
    /// [`ClerkError`].
    ///
    /// # Panics
    /// When two operations are of one key.
    pub async fn batch(&mut self, ops: &[Op<'_>]) -> Result<Batched, ClerkError<C::Refusal>> {
        let inputs: Vec<KvInput> = ops.iter().map(input_of).collect();
        for (at, input) in inputs.iter().enumerate() {
            let again = inputs.iter().skip(at + 1).any(|other| other.key == input.key);
            assert!(!again, "two operations of one key in a batch cannot be recorded");
            self.journal.names(&input.key);
        }
        let mut clients: Vec<_> = inputs.iter().map(|_| self.journal.recorder.client()).collect();
        let calls: Vec<_> =
            clients.iter_mut().zip(inputs).map(|(client, input)| client.call(input)).collect();
        let result = self.clerk.batch(ops).await;
        for (at, call) in calls.into_iter().enumerate() {
            match &result {
                Ok(Batched { index, outcome: BatchOutcome::Applied(outcomes) }) => {
                    match outcomes.get(at) {
                        Some(outcome) => call.returned(output_of(*index, *outcome)),
                        None => call.had_no_effect(),
                    }
                }
                Ok(Batched { index, outcome: BatchOutcome::Mismatch { op, current } }) => {
                    match *op as usize == at {
                        true => call.returned(mismatch(*index, *current)),
                        false => call.had_no_effect(),
                    }
                }
                Err(ClerkError::Unknown(_)) => call.unanswered(),
                Err(_) => call.had_no_effect(),
            }
        }
        result
    }

    /// A page of a scan of a part. Recorded as a read of each key that it covers and that somebody had named before,
    /// and as the moment that it must be.
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn scan_part(
        &mut self,
        part: Part,
        scan: &Scan,
    ) -> Result<Page<Bytes>, ClerkError<C::Refusal>> {
        let from = match &scan.after {
            // The first key above the cursor.
            Some(after) if *after >= scan.start => [&after[..], &[0]].concat(),
            _ => scan.start.clone(),
        };
        let (from, end) = (Bytes::from(from), scan.end.clone().map(Bytes::from));
        let whole = Seen { part, from, to: end, entries: Vec::new() };
        let is_there = |key: &Bytes| self.clerk.part_of(key) == Some(part) && whole.covers(key);
        let keys: Vec<Bytes> =
            self.journal.state().keys.iter().filter(|key| is_there(key)).cloned().collect();
        let mut clients: Vec<_> = keys.iter().map(|_| self.journal.recorder.client()).collect();
        let calls: Vec<_> = clients
            .iter_mut()
            .zip(&keys)
            .map(|(client, key)| client.call(KvInput { key: key.clone(), op: KvOp::Get }))
            .collect();
        let result = self.clerk.scan(part, scan).await;
        let Ok(page) = &result else {
            calls.into_iter().for_each(Call::had_no_effect);
            return result;
        };
        // A page that is not the last says nothing of what comes behind its last entry.
        let next = page.next.as_ref().map(|next| Bytes::from([&next[..], &[0]].concat()));
        let seen = Seen { to: next.or(whole.to), entries: page.entries.clone(), ..whole };
        for (call, key) in calls.into_iter().zip(&keys) {
            match page.entries.iter().find(|(found, ..)| found == key) {
                Some((_, value, version)) => {
                    let (value, version) = (value.clone(), Some(version.0));
                    call.returned(KvOutput::Got(Got::Found { value, version }));
                }
                None if seen.covers(key) => call.returned(KvOutput::Got(Got::Missing)),
                None => call.had_no_effect(),
            }
        }
        self.journal.state().scans.push(seen);
        result
    }

    /// The part of a key, as [`Calls::part_of`] has it.
    pub fn part_of(&self, key: impl AsRef<[u8]>) -> Option<Part> {
        self.clerk.part_of(key.as_ref())
    }
}

impl SimClerk {
    /// See [`Clerk::scan`], and [`Self::scan_part`].
    ///
    /// # Errors
    /// [`ClerkError`].
    pub async fn scan(&mut self, scan: &Scan) -> Result<Page<Bytes>, ClerkError> {
        self.scan_part(Part(0), scan).await
    }

    /// Opens a session at one node. Not recorded.
    ///
    /// # Errors
    /// [`AttemptError`].
    pub async fn open_session(
        &self,
        endpoint: &Address,
        within: Duration,
    ) -> Result<SessionId, AttemptError> {
        raw::open_session(&*self.caller, endpoint, within).await
    }

    /// One attempt of a write with an explicit ticket, at one node. However often it is tried, it is one
    /// operation in the history, of unknown outcome.
    ///
    /// # Errors
    /// [`AttemptError`].
    pub async fn attempt(
        &self,
        endpoint: &Address,
        ticket: Ticket,
        op: Op<'_>,
        within: Duration,
    ) -> Result<Reply, AttemptError> {
        self.journal.asks(ticket, input_of(&op));
        raw::write(&*self.caller, endpoint, ticket, op, within).await
    }
}

fn mismatch(index: LogIndex, current: Option<LogIndex>) -> KvOutput {
    let current = current.map_or(Current::Absent, |version| Current::Version(version.0));
    KvOutput::Mismatch { index: Some(index.0), current }
}

/// Notes how a write ended.
fn note<T, R>(
    journal: &Journal,
    call: Call<'_, KvInput, KvOutput>,
    result: &Result<T, ClerkError<R>>,
    output: impl FnOnce(&T) -> KvOutput,
) {
    match result {
        Ok(done) => call.returned(output(done)),
        Err(ClerkError::Unknown(_)) => call.unanswered(),
        Err(ClerkError::Refused(_) | ClerkError::NotDone(_)) => {
            journal.state().not_done += 1;
            call.had_no_effect();
        }
    }
}
