//! What `bench` prints.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Outcome;
use crate::cli::BenchArgs;

#[derive(Serialize)]
struct Report {
    clients: u32,
    connections: u32,
    key_size: u32,
    value_size: u32,
    keys: u64,
    read_percent: u8,
    seconds: f64,
    errors: u64,
    #[serde(flatten)]
    all: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    reads: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<Figures>,
}

#[derive(Serialize)]
struct Figures {
    ops: u64,
    rate: f64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

fn figures(histogram: &Histogram<u64>, seconds: f64) -> Figures {
    let ops = histogram.len();
    Figures {
        ops,
        rate: (ops as f64 / seconds * 10.0).round() / 10.0,
        p50_us: histogram.value_at_quantile(0.5),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
    }
}

/// Reads and writes together, and each of them if there are both.
fn parts(outcome: &Outcome) -> (Figures, Option<Figures>, Option<Figures>) {
    let seconds = outcome.measured.as_secs_f64();
    let mut all = outcome.reads.clone();
    // They have the same bounds.
    let _ = all.add(&outcome.writes);
    let is_mixed = !outcome.reads.is_empty() && !outcome.writes.is_empty();
    let part = |histogram| is_mixed.then(|| figures(histogram, seconds));
    (figures(&all, seconds), part(&outcome.reads), part(&outcome.writes))
}

pub(super) fn json(args: &BenchArgs, outcome: &Outcome) -> String {
    let (all, reads, writes) = parts(outcome);
    let report = Report {
        clients: args.clients,
        connections: args.connections.min(args.clients),
        key_size: args.key_size,
        value_size: args.value_size,
        keys: args.keys,
        read_percent: args.read_percent,
        seconds: outcome.measured.as_secs_f64(),
        errors: outcome.errors,
        all,
        reads,
        writes,
    };
    serde_json::to_string(&report).unwrap_or_default() + "\n"
}

pub(super) fn table(outcome: &Outcome) -> String {
    let (all, reads, writes) = parts(outcome);
    let mut out = format!(
        "{:<8}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}\n",
        "", "requests", "per second", "p50 µs", "p99 µs", "p99.9 µs", "max µs"
    );
    for (name, figures) in [("all", Some(all)), ("reads", reads), ("writes", writes)] {
        let Some(Figures { ops, rate, p50_us, p99_us, p999_us, max_us }) = figures else {
            continue;
        };
        out.push_str(&format!(
            "{name:<8}{ops:>10}{rate:>12.0}{p50_us:>10}{p99_us:>10}{p999_us:>10}{max_us:>10}\n"
        ));
    }
    out.push_str(&format!("errors  {:>10}\n", outcome.errors));
    if let Some(error) = &outcome.first_error {
        out.push_str(&format!("  the first: {error}\n"));
    }
    out
}
