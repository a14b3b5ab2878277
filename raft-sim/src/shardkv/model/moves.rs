//! How a shard goes from group to group, entry by entry.

use kv::Cursor;
use raft_core::GroupId;
use shardkv::{Chunk, Install, Move, Position};

use super::{Broken, Held, Model};

impl Model {
    /// Whether a move is of the configuration that a group has reached.
    fn is_now(&self, group: GroupId, of: Move) -> bool {
        self.groups.get(&group).is_some_and(|it| it.config.is_some() && it.number() == of.number())
    }

    pub(super) fn freeze(&mut self, group: GroupId, of: Move) -> Result<(), Broken> {
        let shard = of.shard();
        if self.is_now(group, of)
            && of.from() == group
            && self.held(group, shard) == Some(&Held::Leaving { to: of.to() })
        {
            let revision = self.revision(shard);
            self.hold(group, shard, Held::Frozen { to: Some(of.to()), revision });
            self.tally.one("shards frozen");
        }
        Ok(())
    }

    /// How far the copy is that the group gets by this move.
    fn position(&mut self, group: GroupId, of: Move) -> Option<&mut Position> {
        if !self.is_now(group, of) || of.to() != group {
            return None;
        }
        match self.groups.get_mut(&group)?.holdings.get_mut(&of.shard())? {
            Held::Arriving { from, position } if *from == of.from() => Some(position),
            _ => None,
        }
    }

    pub(super) fn stage(&mut self, group: GroupId, chunk: &Chunk) -> Result<(), Broken> {
        let (at, next) = (&chunk.at, &chunk.next);
        let walks = at.cursor < next.cursor && at.watermark == next.watermark;
        let follows =
            at.cursor == Cursor::End && next.cursor == Cursor::End && at.watermark < next.watermark;
        let forward = at.attempt == next.attempt && (walks || follows);
        let Some(position) = self.position(group, chunk.of) else {
            self.tally.one("chunks too late");
            return Ok(());
        };
        if position == at && forward && chunk.is_whole() {
            *position = next.clone();
            self.tally.one("chunks taken");
        } else {
            self.tally.one("chunks out of place");
        }
        Ok(())
    }

    pub(super) fn install(&mut self, group: GroupId, install: &Install) -> Result<(), Broken> {
        let (of, shard) = (install.of, install.of.shard());
        let complete = self
            .position(group, of)
            .is_some_and(|at| *at == install.at && at.cursor == Cursor::End);
        if !complete {
            self.tally.one("installs that came again");
            return Ok(());
        }
        let revision = self.revision(shard);
        let there = self.held(of.from(), shard);
        if there != Some(&Held::Frozen { to: Some(group), revision }) || !self.is_now(of.from(), of)
        {
            let what = format!("{shard} arrives in {group:?}, and is {there:?} where it was");
            return Err(Broken::new("one-group-serves", what));
        }
        let store = &self.shards[usize::from(shard.0)];
        let told = (install.keys, install.sessions, install.revision);
        let is = (store.items.len() as u64, store.sessions() as u64, revision.0);
        if told != is {
            let what =
                format!("{shard} has keys, sessions and revision {is:?}, and sends {told:?}");
            return Err(Broken::new("shards-arrive-whole", what));
        }
        self.tally.one("shards moved");
        self.tally.add("keys moved", is.0);
        self.tally.add("sessions moved", is.1);
        self.hold(group, shard, Held::Serving);
        self.serves_alone(group, shard)
    }

    pub(super) fn delete(&mut self, group: GroupId, of: Move) -> Result<(), Broken> {
        let shard = of.shard();
        let frozen = matches!(
            self.held(group, shard),
            Some(Held::Frozen { to: Some(to), .. }) if *to == of.to()
        );
        if !frozen || !self.is_now(group, of) || of.from() != group {
            return Ok(());
        }
        let to = self.groups.get(&of.to());
        let passed = to.is_some_and(|to| to.number() > of.number());
        let has = to.is_some_and(|to| {
            to.number() == of.number()
                && to.holdings.get(&shard).is_some_and(|it| !matches!(it, Held::Arriving { .. }))
        });
        if !passed && !has {
            let what = format!("{group:?} lets go of {shard} before {:?} has it", of.to());
            return Err(Broken::new("kept-until-confirmed", what));
        }
        if let Some(at) = self.groups.get_mut(&group) {
            at.holdings.remove(&shard);
        }
        Ok(())
    }
}
