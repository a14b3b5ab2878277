//! What a leader sends to its peers, and what it makes of their answers.

use super::handover::Handover;
use super::{Raft, RoleState};
use crate::catch_up::CatchUp;
use crate::progress::{Progress, State};
use crate::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Effects, Envelope, InstallProgress,
    InstallSnapshotReply, LogId, LogIndex, Message, NodeId, SnapshotRequest,
};

impl Raft {
    /// Heartbeats (paper, section 5.2), CheckQuorum (thesis, section 6.2), and a look at the own disk: a
    /// leader that cannot write, or that a quorum does not hear, makes way.
    pub(super) fn tick_leader(&mut self) {
        let RoleState::Leader(leading) = &mut self.role else { return };
        leading.heartbeat_elapsed += 1;
        leading.check_elapsed += 1;
        let heartbeat = leading.heartbeat_elapsed >= self.config.heartbeat_ticks;
        if heartbeat {
            leading.begin_round();
            leading.handover.iter_mut().for_each(Handover::ask_again);
        }
        let mut renewed = false;
        for progress in leading.peers.values_mut() {
            progress.catch_up.iter_mut().for_each(CatchUp::tick);
            renewed |= tick_transfer(progress, self.config.election_ticks, self.snapshot.as_ref());
        }
        if leading.check_elapsed >= self.config.election_ticks {
            let confirmed = leading.confirmed_round(self.config.node, self.memberships.current());
            if confirmed < leading.check_round && !planted!(NoCheckQuorum) {
                return self.become_follower(self.hard_state.term, None);
            }
            self.check_preferred();
            let RoleState::Leader(leading) = &mut self.role else { return };
            leading.check_elapsed = 0;
            leading.begin_round();
            leading.check_round = leading.round;
        }
        if self.disk_is_stalled() {
            return self.become_follower(self.hard_state.term, None);
        }
        if heartbeat {
            self.tell_removed();
        }
        if !self.tick_handover() {
            return;
        }
        if let (true, Some(newest)) = (renewed, &self.snapshot) {
            // What the older snapshot's receiver would have needed next; the log may rest for long now.
            self.forget_entries_behind(newest.last.index);
        }
    }

    pub(super) fn receive_append_entries_reply(
        &mut self,
        from: NodeId,
        reply: &AppendEntriesReply,
    ) {
        let last = self.log.last_index();
        let RoleState::Leader(leading) = &mut self.role else { return self.drop_message() };
        let round = leading.round;
        let Some(progress) = leading.heard(from, reply.round) else { return self.drop_message() };
        match reply.outcome {
            // Nobody has, or misses, what was never sent.
            AppendOutcome::Accepted { matched: index }
            | AppendOutcome::Rejected { prev: index, .. }
                if index > last =>
            {
                self.drop_message();
            }
            AppendOutcome::Accepted { matched } => {
                let (before, grown) = (progress.matched, matched > progress.matched);
                progress.accept(matched);
                if let Some(catch_up) = &mut progress.catch_up {
                    catch_up.heard(matched, last);
                }
                if grown {
                    self.end_needless_transfer(from);
                    self.advance_commit();
                    self.end_keeping(before, matched);
                }
            }
            AppendOutcome::Rejected { prev, hint } if progress.is_news(prev, reply.round) => {
                let limit = hint.index.min(prev.prev());
                // Behind the compaction point nothing can agree: the peer gets the snapshot.
                let agreed = if limit < self.log.compacted().index {
                    limit
                } else {
                    self.log.last_of_term_at_most(hint.term, limit).index
                };
                progress.reject(agreed.next(), round);
            }
            AppendOutcome::Rejected { .. } => {}
            AppendOutcome::Overloaded => progress.hold(),
        }
        self.confirm_reads();
    }

    /// A peer has more than it had: if it has caught up with the newest snapshot, what was kept for it behind that
    /// is not needed any more. The log may rest for long now.
    fn end_keeping(&mut self, before: LogIndex, matched: LogIndex) {
        let newest = self.snapshot.as_ref().map_or(LogIndex::ZERO, |newest| newest.last.index);
        if before < newest && newest <= matched {
            self.forget_entries_behind(newest);
        }
    }

    /// A peer that turned out to have what the log begins with needs no snapshot.
    fn end_needless_transfer(&mut self, peer: NodeId) {
        let compacted = self.log.compacted().index;
        let RoleState::Leader(leading) = &mut self.role else { return };
        if let Some(progress) = leading.peers.get_mut(&peer)
            && matches!(progress.state, State::Snapshot(_))
            && progress.matched >= compacted
        {
            progress.probe(progress.matched.next());
        }
    }

    pub(super) fn receive_install_snapshot_reply(
        &mut self,
        from: NodeId,
        reply: &InstallSnapshotReply,
    ) {
        let last = self.log.last_index();
        let RoleState::Leader(leading) = &mut self.role else { return self.drop_message() };
        let Some(progress) = leading.heard(from, reply.round) else { return self.drop_message() };
        match (&mut progress.state, reply.progress) {
            (State::Snapshot(transfer), InstallProgress::Receiving { next_offset })
                if transfer.meta.last == reply.last =>
            {
                transfer.offset = next_offset;
                transfer.requested = false;
                transfer.idle_ticks = 0;
            }
            (State::Snapshot(transfer), InstallProgress::Installed)
                if transfer.meta.last == reply.last && reply.last.index <= last =>
            {
                progress.matched = progress.matched.max(reply.last.index);
                progress.probe(reply.last.index.next());
                self.advance_commit();
            }
            _ => {}
        }
        self.confirm_reads();
    }

