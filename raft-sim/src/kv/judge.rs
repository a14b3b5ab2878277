//! The verdict on a run: see the list in the [module](super).

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_core::LogIndex;

use super::cluster::KvCluster;
use super::effects::{changed, hash_of, index_of};
use super::journal::{Journal, Seen};
use super::model::{StoreModel, Truth, print};
use super::replicas::check_whole;
use super::resolve::resolve;
use crate::checker::models::{Got, KvInput, KvModel, KvOutput};
use crate::checker::{Limits, Model, Verdict, Witness, check};
use crate::history::History;
use crate::watch::Violation;

/// What a run had, that was found to be right.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// Operations in the history.
    pub operations: usize,
    /// Of them, those of unknown outcome.
    pub unknown: usize,
    /// Calls that certainly had no effect, which are not in the history.
    pub not_done: u64,
    /// Pages of scans.
    pub scans: usize,
    /// Sessions that were opened.
    pub sessions_opened: u64,
    /// Of them, those that ended, unused for too long or crowded out.
    pub sessions_ended: u64,
    /// Nodes whose states were compared with the model at the end.
    pub replicas: usize,
}

/// What is wrong with a run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    /// Something that must hold at every step did not.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// No order of the operations explains what the clients were told.
    #[error("not linearizable: {0}")]
    Illegal(String),
    /// The checker did not find out.
    #[error("not decided whether it is linearizable: {0}")]
    Undecided(String),
    /// A client was told something that is not so.
    #[error("{operation} is answered, and the log has {log}")]
    Untrue {
        /// What it asked and was told.
        operation: String,
        /// What is there instead.
        log: String,
    },
    /// Something took effect that nobody may have asked for, or too often.
    #[error("{operation} took effect {times} times and may have {times_max} times")]
    TooOften {
        /// What was done.
        operation: String,
        /// How often.
        times: usize,
        /// How often it may have been, by what the clients know.
        times_max: usize,
    },
    /// A scan's page is of no moment.
    #[error("the page {0} shows what never was at one moment")]
    TornScan(String),
}

impl KvCluster {
    /// Judges the run so far. Operations that have not returned count as of unknown outcome.
    ///
    /// # Errors
    /// The first thing that is wrong. That the checker does not find out is wrong as well.
    pub fn judge(&self) -> Result<Judged, Wrong> {
        self.check()?;
        let replicas = self.check_replicas()?;
        let history = self.history();
        let model = self.model.look();
        check_history(&history, &self.journal, &*model)?;
        let state = self.journal.state();
        let (sessions_opened, sessions_ended) = model.sessions_so_far();
        Ok(Judged {
            operations: history.len(),
            unknown: history.unknown(),
            not_done: state.not_done,
            scans: state.scans.len(),
            sessions_opened,
            sessions_ended,
            replicas,
        })
    }

    fn check_replicas(&self) -> Result<usize, Violation> {
        let model = self.model.look();
        let mut compared = 0;
        for at in 0..self.nodes().len() {
            let Some(group) = self.nodes().group(at) else { continue };
            group
                .peek(|applied, machine| {
                    compared += usize::from(applied.index >= model.last);
                    check_whole(&model, applied.index, machine.inner())
                })
                .map_err(|(invariant, what)| {
                    let (invariant, node) = (invariant.to_owned(), self.nodes().id(at));
                    Violation { invariant, group: group.id(), node, what }
                })?;
        }
        Ok(compared)
    }
}

/// What clients asked and were told is so, and linearizable, by what the stores must be.
pub(crate) fn check_history(
    history: &History<KvInput, KvOutput>,
    journal: &Journal,
    truth: &impl Truth,
) -> Result<(), Wrong> {
    check_answers(history, truth)?;
    check_effects(history, truth)?;
    for seen in &journal.state().scans {
        is_of_one_moment(seen, truth.of_part(seen.part))?;
    }
    // One thread: tests run beside each other.
    let limits = Limits { threads: std::num::NonZeroUsize::MIN, ..Limits::default() };
    let resolved = resolve(history, truth);
    match check(&KvModel, &resolved, &limits) {
        Verdict::Linearizable => Ok(()),
        Verdict::Illegal(witness) => Err(Wrong::Illegal(describe(&resolved, &witness))),
        Verdict::Unknown(parts) => Err(Wrong::Undecided(format!("{parts:?}"))),
    }
}

