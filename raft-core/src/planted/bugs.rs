//! The bugs, and what finds them. `xtask` compiles this file too: it uses nothing but the core library.

/// Declares the bugs: what is wrong, the name, who has to find it, and the arguments of `cargo test` for a
/// test that does.
macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $name:literal, $suite:ident, $test:literal;)+) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum PlantedBug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl PlantedBug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug),+];

            /// What the environment variable `PLANTED_BUG` calls it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)+
                }
            }

            /// What is wrong, in one line.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$bug => concat!($($what),+),)+
                }
                .trim_start()
            }

            /// Who has to find it.
            pub fn suite(self) -> Suite {
                match self {
                    $(Self::$bug => Suite::$suite,)+
                }
            }

            /// The arguments of `cargo test` for a test that fails with it.
            pub fn test(self) -> &'static str {
                match self {
                    $(Self::$bug => $test,)+
                }
            }
        }
    };
}

/// Who has to find a bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// The simulator's swarm: cores, driver and storage under a state machine that remembers everything.
    Core,
    /// The simulator's swarm: the key/value service with its clerks.
    Kv,
    /// The simulator's swarm: groups whose shards move, with their controller, operators and clerks.
    Shardkv,
    /// A test made for it: random schedules would need years to meet it.
    Tests,
}

