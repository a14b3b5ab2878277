//! The closed loop.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Target;
use crate::cli::BenchArgs;
use crate::client::ClerkError;
use crate::exit::Failure;

/// The longest latency that is told apart.
const LATENCY_MAX_US: u64 = 600_000_000;
/// After an error that came at once, so that a cluster in trouble is not hammered.
const PAUSE: Duration = Duration::from_millis(10);

/// What to do.
pub(super) struct Load {
    pub(super) clients: usize,
    pub(super) key_bytes: usize,
    pub(super) value: Vec<u8>,
    pub(super) keys: u64,
    pub(super) read_percent: u8,
    pub(super) warmup: Duration,
    pub(super) duration: Duration,
    pub(super) seed: u64,
}

/// What came of it.
pub(super) struct Outcome {
    /// Latencies in microseconds.
    pub(super) reads: Histogram<u64>,
    pub(super) writes: Histogram<u64>,
    pub(super) errors: u64,
    pub(super) first_error: Option<ClerkError>,
    /// How long was measured.
    pub(super) measured: Duration,
}

impl Outcome {
    pub(super) fn ops(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    fn fail(&mut self, error: ClerkError) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }
}

impl Load {
    pub(super) fn new(args: &BenchArgs) -> Result<Self, Failure> {
        let digits = (args.keys - 1).checked_ilog10().unwrap_or(0) + 1;
        if args.key_size < digits {
            return Err(Failure::usage(format!(
                "{} keys do not fit into {} bytes each",
                args.keys, args.key_size
            ))
            .hint(format!("give --key-size {digits}, or fewer --keys")));
        }
        let mut random = fastrand::Rng::with_seed(args.seed);
        Ok(Self {
            clients: args.clients as usize,
            key_bytes: args.key_size as usize,
            value: std::iter::repeat_with(|| random.alphanumeric() as u8)
                .take(args.value_size as usize)
                .collect(),
            keys: args.keys,
            read_percent: args.read_percent,
            warmup: args.warmup.0,
            duration: args.duration.0,
            seed: args.seed,
        })
    }

    /// Runs the clients, spread over `targets`. Within a `LocalSet`. A refusal ends everything: it would
    /// be refused again.
    pub(super) async fn run<T: Target>(self, targets: &[T]) -> Result<Outcome, ClerkError> {
        let load = Rc::new(self);
        if load.read_percent > 0 {
            load.clone().fill(targets).await?;
        }
        let from = Instant::now() + load.warmup;
        let window = Window { from, to: from + load.duration };
        let outcome = Rc::new(RefCell::new(Outcome {
            reads: histogram(),
            writes: histogram(),
            errors: 0,
            first_error: None,
            measured: load.duration,
        }));
        let mut clients = JoinSet::new();
        for (number, target) in (0..load.clients).zip(targets.iter().cycle()) {
            let random = fastrand::Rng::with_seed(load.seed.wrapping_add(1 + number as u64));
            let client = client(load.clone(), target.clone(), random, window, outcome.clone());
            clients.spawn_local(client);
        }
        while let Some(ended) = clients.join_next().await {
            // A panic of a client is one here.
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(refused)) => return Err(refused),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        Ok(Rc::into_inner(outcome).map(RefCell::into_inner).unwrap_or_else(|| unreachable!()))
    }

    /// Writes every key once, so that reads find something.
    async fn fill<T: Target>(self: Rc<Self>, targets: &[T]) -> Result<(), ClerkError> {
        let mut writers = JoinSet::new();
        for (number, target) in (0..self.clients as u64).zip(targets.iter().cycle()) {
            let (load, target) = (self.clone(), target.clone());
            writers.spawn_local(async move {
                let mut key = load.key();
                for index in (number..load.keys).step_by(load.clients) {
                    set_key(&mut key, index);
                    target.put(&key, &load.value).await?;
                }
                Ok::<(), ClerkError>(())
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        }
        Ok(())
    }

    fn key(&self) -> Vec<u8> {
        vec![b'0'; self.key_bytes]
    }
}

/// When to measure.
#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    to: Instant,
}

fn histogram() -> Histogram<u64> {
    // The bounds are right: from 1 to more than twice that, with 1 to 5 digits.
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).unwrap_or_else(|_| unreachable!())
}

