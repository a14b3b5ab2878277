//! `shardkv inspect wal`: every record of a log, and whether it verifies. Writes nothing.

use std::fmt::Write as _;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;

use raft_storage::{FileDisk, InspectedRecord, Verdict, inspect_wal as inspect, read_identity};

use super::broken_output;
use crate::exit::{Done, Failure};

pub(crate) async fn inspect_wal(dir: &Path) -> Done {
    let name = dir.display();
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{name} is not a directory"))
            .hint("give a node's data directory"));
    }
    let failed = |error: raft_core::StorageError| Failure::refused(format!("{name}: {error}"));
    let disk = FileDisk::inline(dir).map_err(|error| failed(error.into()))?;
    let identity = read_identity(&disk).await.map_err(failed)?;
    let Some(identity) = identity else {
        return Err(Failure::usage(format!("{name} is not a node's data directory")));
    };
    let mut out = BufWriter::new(stdout().lock());
    let head = format!(
        "node {} of cluster {}, incarnation {:016x}\n",
        identity.node.0, identity.cluster.0, identity.incarnation.0
    );
    let mut written = out.write_all(head.as_bytes());
    let inspection = inspect(&disk, |record| {
        if written.is_ok() {
            written = out.write_all(line(record).as_bytes());
        }
    })
    .await
    .map_err(failed)?;
    let sums = format!(
        "{} segments, {} batches, {} records, {} damaged places\n",
        inspection.segments,
        inspection.batches,
        inspection.records,
        inspection.damage.len()
    );
    let ended = written.and_then(|()| out.write_all(sums.as_bytes())).and_then(|()| out.flush());
    ended.or_else(broken_output)?;
    damage(&inspection.damage)
}

fn line(record: &InspectedRecord) -> String {
    let mut line = format!(
        "{}+{} batch {} {:?} {:?} {} {} {} bytes",
        record.file,
        record.offset,
        record.batch,
        record.kind,
        record.origin,
        record.group,
        record.id,
        record.payload_bytes
    );
    let verdict = match record.verdict {
        Verdict::Valid => "ok",
        Verdict::InDamagedBatch => "IN A DAMAGED BATCH",
        Verdict::PayloadDamaged => "PAYLOAD DAMAGED",
    };
    // Writing to a string does not fail.
    let _ = writeln!(line, " {verdict}");
    line
}

fn damage(places: &[(String, u64, String)]) -> Done {
    if places.is_empty() {
        return Ok(());
    }
    let list: Vec<_> =
        places.iter().map(|(file, at, reason)| format!("{file} at {at}: {reason}")).collect();
    Err(Failure::refused(format!("the log is damaged: {}", list.join("; "))).hint(
        "damage at the very end is what a crash leaves, and the next start of the node cuts it; \
         damage anywhere else took what was acknowledged: give the node a copy of its directory from \
         before, and never an empty one under the same id",
    ))
}