bugs! {
    // Elections.

    /// What is written of the hard state lacks the vote.
    VoteNotPersisted = "vote-not-persisted", Core, "-p raft-core --test random_model";
    /// A term that a message brings is not written.
    TermNotPersisted = "term-not-persisted", Core, "-p raft-core --test random_model";
    /// A candidate asks for votes, and counts its own, before its vote is durable.
    OwnVoteNotDurable = "own-vote-not-durable", Core, "-p raft-core --test random_model";
    /// Stepping down within a term gives the vote of that term back.
    StepDownClearsVote = "step-down-clears-vote", Core, "-p raft-core --test random_model";
    /// A vote is given to a candidate whose log is behind.
    VoteForStaleLog = "vote-for-stale-log", Core, "-p raft-core --test random_model";
    /// Votes given in an earlier term count in this one.
    StaleVotesCounted = "stale-votes-counted", Core, "-p raft-core --test random_model";
    /// A candidate counts replies, not voters: a vote that arrives twice counts twice.
    DuplicateVotesCounted = "duplicate-votes-counted", Core, "-p raft-core --test random_model";
    /// A node campaigns without asking first whether it would win.
    NoPreVote = "no-pre-vote", Core, "-p raft-core --test golden -- prevote_keeps_a_partitioned_node_quiet";
    /// A leader that a quorum does not answer stays leader.
    NoCheckQuorum = "no-check-quorum", Core, "-p raft-core --test golden -- one_way_partition_deposes_a_deaf_leader";
    /// Half of the voters are a quorum.
    QuorumOffByOne = "quorum-off-by-one", Core, "-p raft-core --test random_model";

    // Replication.

    /// A follower acknowledges entries that its disk does not have yet.
    AckBeforeSync = "ack-before-sync", Core, "-p raft-core --test random_model";
    /// A leader counts its own copy before its own disk has it.
    LeaderCountsUnsynced = "leader-counts-unsynced", Core, "-p raft-core --test random_model";
    /// A follower acknowledges all that it has, not only what it has compared with the leader's log.
    AckBeyondMatch = "ack-beyond-match", Core, "-p raft-core --test random_model";
    /// Acknowledgements of an earlier leadership count in this one.
    StaleAcksCounted = "stale-acks-counted", Tests, "-p raft-core --test random_museum";
    /// An entry of an earlier term is committed because a quorum has it.
    OldTermCommitted = "old-term-committed", Core, "-p raft-core --test random_model";
    /// A follower commits up to the leader's commit index, whether its log matches there or not.
    CommitBeyondMatch = "commit-beyond-match", Core, "-p raft-core --test random_model";
    /// Entries are taken that do not follow what the log holds before them.
    LogMatchingUnchecked = "log-matching-unchecked", Core, "-p raft-core --test random_model";
    /// Entries that are here already cut off what stands behind them.
    MatchingSuffixTruncated = "matching-suffix-truncated", Core, "-p raft-core --test random_model";

    // Snapshots of the core.

    /// Entries behind an installed snapshot stay although they conflict with it.
    ConflictingSuffixKept = "conflicting-suffix-kept", Core, "-p raft-core --test random_model";
    /// A snapshot says nothing of the membership.
    SnapshotWithoutMembership = "snapshot-without-membership", Core, "-p raft-core --test random_model";

    // Memberships and leadership.

    /// Voters are changed in one step, without a joint membership.
    SingleStepChange = "single-step-change", Tests, "-p raft-core --test random_members";
    /// In joint consensus the old voters decide alone.
    CommitByOldQuorum = "commit-by-old-quorum", Tests, "-p raft-core --test random_members";
    /// The joint membership is left before its entry is committed.
    JointLeftEarly = "joint-left-early", Tests, "-p raft-core --test random_members";
    /// A learner counts as a voter.
    LearnerCounted = "learner-counted", Tests, "-p raft-core --test random_members";
    /// A membership whose entry was truncated stays in effect.
    MembershipNotRolledBack = "membership-not-rolled-back", Tests, "-p raft-core --test random_members";
    /// A leader begins a change before it has committed an entry of its own term.
    ChangeBeforeFirstCommit = "change-before-first-commit", Tests, "-p raft-core --test golden -- change_is_refused";
    /// What a node said before it was removed and came back with another disk counts.
    EarlierLifeCounted = "earlier-life-counted", Tests, "-p raft-core --test golden -- readded_node_starts_anew";
    /// A node votes that has lost its disk and not caught up since.
    NewcomerVotes = "newcomer-votes", Tests, "-p raft-core --test golden -- newcomer_has_no_vote";
    /// A leader takes proposals while it hands over.
    ProposedDuringTransfer = "proposed-during-transfer", Tests, "-p raft-core --test golden -- transfer";

    // Reads.

    /// A read is confirmed without asking anybody.
    ReadWithoutQuorum = "read-without-quorum", Kv, "-p raft-core --test random_model";
    /// A new leader serves reads at a commit index that its predecessor may have passed.
    ReadBeforeFirstCommit = "read-before-first-commit", Kv, "-p raft-core --test random_model";
    /// A confirmed read does not wait until the state machine is there.
    ReadBeforeApplied = "read-before-applied", Kv, "-p raft-core --features node --test node_replication";
    /// A read looks at the local state, whoever leads.
    ReadServedLocally = "read-served-locally", Kv, "-p raft-core --features node --test node_replication";

    // The driver.

    /// A snapshot's state has more than its index says: entries are applied again after a restart.
    AppliedTwice = "applied-twice", Core, "-p raft-core --features node --test node_snapshots";
    /// A proposal is answered by whatever entry is applied at its index.
    AnsweredByIndex = "answered-by-index", Core, "-p raft-core --features node --lib -- waiting";

    // Storage.

    /// A batch of the log is written and not synced.
    SyncSkipped = "sync-skipped", Core, "-p raft-storage --test crash";
    /// After a failed sync of the log another one is tried, and believed.
    SyncErrorIgnored = "sync-error-ignored", Core, "-p raft-storage --test faults";
    /// The checksums of a batch's records are not looked at: a torn tail is read as if it were whole.
    TornTailAccepted = "torn-tail-accepted", Core, "-p raft-storage --test crash";
    /// Entries that were overwritten are back when the log is read.
    TruncationLost = "truncation-lost", Core, "-p raft-storage --test crash";
    /// What a recycled segment holds of its earlier life is read as a part of the log.
    RecycledRecordsAccepted = "recycled-records-accepted", Core, "-p raft-storage --test crash";
    /// The directory is not synced after a segment of the log has got its name.
    SegmentNameNotSynced = "segment-name-not-synced", Core, "-p raft-storage --test crash";
    /// The directory is not synced after a snapshot has got its name.
    SnapshotNameNotSynced = "snapshot-name-not-synced", Core, "-p raft-storage --test crash";
    /// A snapshot gets its name before its bytes are synced.
    SnapshotNotSynced = "snapshot-not-synced", Core, "-p raft-storage --test crash";

    // The key/value service.

    /// The sessions are left out of snapshots.
    SessionsNotInSnapshot = "sessions-not-in-snapshot", Kv, "-p kv --test snapshots";
    /// A write that is repeated is applied again.
    RepeatedWriteApplied = "repeated-write-applied", Kv, "-p kv --test sessions";
    /// A write in a session that has expired is applied as a new one.
    ExpiredSessionServed = "expired-session-served", Kv, "-p kv --test sessions";
    /// A clerk says that a write had no effect although an attempt was never answered.
    UnknownIsNotDone = "unknown-is-not-done", Kv, "-p kv --test clerk";
    /// A clerk repeats a write that was never answered as a new one.
    UnknownRetriedAsNew = "unknown-retried-as-new", Kv, "-p kv --test clerk";

    // Shards that move.

    /// A shard arrives without its sessions: what was done at the old owner is done again.
    SessionsLeftBehind = "sessions-left-behind", Shardkv, "-p shardkv --test sim -- unreliable2";
    /// A shard's own index begins anew where it arrives: versions and sessions come back.
    RevisionLeftBehind = "revision-left-behind", Shardkv, "-p shardkv --test sim -- join_leave";
    /// The old owner lets go of a shard before the new one says that it has it.
    DeletedBeforeConfirmed = "deleted-before-confirmed", Shardkv, "-p shardkv --test sim -- join_leave";
    /// The old owner goes on serving a shard that is frozen.
    ServedWhileFrozen = "served-while-frozen", Shardkv, "-p shardkv --test sim -- concurrent2";
    /// The new owner serves a shard before it has got it.
    ServedBeforeInstalled = "served-before-installed", Shardkv, "-p shardkv --test sim -- join_leave";
    /// A group adopts the newest configuration, not the next one.
    ConfigurationSkipped = "configuration-skipped", Shardkv, "-p shardkv --test sim -- concurrent2";
    /// A group adopts the next configuration while shards are still moving.
    UnsettledAdopted = "unsettled-adopted", Tests, "-p shardkv --test moves -- configurations_are_adopted";
    /// An install that is repeated makes the new owner begin anew.
    InstalledTwice = "installed-twice", Shardkv, "-p shardkv --test sim -- unreliable2";
    /// What has changed last is not sent.
    DeltaLost = "delta-lost", Shardkv, "-p shardkv --test sim -- concurrent2";
    /// A chunk is taken wherever the copy is: late ones bring old values back.
    ChunkTakenAnywhere = "chunk-taken-anywhere", Tests, "-p shardkv --test moves -- doubled_late";
    /// A copy is served that is not equal to the shard.
    UnequalInstalled = "unequal-installed", Tests, "-p shardkv --test moves -- not_equal";
    /// A replica of the old owner that was restored from a snapshot has forgotten what was changed.
    ChangesNotInSnapshot = "changes-not-in-snapshot", Shardkv, "-p shardkv --test snapshots -- at_every_step";
    /// A freeze or a delete of another configuration has its effect.
    FenceIgnored = "fence-ignored", Tests, "-p shardkv --test moves -- fenced";
    /// What nobody owned for a while begins empty.
    KeeperForgotten = "keeper-forgotten", Shardkv, "-p shardkv --test sim -- what_nobody_owns";
}
