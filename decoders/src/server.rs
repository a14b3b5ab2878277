//! What the program `shardkv` reads.

pub use shardkv_server::decoders::{node_reply, node_request, records};
