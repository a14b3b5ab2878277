//! Outcomes as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bar::Metric;
use crate::run::{Outcome, Verdict};
use crate::sample::Sample;

/// The outcomes as a table, one line a bar.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let head = ["bar", "ours", "peer", "ratio [min, max]", "must", "aim", ""].map(String::from);
    let mut rows = vec![head];
    rows.extend(outcomes.iter().map(row));
    let widths: Vec<usize> =
        (0..7).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(outcome: &Outcome) -> [String; 7] {
    let bar = &outcome.bar;
    let unit = bar.unit.map_or("x".to_owned(), |unit| format!(" {unit}"));
    let sign = match bar.bound {
        crate::bar::Bound::AtLeast => "≥",
        crate::bar::Bound::AtMost => "≤",
    };
    let (ratio, verdict) = match &outcome.verdict {
        Verdict::Measured { ratio, met, aim_met } => (
            format!("{}{unit} [{}, {}]", short(ratio.median), short(ratio.min), short(ratio.max)),
            match (met, aim_met) {
                (false, _) => "MISSED".to_owned(),
                (true, false) => "met".to_owned(),
                (true, true) => "met, and the aim".to_owned(),
            },
        ),
        Verdict::Skipped(why) => ("-".to_owned(), format!("skipped: {why}")),
        Verdict::Failed(why) => ("-".to_owned(), format!("FAILED: {why}")),
    };
    let side = |sample: &Option<Sample>| {
        sample.as_ref().map_or("-".to_owned(), |sample| figures(sample, bar.metric, bar.unit))
    };
    let peer = match outcome.peer_name {
        Some(name) => format!("{name} {}", side(&outcome.peer)),
        None => "-".to_owned(),
    };
    let limit = |limit: f64| format!("{sign} {}{unit}", short(limit));
    [
        bar.name.to_owned(),
        side(&outcome.ours),
        peer,
        ratio,
        limit(bar.must),
        limit(bar.aim),
        verdict,
    ]
}

/// The bar's own figure, and the CPU per operation beside it.
fn figures(sample: &Sample, metric: Metric, unit: Option<&str>) -> String {
    let Some(value) = metric.of(sample) else { return "-".to_owned() };
    match metric {
        Metric::Rate => match sample.cpu_us {
            Some(cpu) => format!("{}/s at {} µs CPU", thousands(value), short(cpu)),
            None => format!("{}/s", thousands(value)),
        },
        Metric::Cpu => match sample.rate {
            Some(rate) => format!("{} µs CPU at {}/s", short(value), thousands(rate)),
            None => format!("{} µs CPU", short(value)),
        },
        Metric::P50 => format!("p50 {} µs", short(value)),
        Metric::P99 => format!("p99 {} µs", short(value)),
        Metric::Amount => format!("{} {}", short(value), unit.unwrap_or("")).trim_end().to_owned(),
    }
}

/// Three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        _ => format!("{value:.0}"),
    }
}

/// What the disk was like just before a suite that waits for it.
pub(crate) fn disk(p50_us: Option<f64>) -> String {
    match p50_us {
        None => String::new(),
        Some(p50) if p50.is_nan() => "disk: cannot be written; see --dir\n".to_owned(),
        Some(p50) if p50 > 1000.0 => format!(
            "disk: 4 KiB write + fdatasync p50 {p50:.0} µs: slow just now; what waits for one sync at a time \
             says nothing, CPU per operation does\n"
        ),
        Some(p50) => format!("disk: 4 KiB write + fdatasync p50 {p50:.0} µs\n"),
    }
}

/// The outcomes as an array with one object a bar.
pub(crate) fn json(outcomes: &[Outcome], quick: bool) -> Value {
    outcomes.iter().map(|outcome| object(outcome, quick)).collect()
}

fn object(outcome: &Outcome, quick: bool) -> Value {
    let bar = &outcome.bar;
    let (ratio, min, max, met, aim_met, reason) = match &outcome.verdict {
        Verdict::Measured { ratio, met, aim_met } => {
            (Some(ratio.median), Some(ratio.min), Some(ratio.max), Some(*met), Some(*aim_met), None)
        }
        Verdict::Skipped(why) => (None, None, None, None, None, Some(("skipped", why))),
        Verdict::Failed(why) => (None, None, None, None, None, Some(("failed", why))),
    };
    let mut object = json!({
        "name": bar.name,
        "ratio": ratio,
        "ratio_min": min,
        "ratio_max": max,
        "bound": bar.bound.word(),
        "must": bar.must,
        "aim": bar.aim,
        "met": met,
        "aim_met": aim_met,
        "unit": bar.unit.unwrap_or("x"),
        "pairs": outcome.pairs,
        "measurement": !quick,
        "disk_p50_us": outcome.disk_p50_us,
        "peer_name": outcome.peer_name,
        "ours": outcome.ours,
        "peer": outcome.peer,
    });
    if let Some((key, why)) = reason {
        object[key] = json!(why);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::{Bar, Bound, Spread};

    fn outcome(verdict: Verdict) -> Outcome {
        let sample =
            |rate| Some(Sample { rate: Some(rate), cpu_us: Some(2.0), ..Sample::default() });
        Outcome {
            bar: Bar::ratio("a/64/rate", "64", Metric::Rate, Bound::AtLeast, 2.0, 4.0),
            peer_name: Some("peer"),
            ours: sample(30_000.0),
            peer: sample(10_000.0),
            pairs: 5,
            verdict,
            disk_p50_us: Some(120.0),
        }
    }

    #[test]
    fn an_object_has_what_scripts_look_for() {
        let ratio = Spread { median: 3.0, min: 2.5, max: 3.5 };
        let measured = outcome(Verdict::Measured { ratio, met: true, aim_met: false });
        let value = json(std::slice::from_ref(&measured), false);
        let first = &value[0];
        assert_eq!(first["name"], "a/64/rate");
        assert_eq!((&first["ratio"], &first["met"]), (&json!(3.0), &json!(true)));
        assert_eq!((&first["must"], &first["aim"]), (&json!(2.0), &json!(4.0)));
        let text = table(&[measured]);
        assert!(text.contains("30k/s at 2.00 µs CPU"), "{text}");
        assert!(text.contains("3.00x [2.50, 3.50]  ≥ 2.00x  ≥ 4.00x  met"), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_not_met_and_says_why() {
        let value = json(&[outcome(Verdict::Skipped("no etcd".into()))], true);
        assert_eq!(value[0]["met"], Value::Null);
        assert_eq!(value[0]["skipped"], "no etcd");
        assert_eq!(value[0]["measurement"], json!(false));
    }
}
