//! [`KvLoad`]: clients that do a bit of everything, and how they do it, drawn from a seed.

mod crew;
mod work;

use std::fmt;
use std::time::Duration;

pub use crew::Crew;

use super::KvConfig;

/// The most clients that work on one key: beyond it the checker may not find out.
const CLIENTS_PER_KEY_MAX: usize = 5;
/// The largest value, in every run.
const VALUE_BYTES_MAX: u64 = 64 << 10;

/// What the clients of a run are like.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct KvLoad {
    /// 1 to 20.
    pub clients: usize,
    /// 1 to 50. No key has more than five clients.
    pub keys: usize,
    /// Values are drawn up to this size, small ones as often as large ones; one in a hundred has the largest
    /// size there may be, 64 KiB, if this is not small.
    pub value_bytes_max: u64,
    /// The longest pause between two calls of a client.
    pub pause_max: Duration,
    /// For how long calls are tried.
    pub patience: Patience,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// How long a session lives unused; if it is short, some clients pause for longer.
    pub session_ttl: Duration,
    /// How many sessions there may be; never fewer than clients.
    pub sessions_max: u32,
    /// Of a thousand messages between clients and nodes, those that are lost; clients are also this often killed
    /// and started anew, or paused, by the second.
    pub trouble: u16,
    /// Keys have so many hash tags, in turn; those with the same are in one shard. 0: keys have none.
    pub tags: usize,
}

/// For how long a call is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Until it is answered.
    Endless,
    /// For so long.
    Short(Duration),
}

impl Patience {
    fn deadline(self) -> Duration {
        match self {
            Self::Endless => Duration::from_secs(3600),
            Self::Short(deadline) => deadline,
        }
    }
}

impl KvLoad {
    /// The load of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x6b76_6c6f_6164);
        let millis = Duration::from_millis;
        let clients = rng.usize(1..=20);
        let keys = rng.usize(clients.div_ceil(CLIENTS_PER_KEY_MAX)..=50);
        let value_bytes_max = [0, 30, 30, 1000, VALUE_BYTES_MAX][rng.usize(0..5)];
        // Large values come less often, and many clients pause longer: no run is to take for ever. Haste shows
        // what is wrong for a moment only.
        let busy = if value_bytes_max > 1000 { 200 } else { [8, 50, 50][rng.usize(0..3)] };
        let short = rng.u64(300..3000);
        let ttl = if rng.u32(0..3) == 0 { rng.u64(500..5000) } else { 3_600_000 };
        Self {
            clients,
            keys,
            value_bytes_max,
            pause_max: millis(busy * clients as u64),
            patience: if rng.bool() { Patience::Endless } else { Patience::Short(millis(short)) },
            attempt_timeout: millis(rng.u64(100..2000)),
            session_ttl: millis(ttl),
            sessions_max: if rng.u32(0..3) == 0 { clients as u32 + 1 } else { 100_000 },
            trouble: if rng.u32(0..3) == 0 { 0 } else { rng.u16(1..150) },
            tags: 0,
        }
    }

    /// Eight clients that are left alone and hardly pause.
    pub fn calm() -> Self {
        Self {
            clients: 8,
            keys: 16,
            value_bytes_max: 30,
            pause_max: Duration::from_millis(50),
            patience: Patience::Endless,
            attempt_timeout: Duration::from_secs(2),
            session_ttl: Duration::from_secs(3600),
            sessions_max: 100_000,
            trouble: 0,
            tags: 0,
        }
    }

    /// Smaller ones, with what is smaller.
    pub fn simpler(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let mut add = |what: &str, load: Self| {
            if load != *self {
                all.push((what.to_owned(), load));
            }
        };
        add("clients without trouble", Self { trouble: 0, ..self.clone() });
        let half = (self.clients / 2).max(1);
        add("half of the clients", Self { clients: half, ..self.clone() });
        let keys = self.clients.div_ceil(CLIENTS_PER_KEY_MAX);
        add("few keys", Self { keys, ..self.clone() });
        let value_bytes_max = self.value_bytes_max.min(30);
        add("small values", Self { value_bytes_max, ..self.clone() });
        let session_ttl = Duration::from_secs(3600);
        add("long sessions", Self { session_ttl, sessions_max: 100_000, ..self.clone() });
        add("endless patience", Self { patience: Patience::Endless, ..self.clone() });
        add("longer pauses", Self { pause_max: self.pause_max * 2, ..self.clone() });
        all
    }

    /// Changes what clients and servers have to agree on.
    pub fn configure(&self, config: &mut KvConfig) {
        config.server.session_ttl = self.session_ttl;
        config.server.store.sessions_max = self.sessions_max;
        config.server.store.limits.value_bytes_max = VALUE_BYTES_MAX as u32;
        config.clerk.limits.value_bytes_max = VALUE_BYTES_MAX as u32;
        config.clerk.deadline = self.patience.deadline();
        config.clerk.attempt_timeout = self.attempt_timeout;
    }

    /// The hash tag of a key; `None`: it has none.
    fn tag(&self, key: usize) -> Option<usize> {
        key.checked_rem(self.tags)
    }

    fn key(&self, number: usize) -> String {
        match self.tag(number) {
            Some(tag) => format!("{{{tag}}}key {number:02}"),
            None => format!("key {number:02}"),
        }
    }

    /// Which keys each client works on: at least one, and each key has at most five clients.
    fn keys_of_clients(&self, rng: &mut fastrand::Rng) -> Vec<Vec<usize>> {
        let mut keys: Vec<Vec<usize>> = vec![Vec::new(); self.clients];
        for (client, keys) in keys.iter_mut().enumerate() {
            keys.push(client % self.keys);
        }
        for key in 0..self.keys {
            let wanted = rng.usize(1..=CLIENTS_PER_KEY_MAX).min(self.clients);
            let mut others: Vec<usize> =
                (0..self.clients).filter(|client| !keys[*client].contains(&key)).collect();
            rng.shuffle(&mut others);
            let has = self.clients - others.len();
            for client in others.into_iter().take(wanted.saturating_sub(has)) {
                keys[client].push(key);
            }
        }
        keys
    }
}

impl fmt::Display for KvLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_a_key_and_no_key_more_than_five_clients() {
        for seed in 0..500 {
            let load = KvLoad::draw(seed);
            let keys = load.keys_of_clients(&mut fastrand::Rng::with_seed(seed));
            assert_eq!(keys.len(), load.clients);
            assert!(keys.iter().all(|keys| !keys.is_empty()), "{load:?}");
            for key in 0..load.keys {
                let clients = keys.iter().filter(|keys| keys.contains(&key)).count();
                assert!((1..=CLIENTS_PER_KEY_MAX).contains(&clients), "{clients} in {load:?}");
            }
            assert!(keys.iter().flatten().all(|key| *key < load.keys));
        }
    }
}
