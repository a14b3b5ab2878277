//! [`ClerkConfig`], and the part of it that is the same for all services.

use std::time::Duration;

use crate::limits::Limits;

/// The configuration of a [`Clerk`](super::Clerk).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClerkConfig {
    /// How long a call may take, with all its attempts. Default 10 s.
    pub deadline: Duration,
    /// How long one attempt may take before another endpoint is tried. Default 2 s.
    pub attempt_timeout: Duration,
    /// The first pause after a failure; each one doubles it. Default 10 ms.
    pub backoff_min: Duration,
    /// The longest pause. Default 500 ms.
    pub backoff_max: Duration,
    /// The most calls in flight; more wait, within their deadline. Default 256.
    pub in_flight_max: usize,
    /// The servers' limits, so that what they would refuse is not sent.
    pub limits: Limits,
    /// What the pauses' jitter is drawn from. Give every clerk another one.
    pub seed: u64,
}

impl Default for ClerkConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(2),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(500),
            in_flight_max: 256,
            limits: Limits::default(),
            seed: 0,
        }
    }
}

/// How requests are tried: the part of a clerk's configuration that is the same for all services.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallsConfig {
    /// How long one attempt may take before another endpoint is tried. Default 2 s.
    pub attempt_timeout: Duration,
    /// The first pause after a failure; each one doubles it. Default 10 ms.
    pub backoff_min: Duration,
    /// The longest pause. Default 500 ms.
    pub backoff_max: Duration,
    /// The most calls in flight; more wait, within their deadline. Default 256.
    pub in_flight_max: usize,
    /// What the pauses' jitter is drawn from. Give every clerk another one.
    pub seed: u64,
}

impl Default for CallsConfig {
    fn default() -> Self {
        ClerkConfig::default().parts().0
    }
}

impl ClerkConfig {
    /// What every clerk has, what only this one has, and the deadline.
    pub(super) fn parts(self) -> (CallsConfig, Limits, Duration) {
        let Self { deadline, attempt_timeout, backoff_min, backoff_max, in_flight_max, .. } = self;
        let calls = CallsConfig {
            attempt_timeout,
            backoff_min,
            backoff_max,
            in_flight_max,
            seed: self.seed,
        };
        (calls, self.limits, deadline)
    }
}
