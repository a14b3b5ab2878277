//! Operations of the disk that fail: reported, final, and survived by what was acknowledged.

use raft_core::{Storage, StorageError};

use super::judge::judge;
use super::model::{History, Model};
use super::power::reopen;
use super::subject::{Flaw, Subject, Trouble, flaw};
use super::workload::{Step, hard_state, random};
use super::{StorageProperty as Property, StorageReport, Verdict};
use crate::disk::{Failure, Keep, Mount, OpKind, SimDisk};

/// Of each kind of operation, at most so many are made to fail.
const FAILURES_MAX: u64 = 40;

pub(super) fn check(subject: &Subject<'_, Mount>, report: &mut StorageReport) -> Verdict<()> {
    let kit = subject.kit;
    let history = History::of(random(kit.seed + 1, kit.groups, kit.steps));
    let whole = SimDisk::new(kit.seed);
    let none =
        Injected { subject, history: &history, kind: OpKind::Write, nth: 0, failure: Failure::Io };
    none.run(&whole)?;
    for kind in OpKind::ALL.into_iter().filter(|kind| kind.is_change()) {
        for failure in [Failure::Io, Failure::Full] {
            for nth in spread(whole.count(kind)) {
                let disk = SimDisk::new(kit.seed ^ nth);
                disk.fail(kind, nth, failure);
                Injected { subject, history: &history, kind, nth, failure }.check(&disk, report)?;
            }
        }
    }
    whole.power_loss(Keep::Everything);
    reads(subject, &history, &whole, report)
}

/// The numbers up to `count`, or some of them.
fn spread(count: u64) -> impl Iterator<Item = u64> {
    (1..=count).step_by(count.div_ceil(FAILURES_MAX).max(1) as usize)
}

/// One failure in a history.
struct Injected<'a> {
    subject: &'a Subject<'a, Mount>,
    history: &'a History,
    kind: OpKind,
    nth: u64,
    failure: Failure,
}

/// How a history ended.
struct Ended {
    done: usize,
    /// Whether the store reported the failure, at open or in a step.
    reported: bool,
    /// Written after a snapshot for which there was no space.
    extra: Option<Step>,
}