    /// Hands out what each peer is to get now: entries while there are any and its window has room, and
    /// a sign of life when one is due.
    pub(super) fn drain_peers(&mut self, effects: &mut Effects) {
        let RoleState::Leader(leading) = &mut self.role else { return };
        let (round, term) = (leading.round, self.hard_state.term);
        let sender = Sender {
            config: &self.config,
            log: &self.log,
            snapshot: self.snapshot.as_ref(),
            commit: self.commit,
            round,
            term,
        };
        // To a learner it speaks when it knows what is committed: see `join`.
        let knows = self.commit >= leading.term_start;
        for (peer, progress) in &mut leading.peers {
            if knows || progress.catch_up.is_none() {
                sender.drain(*peer, progress, effects);
            }
        }
    }
}

/// Asks again for a chunk that got no answer. Begins anew with the newest snapshot when nothing of an
/// older one has arrived, or when it got stuck: it may be gone from the store. Says whether it did that.
fn tick_transfer(
    progress: &mut Progress,
    patience: u32,
    newest: Option<&crate::SnapshotMeta>,
) -> bool {
    let State::Snapshot(transfer) = &mut progress.state else { return false };
    transfer.idle_ticks += 1;
    if !transfer.idle_ticks.is_multiple_of(patience) {
        return false;
    }
    let stuck = transfer.idle_ticks >= STUCK * patience;
    match newest.filter(|newest| newest.last != transfer.meta.last) {
        Some(newest) if transfer.offset == 0 || stuck => {
            progress.send_snapshot(newest.clone());
            true
        }
        _ => {
            transfer.requested = false;
            false
        }
    }
}

/// How many times a chunk is asked for before the transfer counts as stuck.
const STUCK: u32 = 8;

/// What all messages of one turn of a leader have in common.
struct Sender<'a> {
    config: &'a crate::Config,
    log: &'a crate::log::Log,
    snapshot: Option<&'a crate::SnapshotMeta>,
    commit: LogIndex,
    round: crate::Round,
    term: crate::Term,
}

impl Sender<'_> {
    fn drain(&self, peer: NodeId, progress: &mut Progress, effects: &mut Effects) {
        if !matches!(progress.state, State::Snapshot(_))
            && progress.next.prev() < self.log.compacted().index
        {
            let meta = self.snapshot.expect("the log is compacted only behind a snapshot");
            progress.send_snapshot(meta.clone());
        }
        let due = core::mem::take(&mut progress.heartbeat_due);
        match &mut progress.state {
            State::Probe { asked } => {
                if due || !core::mem::replace(asked, true) {
                    *asked = true;
                    self.heartbeat(peer, self.prev(progress.next), effects);
                }
            }
            State::Replicate(_) => {
                self.fill_window(peer, progress, effects);
                // A heartbeat speaks of the tip of what was sent: when entries were lost on the way,
                // its rejection says so. It is sent besides entries, for they are answered only when
                // they are durable.
                if due {
                    self.heartbeat(peer, self.prev(progress.next), effects);
                }
            }
            State::Snapshot(transfer) => {
                if due {
                    self.heartbeat(peer, LogId::ZERO, effects);
                }
                if !core::mem::replace(&mut transfer.requested, true) {
                    effects.snapshots.push(SnapshotRequest {
                        group: self.config.group,
                        to: peer,
                        term: self.term,
                        round: self.round,
                        meta: transfer.meta.clone(),
                        offset: transfer.offset,
                    });
                }
            }
        }
    }

    fn fill_window(&self, peer: NodeId, progress: &mut Progress, effects: &mut Effects) {
        let State::Replicate(window) = &mut progress.state else { return };
        while progress.next <= self.log.last_index()
            && window.has_room(self.config.window_messages_max, self.config.window_bytes_max)
        {
            let prev = self.prev(progress.next);
            let (entries, bytes) =
                self.log.batch(progress.next, self.log.last_index(), self.config.append_bytes_max);
            let last = LogIndex(prev.index.0 + entries.len() as u64);
            window.add(last, bytes);
            progress.next = last.next();
            self.append(peer, prev, entries, effects);
        }
    }

    fn prev(&self, next: LogIndex) -> LogId {
        let index = next.prev();
        let term = self.log.term_at(index).expect("what comes before the next entry is known");
        LogId::new(term, index)
    }

    fn heartbeat(&self, peer: NodeId, prev: LogId, effects: &mut Effects) {
        self.append(peer, prev, alloc::vec::Vec::new(), effects);
    }

    fn append(
        &self,
        peer: NodeId,
        prev: LogId,
        entries: alloc::vec::Vec<crate::Entry>,
        effects: &mut Effects,
    ) {
        let (commit, round) = (self.commit, self.round);
        effects.messages.push(Envelope {
            group: self.config.group,
            from: self.config.node,
            to: peer,
            term: self.term,
            message: Message::AppendEntries(AppendEntries { prev, entries, commit, round }),
        });
    }
}
