//! [`Layout`]: how many nodes there are, and what they have.

/// What a cluster is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// Three nodes with one group.
    Plain,
    /// Three nodes with the controller and groups 1 and 2, and three with group 3.
    Sharded,
}

impl Layout {
    pub(super) fn nodes(self) -> usize {
        match self {
            Self::Plain => 3,
            Self::Sharded => 6,
        }
    }

    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sharded => "sharded",
        }
    }

    pub(super) fn settings(self) -> &'static str {
        match self {
            Self::Plain => "mode = \"plain\"\n",
            Self::Sharded => {
                "groups = { 0 = [1, 2, 3], 1 = [1, 2, 3], 2 = [1, 2, 3], 3 = [4, 5, 6] }\n"
            }
        }
    }
}
