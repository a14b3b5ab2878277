//! What must hold of the configurations: they are numbered without a gap, never change, and each follows from the one
//! before by as few moves as can be.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::{GroupId, NodeId};
use shardctrler::{ConfigNumber, Configuration, Controller, ShardId};

use super::model::Broken;

/// All configurations that anybody has had.
#[derive(Default)]
pub(super) struct Configurations {
    all: BTreeMap<ConfigNumber, Known>,
    /// What each controller had when it was last looked at.
    looked: BTreeMap<NodeId, ConfigNumber>,
}

struct Known {
    config: Configuration,
    /// Who owned each shard last, with this configuration.
    keepers: BTreeMap<ShardId, GroupId>,
}

impl Configurations {
    /// The newest of which somebody knows.
    pub(super) fn newest(&self) -> Option<&Configuration> {
        self.all.last_key_value().map(|(_, known)| &known.config)
    }

    /// Who owned a shard last, before the configuration of this number.
    pub(super) fn keeper_before(&self, number: ConfigNumber, shard: ShardId) -> Option<GroupId> {
        let (_, known) = self.all.range(..number).next_back()?;
        known.keepers.get(&shard).copied()
    }

    /// A controller has made a step.
    pub(super) fn look(&mut self, node: NodeId, controller: &Controller) -> Result<(), Broken> {
        let Some(newest) = controller.newest() else { return Ok(()) };
        let from = self.looked.get(&node).copied().filter(|from| *from <= newest.number());
        let mut number = from.map_or(controller.oldest(), ConfigNumber::next);
        while number <= newest.number() {
            if let Ok(Some(config)) = controller.configuration(number) {
                self.learn(&config)?;
            }
            number = number.next();
        }
        self.looked.insert(node, newest.number());
        Ok(())
    }

    /// Somebody has this configuration.
    pub(super) fn learn(&mut self, config: &Configuration) -> Result<(), Broken> {
        let number = config.number();
        if let Some(known) = self.all.get(&number) {
            return match known.config == *config {
                true => Ok(()),
                false => Err(Broken::new(
                    "configurations-stay",
                    format!("{number:?} was {:?} and is {config:?}", known.config),
                )),
            };
        }
        let before = self.all.last_key_value();
        let mut keepers = before.map(|(_, known)| known.keepers.clone()).unwrap_or_default();
        if let Some((_, before)) = before {
            follows(&before.config, config)
                .map_err(|what| Broken::new("configurations-follow", what))?;
        }
        keepers.extend(config.shards().filter_map(|(shard, owner)| Some((shard, owner?))));
        self.all.insert(number, Known { config: config.clone(), keepers });
        Ok(())
    }
}

/// Whether a configuration may come after another.
fn follows(before: &Configuration, after: &Configuration) -> Result<(), String> {
    let number = after.number();
    if number != before.number().next() {
        return Err(format!("{number:?} comes after {:?}", before.number()));
    }
    if (before.cluster(), before.shard_count()) != (after.cluster(), after.shard_count()) {
        return Err(format!("{number:?} is of another cluster"));
    }
    for (shard, owner) in after.shards() {
        let owned = owner.is_some_and(|owner| after.group(owner).is_some());
        if owned == after.groups().is_empty() {
            return Err(format!("in {number:?}, {shard} is owned by {owner:?}"));
        }
    }
    if after.pinned().is_empty() && !after.is_balanced() {
        return Err(format!("{number:?} is not balanced: {after:?}"));
    }
    // Whoever loses a shard and gets another could have kept it.
    let moves: Vec<_> = after.moves_since(before).collect();
    let lose: BTreeSet<GroupId> = moves.iter().filter_map(|moved| moved.from).collect();
    let both = moves.iter().filter_map(|moved| moved.to).find(|to| lose.contains(to));
    match both {
        Some(group) => Err(format!("in {number:?}, {group:?} loses shards and gets others")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use raft_core::{Address, ClusterId};
    use shardctrler::{Change, Group, Limits, ShardCount};

    use super::*;

    fn changed(before: &Configuration, change: Change) -> Configuration {
        change.apply(before, &Limits::default()).expect("a change")
    }

    fn join(group: u64) -> Change {
        let servers = [(NodeId(group), Address(format!("n{group}:1")))];
        Change::Join([(GroupId(group), Group::new(servers))].into())
    }

    fn empty() -> Configuration {
        Configuration::empty(ClusterId(1), ShardCount::new(4).expect("four"))
    }

    #[test]
    fn what_changes_make_follows() {
        let mut all = Configurations::default();
        let mut config = empty();
        all.learn(&config).expect("the first");
        for change in [
            join(1),
            join(2),
            Change::Move { shard: ShardId(0), to: GroupId(2) },
            Change::Leave([GroupId(1)].into()),
            Change::Leave([GroupId(2)].into()),
            join(3),
        ] {
            config = changed(&config, change);
            all.learn(&config).expect("it follows");
        }
        assert_eq!(all.newest().expect("some").number(), ConfigNumber(6));
        let keeper = all.keeper_before(ConfigNumber(6), ShardId(3));
        assert_eq!(keeper, Some(GroupId(2)), "the last that was there");
    }

    #[test]
    fn another_configuration_of_the_same_number_is_found() {
        let mut all = Configurations::default();
        all.learn(&changed(&empty(), join(1))).expect("the first");
        let broken = all.learn(&changed(&empty(), join(2))).expect_err("another");
        assert_eq!(broken.invariant, "configurations-stay");
    }

    #[test]
    fn gaps_and_needless_moves_are_found() {
        let one = changed(&empty(), join(1));
        let two = changed(&one, join(2));
        assert!(follows(&empty(), &two).is_err(), "a gap");
        // Both groups lose and get shards: what was the one's is the other's.
        let swapped = changed(&changed(&empty(), join(2)), join(1));
        let swapped = changed(&swapped, Change::Rebalance { weights: BTreeMap::new() });
        assert!(follows(&two, &swapped).is_err(), "{two:?} {swapped:?}");
    }
}
