//! What became of operations of unknown outcome, by what the log has.
//!
//! To a client they are a riddle, and to the checker a cost without bound: any of them may stand anywhere, or
//! nowhere. The log knows. With its answers the question is a stricter one than the clients could ask, never a
//! milder one.

use std::collections::BTreeMap;

use super::effects::{changed, hash_of, index_of};
use super::model::Truth;
use crate::checker::models::{KvInput, KvOutput};
use crate::history::{History, Moment, OpId, Operation, Outcome};

/// Of everything with the same input: who was not answered, and what took effect and was not answered.
#[derive(Default)]
struct Same<'a> {
    unknown: Vec<OpId>,
    effects: Vec<&'a KvOutput>,
}

/// The same history, where operations of unknown outcome that took effect were answered in the end, and those
/// that did not are left out. Where several have the same input and it cannot be said which of them took
/// effect, they stay as they are.
pub(super) fn resolve(
    history: &History<KvInput, KvOutput>,
    truth: &impl Truth,
) -> History<KvInput, KvOutput> {
    let mut by_input: BTreeMap<u64, Same<'_>> = BTreeMap::new();
    let effects = truth.parts().flat_map(|model| model.effects.values().flatten());
    for (input, told) in effects.filter(|(_, told)| changed(told)) {
        by_input.entry(hash_of(input)).or_default().effects.push(told);
    }
    for (id, operation) in history.iter() {
        let same = by_input.entry(hash_of(&operation.input)).or_default();
        match operation.outcome.output() {
            None => same.unknown.push(id),
            Some(output) => same.effects.retain(|told| index_of(told) != index_of(output)),
        }
    }
    let mut fates: BTreeMap<OpId, Option<&KvOutput>> = BTreeMap::new();
    for Same { unknown, effects } in by_input.values() {
        match (&unknown[..], &effects[..]) {
            (_, []) => fates.extend(unknown.iter().map(|id| (*id, None))),
            ([id], [told]) => drop(fates.insert(*id, Some(told))),
            _ => {}
        }
    }
    let mut end = u64::MAX / 2;
    let operations = history.iter().filter_map(|(id, operation)| {
        let Operation { client, input, called, outcome } = operation.clone();
        let outcome = match fates.get(&id) {
            None => outcome,
            Some(told) => {
                end += 1;
                let at = Moment { position: end, ..called };
                Outcome::Returned { output: (*told)?.clone(), at }
            }
        };
        Some(Operation { client, input, called, outcome })
    });
    History::new(operations.collect()).expect("nothing overlaps that did not before")
}
