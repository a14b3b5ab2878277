//! [`Coverage`]: how much of everything there was.

/// How much of everything there was: a run in which too little happened shows nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub struct Coverage {
    pub elections: u64,
    pub committed: u64,
    pub applied: u64,
    pub truncations: u64,
    pub snapshots_taken: u64,
    pub snapshots_received: u64,
    /// Of them, those in favour of which a log was discarded.
    pub logs_discarded: u64,
    pub restores: u64,
    pub restarts: u64,
    pub crashes: u64,
}

impl Coverage {
    /// Everything with its name, in the order of the fields.
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("elections", self.elections),
            ("committed", self.committed),
            ("applied", self.applied),
            ("truncations", self.truncations),
            ("snapshots taken", self.snapshots_taken),
            ("snapshots received", self.snapshots_received),
            ("logs discarded", self.logs_discarded),
            ("restores", self.restores),
            ("restarts", self.restarts),
            ("crashes", self.crashes),
        ]
    }
}

impl std::ops::AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.elections += other.elections;
        self.committed += other.committed;
        self.applied += other.applied;
        self.truncations += other.truncations;
        self.snapshots_taken += other.snapshots_taken;
        self.snapshots_received += other.snapshots_received;
        self.logs_discarded += other.logs_discarded;
        self.restores += other.restores;
        self.restarts += other.restarts;
        self.crashes += other.crashes;
    }
}
