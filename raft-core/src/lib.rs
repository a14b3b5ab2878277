//! A sans-IO Raft.
#![no_std]
extern crate alloc;

mod config;
mod effects;
mod entry;
mod error;
mod future;
mod id;
mod membership;
mod message;
mod rpc;
mod raft;
mod state_machine;
mod status;
mod storage;
mod transport;

pub use config::*;
pub use effects::*;
pub use entry::*;
pub use error::*;
pub use future::*;
pub use id::*;
pub use membership::*;
pub use message::*;
pub use rpc::*;
pub use raft::*;
pub use state_machine::*;
pub use status::*;
pub use storage::*;
pub use transport::*;


#[cfg(feature = "node")]
pub mod node;
