//! Nothing leaves a node before what it promises is on its disk (paper, figure 2: "updated on stable storage
//! before responding"): its term, its vote for others or for itself, entries, a snapshot.

use raft_core::{AppendOutcome, Envelope, InstallProgress, LogIndex, Message, NodeId};

use super::Invariant;
use crate::watch::{At, Event, NodeView, View};

pub(super) struct DurableBeforeSend;

impl Invariant for DurableBeforeSend {
    fn name(&self) -> &'static str {
        "durable-before-send"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        let (Event::Sent(envelope), Some(node)) = (&at.event, view.node(at.node)) else {
            return Ok(());
        };
        let (term, durable) = (envelope.term, node.durable.hard_state.term);
        if term > durable {
            return Err(format!("a message of {term:?} leaves, and {durable:?} is durable"));
        }
        match &envelope.message {
            Message::RequestVoteReply(reply) if reply.granted => voted(envelope, envelope.to, view),
            Message::RequestVote(_) => voted(envelope, envelope.from, view),
            Message::AppendEntriesReply(reply) => match reply.outcome {
                AppendOutcome::Accepted { matched } => accepted(envelope, matched, node, view),
                _ => Ok(()),
            },
            Message::InstallSnapshotReply(reply) => {
                let there = node.durable.reaches();
                match reply.progress {
                    InstallProgress::Installed if there < reply.last.index => Err(format!(
                        "{:?} is said to be installed: {there:?} is durable",
                        reply.last
                    )),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

fn voted(envelope: &Envelope, candidate: NodeId, view: &View) -> Result<(), String> {
    match view.votes.get(&(envelope.term, envelope.from)) {
        Some(durable) if *durable == candidate => Ok(()),
        durable => Err(format!(
            "a vote for {candidate:?} in {:?} leaves, and the durable one is {durable:?}",
            envelope.term
        )),
    }
}

/// The entries up to `matched` are durable, and they are the leader's.
fn accepted(
    envelope: &Envelope,
    matched: LogIndex,
    node: &NodeView,
    view: &View,
) -> Result<(), String> {
    let (log, term) = (&node.durable, envelope.term);
    // The reply may have waited while the node went on to a later term, and was true when it was made.
    if log.hard_state.term > term {
        return Ok(());
    }
    if log.reaches() < matched {
        return Err(format!("{matched:?} is accepted, and {:?} is durable", log.reaches()));
    }
    let leader = view.leaders.get(&term).and_then(|leader| view.node(*leader));
    let theirs = leader
        .filter(|leader| leader.submitted.hard_state.term == term)
        .and_then(|leader| leader.submitted.entries.get(&matched));
    match theirs {
        Some(print) if !log.has(matched, print) => Err(format!(
            "{matched:?} is accepted, and the durable entry there is not the one of {term:?}'s leader"
        )),
        _ => Ok(()),
    }
}
