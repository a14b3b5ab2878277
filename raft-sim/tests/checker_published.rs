//! Published histories of real systems get their published verdicts.
//!
//! The folder `histories` of the data is looked for where the variable `SHARED_DATA` says, or in
//! `../shared/data` beside the workspace.

use std::path::{Path, PathBuf};

use raft_sim::checker::models::{KvModel, Register};
use raft_sim::checker::{Limits, Verdict, check};
use raft_sim::history::{jepsen, kv_log};

fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("SHARED_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = data.unwrap_or(beside).join("histories");
    folder.is_dir().then_some(folder)
}

fn verdict(path: &Path) -> &'static str {
    fn word<P>(verdict: &Verdict<P>) -> &'static str {
        match verdict {
            Verdict::Linearizable => "linearizable",
            Verdict::Illegal(_) => "illegal",
            Verdict::Unknown(_) => "unknown",
        }
    }
    let log = std::fs::read(path).expect("a file that can be read");
    let limits = Limits::default();
    if jepsen::detect(&log) {
        let history = jepsen::parse(&log).expect("a log of Jepsen's");
        word(&check(&Register, &history, &limits))
    } else {
        assert!(kv_log::detect(&log), "{}", path.display());
        let history = kv_log::parse(&log).expect("a log of a key/value store");
        word(&check(&KvModel, &history, &limits))
    }
}

#[test]
fn every_history_gets_its_published_verdict() {
    let Some(folder) = folder() else {
        eprintln!("not run: there is no folder `histories` in SHARED_DATA");
        return;
    };
    let verdicts = std::fs::read_to_string(folder.join("verdicts.tsv")).expect("the verdicts");
    let published: Vec<_> = verdicts.lines().filter_map(|line| line.split_once('\t')).collect();
    assert!(published.len() >= 56, "only {} verdicts", published.len());
    for (file, expected) in published {
        assert_eq!(verdict(&folder.join(file)), expected, "{file}");
    }
}