/// Writes `index` in decimal over the end of `key`, which has been given larger ones only of as many digits.
fn set_key(key: &mut [u8], mut index: u64) {
    for digit in key.iter_mut().rev().take(20) {
        *digit = b'0' + (index % 10) as u8;
        index /= 10;
    }
}

async fn client<T: Target>(
    load: Rc<Load>,
    target: T,
    mut random: fastrand::Rng,
    window: Window,
    outcome: Rc<RefCell<Outcome>>,
) -> Result<(), ClerkError> {
    let mut key = load.key();
    let mut begun = Instant::now();
    while begun < window.to {
        set_key(&mut key, random.u64(0..load.keys));
        let is_read = random.u8(0..100) < load.read_percent;
        let result = match is_read {
            true => target.get(&key).await,
            false => target.put(&key, &load.value).await,
        };
        let ended = Instant::now();
        let is_measured = begun >= window.from && ended <= window.to;
        match result {
            Ok(()) if is_measured => {
                let micros = u64::try_from((ended - begun).as_micros()).unwrap_or(u64::MAX);
                let mut outcome = outcome.borrow_mut();
                match is_read {
                    true => outcome.reads.saturating_record(micros),
                    false => outcome.writes.saturating_record(micros),
                }
            }
            Ok(()) => {}
            Err(refused @ ClerkError::Refused(_)) => return Err(refused),
            Err(error) => {
                outcome.borrow_mut().fail(error);
                sleep(PAUSE).await;
                begun = Instant::now();
                continue;
            }
        }
        begun = ended;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kv::Cause;

    use super::*;

    #[derive(Clone, Default)]
    struct Fake {
        puts: Rc<Cell<u64>>,
        gets: Rc<Cell<u64>>,
        fails_every: u64,
    }

    impl Target for Fake {
        async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), ClerkError> {
            assert_eq!((key.len(), value.len()), (6, 3));
            let number = self.puts.get() + 1;
            self.puts.set(number);
            sleep(Duration::from_millis(2)).await;
            match self.fails_every > 0 && number.is_multiple_of(self.fails_every) {
                true => Err(ClerkError::NotDone(Cause::NoLeader)),
                false => Ok(()),
            }
        }

        async fn get(&self, key: &[u8]) -> Result<(), ClerkError> {
            assert!(key.iter().all(u8::is_ascii_digit));
            self.gets.set(self.gets.get() + 1);
            sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    }

    fn load(read_percent: u8) -> Load {
        Load {
            clients: 4,
            key_bytes: 6,
            value: b"abc".to_vec(),
            keys: 100,
            read_percent,
            warmup: Duration::from_millis(100),
            duration: Duration::from_secs(1),
            seed: 7,
        }
    }

    async fn run(load: Load, target: &Fake) -> Outcome {
        let targets = [target.clone(), target.clone()];
        tokio::task::LocalSet::new().run_until(load.run(&targets)).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_counts_what_ends_in_the_measured_time() {
        let target = Fake::default();
        let outcome = run(load(0), &target).await;
        // Four clients, 2 ms each, for a second.
        assert_eq!((outcome.writes.len(), outcome.reads.len()), (2000, 0));
        assert_eq!(target.puts.get(), 2200);
        assert_eq!(outcome.writes.value_at_quantile(0.99), 2000);
        assert_eq!(outcome.errors, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_have_their_share_and_find_every_key() {
        let target = Fake::default();
        let outcome = run(load(50), &target).await;
        let (reads, writes) = (outcome.reads.len() as f64, outcome.writes.len() as f64);
        assert!((0.8..1.25).contains(&(reads / writes)), "{reads} reads, {writes} writes");
        assert!(target.puts.get() >= outcome.writes.len() + 100, "all keys are written first");
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_counted_and_do_not_end_the_loop() {
        let target = Fake { fails_every: 10, ..Fake::default() };
        let outcome = run(load(0), &target).await;
        assert!(outcome.errors > 50 && outcome.writes.len() > 500, "{}", outcome.errors);
        assert_eq!(outcome.first_error, Some(ClerkError::NotDone(Cause::NoLeader)));
    }

    #[test]
    fn keys_are_decimal_and_of_one_length() {
        let mut key = vec![b'0'; 4];
        set_key(&mut key, 42);
        assert_eq!(key, b"0042");
        set_key(&mut key, 7);
        assert_eq!(key, b"0007");
    }
}
