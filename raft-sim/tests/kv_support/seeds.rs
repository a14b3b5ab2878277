//! Runs a scenario under many seeds.

use super::Seen;

/// How many seeds a scenario has at least.
const SEEDS: u64 = 20;

/// What was seen, seed by seed.
pub struct Over(Vec<Seen>);

impl Over {
    /// Over all seeds there was at least so much of this: a run in which too little happens shows nothing.
    pub fn floor(&self, least: u64, what: &str, count: impl Fn(&Seen) -> u64) -> &Self {
        let sum: u64 = self.0.iter().map(count).sum();
        let enough = sum >= least || (self.0.len() as u64) < SEEDS;
        assert!(enough, "{sum} {what} over all seeds and not {least}: too little to show anything");
        self
    }
}

/// Runs `scenario` under 20 seeds, or as many as `LAB_SEEDS` says, or under the one that `LAB_SEED` names. A
/// failure prints the line that replays it.
pub fn seeds(scenario: impl Fn(u64) -> Seen) -> Over {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse().expect("a number in the environment"))
    };
    let chosen = match number("LAB_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAB_SEEDS").unwrap_or(SEEDS),
    };
    let under = |seed| {
        let _replay = Replay(seed);
        let seen = scenario(seed);
        if std::env::var_os("LAB_VERBOSE").is_some() {
            println!("seed {seed}: {seen:?}");
        }
        seen
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
