//! What a loss of power leaves of what was not synced.

use super::contents::Contents;
use super::volume::{Change, FileId, Order, Volume, sectors};

/// What of the unsynced state a loss of power leaves. What is drawn is drawn from the disk's seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// The first few changes, in the order in which they were made, over all files and the directory. The
    /// last one, if it is a write, may be torn.
    Prefix,
    /// Of each file any subset of its sectors with the old or the new length, so that a file may be longer
    /// than its data or its data longer than the file; of the directory the first few changes, as journals
    /// keep them.
    RandomSectors,
    /// The unsynced sectors whose bits are set, counted from the lowest bit in the order of writing over all
    /// files; everything else, sectors beyond the 64th among it. For tests that try every subset.
    Sectors(u64),
    /// So many bytes, in the order of writing over all files, and everything of the directory. For tests
    /// that tear a write at every byte.
    Bytes(u64),
}

/// What losses of power have cost so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Losses {
    /// How often the power was lost.
    pub power_losses: u64,
    /// Sectors of unsynced writes that are gone.
    pub sectors: u64,
    /// Unsynced writes of which a part is left and a part is gone.
    pub torn_writes: u64,
    /// Files created, renamed and removed for which it came undone.
    pub names: u64,
    /// Files whose length is not what their data would make it.
    pub lengths: u64,
}

/// Decides, change by change in their order.
struct Choice<'a> {
    keep: Keep,
    rng: &'a mut fastrand::Rng,
    /// For a prefix: the first change that is not kept whole.
    limit: Order,
    /// Sectors or bytes decided so far.
    seen: u64,
}

impl Choice<'_> {
    /// Up to where this piece of a write survives.
    fn piece(&mut self, order: Order, begin: u64, end: u64) -> u64 {
        let keep = match self.keep {
            Keep::Nothing => false,
            Keep::Everything => true,
            Keep::Prefix if order == self.limit => self.rng.u32(0..4) > 0,
            Keep::Prefix => order < self.limit,
            Keep::RandomSectors => self.rng.bool(),
            Keep::Sectors(bits) => {
                self.seen += 1;
                self.seen > 64 || bits >> (self.seen - 1) & 1 == 1
            }
            Keep::Bytes(count) => {
                let left = count.saturating_sub(self.seen).min(end - begin);
                self.seen += end - begin;
                return begin + left;
            }
        };
        // Nothing of a torn write is left after the first piece that is gone.
        if self.keep == Keep::Prefix && !keep {
            self.limit = self.limit.min(order.saturating_sub(1));
        }
        if keep { end } else { begin }
    }

    fn length(&mut self, order: Order) -> bool {
        match self.keep {
            Keep::Nothing => false,
            Keep::Prefix => order < self.limit,
            Keep::RandomSectors => self.rng.bool(),
            Keep::Bytes(count) => self.seen <= count,
            Keep::Everything | Keep::Sectors(_) => true,
        }
    }
}

impl Volume {
    /// Forgets what `keep` does not keep; what is left is durable.
    pub(super) fn lose_power(&mut self, keep: Keep, rng: &mut fastrand::Rng, losses: &mut Losses) {
        losses.power_losses += 1;
        let (mut changes, mut lengths) = (Vec::new(), Vec::new());
        for (id, file) in self.files.iter_mut().filter(|(_, file)| !file.unsynced.is_empty()) {
            lengths.push((*id, file.durable.len(), file.data.len()));
            changes.extend(file.unsynced.drain(..).map(|(order, change)| (order, *id, change)));
        }
        changes.sort_unstable_by_key(|(order, ..)| *order);
        let orders = changes.iter().map(|(order, ..)| *order);
        let mut orders: Vec<Order> =
            orders.chain(self.unsynced_names.iter().map(|(order, _)| *order)).collect();
        orders.sort_unstable();
        // One more than there are: all of them may be kept.
        orders.push(Order::MAX);
        let limit = orders[rng.usize(0..orders.len())];
        let mut choice = Choice { keep, rng, limit, seen: 0 };
        for (order, id, change) in &changes {
            if let Some(file) = self.files.get_mut(id) {
                keep_change(&mut file.durable, *order, change, &mut choice, losses);
            }
        }
        if keep == Keep::RandomSectors {
            self.draw_lengths(&lengths, choice.rng, losses);
        }
        self.lose_names(keep, limit, rng, losses);
        for file in self.files.values_mut() {
            file.data = file.durable.clone();
        }
        self.close_all();
    }

    /// The length is written apart from the data: either may be there without the other.
    fn draw_lengths(
        &mut self,
        lengths: &[(FileId, u64, u64)],
        rng: &mut fastrand::Rng,
        losses: &mut Losses,
    ) {
        for (id, old, new) in lengths {
            let Some(file) = self.files.get_mut(id) else { continue };
            let left = file.durable.len();
            let len = [*old, *new, left][rng.usize(0..3)];
            losses.lengths += u64::from(len != left);
            file.durable.set_len(len);
        }
    }

    fn lose_names(
        &mut self,
        keep: Keep,
        limit: Order,
        rng: &mut fastrand::Rng,
        losses: &mut Losses,
    ) {
        let changes = std::mem::take(&mut self.unsynced_names);
        let kept = match keep {
            Keep::Nothing => 0,
            Keep::Everything | Keep::Sectors(_) | Keep::Bytes(_) => changes.len(),
            Keep::Prefix => changes.iter().filter(|(order, _)| *order < limit).count(),
            Keep::RandomSectors => rng.usize(0..=changes.len()),
        };
        losses.names += (changes.len() - kept) as u64;
        for (_, change) in &changes[..kept] {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
    }
}

fn keep_change(
    durable: &mut Contents,
    order: Order,
    change: &Change,
    choice: &mut Choice<'_>,
    losses: &mut Losses,
) {
    if let Change::SetLen(_) = change {
        if choice.length(order) {
            change.apply(durable);
        }
        return;
    }
    if choice.keep == Keep::Everything {
        return change.apply(durable);
    }
    let (mut kept, mut lost) = (0, 0);
    for (begin, end) in sectors(change.range()) {
        let until = choice.piece(order, begin, end);
        if begin < until {
            change.apply_range(durable, begin, until);
            kept += 1;
        }
        lost += u64::from(until < end);
    }
    losses.sectors += lost;
    losses.torn_writes += u64::from(kept > 0 && lost > 0);
}
