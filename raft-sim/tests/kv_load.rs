//! Clients that do a bit of everything while nodes crash and are cut off: the load that the swarm puts on the
//! key/value service.

use std::time::Duration;

use raft_sim::Keep;
use raft_sim::cluster::Wire;
use raft_sim::kv::{Crew, Judged, KvCluster, KvConfig, KvLoad};

const SECOND: Duration = Duration::from_secs(1);

/// What a seed comes to, and its hash.
fn run(seed: u64) -> (Judged, Vec<(&'static str, u64)>, u64) {
    let load = KvLoad::draw(seed);
    let mut config = KvConfig::new(seed, [1, 3, 5][seed as usize % 3]);
    config.cluster.snapshot_bytes = [Some(1), Some(1000), Some(20_000), None][seed as usize % 4];
    if seed % 5 == 4 {
        config.cluster.wire = Wire::Streams;
    }
    load.configure(&mut config);
    let mut kv = KvCluster::start(config);
    let mut crew = Crew::start(&mut kv, &load, seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let keeps = [Keep::Nothing, Keep::Prefix, Keep::RandomSectors, Keep::Everything];
    for step in 0..100 {
        let (nodes, clients) = kv.parts();
        nodes.run_for(SECOND / 10);
        let now = nodes.sim().now();
        crew.disturb(nodes.sim(), clients, now);
        let at = rng.usize(0..nodes.len());
        match step % 20 {
            5 => nodes.power_loss(at, keeps[rng.usize(0..4)]),
            12 => {
                let cut = nodes.leader().unwrap_or(at);
                nodes.isolate(cut);
            }
            10 | 19 => {
                nodes.net().heal();
                (0..nodes.len())
                    .filter(|at| !nodes.is_up(*at))
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|at| nodes.restart(at));
            }
            _ => {}
        }
        kv.check().unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    }
    crew.wind_up(&mut kv, 10 * SECOND).unwrap_or_else(|slow| panic!("seed {seed}: {slow:?}"));
    kv.nodes_mut().run_for(SECOND);
    let judged = kv.judge().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    (judged, crew.counts().into_iter().collect(), kv.nodes().trace_hash())
}

#[test]
fn whatever_clients_do_is_done_once_and_is_linearizable() {
    let mut all = std::collections::BTreeMap::new();
    let mut sessions_ended = 0;
    for seed in 0..40 {
        let (judged, counts, _) = run(seed);
        assert!(judged.operations > 0, "seed {seed}");
        sessions_ended += judged.sessions_ended;
        for (what, count) in counts {
            *all.entry(what).or_insert(0) += count;
        }
    }
    assert!(sessions_ended > 20, "{sessions_ended} sessions ended");
    let rare =
        ["refused", "unknown", "not done", "clients killed", "clients paused", "cas swapped"];
    for what in rare {
        assert!(all.contains_key(what), "no {what} in {all:?}");
    }
}

#[test]
fn a_seed_is_a_run() {
    for seed in [3, 4] {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
