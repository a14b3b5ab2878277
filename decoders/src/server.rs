//! What the program `shardkv` reads.

pub use shardkv_server::decoders::{description, records};
