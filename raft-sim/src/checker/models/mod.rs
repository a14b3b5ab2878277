//! Models: a register, a key/value store, lists.
//!
//! What a client is told besides the bare minimum makes checking cheap: where an append returns the new
//! length, or a write the log index at which it took effect, hardly any order but the right one comes into
//! question. So the models take such answers where there are any.

mod chain;
mod kv;
mod list;
mod register;

pub use chain::Chain;
pub use kv::{Current, Expect, Got, KvInput, KvModel, KvOp, KvOutput, KvState};
pub use list::{ListInput, ListModel, ListOp, ListOutput};
pub use register::{Register, RegisterInput, RegisterOutput};
