//! A node with many keys, loaded as an import does it: its resident memory, what that becomes while it writes
//! snapshots, and what they do to puts that come at a steady rate.
//!
//! A snapshot is under way while its unfinished file lies in the data directory: seen from outside, so that
//! nothing in the server is made for the measurement. What comes after it counts as well, for a moment: the
//! older snapshot is removed, and the log let go of.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::MissedTickBehavior;

use super::client::{self, Client};
use super::cluster::{Cluster, Mode};
use crate::load::{self, Put, key};
use crate::measure::Latencies;
use crate::sample::{Measured, Points, Sample};
use crate::suite::Plan;

/// Bytes of a value.
const VALUE_BYTES: usize = 64;
/// Connections, and puts in flight on each while loading.
const CONNECTIONS: usize = 4;
const LOADING: usize = 128;
/// Puts a millisecond while measuring: well below what a node can do, so that the latency is the node's own
/// and not that of a queue before it.
const PUTS: u64 = 4;
/// How long a snapshot that is done still counts.
const AFTER: Duration = Duration::from_millis(250);
/// Keys are written in an order that is none, by steps of a prime that divides no number of keys.
const STEP: u64 = 618_031;

/// How much of what.
struct Size {
    keys: u64,
    /// A snapshot for each so many bytes of log: so that several fall into the measured time.
    snapshot_after: &'static str,
}

pub(crate) fn measure(plan: &Plan) -> Measured {
    let size = match plan.quick {
        true => Size { keys: 20_000, snapshot_after: "256KiB" },
        false => Size { keys: 1_000_000, snapshot_after: "4MiB" },
    };
    let mut cluster =
        Cluster::start::<1>(&plan.dir, Mode::Plain, &["--snapshot-after", size.snapshot_after])?;
    load::on_one_thread(async {
        let leader = cluster.leader().await?;
        let (pid, dir) = (cluster.pids()[0], cluster.data_dirs()[0].to_owned());
        let clients = client::connect(&[leader], CONNECTIONS);
        fill(&clients, size.keys).await?;
        settle(&dir, plan).await?;
        let resident = resident_mb(pid)?;
        let seen = steady(&clients, size.keys, plan, pid, &dir).await?;
        let p99 = |latencies: Latencies, when| {
            let none = || io::Error::other(format!("no put fell into the time {when} snapshots"));
            latencies.quantiles().1.ok_or_else(none)
        };
        let (during, without) = (p99(seen.during, "of")?, p99(seen.without, "without")?);
        let ratio = Sample { p99_us: Some(during), ..Sample::amount(during / without) };
        Ok(Points::from([
            ("resident".to_owned(), Sample::amount(resident)),
            ("resident, snapshot".to_owned(), Sample::amount(seen.peak_mb)),
            ("p99 during over without".to_owned(), ratio),
        ]))
    })?
}

/// Puts all keys once, many at a time.
async fn fill(clients: &[Client], keys: u64) -> io::Result<()> {
    let next = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for n in 0..clients.len() * LOADING {
        let (client, next) = (clients[n % clients.len()].clone(), Rc::clone(&next));
        tasks.push(tokio::task::spawn_local(async move {
            while next.get() < keys {
                let n = next.replace(next.get() + 1);
                client.put(key(n * STEP % keys), value(n)).await?;
            }
            Ok::<_, String>(())
        }));
    }
    for task in tasks {
        task.await?.map_err(|error| io::Error::other(format!("a put failed: {error}")))?;
    }
    Ok(())
}

fn value(n: u64) -> Bytes {
    vec![b'a' + (n % 26) as u8; VALUE_BYTES].into()
}

/// Waits until no snapshot has been written for a while.
async fn settle(dir: &Path, plan: &Plan) -> io::Result<()> {
    let mut quiet = Instant::now();
    while quiet.elapsed() < plan.warm * 3 {
        if is_snapshotting(dir)? {
            quiet = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// What was seen while puts came at a steady rate.
#[derive(Default)]
struct Seen {
    /// Of puts that a snapshot was under way at the beginning or at the end of, or had just been.
    during: Latencies,
    without: Latencies,
    /// Of the resident memory while a snapshot was under way.
    peak_mb: f64,
}

/// Puts that come whether the last ones are done or not.
async fn steady(
    clients: &[Client],
    keys: u64,
    plan: &Plan,
    pid: u32,
    dir: &Path,
) -> io::Result<Seen> {
    let (seen, failed) = (Rc::new(RefCell::new(Seen::default())), Rc::new(RefCell::new(None)));
    let (snapshotting, mut last) = (Rc::new(Cell::new(false)), None::<Instant>);
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, mut n, mut tasks) = (Instant::now(), 0, Vec::new());
    while start.elapsed() < plan.measure * 8 {
        ticks.tick().await;
        if is_snapshotting(dir)? {
            last = Some(Instant::now());
            let mut seen = seen.borrow_mut();
            seen.peak_mb = seen.peak_mb.max(resident_mb(pid)?);
        }
        snapshotting.set(last.is_some_and(|last| last.elapsed() < AFTER));
        for _ in 0..PUTS {
            n += 1;
            let client = clients[n as usize % clients.len()].clone();
            let (seen, failed) = (Rc::clone(&seen), Rc::clone(&failed));
            let (snapshotting, sent) = (Rc::clone(&snapshotting), Instant::now());
            tasks.push(tokio::task::spawn_local(async move {
                let at_first = snapshotting.get();
                if let Err(error) = client.put(key(n * STEP % keys), value(n)).await {
                    *failed.borrow_mut() = Some(error);
                }
                let mut seen = seen.borrow_mut();
                match at_first || snapshotting.get() {
                    true => seen.during.add(sent.elapsed()),
                    false => seen.without.add(sent.elapsed()),
                }
            }));
        }
    }
    for task in tasks {
        task.await?;
    }
    match failed.take() {
        Some(error) => Err(io::Error::other(format!("a put failed: {error}"))),
        None => Ok(seen.take()),
    }
}

/// Whether an unfinished snapshot lies in the data directory.
fn is_snapshotting(dir: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snapshot-") && name.ends_with(".tmp") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The resident memory of process `pid`, in millions of bytes.
pub(super) fn resident_mb(pid: u32) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "/proc says no VmRSS");
    Ok(kib.ok_or_else(strange)? * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_that_is_none_visits_every_key() {
        for keys in [20_000, 1_000_000] {
            let visited: std::collections::BTreeSet<u64> =
                (0..keys).map(|n| n * STEP % keys).collect();
            assert_eq!(visited.len() as u64, keys);
        }
    }

    #[test]
    fn a_process_has_resident_memory_and_more_when_it_takes_more() {
        let before = resident_mb(std::process::id()).unwrap();
        let much = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = resident_mb(std::process::id()).unwrap();
        assert!(before > 0.5 && after > before + 60.0, "{before} {after} {}", much.len());
    }

    #[test]
    fn an_unfinished_snapshot_is_one() {
        let dir = std::env::temp_dir().join(format!("bench-snapshotting-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("snapshot-0000000000000001"), "").unwrap();
        assert!(!is_snapshotting(&dir).unwrap());
        std::fs::write(dir.join("snapshot-0000000000000001-3.tmp"), "").unwrap();
        assert!(is_snapshotting(&dir).unwrap());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
