//! [`Model`]: what a history is judged by.

use std::fmt::Debug;
use std::hash::Hash;

/// Where an operation told that it stands: see [`Model::rank`].
/// Ordered by version, and the write of a version before its reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rank {
    /// The version that it made, which is its index in the log, or the one that it saw.
    pub version: u64,
    /// What it did with the version.
    pub role: RankRole,
}

/// What an operation did with a version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RankRole {
    /// It made it.
    Write,
    /// It saw it.
    Read,
}

/// A sequential specification: what the system would do if it did one operation after the other.
///
/// The methods are pure: the same arguments give the same result. They are called from several threads.
pub trait Model: Sync {
    /// What a client asks.
    type Input: PartialEq + Sync;
    /// What a client is told.
    type Output: Sync;
    /// What an operation is about. Operations on different parts must be independent of each other, so
    /// that a history is linearizable if and only if each part's is (Herlihy and Wing's locality). For a
    /// map it is the key. Use `()` where everything depends on everything.
    type Part: Ord + Clone + Debug + Send + Sync;
    /// The state of one part.
    type State: Clone + Eq + Hash + Send;

    /// The part that an operation is about.
    fn part(&self, input: &Self::Input) -> Self::Part;

    /// The state of every part at first.
    fn init(&self) -> Self::State;

    /// Does one operation: the state after it, or `None` where it cannot be done with this output. An
    /// output that does not belong to the input is such a case.
    ///
    /// An output of `None` means that the client was never told. Then this asks for the state if the
    /// operation takes effect now. That it never takes effect is the checker's matter, so that `None` is a
    /// right answer where it would change nothing.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;

    /// Whether an operation with this outcome changes nothing, whatever the state: a read, or a
    /// compare-and-set that was answered with a mismatch. `false` is always right; `true` makes the search
    /// shorter, and the histories of failed reads cheaper.
    fn observes(&self, _input: &Self::Input, _output: Option<&Self::Output>) -> bool {
        false
    }

    /// The operation's place, if its output tells: of two operations on one part, the one with the lower
    /// rank must be one that cannot stand after the other. `None` is always right; indexes of a log and
    /// versions make the search shorter by far.
    fn rank(&self, _input: &Self::Input, _output: &Self::Output) -> Option<Rank> {
        None
    }

    /// Whether an operation may notice what another one of unknown outcome did, which has just led to this
    /// state. Asked for each operation that may come next; if none may notice, the search leaves the other
    /// one out. Without this, operations of unknown outcome cost a search dearly: it would try them in any
    /// number and any order.
    ///
    /// Between the two there may be more operations of unknown outcome that build on the state, such as
    /// appends. They are not asked for their own sake, so that they answer `false`, and the others must
    /// reckon with them: a read of `abc` may notice that the state is `ab`. Hence `false` is right if the
    /// operation is impossible in this state and in all that such others may make of it, or if all that it
    /// leaves and answers is the same as without it, as with a write that says nothing of what it
    /// overwrites. `true` is always right.
    fn notices(
        &self,
        _state: &Self::State,
        _input: &Self::Input,
        _output: Option<&Self::Output>,
    ) -> bool {
        true
    }

    /// About how many bytes a state keeps in memory. Counted against the bound on the checker's memory.
    fn state_bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// A part, for people.
    fn describe_part(&self, part: &Self::Part) -> String {
        format!("{part:?}")
    }

    /// An operation, for people: `get x -> "1"`, or `get x -> ?` where the outcome is unknown.
    fn describe_op(&self, input: &Self::Input, output: Option<&Self::Output>) -> String;

    /// A state, for people.
    fn describe_state(&self, state: &Self::State) -> String;
}
