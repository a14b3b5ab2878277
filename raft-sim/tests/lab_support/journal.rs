//! The state machine of the scenarios: the list of all commands it was given. Every server's list is compared,
//! command by command, with one book that outlives them all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_core::{
    Command, LogId, LogIndex, Restore, RestoreError, SnapshotSource, StateMachine, Term, Whole,
};
use tokio::sync::Notify;

/// A server's service takes a snapshot whenever so many commands more were applied, as the labs' tests do.
pub const SNAPSHOT_INTERVAL: usize = 10;

/// What was applied anywhere, in any incarnation: the command of each index, once and for all.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    commands: Vec<(LogId, Bytes)>,
    wrong: Option<String>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server was given `data` as its command number `at`, counted from 0.
    fn enter(&self, at: usize, id: LogId, data: &Bytes) {
        let mut pages = self.pages();
        let wrong = match pages.commands.get(at) {
            None if at > pages.commands.len() => Some("it has a gap before it".to_owned()),
            None if pages.commands.last().is_some_and(|(last, _)| *last >= id) => {
                Some("it does not come after the one before it".to_owned())
            }
            None => {
                pages.commands.push((id, data.clone()));
                None
            }
            Some(known) if *known != (id, data.clone()) => Some(format!("known as {known:?}")),
            Some(_) => None,
        };
        if let Some(why) = wrong {
            let number = at + 1;
            pages.wrong.get_or_insert(format!("command {number}, {id:?} {data:?}: {why}"));
        }
    }

    /// All commands that were applied, in order.
    pub fn commands(&self) -> Vec<(LogId, Bytes)> {
        self.pages().commands.clone()
    }

    /// How many commands stand at `index` or before it.
    pub fn count_up_to(&self, index: LogIndex) -> u64 {
        self.pages().commands.partition_point(|(id, _)| id.index <= index) as u64
    }

    /// The first disagreement between two servers, or within one, if there was any.
    pub fn wrong(&self) -> Option<String> {
        self.pages().wrong.clone()
    }
}

/// The list of one server.
pub struct Journal {
    book: Book,
    commands: Vec<(LogId, Bytes)>,
    /// Rung when a snapshot is due.
    due: Arc<Notify>,
}

impl Journal {
    pub fn new(book: &Book) -> Self {
        Self { book: book.clone(), commands: Vec::new(), due: Arc::default() }
    }

    /// Rung whenever [`SNAPSHOT_INTERVAL`] more commands were applied.
    pub fn snapshot_is_due(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// How many commands it has.
    pub fn len(&self) -> u64 {
        self.commands.len() as u64
    }

    /// The number, counted from 1, of the command that stands at `id`.
    pub fn number_of(&self, id: LogId) -> Option<u64> {
        let at = self.commands.binary_search_by_key(&id.index, |(id, _)| id.index).ok()?;
        (self.commands[at].0 == id).then_some(at as u64 + 1)
    }

    /// The command with this number, counted from 1.
    pub fn command(&self, number: u64) -> Option<&Bytes> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        self.commands.get(at).map(|(_, data)| data)
    }
}

impl StateMachine for Journal {
    /// The command's number.
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        let mut numbers = Vec::new();
        for command in commands {
            self.book.enter(self.commands.len(), command.id, &command.data);
            self.commands.push((command.id, command.data.clone()));
            numbers.push(self.len());
            if (self.commands.len() + 1).is_multiple_of(SNAPSHOT_INTERVAL) {
                self.due.notify_one();
            }
        }
        numbers
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        let mut bytes = Vec::new();
        for (id, data) in &self.commands {
            for number in [id.term.0, id.index.0, data.len() as u64] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(data);
        }
        Whole::source(bytes)
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        let (book, due) = (self.book.clone(), Arc::clone(&self.due));
        Whole::restore(move |bytes| {
            let commands = parse(&bytes)?;
            for (at, (id, data)) in commands.iter().enumerate() {
                book.enter(at, *id, data);
            }
            Ok(Self { book, commands, due })
        })
    }
}

fn parse(mut bytes: &[u8]) -> Result<Vec<(LogId, Bytes)>, RestoreError> {
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let short = || RestoreError { reason: "a journal that ends too early".to_owned() };
        commands.push(parse_one(&mut bytes).ok_or_else(short)?);
    }
    Ok(commands)
}

fn parse_one(bytes: &mut &[u8]) -> Option<(LogId, Bytes)> {
    let mut number =
        || bytes.split_off(..8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let id = LogId::new(Term(number()?), LogIndex(number()?));
    let len = usize::try_from(number()?).ok()?;
    Some((id, Bytes::copy_from_slice(bytes.split_off(..len)?)))
}
