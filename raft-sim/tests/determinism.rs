//! The same seed makes the same run: of production nodes under crashes with torn disks, twice in one process
//! and in two.

use std::time::Duration;

use raft_core::{Command, Restore, SnapshotSource, StateMachine, Whole};
use raft_sim::cluster::Wire;
use raft_sim::{Cluster, ClusterConfig, Keep};

struct Count(u64);

impl StateMachine for Count {
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        commands
            .iter()
            .map(|_| {
                self.0 += 1;
                self.0
            })
            .collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_le_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|bytes| {
            let bytes = bytes
                .try_into()
                .map_err(|_| raft_core::RestoreError { reason: "not 8 bytes".to_owned() })?;
            Ok(Count(u64::from_le_bytes(bytes)))
        })
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn run(seed: u64, wire: Wire) -> u64 {
    let mut config = ClusterConfig::new(seed, 3);
    config.wire = wire;
    config.snapshot_bytes = Some(4000);
    let mut cluster = Cluster::start(config, || Count(0));
    assert!(cluster.run_until(5 * SECOND, |c| c.leader().is_some()).reached());
    for round in 0..300 {
        if let Some(leader) = cluster.leader() {
            for _ in 0..5 {
                let _ = cluster.propose(leader, vec![round as u8; 50]);
            }
            if round % 40 == 7 {
                cluster.power_loss(leader, Keep::RandomSectors);
            }
        }
        cluster.run_for(Duration::from_millis(20));
        for at in 0..3 {
            if !cluster.is_up(at) && round % 40 == 30 {
                cluster.restart(at);
            }
        }
        cluster.check().unwrap();
    }
    cluster.run_for(3 * SECOND);
    cluster.check().unwrap();
    assert!(cluster.coverage().snapshots_taken > 0 && cluster.coverage().elections > 5);
    cluster.trace_hash()
}

const WIRES: [Wire; 2] = [Wire::Messages, Wire::Streams];

#[test]
fn the_same_seed_is_the_same_run() {
    for wire in WIRES {
        assert_eq!(run(1, wire), run(1, wire));
        assert_ne!(run(1, wire), run(2, wire));
    }
}

/// Set for a process that only prints the hashes.
const PRINT: &str = "RAFT_SIM_PRINT_HASHES";

#[test]
fn the_same_seed_is_the_same_run_in_another_process() {
    let hashes: Vec<String> =
        WIRES.iter().map(|wire| format!("hash {:016x}", run(3, *wire))).collect();
    if std::env::var_os(PRINT).is_some() {
        println!("{}", hashes.join("\n"));
        return;
    }
    let name = "the_same_seed_is_the_same_run_in_another_process";
    let other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(PRINT, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    for hash in hashes {
        assert!(said.contains(&hash), "{hash} is not in:\n{said}");
    }
}
