//! Logs of a key/value store: one map per line, in Clojure's notation (EDN), as Porcupine's test data has it.
//!
//! ```text
//! {:process 0, :type :invoke, :f :append, :key "x", :value "1"}
//! {:process 1, :type :invoke, :f :get, :key "x", :value nil}
//! {:process 0, :type :ok, :f :append, :key "x", :value "1", :index 7, :length 1}
//! {:process 1, :type :ok, :f :get, :key "x", :value "1", :version 7}
//! ```
//!
//! | operation | what a call has | what an answer may have |
//! |---|---|---|
//! | `:get` | `:value nil` | `:value`: a text, or `nil` for a missing key; `:version` |
//! | `:put` | `:value` | `:index` |
//! | `:append` | `:value` | `:index`, `:length` |
//! | `:delete` | | `:index`, `:existed` |
//! | `:cas` | `:expect`: a text, a version, or `nil` for a missing key; `:value`: a text, or `nil` to remove | `:swapped`, which must be there; `:index`; after a mismatch `:current`: a version, or `nil` for a missing key |
//!
//! `:type` is `:invoke`, `:ok`, `:fail` (it certainly had no effect) or `:info` (nobody knows; so are calls
//! without an answer). `:time` is in nanoseconds. Bytes that are no plain text are written as `\xNN`. An
//! empty value without a version may also stand for a missing key.
//!
//! [`write()`] writes this form, so that a history of a failed run can be kept and looked at later.

mod read;
mod write;

use super::History;
use crate::checker::models::{KvInput, KvOutput};

pub use read::parse;
pub use write::write;

/// The history of a key/value store.
pub type KvHistory = History<KvInput, KvOutput>;

/// Whether a log's first line looks like one of these logs.
pub fn detect(log: &[u8]) -> bool {
    log.trim_ascii_start().starts_with(b"{")
}
