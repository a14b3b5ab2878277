//! `shardkv import`: a file's records, each written exactly once, with many writes in flight.
//!
//! Two records with the same key are never in flight together: the later one in the file wins.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use indicatif::ProgressBar;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::progress::bar;
use crate::cli::ImportArgs;
use crate::client::{Clerk, ClerkError, clerk, failure};
use crate::exit::{Done, Exit, Failure};
use crate::records::{BadRecord, Record, Source, format_of};

/// What records are written to.
trait Sink: Clone + Send + 'static {
    fn put(&self, key: &[u8], value: &[u8]) -> impl Future<Output = Result<(), ClerkError>> + Send;
}

impl Sink for Clerk {
    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), ClerkError> {
        Clerk::put(self, key, value).await.map(|_| ())
    }
}

/// A write that has ended.
struct Ended {
    /// Which record of the file, from 1 on.
    ordinal: u64,
    line: u64,
    key: Vec<u8>,
    result: Result<(), ClerkError>,
}

/// An import that is under way.
struct Import<S> {
    sink: S,
    args: ImportArgs,
    writes: JoinSet<Ended>,
    /// The keys of the writes in flight.
    keys: BTreeSet<Vec<u8>>,
    /// The records that are in flight or have failed.
    unfinished: BTreeSet<u64>,
    /// Records read, and those left out at the beginning.
    read: u64,
    skipped: u64,
    acknowledged: u64,
    unknown: u64,
    not_done: u64,
    refused: u64,
    /// What went wrong first, and at which line.
    first: Option<(u64, Failure)>,
    bar: ProgressBar,
    begun: Instant,
}

pub(crate) async fn import(args: ImportArgs) -> Done {
    let format = format_of(&args.file, args.format)?;
    let mut source = Source::open(Path::new(&args.file), format)?;
    let sink = clerk(&args.connect, args.in_flight as usize)?;
    let mut import = Import::new(sink, args, bar(source.total_bytes));
    let bad = import.run(&mut source).await;
    import.bar.finish_and_clear();
    import.report(bad)
}

impl<S: Sink> Import<S> {
    fn new(sink: S, args: ImportArgs, bar: ProgressBar) -> Self {
        Self {
            sink,
            args,
            writes: JoinSet::new(),
            keys: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            read: 0,
            skipped: 0,
            acknowledged: 0,
            unknown: 0,
            not_done: 0,
            refused: 0,
            first: None,
            bar,
            begun: Instant::now(),
        }
    }

    /// Writes until the file ends, a line is no record, or a write fails; then waits for those in flight.
    async fn run(&mut self, source: &mut Source) -> Option<BadRecord> {
        let mut bad = None;
        while self.first.is_none() {
            let is_full = self.writes.len() >= self.args.in_flight as usize;
            tokio::select! {
                biased;
                Some(ended) = self.writes.join_next() => self.settle(ended),
                next = source.next(), if !is_full => match next {
                    None => break,
                    Some(Ok((record, line, offset))) => {
                        self.bar.set_position(offset);
                        self.write(record, line).await;
                    }
                    Some(Err(error)) => {
                        bad = Some(error);
                        break;
                    }
                },
            }
        }
        while let Some(ended) = self.writes.join_next().await {
            self.settle(ended);
        }
        bad
    }

    async fn write(&mut self, record: Record, line: u64) {
        self.read += 1;
        let ordinal = self.read;
        if ordinal <= self.args.skip {
            self.skipped += 1;
            return;
        }
        let Record { key, value } = record;
        let key = [self.args.prefix.as_bytes(), &key].concat();
        while self.keys.contains(&key) {
            match self.writes.join_next().await {
                Some(ended) => self.settle(ended),
                None => break,
            }
        }
        self.unfinished.insert(ordinal);
        if self.first.is_some() {
            // It waited for one that failed, and is not sent.
            return;
        }
        self.keys.insert(key.clone());
        let sink = self.sink.clone();
        self.writes.spawn(async move {
            let result = sink.put(&key, &value).await;
            Ended { ordinal, line, key, result }
        });
    }

    fn settle(&mut self, ended: Result<Ended, JoinError>) {
        let Ended { ordinal, line, key, result } = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Only a panic of the clerk; its record stays unfinished.
                self.unknown += 1;
                let failure = Failure::new(Exit::Unknown, format!("a write broke off: {error}"));
                self.first.get_or_insert((self.read, failure));
                return;
            }
        };
        self.keys.remove(&key);
        match result {
            Ok(()) => {
                self.unfinished.remove(&ordinal);
                self.acknowledged += 1;
                if self.acknowledged.is_multiple_of(256) {
                    self.bar.set_message(format!("{} records", self.acknowledged));
                }
                return;
            }
            Err(ClerkError::Unknown(_)) => self.unknown += 1,
            Err(ClerkError::NotDone(_)) => self.not_done += 1,
            Err(ClerkError::Refused(_)) => self.refused += 1,
        }
        if let Err(error) = result {
            let failure = failure(error, &self.args.connect);
            self.first.get_or_insert((line, failure));
        }
    }

    /// How many records from the beginning are certainly done.
    fn done(&self) -> u64 {
        self.unfinished.first().map_or(self.read, |first| first - 1)
    }

    fn report(self, bad: Option<BadRecord>) -> Done {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.acknowledged as f64 / seconds.max(0.001);
        let mut counts = format!("{} records acknowledged", self.acknowledged);
        for (count, what) in [
            (self.unknown, "unknown"),
            (self.not_done, "not done"),
            (self.refused, "refused"),
            (self.skipped, "left out"),
        ] {
            if count > 0 {
                counts.push_str(&format!(", {count} {what}"));
            }
        }
        eprintln!("import: {counts} in {seconds:.1} s ({rate:.0}/s)");
        let done = self.done();
        let rest = format!("the first {done} records are done: go on with --skip {done}");
        if let Some((line, failure)) = self.first {
            let exit = match (self.unknown, self.not_done) {
                (0, 0) => failure.exit,
                (0, _) => Exit::Unreachable,
                _ => Exit::Unknown,
            };
            let cause = format!("line {line}: {}", failure.cause);
            let hint = match failure.remedy.is_empty() {
                true => rest,
                false => format!("{}\n  hint: {rest}", failure.remedy),
            };
            return Err(Failure::new(exit, cause).hint(hint));
        }
        match bad {
            None => Ok(()),
            Some(BadRecord { line, reason }) => {
                Err(Failure::usage(format!("line {line}: {reason}")).hint(rest))
            }
        }
    }
}

#[cfg(test)]
mod tests;
