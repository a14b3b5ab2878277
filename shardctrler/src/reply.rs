//! What a command answers.

use kv::CommandError;
use raft_core::LogIndex;
use serde::{Deserialize, Serialize};

use crate::codec::{config_number, index};
use crate::config::ConfigNumber;
use crate::refusal::Refusal;

/// What a command did.
///
/// The order of the variants is the wire format: append new ones, change none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The cluster is made, now or before.
    Founded,
    /// The session was opened; its id is the reply's index.
    SessionOpened,
    /// The change made this configuration.
    Changed(#[serde(with = "config_number")] ConfigNumber),
    /// Nothing was done.
    Refused(Refusal),
}

/// The answer to a command that took its turn, the first time and every time that it is repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The log index at which the command took effect.
    #[serde(with = "index")]
    pub index: LogIndex,
    /// What it did.
    pub outcome: Outcome,
}

/// What the [`Controller`](crate::Controller) answers to a command.
pub type Output = Result<Reply, CommandError>;
