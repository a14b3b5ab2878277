//! A sans-IO Raft.
#![no_std]
extern crate alloc;

mod config;
mod effects;
mod entry;
mod error;
mod future;
mod history;
mod id;
mod log;
mod membership;
mod message;
mod progress;
mod quorum;
mod raft;
mod rpc;
mod state_machine;
mod status;
mod storage;
mod timer;
mod transport;
mod writes;

pub use config::*;
pub use effects::*;
pub use entry::*;
pub use error::*;
pub use future::*;
pub use id::*;
pub use membership::*;
pub use message::*;
pub use raft::Raft;
pub use rpc::*;
pub use state_machine::*;
pub use status::*;
pub use storage::*;
pub use transport::*;

#[cfg(feature = "node")]
pub mod node;
