//! Schedules that broke this core, or another one (the bug museum of `faults.md`): one test each.

use raft_core::{
    Config, Effects, Entry, GroupId, HardState, LogId, LogIndex, Membership, NodeId, Payload,
    Persisted, Raft, Role, SnapshotMeta, Term,
};

fn entry(term: u64, index: u64) -> Entry {
    Entry { id: LogId::new(Term(term), LogIndex(index)), payload: Payload::Noop }
}

fn voters() -> Membership {
    Membership::of_voters([1, 2, 3].map(NodeId))
}

fn node(id: u64, persisted: Persisted) -> Raft {
    Raft::new(Config::new(NodeId(id), GroupId(1)), persisted, &voters()).expect("a valid config")
}

/// Museum 10: a follower far behind a compacted log gets the snapshot (openraft afd6508b). Found here with
/// seed 16 of the simulation: the leader asked for ever about the entry at its compaction point.
#[test]
fn a_follower_behind_the_compaction_point_gets_the_snapshot() {
    let hard_state = HardState { term: Term(2), voted_for: None };
    let last = LogId::new(Term(2), LogIndex(6));
    let ahead = Persisted {
        hard_state,
        snapshot: Some(SnapshotMeta { last, membership: voters() }),
        compacted: LogId::new(Term(2), LogIndex(5)),
        log: (6..9).map(|index| entry(2, index)).collect(),
    };
    let behind = Persisted {
        hard_state,
        log: vec![entry(2, 1), entry(2, 2)],
        ..Persisted::default()
    };
    let mut nodes = [node(1, ahead), node(2, behind)];
    nodes[0].campaign();
    for _ in 0..20 {
        let mut sent = Vec::new();
        for node in &mut nodes {
            let mut effects = Effects::default();
            node.drain(&mut effects);
            if let Some(request) = effects.snapshots.first() {
                assert_eq!((request.to, request.meta.last), (NodeId(2), last));
                return;
            }
            if let Some(write) = effects.writes.last() {
                node.on_persisted(write.seq);
                node.drain(&mut effects);
            }
            sent.append(&mut effects.messages);
        }
        for envelope in sent.into_iter().filter(|envelope| envelope.to.0 <= 2) {
            nodes[envelope.to.0 as usize - 1].step(envelope);
        }
        if nodes[0].status().role == Role::Leader {
            nodes[0].tick();
        }
    }
    panic!("the leader never sends the snapshot");
}
