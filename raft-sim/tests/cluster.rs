//! A cluster of production nodes under faults.

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

#[test]
fn same_seed_same_run_over_messages() {
    assert_eq!(run(1, Wire::Messages), run(1, Wire::Messages));
}

#[test]
fn same_seed_same_run_over_streams() {
    assert_eq!(run(1, Wire::Streams), run(1, Wire::Streams));
}
