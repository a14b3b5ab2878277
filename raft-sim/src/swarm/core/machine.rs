//! [`Scratch`]: a state machine that means nothing, and whose state depends on every command.

use raft_core::{Command, Restore, RestoreError, SnapshotSource, StateMachine, Whole};

use crate::world::digest;

/// Some bytes, of which each command changes a few.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scratch {
    commands: u64,
    bytes: Vec<u8>,
}

impl Scratch {
    /// So many bytes, all zero.
    pub fn new(bytes: usize) -> Self {
        Self { commands: 0, bytes: vec![0; bytes] }
    }

    fn apply_one(&mut self, command: &Command) -> u64 {
        self.commands += 1;
        let hash = digest(&command.data) ^ command.id.index.0;
        let len = self.bytes.len();
        for (at, byte) in hash.to_le_bytes().into_iter().enumerate().take(len) {
            let place = (hash as usize).wrapping_add(at) % len;
            self.bytes[place] = self.bytes[place].wrapping_mul(31) ^ byte;
        }
        self.commands
    }
}

impl StateMachine for Scratch {
    type Output = u64;

    fn apply(&mut self, commands: &[Command]) -> Vec<u64> {
        commands.iter().map(|command| self.apply_one(command)).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        let mut data = self.commands.to_le_bytes().to_vec();
        data.extend_from_slice(&self.bytes);
        Whole::source(data)
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|data| match data.split_first_chunk() {
            Some((commands, bytes)) => {
                Ok(Self { commands: u64::from_le_bytes(*commands), bytes: bytes.to_vec() })
            }
            None => Err(RestoreError { reason: "not even 8 bytes".to_owned() }),
        })
    }
}
