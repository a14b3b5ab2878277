//! Commands: what stands in a group's log.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format |
//! | 1 | kind: 0 a client's, 1 a configuration, 2 freeze, 3 a chunk, 4 install, 5 delete |
//! | … | the body |
//!
//! The body of a client's command is the shard (2 bytes, little endian) and a command of [`kv::command`] as it
//! stands there; that of a configuration is its [encoding](Configuration::encode); the others are in postcard.

use bytes::Bytes;
use kv::rpc::{Malformed, decode, encode, take};
use shardctrler::{Configuration, ShardId};

use crate::transfer::{Chunk, Install, Move};

/// The format of commands, snapshots, requests and replies.
pub(crate) const FORMAT: u8 = 1;

const CLIENT: u8 = 0;
const ADOPT: u8 = 1;
const FREEZE: u8 = 2;
const STAGE: u8 = 3;
const INSTALL: u8 = 4;
const DELETE: u8 = 5;

/// A command, read.
#[derive(Clone, PartialEq, Debug)]
pub enum Command<'a> {
    /// A command of [`kv::command`] for this shard.
    Client(ShardId, &'a [u8]),
    /// The group follows this configuration from now on.
    Adopt(Configuration),
    /// The shard is not served any more: what is still missing at its new owner is little.
    Freeze(Move),
    /// A part of a shard that arrives.
    Stage(Chunk),
    /// The shard that arrives is complete, and served from now on.
    Install(Install),
    /// The new owner has the shard: it is not needed here any more.
    Delete(Move),
}

/// A client's command for a shard.
pub fn client(shard: ShardId, command: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(4 + command.len());
    bytes.extend_from_slice(&[FORMAT, CLIENT]);
    bytes.extend_from_slice(&shard.0.to_le_bytes());
    bytes.extend_from_slice(command);
    bytes.into()
}

/// The command to follow a configuration.
pub fn adopt(configuration: &Configuration) -> Bytes {
    [&[FORMAT, ADOPT], &configuration.encode()[..]].concat().into()
}

/// The command that ends the service of a shard that leaves.
pub fn freeze(of: Move) -> Bytes {
    encode(vec![FORMAT, FREEZE], &of).into()
}

/// The command with a part of a shard that arrives.
pub fn stage(chunk: &Chunk) -> Bytes {
    encode(vec![FORMAT, STAGE], chunk).into()
}

/// The command that begins the service of a shard that has arrived.
pub fn install(install: &Install) -> Bytes {
    encode(vec![FORMAT, INSTALL], install).into()
}

/// The command that lets go of a shard that the new owner has.
pub fn delete(of: Move) -> Bytes {
    encode(vec![FORMAT, DELETE], &of).into()
}

/// Reads a command, as it stands in the log.
///
/// # Errors
///
/// When the bytes are no command of a version that is known here.
pub fn read(mut data: &[u8]) -> Result<Command<'_>, Malformed> {
    let [format, kind] = take(&mut data)?;
    if format != FORMAT {
        return Err(Malformed);
    }
    Ok(match kind {
        CLIENT => {
            let shard = ShardId(u16::from_le_bytes(take(&mut data)?));
            Command::Client(shard, data)
        }
        ADOPT => Command::Adopt(Configuration::decode(data)?),
        FREEZE => Command::Freeze(decode(data)?),
        STAGE => Command::Stage(decode(data)?),
        INSTALL => Command::Install(decode(data)?),
        DELETE => Command::Delete(decode(data)?),
        _ => return Err(Malformed),
    })
}
