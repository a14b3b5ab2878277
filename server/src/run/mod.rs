//! What the commands do, one file for each group of them.

mod certs;
mod data;
mod demo;
mod export;
mod import;
mod inspect;
mod member;
mod progress;
mod server;
mod shard;
mod status;

pub(crate) use certs::certs;
pub(crate) use data::{append, cas, del, get, put, scan};
pub(crate) use demo::demo;
pub(crate) use export::export;
pub(crate) use import::import;
pub(crate) use inspect::inspect_wal;
pub(crate) use member::{leader, member};
pub(crate) use server::server;
pub(crate) use shard::shard;
pub(crate) use status::status;

use std::io::{self, ErrorKind, Write};

use crate::exit::{Done, Exit, Failure};

/// Writes to stdout.
pub(crate) fn print(bytes: &[u8]) -> Done {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).or_else(broken_output)
}

/// Nobody reads the output any more, as in `shardkv scan | head`: that is the reader's wish and no failure.
pub(crate) fn broken_output(error: io::Error) -> Done {
    match error.kind() {
        ErrorKind::BrokenPipe => std::process::exit(0),
        _ => Err(Failure::new(Exit::Refused, format!("cannot write to stdout: {error}"))),
    }
}
