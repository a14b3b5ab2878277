//! Crashes at every effect on the disk: what was acknowledged is there, and of the rest a prefix.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use raft_core::{GroupId, LogIndex};

use super::judge::judge;
use super::model::{History, Model};
use super::subject::{Flaw, Found, Subject, Trouble, flaw};
use super::workload::{Step, append, command, hard_state, id, random, snapshot};
use super::{StorageProperty as Property, StorageReport, Verdict};
use crate::disk::{Image, Keep, Mount, SimDisk};

/// One crash in so many is followed by a second one while the store recovers.
const SECOND_CRASHES: usize = 9;

/// How far a history has come.
#[derive(Clone, Default)]
struct Progress {
    done: usize,
    /// The newest snapshot of each group that could be opened.
    seen: BTreeMap<GroupId, LogIndex>,
}

/// A moment at which the process, or the whole system, may die.
struct Cut {
    image: Image,
    event: String,
    progress: Progress,
}

pub(super) fn check(subject: &Subject<'_, Mount>, report: &mut StorageReport) -> Verdict<()> {
    let kit = subject.kit;
    let history = History::of(random(kit.seed, kit.groups, kit.steps));
    let disk = SimDisk::new(kit.seed);
    let cuts = record(subject, &disk, &history)?;
    if cuts.is_empty() {
        let detail = "a whole history was acknowledged without a single change to the disk";
        return Err(subject.violation("a random history", flaw(Property::Works, detail)));
    }
    for (number, cut) in cuts.iter().enumerate() {
        report.crashes += 1;
        let examined = Examined { subject, history: &history, cut, number: number as u64 };
        examined.power_cuts(report)?;
        examined.kill(report)?;
        if number % SECOND_CRASHES == 0 {
            examined.second_crash(report)?;
        }
    }
    Ok(())
}

