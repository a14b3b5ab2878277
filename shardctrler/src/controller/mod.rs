//! [`Controller`]: the replicated state, which is the history of configurations and the sessions.
//!
//! Deterministic: what a command does depends on the state and on its own bytes alone; the only time is
//! the log's, which the leader stamps on each command and which never goes back. All of it is in
//! persistent maps, so that a snapshot's view costs nothing.
//!
//! A controller begins with nothing. The first command that *founds* the cluster brings the [`Settings`],
//! so that no replica can have others; until then no session can be opened, and nothing changed.

mod history;
mod restore;
mod sessions;
mod snapshot;

use std::sync::Arc;

use bytes::Bytes;
use kv::command::{SessionId, Ticket};
use kv::{CommandError, rpc};
use raft_core::node::watch;
use raft_core::{Command, LogIndex, Restore, SnapshotSource, StateMachine};

use crate::change::Change;
use crate::codec::chain;
use crate::command::{self, Body};
use crate::config::{ConfigNumber, Configuration};
use crate::raw::{self, RawSettings};
use crate::refusal::Refusal;
use crate::reply::{Outcome, Output, Reply};
use crate::settings::Settings;

pub use sessions::SESSION_WINDOW;

use history::History;
use sessions::{Admission, Sessions};

/// The replicated state machine. A clone is a view, at no cost.
#[derive(Clone)]
pub struct Controller {
    founded: Option<Founded>,
    sessions: Sessions,
    /// The highest stamp of any command, in milliseconds.
    log_time: u64,
    /// Tells whoever waits for it that there is a newer configuration. No part of the state.
    news: Arc<watch::Sender<ConfigNumber>>,
}

/// What there is once the cluster is made.
#[derive(Clone)]
struct Founded {
    settings: Settings,
    history: History,
}

impl Founded {
    fn new(settings: Settings) -> Self {
        let history = History::new(settings.cluster, settings.shards);
        Self { settings, history }
    }

    fn change(&mut self, change: &Change) -> Result<ConfigNumber, Refusal> {
        let limits = &self.settings.limits;
        let next = change.apply(self.history.newest(), limits)?;
        let number = next.number();
        let encoded = raw::encode_configuration(&next);
        self.history.push(next, encoded.into());
        self.history.compact(limits);
        Ok(number)
    }
}

impl Default for Controller {
    fn default() -> Self {
        Self::new()
    }
}

impl AsRef<Self> for Controller {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Controller {
    /// A controller of which no cluster was made.
    pub fn new() -> Self {
        Self::telling(Arc::new(watch::Sender::new(ConfigNumber::ZERO)))
    }

    fn telling(news: Arc<watch::Sender<ConfigNumber>>) -> Self {
        Self { founded: None, sessions: Sessions::default(), log_time: 0, news }
    }

    /// What the cluster was made with; `None` until it is.
    pub fn settings(&self) -> Option<&Settings> {
        self.founded.as_ref().map(|founded| &founded.settings)
    }

    /// The newest configuration; `None` until the cluster is made.
    pub fn newest(&self) -> Option<&Configuration> {
        self.founded.as_ref().map(|founded| founded.history.newest())
    }

    /// The number of the oldest configuration that is kept; zero until the cluster is made.
    pub fn oldest(&self) -> ConfigNumber {
        self.founded.as_ref().map_or(ConfigNumber::ZERO, |founded| founded.history.oldest())
    }

    /// A configuration; `None` while there is none of this number. It is decoded for each call.
    ///
    /// # Errors
    ///
    /// [`Refusal::Compacted`], [`Refusal::NotFounded`].
    pub fn configuration(&self, number: ConfigNumber) -> Result<Option<Configuration>, Refusal> {
        let encoded = self.encoded(number)?;
        // What was encoded here can be decoded.
        Ok(encoded.and_then(|encoded| raw::decode_configuration(&encoded).ok()))
    }

    /// The same, as it travels.
    pub(crate) fn encoded(&self, number: ConfigNumber) -> Result<Option<Bytes>, Refusal> {
        let founded = self.founded.as_ref().ok_or(Refusal::NotFounded)?;
        founded.history.get(number).map(Option::<&Bytes>::cloned)
    }

    /// Hears of newer configurations.
    pub(crate) fn news(&self) -> watch::Receiver<ConfigNumber> {
        self.news.subscribe()
    }

    /// The number of sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The log's time: the highest stamp of any command, in milliseconds.
    pub fn log_time(&self) -> u64 {
        self.log_time
    }

    /// A digest of the whole state: settings, every configuration there ever was, sessions, and the log's
    /// time. Replicas that have applied the same entries have the same. Costs as much as the sessions are
    /// many.
    pub fn digest(&self) -> u64 {
        let settings = self.settings().map(RawSettings::from);
        let mut digest = chain(self.log_time, &rpc::encode(Vec::new(), &settings));
        if let Some(Founded { history, .. }) = &self.founded {
            let numbers = [history.oldest().0, history.before(), history.chain()];
            digest = numbers.iter().fold(digest, |sum, n| chain(sum, &n.to_le_bytes()));
        }
        for (id, session) in self.sessions.iter() {
            for record in snapshot::session_records(*id, session) {
                digest = chain(digest, &rpc::encode(Vec::new(), &record));
            }
        }
        digest
    }

    fn apply_one(&mut self, index: LogIndex, data: &[u8]) -> Output {
        let command = command::read(data).map_err(|_| CommandError::Malformed)?;
        self.log_time = self.log_time.max(command.stamp_ms);
        self.sessions.expire(self.log_time);
        match command.body {
            Body::Found(settings) => {
                self.founded.get_or_insert_with(|| Founded::new(settings));
                Ok(Reply { index, outcome: Outcome::Founded })
            }
            Body::Session { ttl_ms } => {
                let outcome = match &self.founded {
                    Some(Founded { settings, .. }) => {
                        let (now, sessions_max) = (self.log_time, settings.limits.sessions_max);
                        self.sessions.open(SessionId(index), ttl_ms, now, sessions_max);
                        Outcome::SessionOpened
                    }
                    None => Outcome::Refused(Refusal::NotFounded),
                };
                Ok(Reply { index, outcome })
            }
            Body::Change(ticket, change) => self.change_once(index, ticket, &change),
        }
    }

    fn change_once(&mut self, index: LogIndex, ticket: Ticket, change: &Change) -> Output {
        if let Admission::Repeated(reply) = self.sessions.admit(ticket)? {
            return Ok(reply);
        }
        let founded = self.founded.as_mut().ok_or(Refusal::NotFounded);
        let outcome = match founded.and_then(|founded| founded.change(change)) {
            Ok(number) => Outcome::Changed(number),
            Err(refusal) => Outcome::Refused(refusal),
        };
        let reply = Reply { index, outcome };
        self.sessions.record(ticket, reply, self.log_time);
        Ok(reply)
    }

    fn tell(&self) {
        let newest = self.newest().map_or(ConfigNumber::ZERO, Configuration::number);
        self.news.send_if_modified(|told| std::mem::replace(told, newest) != newest);
    }
}

impl StateMachine for Controller {
    type Output = Output;

    fn apply(&mut self, commands: &[Command]) -> Vec<Output> {
        let outputs = commands
            .iter()
            .map(|command| self.apply_one(command.id.index, &command.data))
            .collect();
        self.tell();
        outputs
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Box::new(snapshot::Source::new(self.clone()))
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Box::new(restore::Restoring::new(self.news.clone()))
    }
}
