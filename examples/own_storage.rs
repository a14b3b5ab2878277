//! A [`Storage`] of your own: a journal of text lines, synced before anything depends on it.
//!
//! It is durable and slow; what is missing for production is in `raft-storage`: checksums, segments that
//! are reused, and the telling of a torn tail from corruption. Run the conformance kit against yours.
//!
//! Prints:
//! ```text
//! first life: the sum is 42
//! second life: the sum is 42
//! the journal has 6 lines
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::{FromStr, SplitWhitespace};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raft_core::node::{GroupConfig, Node, NodeConfig};
use raft_core::{
    BoxFuture, Command, Entry, GroupId, HardState, LogId, LogIndex, Membership, NodeId, Payload,
    Persisted, Restore, RestoreError, SnapshotMeta, SnapshotReader, SnapshotSource, SnapshotWriter,
    StateMachine, Storage, StorageError, Term, Whole, Write, WriteOp,
};
use raft_transport::ChannelNetwork;

/// One file of lines. It takes no snapshots: its log grows for ever, which a toy may do.
struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    fn open(path: &Path) -> Result<Self, StorageError> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|error| failed("open the journal", &error))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Appends the lines of all writes and syncs once: one write may carry many groups.
    fn append(&self, writes: &[Write]) -> io::Result<()> {
        let lines: String = writes.iter().map(lines).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    }

    fn replay(&self) -> Result<BTreeMap<GroupId, Persisted>, StorageError> {
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| failed("read the journal", &error))?;
        let mut groups: BTreeMap<GroupId, Persisted> = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            replay_line(line, &mut groups).ok_or_else(|| StorageError::Corrupt {
                file: self.path.display().to_string(),
                offset: number as u64,
                reason: format!("line {} makes no sense: {line}", number + 1),
                remedy: "restore the file from a backup".into(),
            })?;
        }
        Ok(groups)
    }
}

fn lines(write: &Write) -> String {
    let group = write.group.0;
    match &write.op {
        WriteOp::HardState(state) => {
            format!("state {group} {} {}\n", state.term.0, state.voted_for.map_or(0, |node| node.0))
        }
        WriteOp::Append(entries) => entries.iter().map(|entry| line(group, entry)).collect(),
        WriteOp::Compact(_) | WriteOp::Receive { .. } => unreachable!("without snapshots"),
    }
}

fn line(group: u64, entry: &Entry) -> String {
    let LogId { term, index } = entry.id;
    let payload = match &entry.payload {
        Payload::Noop => "-".to_owned(),
        Payload::Command(data) => data.iter().map(|byte| format!("{byte:02x}")).collect(),
        Payload::Membership(_) => unreachable!("without membership changes"),
    };
    format!("entry {group} {} {} {payload}\n", term.0, index.0)
}

fn replay_line(line: &str, groups: &mut BTreeMap<GroupId, Persisted>) -> Option<()> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let state = groups.entry(GroupId(number(&mut words)?)).or_default();
    match kind {
        "state" => {
            let (term, vote) = (Term(number(&mut words)?), number(&mut words)?);
            let voted_for = (vote != 0).then_some(NodeId(vote));
            state.hard_state = HardState { term, voted_for };
        }
        "entry" => {
            let id = LogId::new(Term(number(&mut words)?), LogIndex(number(&mut words)?));
            let payload = match words.next()? {
                "-" => Payload::Noop,
                hex => Payload::Command(decode(hex)?),
            };
            // An entry replaces whatever stood at its index and after it.
            state.log.truncate(usize::try_from(id.index.prev().0).ok()?);
            state.log.push(Entry { id, payload });
        }
        _ => return None,
    }
    words.next().is_none().then_some(())
}

fn number<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn decode(hex: &str) -> Option<Bytes> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

fn failed(context: &str, error: &io::Error) -> StorageError {
    StorageError::Io {
        context: context.into(),
        reason: error.to_string(),
        is_full: error.kind() == io::ErrorKind::StorageFull,
    }
}

impl Storage for Journal {
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupId>, StorageError>> {
        Box::pin(async { Ok(self.replay()?.into_keys().collect()) })
    }

    fn load(&self, group: GroupId) -> BoxFuture<'_, Result<Persisted, StorageError>> {
        Box::pin(async move { Ok(self.replay()?.remove(&group).unwrap_or_default()) })
    }

    fn write(&self, writes: Vec<Write>) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async move {
            self.append(&writes).map_err(|error| failed("append to the journal", &error))
        })
    }

    fn create_snapshot(
        &self,
        _: GroupId,
        _: SnapshotMeta,
    ) -> BoxFuture<'_, Result<Box<dyn SnapshotWriter>, StorageError>> {
        let reason = "this store takes no snapshots".to_owned();
        Box::pin(async { Err(StorageError::Refused { reason }) })
    }

    fn open_snapshot(
        &self,
        _: GroupId,
    ) -> BoxFuture<'_, Result<Option<Box<dyn SnapshotReader>>, StorageError>> {
        Box::pin(async { Ok(None) })
    }
}

/// Adds up bytes.
struct Sum(u64);

impl StateMachine for Sum {
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        let add = |command: &Command| {
            self.0 += command.data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            self.0
        };
        commands.iter().map(add).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_be_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        let error = |_| RestoreError { reason: "eight bytes are a sum".into() };
        Whole::restore(move |data| data.try_into().map(u64::from_be_bytes).map(Sum).map_err(error))
    }
}

/// Starts a node on the journal, proposes, and gives the sum.
async fn live(path: &Path, commands: &[&'static [u8]]) -> Result<u64, Box<dyn Error>> {
    let id = NodeId(1);
    let transport = Arc::new(ChannelNetwork::new().transport(id));
    let node = Node::start(NodeConfig::new(id), Arc::new(Journal::open(path)?), transport);
    let mut config = GroupConfig::new(id, GroupId(1), Membership::of_voters([id]));
    config.snapshot_bytes = None;
    let group = node.add_group(config, Sum(0)).await?;
    group.campaign();
    group.changes().wait_for(|change| change.leader.is_some()).await?;
    for command in commands {
        group.propose(Bytes::from_static(command)).await?;
    }
    let sum = group.read(|sum| sum.0).await?;
    node.shutdown().await;
    Ok(sum)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("journal");
    println!("first life: the sum is {}", live(&path, &[&[40], &[1, 1]]).await?);
    println!("second life: the sum is {}", live(&path, &[]).await?);
    println!("the journal has {} lines", std::fs::read_to_string(&path)?.lines().count());
    Ok(())
}
