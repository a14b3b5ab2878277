//! Runs suites: interleaved pairs, each side in a process of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::bar::{Bar, Spread};
use crate::sample::{Measured, Missing, Points, Sample, median};
use crate::suite::{Plan, Side, Suite};

/// What became of a bar.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Verdict {
    /// It was measured; whether the figure keeps to the bar.
    Measured {
        /// The ratios of the pairs.
        ratio: Spread,
        /// Whether the median keeps to the bar.
        met: bool,
        /// Whether it keeps to the aim as well.
        aim_met: bool,
    },
    /// It could not be measured here.
    Skipped(String),
    /// Measuring it went wrong.
    Failed(String),
}

/// A bar with its figures.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The bar.
    pub(crate) bar: Bar,
    /// What it is compared with.
    pub(crate) peer_name: Option<&'static str>,
    /// Medians of ours.
    pub(crate) ours: Option<Sample>,
    /// Medians of the peer's.
    pub(crate) peer: Option<Sample>,
    /// How many pairs stand behind it.
    pub(crate) pairs: usize,
    /// What became of it.
    pub(crate) verdict: Verdict,
    /// What the disk took for a write of 4 KiB with fdatasync just before, in microseconds.
    pub(crate) disk_p50_us: Option<f64>,
}

/// Takes one side of a suite in a child process and reads what it prints.
fn take(suite: &dyn Suite, side: Side, plan: &Plan) -> Measured {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--dir").arg(&plan.dir);
    if plan.quick {
        command.arg("--quick");
    }
    let side = match side {
        Side::Ours => "ours",
        Side::Peer => "peer",
    };
    command.args(["sample", suite.name(), side]).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last().map(serde_json::from_str::<Measured>) {
        Some(Ok(measured)) if output.status.success() => measured,
        _ => Err(Missing::Failed(format!("the measuring process ended with {}", output.status))),
    }
}

/// Measures `suite` and judges those of its bars that `wanted` picks.
pub(crate) fn run(suite: &dyn Suite, plan: &Plan, wanted: impl Fn(&Bar) -> bool) -> Vec<Outcome> {
    let pairs = if plan.quick { 1 } else { suite.pairs() };
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    let (mut ours_missing, mut peer_missing) = (None, None);
    for pair in 1..=pairs {
        for side in [Side::Peer, Side::Ours] {
            let (samples, missing, name) = match side {
                Side::Ours => (&mut ours, &mut ours_missing, "ours"),
                Side::Peer => match suite.peer_name() {
                    Some(name) => (&mut peers, &mut peer_missing, name),
                    None => continue,
                },
            };
            if missing.is_some() {
                continue;
            }
            // Over and over on one line; blank at the end.
            eprint!("\r{:<60}", format!("{}: pair {pair} of {pairs}, {name}", suite.name()));
            let _ = std::io::stderr().flush();
            match take(suite, side, plan) {
                Ok(points) => samples.push(points),
                Err(reason) => *missing = Some(reason),
            }
        }
        // One pair is enough to show what there is, when no bar can be judged any more.
        let only_ratios = suite.bars().iter().all(|bar| bar.unit.is_none());
        if ours_missing.is_some() || peer_missing.is_some() && only_ratios {
            break;
        }
    }
    eprint!("\r{:<60}\r", "");
    let judge = |bar: &Bar| judge(bar, suite, (&ours, &ours_missing), (&peers, &peer_missing));
    suite.bars().iter().filter(|bar| wanted(bar)).map(judge).collect()
}

type Taken<'a> = (&'a [Points], &'a Option<Missing>);

