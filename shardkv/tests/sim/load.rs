//! What clients do, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use raft_sim::kv::{Job, KvClient};

use super::fleet::World;

/// Clients that append to keys of their own until they are told to stop.
pub struct Appenders {
    stop: Arc<AtomicBool>,
    jobs: Vec<Job<String>>,
}

/// Puts a first value to each key, and returns what each has.
pub fn fill(world: &mut World, client: &KvClient, keys: usize, length: usize) -> Vec<String> {
    let mut rng = world.rng.fork();
    let mut values = Vec::new();
    for key in 0..keys {
        let value = text(&mut rng, length);
        values.push(value.clone());
        world
            .ask(client, |mut client| async move { client.put(key.to_string(), value).await })
            .expect("put");
    }
    values
}

pub fn text(rng: &mut fastrand::Rng, length: usize) -> String {
    (0..length).map(|_| rng.alphanumeric()).collect()
}

/// Each key has this value.
pub fn check(world: &mut World, client: &KvClient, values: &[String]) {
    for (key, value) in values.iter().enumerate() {
        let found =
            world.ask(client, |mut client| async move { client.get(key.to_string()).await });
        assert_eq!(found.expect("answered").as_ref(), Some(value), "key {key}");
    }
}

/// Appends to each key.
pub fn append(world: &mut World, client: &KvClient, values: &mut [String], length: usize) {
    let mut rng = world.rng.fork();
    for (key, value) in values.iter_mut().enumerate() {
        let more = text(&mut rng, length);
        value.push_str(&more);
        world
            .ask(client, |mut client| async move { client.append(key.to_string(), more).await })
            .expect("appended");
    }
}

impl Appenders {
    /// One client for each key, from its value on.
    pub fn start(world: &mut World, values: &[String], pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut jobs = Vec::new();
        for (key, value) in values.iter().enumerate() {
            let client = world.client();
            let (stop, mut value) = (stop.clone(), value.clone());
            let mut rng = world.rng.fork();
            jobs.push(world.begin(&client, |mut client| async move {
                while !stop.load(Ordering::Relaxed) {
                    let more = text(&mut rng, 5);
                    let length = client.append(key.to_string(), &more).await.expect("appended");
                    value.push_str(&more);
                    assert_eq!(length, value.len() as u64, "key {key}");
                    tokio::time::sleep(pause).await;
                }
                value
            }));
        }
        Self { stop, jobs }
    }

    /// Waits for the last appends; returns what each key must have.
    pub fn stop(self, world: &mut World) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        world.finish_all(&self.jobs)
    }
}
