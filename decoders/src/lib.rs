//! Every decoder of bytes from outside, with what must hold of it: whatever the bytes, it neither panics nor
//! allocates beyond a bound, and what it understands means the same when it is encoded and decoded again.
//!
//! A [`Decoder`] is checked in three ways. `fuzz/` has a target for each, which libFuzzer drives;
//! `tests/corpus.rs` replays the inputs in `fuzz/corpus`, where each input that has found a bug stays for ever; and
//! `tests/mutated.rs` tries mutations of its seeds, which are encodings of real values.
//!
//! Checksums keep a fuzzer out: hardly an input has the right ones. Where bytes have checksums, the first byte of
//! the input says whether they are put right before the decoder sees them ([`seal`]).

#![forbid(unsafe_code)]

pub mod history;
pub mod kv;
pub mod seal;
pub mod seeds;
pub mod server;
pub mod shardctrler;
pub mod shardkv;
pub mod snapshots;
pub mod storage;
pub mod transport;

/// A decoder of bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Its name: that of its fuzz target and of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Gives it bytes; whether it understood any of them. Panics if what must hold does not.
    pub check: fn(&[u8]) -> bool,
    /// Inputs that it understands, made of encodings of real values; the same on each call.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! decoders {
    ($($module:ident :: $name:ident,)*) => {
        /// All of them.
        pub const ALL: &[Decoder] = &[$(Decoder {
            name: stringify!($name),
            check: $module::$name,
            seeds: seeds::$name,
        },)*];
    };
}

decoders! {
    transport::frames,
    transport::handshake,
    transport::envelopes,
    transport::addressed,
    storage::log,
    storage::snapshot_file,
    storage::identity,
    kv::kv_command,
    kv::kv_request,
    kv::kv_reply,
    kv::kv_snapshot,
    kv::kv_piece,
    shardctrler::shardctrler_command,
    shardctrler::shardctrler_request,
    shardctrler::shardctrler_reply,
    shardctrler::shardctrler_snapshot,
    shardkv::shardkv_command,
    shardkv::shardkv_request,
    shardkv::shardkv_reply,
    shardkv::shardkv_snapshot,
    server::records,
    server::node_request,
    server::node_reply,
    history::jepsen_log,
    history::kv_log,
}