/// What took effect was asked for, and not more often than that.
fn check_effects(history: &History<KvInput, KvOutput>, truth: &impl Truth) -> Result<(), Wrong> {
    let mut asked: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, operation) in history.iter() {
        if operation.outcome.output().is_none_or(changed) {
            *asked.entry(hash_of(&operation.input)).or_default() += 1;
        }
    }
    let mut done: BTreeMap<u64, (usize, &KvInput)> = BTreeMap::new();
    let effects = truth.parts().flat_map(|model| model.effects.values().flatten());
    for (input, _) in effects.filter(|(_, told)| changed(told)) {
        done.entry(hash_of(input)).or_insert((0, input)).0 += 1;
    }
    for (hash, (times, input)) in done {
        let times_max = asked.get(&hash).copied().unwrap_or_default();
        if times > times_max {
            let operation = KvModel.describe_op(input, None);
            return Err(Wrong::TooOften { operation, times, times_max });
        }
    }
    Ok(())
}

/// What clients were told stands in the log.
fn check_answers(history: &History<KvInput, KvOutput>, truth: &impl Truth) -> Result<(), Wrong> {
    for (_, operation) in history.iter() {
        let (input, Some(output)) = (&operation.input, operation.outcome.output()) else {
            continue;
        };
        let model = truth.of_key(&input.key);
        let log = match (output, index_of(output)) {
            (KvOutput::Got(Got::Found { value, version: Some(version) }), _) => {
                let changes = model.changes.get(&input.key);
                let found = changes.and_then(|changes| changes.get(&LogIndex(*version)));
                (found != Some(&print(value))).then(|| format!("{found:?} at that version"))
            }
            (_, Some(index)) => {
                let effects = model.effects.get(&index).map_or(&[][..], Vec::as_slice);
                let stands = effects.iter().any(|(i, o)| i == input && o == output);
                (!stands).then(|| format!("{effects:?} there"))
            }
            _ => None,
        };
        if let Some(log) = log {
            let operation = KvModel.describe_op(input, Some(output));
            return Err(Wrong::Untrue { operation, log });
        }
    }
    Ok(())
}

/// There is an index after which the keys were as the page says.
fn is_of_one_moment(seen: &Seen, model: &StoreModel) -> Result<(), Wrong> {
    let page: BTreeMap<&Bytes, LogIndex> =
        seen.entries.iter().map(|(key, _, version)| (key, *version)).collect();
    let range: Vec<_> = model.changes.iter().filter(|(key, _)| seen.covers(key)).collect();
    let phantom = seen.entries.iter().any(|(key, value, version)| {
        let written = model.changes.get(key).and_then(|changes| changes.get(version));
        written != Some(&print(value))
    });
    let moments = range.iter().flat_map(|(_, changes)| changes.keys().copied());
    let is_then = |moment: LogIndex| {
        range.iter().all(|(key, changes)| {
            let then = changes.range(..=moment).next_back();
            let version = then.and_then(|(index, print)| print.map(|_| *index));
            version == page.get(key).copied()
        })
    };
    let least = page.values().copied().max().unwrap_or(LogIndex(0));
    let found = std::iter::once(least).chain(moments.filter(|moment| *moment > least)).any(is_then);
    match found && !phantom {
        true => Ok(()),
        false => Err(Wrong::TornScan(format!("{page:?}"))),
    }
}

/// The offending operation, and what came before it.
fn describe(history: &History<KvInput, KvOutput>, witness: &Witness<Bytes>) -> String {
    let line = |id| {
        let operation = history.op(id);
        let told = KvModel.describe_op(&operation.input, operation.outcome.output());
        format!("client {} {told}", operation.client)
    };
    let order = &witness.partial.order;
    let before: Vec<String> =
        order[order.len().saturating_sub(5)..].iter().map(|id| line(*id)).collect();
    format!("{} has no place after {before:?}", line(witness.partial.offending))
}