fn judge(bar: &Bar, suite: &dyn Suite, ours: Taken<'_>, peer: Taken<'_>) -> Outcome {
    let at = |side: &[Points]| -> Vec<Sample> {
        side.iter().filter_map(|points| points.get(bar.point).copied()).collect()
    };
    let (our_samples, peer_samples) = (at(ours.0), at(peer.0));
    let ratios: Vec<f64> = our_samples
        .iter()
        .enumerate()
        .filter_map(|(pair, sample)| bar.ratio_of(sample, peer_samples.get(pair)))
        .collect();
    let missing = ours.1.as_ref().or(peer.1.as_ref().filter(|_| bar.unit.is_none()));
    let verdict = match (missing, Spread::of(&ratios)) {
        (Some(Missing::Skipped(why)), _) => Verdict::Skipped(why.clone()),
        (Some(Missing::Failed(why)), _) => Verdict::Failed(why.clone()),
        (None, None) => Verdict::Failed(format!("no sample has the point {:?}", bar.point)),
        (None, Some(ratio)) => Verdict::Measured {
            ratio,
            met: bar.bound.holds(ratio.median, bar.must),
            aim_met: bar.bound.holds(ratio.median, bar.aim),
        },
    };
    Outcome {
        bar: *bar,
        peer_name: suite.peer_name(),
        ours: middle(&our_samples),
        peer: middle(&peer_samples),
        pairs: ratios.len(),
        verdict,
        disk_p50_us: None,
    }
}

/// The median of every figure.
fn middle(samples: &[Sample]) -> Option<Sample> {
    let of = |figure: fn(&Sample) -> Option<f64>| {
        median(&samples.iter().filter_map(figure).collect::<Vec<_>>())
    };
    (!samples.is_empty()).then(|| Sample {
        rate: of(|s| s.rate),
        cpu_us: of(|s| s.cpu_us),
        client_cpu_us: of(|s| s.client_cpu_us),
        p50_us: of(|s| s.p50_us),
        p99_us: of(|s| s.p99_us),
        amount: of(|s| s.amount),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar::{Bound, Metric};

    struct Fake;
    impl Suite for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }
        fn about(&self) -> &'static str {
            "nothing"
        }
        fn peer_name(&self) -> Option<&'static str> {
            Some("none")
        }
        fn bars(&self) -> Vec<Bar> {
            vec![Bar::ratio("fake/p/rate", "p", Metric::Rate, Bound::AtLeast, 2.0, 4.0)]
        }
        fn ours(&self, _: &Plan) -> Measured {
            Ok(Points::new())
        }
        fn peer(&self, _: &Plan) -> Measured {
            Ok(Points::new())
        }
    }

    fn rates(rates: &[f64]) -> Vec<Points> {
        let one = |rate: &f64| Sample { rate: Some(*rate), ..Sample::default() };
        rates.iter().map(|rate| Points::from([("p".to_owned(), one(rate))])).collect()
    }

    fn verdict(ours: &[f64], ours_missing: Option<Missing>, peer: &[f64]) -> Verdict {
        let (ours, peer) = (rates(ours), rates(peer));
        judge(&Fake.bars()[0], &Fake, (&ours, &ours_missing), (&peer, &None)).verdict
    }

    #[test]
    fn the_verdict_is_the_median_of_the_pairs_ratios() {
        // The box slowed down threefold after the first pair: the ratios do not notice.
        let Verdict::Measured { ratio, met, aim_met } =
            verdict(&[900.0, 300.0, 200.0], None, &[300.0, 100.0, 100.0])
        else {
            panic!("not measured")
        };
        assert_eq!(ratio, Spread { median: 3.0, min: 2.0, max: 3.0 });
        assert!(met && !aim_met);
    }

    #[test]
    fn a_side_that_is_missing_says_why() {
        let skipped = Some(Missing::Skipped("why".into()));
        assert_eq!(verdict(&[], skipped, &[1.0]), Verdict::Skipped("why".into()));
        let failed = Some(Missing::Failed("how".into()));
        assert_eq!(verdict(&[1.0], failed, &[1.0]), Verdict::Failed("how".into()));
        assert!(matches!(verdict(&[], None, &[]), Verdict::Failed(_)));
    }
}
