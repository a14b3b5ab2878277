//! raft-engine: the log store of TiKV. Every batch is one `Engine::write` with `sync`; files are recycled
//! and written ahead, its best setting; no compression, so that the bytes are the bytes.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use raft::eraftpb::Entry;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::measure::{Latencies, Meter};
use crate::sample::{Missing, Sample};
use crate::suite::Plan;
use crate::suites::wal::Appends;

#[derive(Clone)]
struct Extractor;
impl MessageExt for Extractor {
    type Entry = Entry;
    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

fn open(dir: &Path) -> Result<Engine, raft_engine::Error> {
    Engine::open(Config {
        dir: dir.to_string_lossy().into_owned(),
        batch_compression_threshold: ReadableSize::kb(0),
        purge_threshold: ReadableSize::mb(512),
        enable_log_recycle: true,
        prefill_for_recycle: true,
        ..Config::default()
    })
}

/// Appends batches of one group until the plan says stop; latencies in the measured time only.
fn append(
    engine: &Engine,
    group: u64,
    appends: Appends,
    plan: &Plan,
) -> Result<Latencies, raft_engine::Error> {
    let Appends { batch, entry_bytes, cut_every, keep } = appends;
    let (mut index, mut latencies) = (0u64, Latencies::default());
    let mut log = LogBatch::with_capacity(batch);
    let (start, mut batches) = (Instant::now(), 0u64);
    while start.elapsed() < plan.warm + plan.measure {
        let sent = Instant::now();
        let entries: Vec<Entry> = (0..batch)
            .map(|_| {
                index += 1;
                let data = vec![index as u8; entry_bytes].into();
                Entry { index, term: 1, data, ..Entry::default() }
            })
            .collect();
        log.add_entries::<Extractor>(group, &entries)?;
        engine.write(&mut log, true)?;
        if start.elapsed() > plan.warm {
            latencies.add(sent.elapsed());
        }
        batches += 1;
        if batches.is_multiple_of(cut_every) {
            engine.compact_to(group, index.saturating_sub(keep));
            if group == 1 {
                engine.purge_expired_files()?;
            }
        }
    }
    Ok(latencies)
}

/// Synced appends by as many threads as groups; the rate counts entries.
pub(crate) fn measure(plan: &Plan, groups: u64, appends: Appends) -> Result<Sample, Missing> {
    let batch = appends.batch;
    let dir = plan.dir.join(format!("raft-engine-{groups}-{batch}"));
    let engine = Arc::new(open(&dir)?);
    let threads: Vec<_> = (1..=groups)
        .map(|group| {
            let (engine, plan) = (Arc::clone(&engine), plan.clone());
            thread::spawn(move || append(&engine, group, appends, &plan))
        })
        .collect();
    thread::sleep(plan.warm);
    let meter = Meter::of_this_process()?;
    // The threads stop by themselves; their CPU time is read well before, while they exist.
    thread::sleep(plan.measure.mul_f64(0.9));
    let cpu = meter.sample(1, Latencies::default())?.cpu_us.unwrap_or(0.0);
    let wall = meter.elapsed();
    let mut latencies = Latencies::default();
    for thread in threads {
        let one = thread.join().map_err(|_| Missing::Failed("an appender panicked".into()))?;
        latencies.append(one?);
    }
    drop(engine);
    std::fs::remove_dir_all(dir)?;
    let rate = (latencies.len() * batch) as f64 / plan.measure.as_secs_f64();
    let (p50_us, p99_us) = latencies.quantiles();
    let cpu_us = Some(cpu / (rate * wall.as_secs_f64()));
    Ok(Sample { rate: Some(rate), cpu_us, p50_us, p99_us, ..Sample::default() })
}
