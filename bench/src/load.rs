//! A closed loop of clients, each with one put outstanding, and a loop that waits out a failover.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::measure::{Latencies, Meter};
use crate::sample::Sample;
use crate::suite::Plan;

/// Keys are drawn from this many.
const KEYS: u64 = 10_000;
/// Bytes of a value.
const VALUE_BYTES: usize = 256;

/// A client of some store; cheap to clone, and clones share a connection.
pub(crate) trait Put: Clone + 'static {
    /// Puts one pair and waits until the store has accepted it.
    fn put(&self, key: Bytes, value: Bytes) -> impl Future<Output = Result<(), String>>;
}

/// A key of sixteen bytes.
pub(crate) fn key(n: u64) -> Bytes {
    format!("key-{n:012x}").into()
}

/// Sixty-four random bits from the last ones (xorshift64).
fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x
}

/// Loads the store with `clients` clients over `connections` and measures the servers `pids`.
/// Must run in a [`tokio::task::LocalSet`].
pub(crate) async fn closed_loop<C: Put>(
    connections: &[C],
    clients: usize,
    pids: &[u32],
    plan: &Plan,
) -> io::Result<Sample> {
    #[derive(Default)]
    struct Tally {
        measuring: bool,
        stop: bool,
        latencies: Latencies,
        error: Option<String>,
    }
    let tally = Rc::new(RefCell::new(Tally::default()));
    let mut tasks = Vec::new();
    for n in 0..clients {
        let client = connections[n % connections.len()].clone();
        let tally = Rc::clone(&tally);
        let value = Bytes::from(vec![b'a' + (n % 26) as u8; VALUE_BYTES]);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(n as u64 + 1);
        tasks.push(tokio::task::spawn_local(async move {
            while !tally.borrow().stop {
                let start = Instant::now();
                let done = client.put(key(next(&mut random) % KEYS), value.clone()).await;
                let mut tally = tally.borrow_mut();
                match done {
                    Ok(()) if tally.measuring => tally.latencies.add(start.elapsed()),
                    Ok(()) => {}
                    Err(error) => {
                        tally.error = Some(error);
                        tally.stop = true;
                    }
                }
            }
        }));
    }
    tokio::time::sleep(plan.warm).await;
    let meter = Meter::of(pids)?;
    tally.borrow_mut().measuring = true;
    tokio::time::sleep(plan.measure).await;
    let latencies = std::mem::take(&mut tally.borrow_mut().latencies);
    let sample = meter.sample(latencies.len() as u64, latencies)?;
    tally.borrow_mut().stop = true;
    for task in tasks {
        task.await?;
    }
    match tally.borrow_mut().error.take() {
        Some(error) => Err(io::Error::other(format!("a put failed: {error}"))),
        None => Ok(sample),
    }
}

/// The time from `start`, the moment of the kill, until a put that was sent after it is accepted: one is
/// sent to every survivor each 10 ms, and none is called back.
pub(crate) async fn until_accepted<C: Put>(
    start: Instant,
    survivors: &[C],
) -> io::Result<Duration> {
    let (sender, mut accepted) = tokio::sync::mpsc::channel(1);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut n = 0;
    loop {
        tokio::select! {
            biased;
            Some(()) = accepted.recv() => return Ok(start.elapsed()),
            _ = ticks.tick() => {}
        }
        if start.elapsed() > Duration::from_secs(30) {
            return Err(io::Error::other("no put was accepted for 30 s after the leader's end"));
        }
        n += 1;
        for survivor in survivors {
            let (survivor, sender) = (survivor.clone(), sender.clone());
            tokio::task::spawn_local(async move {
                if survivor.put(key(n), Bytes::from_static(b"failover")).await.is_ok() {
                    let _ = sender.send(()).await;
                }
            });
        }
    }
}

/// Runs `work` on a runtime of one thread.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Sleepy(Duration);
    impl Put for Sleepy {
        async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String> {
            assert_eq!((key.len(), value.len() > 1), (16, true));
            tokio::time::sleep(self.0).await;
            Ok(())
        }
    }

    #[derive(Clone)]
    struct Broken;
    impl Put for Broken {
        async fn put(&self, _: Bytes, _: Bytes) -> Result<(), String> {
            Err("broken".into())
        }
    }

    fn plan() -> Plan {
        Plan::new(true, std::env::temp_dir())
    }

    #[test]
    fn ten_clients_of_ten_milliseconds_make_a_thousand_puts_a_second() {
        let store = [Sleepy(Duration::from_millis(10))];
        let pids = [std::process::id()];
        let sample = on_one_thread(closed_loop(&store, 10, &pids, &plan())).unwrap().unwrap();
        // Timers have a resolution of a millisecond, and the machine may be busy: fewer, never more.
        assert!((100.0..=1100.0).contains(&sample.rate.unwrap()), "{sample:?}");
        assert!(sample.p50_us.unwrap() >= 10_000.0, "{sample:?}");
    }

    #[test]
    fn a_failing_store_gives_no_figures() {
        let failed = on_one_thread(closed_loop(&[Broken], 4, &[], &plan())).unwrap();
        assert!(failed.unwrap_err().to_string().contains("broken"));
    }

    #[test]
    fn a_failover_lasts_until_the_first_accepted_put() {
        let store = [Sleepy(Duration::from_millis(50))];
        let took = on_one_thread(until_accepted(Instant::now(), &store)).unwrap().unwrap();
        assert!(took >= Duration::from_millis(50));
    }
}
