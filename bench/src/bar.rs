//! A bar: one ratio, what it must be and what we aim for.

use crate::sample::{Sample, median};

/// Which figure of a [`Sample`] a bar is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Metric {
    /// Operations a second.
    Rate,
    /// CPU per operation.
    Cpu,
    /// Median latency.
    P50,
    /// 99th percentile of the latency.
    P99,
    /// The amount.
    Amount,
}

impl Metric {
    /// The figure, if the sample has it.
    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Rate => sample.rate,
            Self::Cpu => sample.cpu_us,
            Self::P50 => sample.p50_us,
            Self::P99 => sample.p99_us,
            Self::Amount => sample.amount,
        }
    }
}

/// Which way a bar points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// The ratio must not be below.
    AtLeast,
    /// The ratio must not be above.
    AtMost,
}

impl Bound {
    /// Whether `ratio` keeps to `limit`.
    pub(crate) fn holds(self, ratio: f64, limit: f64) -> bool {
        match self {
            Self::AtLeast => ratio >= limit,
            Self::AtMost => ratio <= limit,
        }
    }

    /// As in a JSON object.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::AtLeast => "at least",
            Self::AtMost => "at most",
        }
    }
}

/// One bar of a suite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    /// Its name, unique among all suites; begins with the suite's.
    pub(crate) name: &'static str,
    /// The point it looks at.
    pub(crate) point: &'static str,
    /// The figure of that point.
    pub(crate) metric: Metric,
    /// `None`: ours over the peer's, within each pair. Otherwise the bar is on our figure itself, and this
    /// is its unit.
    pub(crate) unit: Option<&'static str>,
    /// Which way it points.
    pub(crate) bound: Bound,
    /// Short of this is a failure.
    pub(crate) must: f64,
    /// What we want.
    pub(crate) aim: f64,
}

impl Bar {
    /// A bar on ours over the peer's.
    pub(crate) const fn ratio(
        name: &'static str,
        point: &'static str,
        metric: Metric,
        bound: Bound,
        must: f64,
        aim: f64,
    ) -> Self {
        Self { name, point, metric, unit: None, bound, must, aim }
    }

    /// A bar on our amount itself: at most `must`.
    pub(crate) const fn limit(
        name: &'static str,
        point: &'static str,
        unit: &'static str,
        must: f64,
        aim: f64,
    ) -> Self {
        let metric = Metric::Amount;
        Self { name, point, metric, unit: Some(unit), bound: Bound::AtMost, must, aim }
    }

    /// The ratio of one pair.
    pub(crate) fn ratio_of(&self, ours: &Sample, peer: Option<&Sample>) -> Option<f64> {
        let ours = self.metric.of(ours)?;
        match self.unit {
            Some(_) => Some(ours),
            None => Some(ours / self.metric.of(peer?)?),
        }
    }
}

/// Ratios of several pairs in one figure each.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The lowest.
    pub(crate) min: f64,
    /// The highest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of nothing there is none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values)?,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_ours_over_the_peers_and_a_limit_is_ours_alone() {
        let ours = Sample { rate: Some(300.0), amount: Some(7.0), ..Sample::default() };
        let peer = Sample { rate: Some(100.0), ..Sample::default() };
        let ratio = Bar::ratio("a", "p", Metric::Rate, Bound::AtLeast, 2.0, 4.0);
        assert_eq!(ratio.ratio_of(&ours, Some(&peer)), Some(3.0));
        assert_eq!(ratio.ratio_of(&ours, None), None);
        let limit = Bar::limit("b", "p", "MB", 8.0, 6.0);
        assert_eq!(limit.ratio_of(&ours, None), Some(7.0));
    }

    #[test]
    fn bounds_include_their_limit() {
        assert!(Bound::AtLeast.holds(3.0, 3.0) && !Bound::AtLeast.holds(2.9, 3.0));
        assert!(Bound::AtMost.holds(3.0, 3.0) && !Bound::AtMost.holds(3.1, 3.0));
    }
}
