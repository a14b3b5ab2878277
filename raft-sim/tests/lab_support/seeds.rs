//! Runs a scenario under many seeds.

use super::Seen;

/// How many seeds a scenario has at least.
const SEEDS: u64 = 20;

/// What was seen over all seeds.
pub struct Over(Vec<Seen>);

impl Over {
    /// Over all seeds there was at least so much of this. A run under few seeds shows nothing.
    pub fn floor(&self, least: u64, what: &str, count: impl Fn(&Seen) -> u64) -> &Self {
        self.enough(least, what, self.0.iter().map(count).sum())
    }

    /// The same, of what the scenario has counted itself.
    pub fn enough(&self, least: u64, what: &str, count: u64) -> &Self {
        let enough = count >= least || (self.0.len() as u64) < SEEDS;
        assert!(enough, "{count} {what} over all seeds: too little happened to show anything");
        self
    }
}

/// Runs `scenario` under [`SEEDS`] seeds, or as many as `LAB_SEEDS` says, or under the one that `LAB_SEED` names. A failure prints the line that replays it.
pub fn seeds(mut scenario: impl FnMut(u64) -> Seen) -> Over {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().expect("a number in the environment"))
    };
    let chosen = match number("LAB_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAB_SEEDS").unwrap_or(SEEDS),
    };
    let under = |seed| {
        let _replay = Replay(seed);
        scenario(seed)
    };
    Over(chosen.map(under).collect())
}

struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, file) = (self.0, env!("CARGO_CRATE_NAME"));
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            eprintln!("seed {seed} failed; replay it with");
            eprintln!("LAB_SEED={seed} cargo test -p raft-sim --test {file} -- --exact {test}");
        }
    }
}
