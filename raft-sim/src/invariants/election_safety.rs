//! Election safety (paper, figure 3): at most one leader in a term, ever.

use raft_core::{Message, Role, Term};

use super::Invariant;
use crate::watch::{At, Event, View};

pub(super) struct ElectionSafety;

impl Invariant for ElectionSafety {
    fn name(&self) -> &'static str {
        "election-safety"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        match &at.event {
            Event::Status(status) if status.role == Role::Leader => leads(at, status.term, view),
            Event::Sent(envelope) => match envelope.message {
                Message::AppendEntries(_) | Message::InstallSnapshot(_) => {
                    leads(at, envelope.term, view)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn leads(at: &At<'_>, term: Term, view: &View) -> Result<(), String> {
    match view.leaders.get(&term) {
        Some(first) if *first != at.node => {
            Err(format!("{:?} and {:?} both led {term:?}", first, at.node))
        }
        _ => Ok(()),
    }
}
