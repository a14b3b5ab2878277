//! What nodes, and operators, ask of a node: the service of the node itself, beside those of its groups.
//!
//! A request is the format (1 byte) and a [`Request`] in postcard, the reply the format and a [`Reply`].

use bytes::Bytes;
use kv::rpc::{Malformed, decode, encode, take};
use raft_core::GroupId;
use serde::{Deserialize, Serialize};

use super::book::Raw;
use super::describe::Described;

/// The place of the node's own service among those of its groups. No group has this number.
pub(crate) const NODE: GroupId = GroupId(u64::MAX);
const FORMAT: u8 = 2;

/// What is asked. The order of the variants is the format, here and below.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// What the node is and has.
    Describe,
    /// Here is what another node of the cluster knows; what does this one know?
    Exchange { cluster: u64, book: Raw },
    /// A node without data wants to belong to the cluster. For the leader of the group that gives out numbers.
    Join(Joining),
    /// Who is there, and does it have a replica of the group?
    Probe { group: u64 },
    /// Have a replica of the group, in this life. Said by its leader, when this life is a learner in it and was nothing
    /// before.
    Host { group: u64, life: u64 },
    /// The members of a group. For its leader.
    Members { group: u64 },
    /// Change the members of a group. For its leader.
    Change(Asked),
    /// Hand leadership of a group over. For its leader.
    Transfer { group: u64, to: u64 },
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Described(Described),
    Exchanged { cluster: u64, node: u64, book: Raw },
    Joined(Result<Joined, JoinRefusal>),
    Probed(Probed),
    Hosted(Result<(), HostRefusal>),
    Members(Result<Members, Elsewhere>),
    Changed(Result<u64, ChangeRefusal>),
    Transferred(Result<(), TransferRefusal>),
}

/// A node that wants to belong to the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joining {
    /// The cluster, if the node knows by its certificate or its settings.
    pub(crate) cluster: Option<u64>,
    /// Its number, likewise; or else it is given one. One that is taken is taken from a life that has ended.
    pub(crate) node: Option<u64>,
    pub(crate) life: u64,
    pub(crate) address: String,
}

/// What it needs to begin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    pub(crate) cluster: u64,
    pub(crate) node: u64,
    pub(crate) kind: WireMode,
    /// The groups that there are.
    pub(crate) groups: Vec<u64>,
    /// Limits that are the same on all nodes, in bytes.
    pub(crate) key_bytes_max: u64,
    pub(crate) value_bytes_max: u64,
    pub(crate) book: Raw,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum WireMode {
    Sharded,
    Plain,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum JoinRefusal {
    Elsewhere(Elsewhere),
    /// The cluster is another one.
    OtherCluster {
        cluster: u64,
    },
    /// The node with this number runs.
    Alive {
        node: u64,
        address: String,
    },
    /// The number cannot be remembered.
    NotKept {
        reason: String,
    },
}

/// Who is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Probed {
    pub(crate) cluster: u64,
    pub(crate) node: u64,
    pub(crate) life: u64,
    /// Whether it has a replica of the group that was asked for.
    pub(crate) has_replica: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum HostRefusal {
    /// The node is in another life by now.
    OtherLife { life: u64 },
    /// A cluster of this kind has no such group.
    NoSuchGroup,
    /// It does not start; why.
    NotStarted { reason: String },
}

/// Who can answer instead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Elsewhere {
    /// Nobody that this node knows of has the group.
    NoSuchGroup { group: u64 },
    /// Another node leads it, or may know who does; or nobody does.
    NotLeader { hint: Option<(u64, Option<String>)> },
}

/// A change that somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) group: u64,
    pub(crate) change: Change,
    /// Only if the members are those since this index; whatever they are, if it is not given.
    pub(crate) expected: Option<u64>,
    /// How long to wait for it, in milliseconds. It goes on after that, as far as it has come.
    pub(crate) wait_ms: u32,
}

