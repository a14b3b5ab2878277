//! Reading what the kernel says of a process, and latencies.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::sample::Sample;

/// CPU time that the threads of process `pid` have used, to a few milliseconds. The time of threads that
/// have ended is not in it: take differences while the same threads run.
pub(crate) fn cpu(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += first(&text)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// [`cpu`] of several processes together.
pub(crate) fn cpu_of(pids: &[u32]) -> io::Result<Duration> {
    pids.iter().map(|pid| cpu(*pid)).sum()
}

/// The first number of a line.
fn first(text: &str) -> io::Result<u64> {
    let parsed = text.split_ascii_whitespace().next().and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc says {text:?}")))
}

/// Wall clock and CPU time of some processes since a moment.
pub(crate) struct Meter {
    pids: Vec<u32>,
    start: Instant,
    cpu: Duration,
    own: Duration,
}

impl Meter {
    /// Starts now, for the processes `pids`.
    pub(crate) fn of(pids: &[u32]) -> io::Result<Self> {
        let own = cpu(std::process::id())?;
        Ok(Self { cpu: cpu_of(pids)?, own, start: Instant::now(), pids: pids.to_vec() })
    }

    /// Starts now, for this process.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        Self::of(&[std::process::id()])
    }

    /// How long it has run.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// CPU of the processes over wall clock, in percent of a core.
    pub(crate) fn percent(&self) -> io::Result<f64> {
        let cpu = cpu_of(&self.pids)?.saturating_sub(self.cpu);
        Ok(cpu.as_secs_f64() / self.elapsed().as_secs_f64() * 100.0)
    }

    /// The figures of `operations` done since the start. The load generator's CPU is told apart when this
    /// process is not among the measured.
    pub(crate) fn sample(&self, operations: u64, latencies: Latencies) -> io::Result<Sample> {
        let elapsed = self.elapsed().as_secs_f64();
        let each = |cpu: Duration| Some(cpu.as_secs_f64() * 1e6 / operations.max(1) as f64);
        let this = std::process::id();
        let own = cpu(this)?.saturating_sub(self.own);
        let (p50_us, p99_us) = latencies.quantiles();
        Ok(Sample {
            rate: Some(operations as f64 / elapsed),
            cpu_us: each(cpu_of(&self.pids)?.saturating_sub(self.cpu)),
            client_cpu_us: if self.pids.contains(&this) { None } else { each(own) },
            p50_us,
            p99_us,
            amount: None,
        })
    }
}

/// Latencies, kept one by one: a quantile is then a measured value.
#[derive(Clone, Default, Debug)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds one; those above four seconds count as four seconds.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds all of `other`.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Median and 99th percentile in microseconds.
    pub(crate) fn quantiles(mut self) -> (Option<f64>, Option<f64>) {
        self.0.sort_unstable();
        let at = |part: f64| {
            let last = self.0.len().checked_sub(1)?;
            Some(f64::from(self.0[(last as f64 * part) as usize]) / 1e3)
        };
        (at(0.5), at(0.99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_what_this_process_burns() {
        let meter = Meter::of_this_process().unwrap();
        let mut x = 1u64;
        while meter.elapsed() < Duration::from_millis(60) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let sample = meter.sample(1000, Latencies::default()).unwrap();
        assert!(sample.cpu_us.unwrap() > 1.0, "{sample:?}");
        assert!(sample.rate.unwrap() <= 1000.0 / 0.06, "{sample:?}");
    }

    #[test]
    fn quantiles_are_measured_values() {
        let mut latencies = Latencies::default();
        for micros in 1..=100 {
            latencies.add(Duration::from_micros(micros));
        }
        assert_eq!(latencies.len(), 100);
        assert_eq!(latencies.quantiles(), (Some(50.0), Some(99.0)));
        assert_eq!(Latencies::default().quantiles(), (None, None));
    }
}