impl Injected<'_> {
    fn step(&self, done: usize) -> String {
        let Self { kind, nth, failure, .. } = self;
        let step = match self.history.steps.get(done) {
            Some(step) => format!("step {}, {step}", done + 1),
            None => "after the last step".to_owned(),
        };
        format!("a random history with {failure:?} at {kind} number {nth}: {step}")
    }

    fn check(&self, disk: &SimDisk, report: &mut StorageReport) -> Verdict<()> {
        let ended = self.run(disk)?;
        report.failures += 1;
        report.failures_harmless += u64::from(!ended.reported);
        let mut candidates = self.history.candidates(ended.done);
        if let Some(extra) = &ended.extra {
            candidates.iter_mut().for_each(|model: &mut Model| model.step(extra));
        }
        let image = disk.image();
        for keep in [Keep::Nothing, Keep::Everything, Keep::RandomSectors] {
            let disk = SimDisk::of_image(self.nth, &image);
            disk.power_loss(keep);
            let outcome = self.subject.clock.live(async {
                let found = reopen(self.subject, &disk).await.map_err(Trouble::unexcused)?;
                judge(&found, &candidates, self.history, ended.done)
            });
            outcome.map_err(|found| self.after(&ended, keep, found))?;
        }
        Ok(())
    }

    /// What is missing was acknowledged after, or in spite of, the failure.
    fn after(&self, ended: &Ended, keep: Keep, found: Flaw) -> super::super::Violation<Property> {
        let step = format!("{}, then a power cut that leaves {keep:?}", self.step(ended.done));
        let lost = matches!(
            found.property,
            Property::HardStateKept
                | Property::EntriesKept
                | Property::SnapshotsKept
                | Property::SnapshotsIntact
                | Property::CompactionsCovered
                | Property::TruncationsKept
                | Property::GroupsListed
        );
        let property = if lost { Property::FailuresSurface } else { found.property };
        self.subject.violation(step, flaw(property, found.detail))
    }

    /// Runs the history until a step fails.
    fn run(&self, disk: &SimDisk) -> Verdict<Ended> {
        let mut ended = Ended { done: 0, reported: false, extra: None };
        let outcome = self.subject.clock.live(async {
            let store = match self.subject.open(disk.mount()).await {
                Ok(store) => store,
                Err(Trouble::Failed(_)) if self.nth > 0 => {
                    ended.reported = true;
                    return Ok(());
                }
                Err(trouble) => return Err(trouble.unexcused()),
            };
            for step in &self.history.steps {
                match self.subject.run(&*store, step).await {
                    Ok(()) => ended.done += 1,
                    Err(Trouble::Failed(error)) if self.nth > 0 => {
                        ended.reported = true;
                        ended.extra = self.failed(&*store, step, &error).await?;
                        return Ok(());
                    }
                    Err(trouble) => return Err(trouble.unexcused()),
                }
            }
            Ok(())
        });
        disk.unmount();
        outcome.map_err(|flaw| self.subject.violation(self.step(ended.done), flaw))?;
        Ok(ended)
    }

    /// A step has failed: what follows?
    async fn failed(
        &self,
        store: &dyn Storage,
        step: &Step,
        error: &StorageError,
    ) -> Result<Option<Step>, Flaw> {
        if let (Failure::Full, StorageError::Io { is_full: false, .. }) = (self.failure, error) {
            let detail = format!("that the disk is full is not what it says: {error}");
            return Err(flaw(Property::FullDiskSurvived, detail));
        }
        let next = Step::Write(vec![hard_state(self.subject.kit.groups + 1, 99, None)]);
        let outcome = self.subject.run(store, &next).await;
        match (step, self.failure, outcome) {
            (_, _, Err(Trouble::Flawed(flaw))) => Err(flaw),
            (Step::Write(_), _, Ok(())) => {
                let detail = format!("after `{error}` the next write is acknowledged");
                Err(flaw(Property::FailuresFinal, detail))
            }
            (Step::Write(_), _, Err(_)) => Ok(None),
            (_, Failure::Full, Err(Trouble::Failed(next))) => {
                let detail = format!("after `{error}` in a snapshot, writes fail too: {next}");
                Err(flaw(Property::FullDiskSurvived, detail))
            }
            (_, _, Err(Trouble::Failed(_))) => Ok(None),
            (_, _, Ok(())) => Ok(Some(next)),
        }
    }
}

/// Operations that only look may fail as well: then nothing is served, or everything.
fn reads(
    subject: &Subject<'_, Mount>,
    history: &History,
    whole: &SimDisk,
    report: &mut StorageReport,
) -> Verdict<()> {
    let image = whole.image();
    let looked = SimDisk::of_image(0, &image);
    let outcome = subject.clock.live(reopen(subject, &looked));
    subject.expect("a random history: opened at its end", outcome)?;
    let state = history.states.last().cloned().unwrap_or_default();
    for kind in OpKind::ALL {
        for nth in spread(looked.count(kind)) {
            let disk = SimDisk::of_image(nth, &image);
            disk.fail(kind, nth, Failure::Io);
            report.failures += 1;
            let outcome = subject.clock.live(async {
                match reopen(subject, &disk).await {
                    Ok(found) => {
                        judge(&found, std::slice::from_ref(&state), history, history.steps.len())
                            .map(|_| true)
                    }
                    Err(Trouble::Failed(_)) => Ok(false),
                    Err(Trouble::Flawed(flaw)) => Err(flaw),
                }
            });
            let step = format!("opening with {kind} number {nth} failing");
            let harmless = outcome.map_err(|found| {
                let property = match found.property {
                    Property::Ends => Property::Ends,
                    _ => Property::FailuresSurface,
                };
                subject.violation(step, flaw(property, found.detail))
            })?;
            report.failures_harmless += u64::from(harmless);
        }
    }
    Ok(())
}