/// Runs the history once and keeps an image of the disk from both sides of every effect.
fn record(subject: &Subject<'_, Mount>, disk: &SimDisk, history: &History) -> Verdict<Vec<Cut>> {
    let progress: Arc<Mutex<Progress>> = Arc::default();
    let cuts = watch(disk, &progress);
    let outcome = subject.clock.live(async {
        let store = subject.open(disk.mount()).await;
        let store = subject.expect("a random history: opened", store)?;
        for (number, step) in (1..).zip(&history.steps) {
            let mut seen = |group, index: LogIndex| {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                let newest = progress.seen.entry(group).or_default();
                *newest = index.max(*newest);
            };
            // Every other one: a reader changes what the store does with the file of a snapshot.
            let outcome = match number % 2 {
                0 => subject.run_watched(&*store, step, &mut seen).await,
                _ => subject.run(&*store, step).await,
            };
            subject.expect(format!("a random history: step {number}, {step}"), outcome)?;
            progress.lock().unwrap_or_else(PoisonError::into_inner).done = number;
        }
        Ok(())
    });
    disk.clear_hook();
    outcome?;
    Ok(std::mem::take(&mut cuts.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn watch(disk: &SimDisk, progress: &Arc<Mutex<Progress>>) -> Arc<Mutex<Vec<Cut>>> {
    let cuts: Arc<Mutex<Vec<Cut>>> = Arc::default();
    let (to, progress, watched) = (Arc::clone(&cuts), Arc::clone(progress), disk.clone());
    disk.set_hook(Arc::new(move |event| {
        if event.kind.is_change() {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let cut = Cut { image: watched.image(), event: event.to_string(), progress };
            to.lock().unwrap_or_else(PoisonError::into_inner).push(cut);
        }
    }));
    cuts
}

/// A moment, and everything that is known about it.
struct Examined<'a> {
    subject: &'a Subject<'a, Mount>,
    history: &'a History,
    cut: &'a Cut,
    number: u64,
}

impl Examined<'_> {
    fn step(&self, what: &str) -> String {
        let done = self.cut.progress.done;
        let step = match self.history.steps.get(done) {
            Some(step) => format!("during step {}, {step}", done + 1),
            None => "after the last step".to_owned(),
        };
        format!("a random history: {what}, {}, {step}", self.cut.event)
    }

    fn disk(&self, keep: Option<Keep>) -> SimDisk {
        let seed = self.subject.kit.seed ^ (self.number << 8);
        let disk = SimDisk::of_image(seed, &self.cut.image);
        if let Some(keep) = keep {
            disk.power_loss(keep);
        }
        disk
    }

    fn groups(&self) -> impl Iterator<Item = GroupId> {
        // One more than the history has.
        (1..=self.subject.kit.groups + 1).map(GroupId)
    }

    async fn open_and_judge(
        &self,
        disk: &SimDisk,
        candidates: &[Model],
    ) -> Result<(Box<dyn raft_core::Storage>, usize), Flaw> {
        let store = self.subject.open(disk.mount()).await.map_err(Trouble::unexcused)?;
        let found = self.subject.found(&*store, self.groups()).await;
        let found = found.map_err(Trouble::unexcused)?;
        let which = judge(&found, candidates, self.history, self.cut.progress.done)?;
        Ok((store, which))
    }

    /// The power goes: what is left is opened, written, and opened again.
    fn power_cuts(&self, report: &mut StorageReport) -> Verdict<()> {
        let candidates = self.history.candidates(self.cut.progress.done);
        for keep in [Keep::Nothing, Keep::Everything, Keep::Prefix, Keep::RandomSectors] {
            report.images += 1;
            let disk = self.disk(Some(keep));
            let fail = |flaw| {
                let what = format!("power cut that leaves {keep:?}");
                self.subject.violation(self.step(&what), flaw)
            };
            let which = self.subject.clock.live(async {
                let (store, which) = self.open_and_judge(&disk, &candidates).await?;
                self.judge_seen(&candidates[which])?;
                for step in more(&candidates[which], self.subject.kit.groups + 1) {
                    let outcome = self.subject.run(&*store, &step).await;
                    outcome.map_err(Trouble::unexcused)?;
                }
                Ok(which)
            });
            let which = which.map_err(fail)?;
            report.images_ahead += u64::from(which > 0);
            disk.power_loss(Keep::Nothing);
            let mut after = candidates[which].clone();
            after.restart();
            for step in more(&candidates[which], self.subject.kit.groups + 1) {
                after.step(&step);
            }
            let again = self.subject.clock.live(self.open_and_judge(&disk, &[after]));
            again.map_err(|mut flaw| {
                flaw.detail.push_str(" (after it was written once more)");
                fail(flaw)
            })?;
        }
        Ok(())
    }

    /// What somebody could open must be there.
    fn judge_seen(&self, state: &Model) -> Result<(), Flaw> {
        for (group, seen) in &self.cut.progress.seen {
            let last = state.group(*group).snapshot_last();
            if last.index < *seen {
                let detail = format!("the snapshot of {group} at {seen}: the newest is of {last}");
                return Err(flaw(Property::VisibleIsDurable, detail));
            }
        }
        Ok(())
    }

    /// Only the process dies; its successor finds what is not synced, and only then the power goes.
    fn kill(&self, report: &mut StorageReport) -> Verdict<()> {
        report.images += 1;
        let candidates = self.history.candidates(self.cut.progress.done);
        let disk = self.disk(None);
        let found = self.subject.clock.live(self.open_and_judge(&disk, &candidates));
        let fail = |flaw| self.subject.violation(self.step("process killed"), flaw);
        let (_, which) = found.map_err(fail)?;
        disk.power_loss(Keep::Nothing);
        let loaded = std::slice::from_ref(&candidates[which]);
        let again = self.subject.clock.live(self.open_and_judge(&disk, loaded));
        again.map(|_| ()).map_err(|found| {
            let detail = format!(
                "what the successor loaded was lost when the power was cut after that: {}",
                found.detail
            );
            fail(flaw(Property::VisibleIsDurable, detail))
        })
    }

    /// The power goes, and goes again at every effect of the recovery.
    fn second_crash(&self, report: &mut StorageReport) -> Verdict<()> {
        let candidates = self.history.candidates(self.cut.progress.done);
        let disk = self.disk(Some(Keep::RandomSectors));
        let cuts = watch(&disk, &Arc::default());
        let opened = self.subject.clock.live(self.open_and_judge(&disk, &candidates));
        disk.clear_hook();
        let fail = |flaw| self.subject.violation(self.step("power cut"), flaw);
        opened.map_err(fail)?;
        let cuts = std::mem::take(&mut *cuts.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, cut) in cuts.iter().enumerate() {
            report.images += 1;
            let disk = SimDisk::of_image(at as u64, &cut.image);
            disk.power_loss(if at % 2 == 0 { Keep::RandomSectors } else { Keep::Nothing });
            let found = self.subject.clock.live(self.open_and_judge(&disk, &candidates));
            found.map_err(|found| {
                let what = format!("power cut, and again in the recovery from it, {}", cut.event);
                self.subject.violation(self.step(&what), found)
            })?;
        }
        Ok(())
    }
}

/// A few more steps, to see that the store goes on from where it is: in a group of its own, and over the end of
/// every log.
fn more(state: &Model, fresh: u64) -> Vec<Step> {
    let mut writes =
        vec![hard_state(fresh, 1, Some(1)), append(fresh, vec![command(1, 1, "more")])];
    for (group, state) in &state.groups {
        let (last, term) = (state.last().index.0, state.hard_state.term.0 + 1);
        let begin = last.max(state.snapshot_last().index.0 + 1);
        writes.push(hard_state(group.0, term, Some(2)));
        writes.push(append(group.0, vec![command(term, begin, "more")]));
    }
    vec![Step::Write(writes), snapshot(fresh, id(1, 1), 300)]
}

/// For the other parts: opens what is on a disk and judges it.
pub(super) async fn reopen(subject: &Subject<'_, Mount>, disk: &SimDisk) -> Result<Found, Trouble> {
    let store = subject.open(disk.mount()).await?;
    subject.found(&*store, (1..=subject.kit.groups + 1).map(GroupId)).await
}
