//! Log matching (paper, figure 3): two logs that have an entry of the same index and term are the same up to it.
//!
//! That follows by induction from what is checked of every entry that is ever written: what it carries, and the
//! term of the entry before it, are the same wherever an entry of its index and term is.

use std::collections::BTreeMap;

use raft_core::{LogIndex, Term};

use super::Invariant;
use crate::watch::{At, DiskModel, Event, ModelOp, Print, View};

#[derive(Default)]
pub(super) struct LogMatching {
    known: BTreeMap<(LogIndex, Term), Known>,
}

struct Known {
    print: Print,
    /// The term of the entry before it, if it was known.
    before: Option<Term>,
}

impl LogMatching {
    fn entry(&mut self, index: LogIndex, print: Print, log: &DiskModel) -> Result<(), String> {
        let before = log.term_at(index.prev());
        let known = self.known.entry((index, print.term)).or_insert(Known { print, before });
        let term = print.term;
        if known.print != print {
            return Err(format!("there are two entries {index:?} of {term:?}"));
        }
        match (known.before, before) {
            (Some(first), Some(here)) if first != here => Err(format!(
                "the entry before {index:?} of {term:?} is of {first:?} here and of {here:?} there"
            )),
            (None, _) => {
                known.before = before;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self, floor: LogIndex) {
        while self.known.first_key_value().is_some_and(|((index, _), _)| *index < floor) {
            self.known.pop_first();
        }
    }
}

impl Invariant for LogMatching {
    fn name(&self) -> &'static str {
        "log-matching"
    }

    fn check(&mut self, at: &At<'_>, view: &View) -> Result<(), String> {
        self.forget(view.floor);
        let Some(node) = view.node(at.node) else { return Ok(()) };
        match &at.event {
            Event::Submitted(_) => {
                let Some(ModelOp::Append(entries, _)) = node.pending.back() else { return Ok(()) };
                gapless(entries)?;
                entries.iter().try_for_each(|(at, print)| self.entry(*at, *print, &node.submitted))
            }
            Event::Loaded(_) => {
                let log = &node.durable;
                log.entries.iter().try_for_each(|(at, print)| self.entry(*at, *print, log))
            }
            _ => Ok(()),
        }
    }
}

fn gapless(entries: &[(LogIndex, Print)]) -> Result<(), String> {
    let gap = entries.windows(2).find(|pair| pair[1].0 != pair[0].0.next());
    match gap {
        Some(pair) => Err(format!("{:?} is written behind {:?}", pair[1].0, pair[0].0)),
        None => Ok(()),
    }
}
