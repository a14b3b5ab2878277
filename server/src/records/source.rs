//! [`Source`]: a file of records, read by a thread of its own, so that a slow pipe never stops the client's
//! connections. A bounded number of records waits to be taken.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tokio::sync::mpsc;

use super::{Line, Record, read};
use crate::cli::Format;
use crate::exit::Failure;

/// Longer than any record can be: its escapes may take four bytes for one.
const LINE_BYTES_MAX: u64 = 32 << 20;
const BATCH_BYTES: usize = 64 << 10;
const BATCHES: usize = 4;

/// A line that is no record, or a file that cannot be read further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadRecord {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// A record, the number of its line, and the bytes of the file up to its end.
pub(crate) type Numbered = (Record, u64, u64);

/// Records from a file.
pub(crate) struct Source {
    batches: mpsc::Receiver<Result<Vec<Numbered>, BadRecord>>,
    batch: std::vec::IntoIter<Numbered>,
    /// The bytes of the whole file, if it is one.
    pub(crate) total_bytes: Option<u64>,
}

impl Source {
    /// Begins to read `file`, or stdin if it is `-`.
    pub(crate) fn open(file: &Path, format: Format) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| Failure::usage(format!("cannot read {}: {error}", file.display()));
        let (reader, total_bytes): (Box<dyn Read + Send>, _) = if file == Path::new("-") {
            (Box::new(io::stdin()), None)
        } else {
            let opened = File::open(file).map_err(unreadable)?;
            let metadata = opened.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                return Err(Failure::usage(format!("{} is a directory", file.display())));
            }
            (Box::new(opened), metadata.is_file().then_some(metadata.len()))
        };
        let (sender, batches) = mpsc::channel(BATCHES);
        std::thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || read_all(BufReader::with_capacity(BATCH_BYTES, reader), format, &sender))
            .map_err(|error| Failure::refused(format!("cannot start a thread: {error}")))?;
        Ok(Self { batches, batch: Vec::new().into_iter(), total_bytes })
    }

    /// The next record; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Numbered, BadRecord>> {
        loop {
            if let Some(record) = self.batch.next() {
                return Some(Ok(record));
            }
            match self.batches.recv().await? {
                Ok(batch) => self.batch = batch.into_iter(),
                Err(bad) => return Some(Err(bad)),
            }
        }
    }
}

/// Reads to the end, the first error, or until nobody listens any more.
fn read_all(
    mut reader: BufReader<impl Read>,
    format: Format,
    sender: &mpsc::Sender<Result<Vec<Numbered>, BadRecord>>,
) {
    let (mut batch, mut batch_bytes) = (Vec::new(), 0);
    let (mut line, mut offset) = (Vec::new(), 0);
    for number in 1.. {
        let outcome = next_line(&mut reader, &mut line).and_then(|is_ended| match is_ended {
            None => Ok(None),
            Some(is_ended) => read(format, Line { number, text: &line, is_ended }).map(|record| {
                offset += line.len() as u64 + u64::from(is_ended);
                Some((record, number, offset))
            }),
        });
        match outcome {
            Ok(Some(record)) => {
                batch_bytes += line.len() + 64;
                batch.push(record);
                // A slow pipe's records go on as they come.
                if batch_bytes >= BATCH_BYTES || reader.buffer().is_empty() {
                    batch_bytes = 0;
                    if sender.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                        return;
                    }
                }
            }
            end => {
                // Whoever is gone does not want to know.
                let _ = sender.blocking_send(Ok(batch));
                if let Err(reason) = end {
                    let _ = sender.blocking_send(Err(BadRecord { line: number, reason }));
                }
                return;
            }
        }
    }
}

/// Reads a line without its newline; says whether it had one, and `None` at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<bool>, String> {
    line.clear();
    let read = reader
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', line)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match (line.last(), read as u64) {
        (None, _) => Ok(None),
        (Some(b'\n'), _) => {
            line.pop();
            Ok(Some(true))
        }
        (Some(_), LINE_BYTES_MAX) => Err(format!("longer than {LINE_BYTES_MAX} bytes")),
        (Some(_), _) => Ok(Some(false)),
    }
}
