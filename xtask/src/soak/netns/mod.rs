//! `cargo xtask soak --netns`: five nodes, each in a network namespace of its own, as on five hosts; links between them
//! are cut one way and both, flap and are healed, while clients append and read.
//!
//! A fault counts only if it did what it is for: a leader that is not heard, or does not hear, is replaced, and clients
//! are answered while the fault lasts and after it. At the end what the clients were told is linearizable, nothing
//! that was acknowledged is lost, and all replicas have the same state.

mod faults;
mod nodes;
mod witness;
mod world;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::options::Options;
use super::random::Random;
use crate::cargo::{cargo, root, stream};
use faults::{FAULTS, Fault};
use nodes::Nodes;
use witness::Witness;
use world::World;

/// What is missing for this here; `None` if nothing is.
pub(super) fn missing() -> Option<String> {
    let ip = |words: &[&str]| {
        let status =
            Command::new("ip").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !ip(&["-V"]) {
        return Some("no `ip`; try `apt-get install iproute2`".to_owned());
    }
    // Whether it is root's rights, the kernel or a container that is in the way, this shows it.
    let name = format!("{}probe", world::prefix(std::process::id()));
    let allowed = ip(&["netns", "add", &name]);
    // It may not be there.
    let _ = ip(&["netns", "delete", &name]);
    (!allowed).then(|| "network namespaces cannot be made here; run it as root".to_owned())
}

/// A run that is under way. Fields end in their order.
pub(super) struct Run {
    witness: Witness,
    nodes: Nodes,
    random: Random,
    begun: Instant,
}

/// All of it; whether everything held.
pub(super) fn run(options: Options) -> Result<bool, String> {
    if !build(options)? {
        return Ok(false);
    }
    let dir = root().join(format!("target/soak/{}", std::process::id()));
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    println!("seed {}, in {}", options.seed, dir.display());
    match soak(&dir, options) {
        Ok(line) => {
            println!("{line}");
            // What is left over is of no use.
            let _ = fs::remove_dir_all(&dir);
            Ok(true)
        }
        Err(error) => {
            let (seed, dir) = (options.seed, dir.display());
            println!(
                "FAILED: {error}\nlogs and data are kept in {dir}; the same faults again: cargo xtask soak --netns --seed {seed}"
            );
            Ok(false)
        }
    }
}

fn build(options: Options) -> Result<bool, String> {
    let words = ["build", "-p", "shardkv-server", "--bin", "shardkv", "--example", "witness"];
    let mut command = cargo(&words);
    if !options.short {
        command.arg("--release");
    }
    stream(&mut command, |_| ())
}

fn soak(dir: &Path, options: Options) -> Result<String, String> {
    let programs = root().join("target").join(if options.short { "debug" } else { "release" });
    world::remove_leftovers();
    let world = World::new()?;
    let nodes = Nodes::start(dir, &programs.join("shardkv"), world)?;
    let (begun, random) = (Instant::now(), Random::new(options.seed));
    let (leader, term) = nodes.leader()?;
    println!("{:7.1} s  five nodes run, node {} leads (term {term})", 0.0, leader + 1);
    let witness = Witness::start(&programs.join("examples/witness"), &nodes, options.seed, dir)?;
    let mut run = Run { witness, nodes, random, begun };
    run.answered(100)?;
    for fault in FAULTS {
        run.inflict(fault)?;
    }
    let mut faults = FAULTS.len();
    while run.begun.elapsed() < Duration::from_secs(60 * options.minutes) {
        let fault = FAULTS[run.random.below(FAULTS.len() as u64) as usize];
        run.inflict(fault)?;
        faults += 1;
    }
    run.nodes.world.heal_all()?;
    let right = run.witness.finish()?;
    run.nodes.same_state()?;
    Ok(format!(
        "{faults} faults in {:.0} s, all of which had their effect; {right}; all replicas have the same state",
        run.begun.elapsed().as_secs_f64()
    ))
}

impl Run {
    fn tell(&self, what: &str) {
        println!("{:7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Waits until so many more operations were answered.
    fn answered(&mut self, more: u64) -> Result<(), String> {
        self.nodes.all_run()?;
        self.witness.answers(more)
    }

    /// A fault, until it has had its effect, and what comes after it.
    fn inflict(&mut self, fault: Fault) -> Result<(), String> {
        let (leader, term) = self.nodes.leader()?;
        let done =
            fault.inflict(self, leader, term).map_err(|error| format!("{fault:?}: {error}"))?;
        self.tell(&done);
        self.nodes.world.heal_all()?;
        self.answered(100).map_err(|error| format!("after {fault:?}: {error}"))
    }
}
