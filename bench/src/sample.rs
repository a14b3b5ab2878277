//! What one measurement of one side yields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The figures of one side at one point of a suite. What does not apply is `None`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Operations a second.
    pub(crate) rate: Option<f64>,
    /// CPU of what is measured, in microseconds an operation: the servers, or the process when
    /// everything runs in one.
    pub(crate) cpu_us: Option<f64>,
    /// CPU of the load generator, in microseconds an operation, where it is apart.
    pub(crate) client_cpu_us: Option<f64>,
    /// Median latency in microseconds.
    pub(crate) p50_us: Option<f64>,
    /// 99th percentile of the latency in microseconds.
    pub(crate) p99_us: Option<f64>,
    /// A figure that is neither: seconds, megabytes, percent; the bar says which.
    pub(crate) amount: Option<f64>,
}

impl Sample {
    /// A sample that is one amount.
    pub(crate) fn amount(amount: f64) -> Self {
        Self { amount: Some(amount), ..Self::default() }
    }
}

/// One side's samples by point: `"64 clients"`, `"batch 16"`.
pub(crate) type Points = BTreeMap<String, Sample>;

/// Why a side has no samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Missing {
    /// Cannot be measured here, and what to do about it.
    Skipped(String),
    /// Was tried and went wrong.
    Failed(String),
}

impl<E: std::error::Error> From<E> for Missing {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Failed(text)
    }
}

/// What a side returns.
pub(crate) type Measured = Result<Points, Missing>;

/// The median; the mean of the middle two when their number is even. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_side_survives_its_way_between_processes() {
        let points = Points::from([("64".to_owned(), Sample::amount(1.5))]);
        let sides: [Measured; 2] = [Ok(points), Err(Missing::Skipped("no etcd".into()))];
        for side in sides {
            let text = serde_json::to_string(&side).unwrap();
            assert_eq!(serde_json::from_str::<Measured>(&text).unwrap(), side);
        }
    }
}
