//! The numbers of the protocol, each with a type of its own, so that a term cannot be passed for an index.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }
    };
}

number!(
    /// A node of a cluster. An identity, not an address; never reused for another data directory.
    NodeId,
    "n"
);
number!(
    /// One Raft group. A node may hold replicas of many.
    GroupId,
    "g"
);
number!(
    /// A term of office (paper, section 5.1). Zero is before the first election.
    Term,
    "t"
);
number!(
    /// A position in the log, counted from one. Zero is before the first entry.
    LogIndex,
    "i"
);
number!(
    /// The number of a [`Write`](crate::Write) of one group, counted from one, without gaps.
    WriteSeq,
    "w"
);
number!(
    /// A linearizable read that waits for its confirmation (thesis, section 6.4). Unique in one `Raft` value.
    ReadId,
    "r"
);
number!(
    /// A leader's count of the times it asked its peers for a sign of life. A reply to round `r` proves
    /// that the sender still followed this leader after round `r` was begun.
    Round,
    "k"
);
number!(
    /// The identity of a cluster, minted when it is made. Nodes of different clusters refuse each other.
    ClusterId,
    "c"
);
number!(
    /// Which life of a data directory this is, minted when the directory is made. A wiped disk under an
    /// old [`NodeId`] has another one.
    Incarnation,
    "b"
);

impl NodeId {
    /// No node: what a hard state has in the place of a candidate while its node has no vote.
    pub const NOBODY: Self = Self(u64::MAX);
}

impl Term {
    /// The term after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl LogIndex {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The index after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The index before this one; zero stays zero.
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl WriteSeq {
    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Round {
    /// The round after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The identity of a log entry. Two entries with the same `LogId` are the same entry (the log matching
/// property, paper section 5.3). Ordered by term first and index second, which is the paper's rule of
/// which log is more up to date (section 5.4.1): that check is one comparison and has no branch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The term in which the entry was proposed.
    pub term: Term,
    /// The entry's position.
    pub index: LogIndex,
}

impl LogId {
    /// Before the first entry.
    pub const ZERO: Self = Self { term: Term(0), index: LogIndex(0) };

    /// The identity of the entry at `index`, proposed in `term`.
    pub const fn new(term: Term, index: LogIndex) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index.0, self.term)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
