//! Damage: what was written is not what is there, and nobody said so.

use super::judge::judge;
use super::model::{History, Model};
use super::power::reopen;
use super::subject::{Subject, Trouble, flaw};
use super::workload::random;
use super::{StorageProperty as Property, StorageReport, Verdict};
use crate::disk::{Failure, Image, Mount, OpKind, SimDisk};

pub(super) fn check(subject: &Subject<'_, Mount>, report: &mut StorageReport) -> Verdict<()> {
    let kit = subject.kit;
    let history = History::of(random(kit.seed + 2, kit.groups, kit.steps));
    let disk = SimDisk::new(kit.seed);
    let outcome = subject.clock.live(run(subject, &disk, &history));
    subject.expect("a random history", outcome)?;
    let candidates = candidates(&history);
    let examined = Examined { subject, history: &history, candidates: &candidates };
    let mut rng = fastrand::Rng::with_seed(kit.seed);
    let image = disk.image();
    for _ in 0..kit.damages {
        examined.bit(&image, &mut rng, report)?;
    }
    let writes = disk.count(OpKind::Write);
    for nth in (1..=writes).step_by(writes.div_ceil(kit.damages.max(1)).max(1) as usize) {
        examined.lost_write(nth, report)?;
    }
    Ok(())
}

/// All of it; or all but what a torn last write would cost, from which rot at the end cannot be told apart.
fn candidates(history: &History) -> Vec<Model> {
    let mut candidates = vec![history.states.last().cloned().unwrap_or_default()];
    if let Some(before) = history.steps.len().checked_sub(1) {
        candidates.extend(history.candidates(before));
    }
    candidates
}

async fn run(
    subject: &Subject<'_, Mount>,
    disk: &SimDisk,
    history: &History,
) -> Result<(), Trouble> {
    let store = subject.open(disk.mount()).await?;
    for step in &history.steps {
        subject.run(&*store, step).await?;
    }
    Ok(())
}

struct Examined<'a> {
    subject: &'a Subject<'a, Mount>,
    history: &'a History,
    candidates: &'a [Model],
}

impl Examined<'_> {
    /// Flips a bit where something was written.
    fn bit(
        &self,
        image: &Image,
        rng: &mut fastrand::Rng,
        report: &mut StorageReport,
    ) -> Verdict<()> {
        let disk = SimDisk::of_image(self.subject.kit.seed, image);
        let written = |name: String| {
            let data = disk.contents(&name)?;
            let last = data.iter().rposition(|byte| *byte != 0)?;
            Some((name, last as u64 + 1))
        };
        let files: Vec<(String, u64)> = disk.names().into_iter().filter_map(written).collect();
        let Some((name, len)) = rng.choice(files) else { return Ok(()) };
        let (at, mask) = (rng.u64(0..len), 1 << rng.u32(0..8));
        disk.corrupt(&name, at, mask);
        self.judge(&disk, &format!("byte {at} of {name} with the bits {mask:#04x} flipped"), report)
    }

    /// Loses a write of which the disk said that it was done.
    fn lost_write(&self, nth: u64, report: &mut StorageReport) -> Verdict<()> {
        let disk = SimDisk::new(self.subject.kit.seed);
        disk.fail(OpKind::Write, nth, Failure::Lost);
        let step = format!("write number {nth} lost by the disk");
        match self.subject.clock.live(run(self.subject, &disk, self.history)) {
            Ok(()) => self.judge(&disk, &step, report),
            // Noticed on the way.
            Err(Trouble::Failed(_)) => {
                report.damages += 1;
                report.damages_refused += 1;
                Ok(())
            }
            Err(Trouble::Flawed(flaw)) => Err(self.subject.violation(step, flaw)),
        }
    }

    fn judge(&self, disk: &SimDisk, step: &str, report: &mut StorageReport) -> Verdict<()> {
        disk.unmount();
        report.damages += 1;
        let found = match self.subject.clock.live(reopen(self.subject, disk)) {
            Ok(found) => judge(&found, self.candidates, self.history, self.history.steps.len()),
            Err(Trouble::Failed(_)) => {
                report.damages_refused += 1;
                return Ok(());
            }
            Err(Trouble::Flawed(flaw)) => Err(flaw),
        };
        match found {
            Ok(which) => report.damages_cut += u64::from(which > 0),
            Err(found) if found.property == Property::Ends => {
                return Err(self.subject.violation(step, found));
            }
            Err(found) => {
                let flaw = flaw(Property::RotDetected, found.detail);
                return Err(self.subject.violation(step, flaw));
            }
        }
        Ok(())
    }
}
