//! What a key and a session cost in resident memory. One test, so that nothing else allocates meanwhile.
#![cfg(target_os = "linux")]

mod common;

use common::{HOUR, Log, put};
use kv::StoreConfig;
use kv::command::{self, SessionId, Ticket};

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    let kib: usize = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib << 10
}

#[test]
fn keys_and_idle_sessions_are_small() {
    let keys: u64 = std::env::var("KV_KEYS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut config = StoreConfig::default();
    config.sessions_max = 1 << 20;
    let mut log = Log::new(config);
    let session = log.open(HOUR);
    let before = resident();
    for n in 0..keys {
        // Scattered, as keys are, and as is worst for a tree's nodes.
        let key =
            u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
        let ticket = Ticket { session, seq: n + 1, acked: n + 1 };
        let put = command::write(0, ticket, put(&key, &[n as u8; 64]));
        log.apply_and_forget(put).expect("applied");
    }
    let per_key = (resident() - before) / keys as usize;

    let mut log = Log::new(log.store.config().clone());
    let sessions = 100_000_u64;
    let before = resident();
    for n in 0..sessions {
        let opened = log.apply_and_forget(command::open_session(n, HOUR)).expect("opened");
        let ticket = Ticket { session: SessionId(opened.index), seq: 1, acked: 1 };
        log.apply_and_forget(command::write(n, ticket, put(b"k", b""))).expect("applied");
    }
    let per_session = (resident() - before) / sessions as usize;
    println!("{per_key} bytes per key of 16 + 64, {per_session} per session with one reply");
    assert!(per_key < 300, "{per_key} bytes per key of 16 + 64 bytes");
    assert!(per_session < 256, "{per_session} bytes per session");
}
