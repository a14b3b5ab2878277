//! Our stores under the kit.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::{ClusterId, Incarnation, NodeId};
use raft_sim::conformance::{StorageKit, StorageReport};
use raft_storage::{Identity, MemoryStorage, Wal, WalOptions};

const IDENTITY: Identity =
    Identity { cluster: ClusterId(7), node: NodeId(1), incarnation: Incarnation(0x5eed) };

const SMALL: WalOptions = WalOptions { segment_bytes: 4096, segments_max: 4, fill_bytes: 1024 };

fn check_wal(kit: StorageKit, options: WalOptions) -> StorageReport {
    let report = kit.check(|mount| Wal::open(Arc::new(mount), IDENTITY, options));
    report.unwrap_or_else(|violation| panic!("{violation}"))
}

#[test]
fn the_log_conforms() {
    for seed in 1..3 {
        let report = check_wal(StorageKit { seed, ..StorageKit::default() }, SMALL);
        println!("{report}");
        // It was really examined.
        assert!(report.crashes > 300 && report.images > 4 * report.crashes, "{report}");
        assert!(report.images_ahead > 100 && report.failures > 200, "{report}");
        assert!(report.failures_harmless < report.failures / 2, "{report}");
        assert!(report.damages_refused > 200 && report.damages_cut > 5, "{report}");
    }
}

/// Segments of the size that is used in production: sparse, and so affordable.
#[test]
fn the_log_conforms_with_its_usual_segments() {
    let kit = StorageKit { seed: 9, groups: 2, steps: 6, damages: 5 };
    let report = check_wal(kit, WalOptions::default());
    assert!(report.crashes > 20, "{report}");
}

#[test]
fn the_memory_store_conforms() {
    let stores: RefCell<BTreeMap<u64, MemoryStorage>> = RefCell::default();
    let report = StorageKit::default().check_functions(|place| {
        let store = stores.borrow_mut().entry(place).or_default().clone();
        async move { Ok(store) }
    });
    let report = report.unwrap_or_else(|violation| panic!("{violation}"));
    assert!(report.functional_steps > 100 && report.crashes == 0, "{report}");
}
