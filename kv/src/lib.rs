//! wip
mod blob;
mod codec;
pub mod command;
mod digest;
mod limits;
mod op;
mod store;

pub use blob::Blob;
pub use limits::*;
pub use op::*;
pub use store::*;
mod server;
mod status;
mod wire;
pub use server::*;
pub use status::NodeStatus;