/// A change of the members. Asked for again when it is done, it changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The node becomes a member: a learner, and a voter when it has caught up, if it is to be one.
    Add { node: u64, address: Option<String>, role: MemberRole },
    /// The learner becomes a voter when it has caught up.
    Promote { node: u64 },
    /// The node is a member no more.
    Remove { node: u64 },
    /// One voter in another's place, in one step.
    Replace { old: u64, new: u64, address: Option<String> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum MemberRole {
    Learner,
    Voter,
}

/// Why the members are not those that were asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum ChangeRefusal {
    Elsewhere(Elsewhere),
    /// Nothing was changed: the members are others than expected, since this index.
    Stale {
        since: u64,
    },
    /// Nothing was changed: another change is under way, since this index.
    InProgress {
        since: u64,
    },
    /// Nothing was changed: this leader makes a change for somebody else.
    Busy,
    /// Nothing was changed: leadership is being handed over, or was just taken.
    NotNow,
    /// Nothing was changed: the node is no member.
    NoMember {
        node: u64,
    },
    /// Nothing was changed: it is not known where the node is.
    NoAddress {
        node: u64,
    },
    /// Nothing was changed: nobody answers there.
    Unreachable {
        node: u64,
        address: String,
    },
    /// Nothing was changed: another node answers there.
    OtherNode {
        node: u64,
        address: String,
        found: u64,
        cluster: u64,
    },
    /// Nothing was changed: the node has another directory than the one that the cluster knows.
    OtherLife {
        node: u64,
    },
    /// Nothing was changed: nobody would vote.
    NoVoter,
    /// Nothing was changed: there would be too many.
    TooMany {
        members: u64,
        members_max: u64,
    },
    /// Nothing was changed: the node has no replica, for a reason of its own.
    NotHosted {
        node: u64,
        reason: String,
    },
    /// The node stays a learner: it has not caught up in so many rounds.
    TooSlow {
        node: u64,
        rounds: u32,
    },
    /// Somebody else has changed the members meanwhile.
    Overtaken {
        since: u64,
    },
    /// Leadership was lost meanwhile. Ask again: what was begun is gone on with.
    LeadershipLost {
        hint: Option<(u64, Option<String>)>,
    },
    /// It is not done yet. Ask again: what was begun is gone on with.
    Deadline,
}

/// Why leadership was not handed over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum TransferRefusal {
    Elsewhere(Elsewhere),
    /// It is being handed over to somebody already.
    InProgress {
        to: u64,
    },
    /// The node does not vote.
    NotVoter {
        node: u64,
    },
    /// It did not come about in time, and was given up.
    GivenUp,
    /// Another node leads instead, or nobody that is known.
    Other {
        leader: Option<u64>,
    },
    /// Too many ask.
    Busy,
}

/// The members of a group, as its leader knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Members {
    pub(crate) leader: u64,
    pub(crate) term: u64,
    /// From which index on they are the members.
    pub(crate) since: u64,
    /// Whether that is committed, and no change is under way.
    pub(crate) is_settled: bool,
    /// The end of the leader's log.
    pub(crate) last: u64,
    pub(crate) members: Vec<Member>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) node: u64,
    pub(crate) address: Option<String>,
    pub(crate) standing: Standing,
    /// How far it is. None of the leader itself.
    pub(crate) progress: Option<Progress>,
}

/// What a member is, and is becoming.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Standing {
    Voter,
    Learner,
    /// It votes in the configuration that is coming, and not in the one that is being left.
    Coming,
    /// It votes in the configuration that is being left, and not in the one that is coming.
    Leaving,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The last index that it is known to have.
    pub(crate) matched: u64,
    /// What it lacks.
    pub(crate) pending_entries: u64,
    pub(crate) pending_bytes: u64,
    pub(crate) copying: Copying,
    /// Of a learner: the rounds of catching up, and whether it has.
    pub(crate) rounds: Option<(u32, bool)>,
}

/// How it is sent the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Copying {
    /// It has not answered lately, or it is being found out what it has.
    Probe,
    Replicate,
    /// It gets a snapshot, and has so many bytes of it.
    Snapshot {
        offset: u64,
    },
}

impl Request {
    pub(crate) fn encode(&self) -> Bytes {
        encode(vec![FORMAT], self).into()
    }

    pub(crate) fn decode(mut request: &[u8]) -> Result<Self, Malformed> {
        match take(&mut request)? {
            [FORMAT] => decode(request),
            _ => Err(Malformed),
        }
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Bytes {
        encode(vec![FORMAT], self).into()
    }

    pub(crate) fn decode(mut reply: &[u8]) -> Result<Self, Malformed> {
        match take(&mut reply)? {
            [FORMAT] => decode(reply),
            _ => Err(Malformed),
        }
    }
}
