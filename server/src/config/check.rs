//! What the settings must be together, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use raft_core::{Address, GroupId, NodeId};

use super::groups::Groups;
use super::{CONTROLLER, Config, Mode, PLAIN, Security};
use crate::exit::{Done, Failure};
use crate::units::{Size, Span};

impl Config {
    /// Whether the settings make sense together.
    pub(super) fn check(&self) -> Done {
        self.check_required()?;
        self.check_clock()?;
        self.check_reachable()?;
        self.check_security()?;
        self.check_groups()?;
        check_size("key_bytes_max", self.key_bytes_max.value, Size::mib(1))?;
        check_size("value_bytes_max", self.value_bytes_max.value, Size::mib(4))?;
        if self.in_flight_bytes_max.value < Size::mib(16) {
            return Err(Failure::usage("in_flight_bytes_max must be at least 16MiB"));
        }
        match self.clients_max.value {
            0 => Err(Failure::usage("clients_max must be at least 1")),
            _ => Ok(()),
        }
    }

    fn check_required(&self) -> Done {
        if self.contact().is_some() {
            return Ok(());
        }
        let missing = [
            ("cluster_id", self.cluster_id.value == 0),
            ("node_id", self.node_id.value == 0),
            ("data_dir", self.data_dir.value.as_os_str().is_empty()),
        ];
        match missing.iter().find(|(_, is_missing)| *is_missing) {
            None => Ok(()),
            Some((name, _)) => {
                let (flag, env) = (name.replace('_', "-"), name.to_uppercase());
                Err(Failure::usage(format!("`{name}` is not set")).hint(format!(
                    "give --{flag}, or SHARDKV_{env} in the environment, or {name} in the file of \
                     --config"
                )))
            }
        }
    }

    /// A node that listens everywhere must say where it is reached: `0.0.0.0` is nowhere.
    fn check_reachable(&self) -> Done {
        let listen = &self.listen.value.0;
        let everywhere = ["0.0.0.0:", "[::]:"].iter().any(|host| listen.starts_with(host));
        let listed = self.peers.value.0.contains_key(&self.node_id.value);
        if everywhere && self.advertise.value.0.is_empty() && !listed {
            return Err(Failure::usage(format!("nobody can reach this node at {listen}")).hint(
                "say where it is reached with --advertise HOST:PORT, or list it in `peers`",
            ));
        }
        Ok(())
    }

    /// Plaintext stays on this machine, unless somebody wants it otherwise and says so.
    fn check_security(&self) -> Done {
        let all = self.peers.value.0.values();
        let all = all.chain([&self.listen.value, &self.advertise.value, &self.join.value]);
        self.security()?.check(all.filter(|at| !at.0.is_empty()))
    }

    /// What connections are to be secured by.
    pub(crate) fn security(&self) -> Result<Security, Failure> {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        let files = files.map(|file| Some(&file.value).filter(|path| !path.as_os_str().is_empty()));
        Security::of(self.transport.value, files, self.insecure_plaintext.value)
    }

    /// Where everything is must be known to every node: where the controller is above all.
    fn check_groups(&self) -> Done {
        if !(1..=16_384).contains(&self.shards.value) {
            return Err(Failure::usage("shards must be from 1 to 16384"));
        }
        if self.mode.value == Mode::Plain {
            return match self.groups.value.0.is_empty() {
                true => Ok(()),
                false => Err(Failure::usage("`groups` is set, and a plain cluster has none")
                    .hint("leave one of `groups` and mode = \"plain\" out")),
            };
        }
        if self.contact().is_some() {
            return match self.groups.value.0.is_empty() {
                true => Ok(()),
                false => Err(Failure::usage("`groups` is set, and so is `join`")
                    .hint("a node that joins is given its groups: `join_groups` says which")),
            };
        }
        let own = NodeId(self.node_id.value);
        let groups = self.groups();
        if !groups.contains_key(&CONTROLLER) {
            return Err(Failure::usage("`groups` does not say where the controller is")
                .hint("group 0 is the controller: list its nodes, like 0=1+2+3"));
        }
        if !groups.values().any(|nodes| nodes.contains(&own)) {
            return Err(Failure::usage(format!("`groups` has no group on node {}", own.0))
                .hint("list this node in a group, or give the node its own number"));
        }
        let known = self.members();
        match groups.values().flatten().find(|node| !known.contains(node)) {
            None => Ok(()),
            Some(node) => Err(Failure::usage(format!(
                "`groups` has a replica on node {}, and `peers` does not say where that is",
                node.0
            ))),
        }
    }

    fn check_clock(&self) -> Done {
        let tick = self.tick.value;
        if tick < Span::millis(5) || tick > Span::secs(10) {
            return Err(Failure::usage(format!("tick is {tick} and must be from 5ms to 10s")));
        }
        for (name, span) in
            [("election_timeout", self.election_timeout.value), ("heartbeat", self.heartbeat.value)]
        {
            if ticks(span, tick).is_none() {
                return Err(Failure::usage(format!(
                    "{name} is {span} and must be a multiple of tick, which is {tick}"
                )));
            }
        }
        if self.election_timeout.value <= self.heartbeat.value {
            return Err(Failure::usage(format!(
                "election_timeout is {} and must be longer than heartbeat, which is {}",
                self.election_timeout.value, self.heartbeat.value
            ))
            .hint("five to ten heartbeats are usual"));
        }
        if ticks(self.election_timeout.value, tick).is_some_and(|ticks| ticks < 3) {
            return Err(Failure::usage("election_timeout must be at least three ticks"));
        }
        Ok(())
    }

    pub(crate) fn election_ticks(&self) -> u32 {
        ticks(self.election_timeout.value, self.tick.value).unwrap_or(10)
    }

    pub(crate) fn heartbeat_ticks(&self) -> u32 {
        ticks(self.heartbeat.value, self.tick.value).unwrap_or(2)
    }

    /// The groups that are made with the nodes that the settings say; none when the node joins.
    pub(crate) fn made_groups(&self) -> BTreeMap<GroupId, BTreeSet<NodeId>> {
        match (self.contact(), self.mode.value) {
            (Some(_), _) => BTreeMap::new(),
            (None, Mode::Plain) => [(PLAIN, self.members().into_iter().collect())].into(),
            (None, Mode::Sharded) => {
                let groups = self.groups().into_iter();
                groups.map(|(group, nodes)| (group, nodes.into_iter().collect())).collect()
            }
        }
    }

    /// The groups of the cluster and their nodes; none of a plain one.
    fn groups(&self) -> BTreeMap<GroupId, Vec<NodeId>> {
        if self.mode.value == Mode::Plain {
            return BTreeMap::new();
        }
        let groups = match self.groups.value.0.is_empty() {
            true => Groups::of_all(&self.members()),
            false => self.groups.value.clone(),
        };
        let nodes = |nodes: BTreeSet<u64>| nodes.into_iter().map(NodeId).collect();
        groups.0.into_iter().map(|(group, of)| (GroupId(group), nodes(of))).collect()
    }

    /// The nodes of the cluster, this one among them.
    pub(crate) fn members(&self) -> Vec<NodeId> {
        let mut ids: Vec<_> = self.peers.value.0.keys().copied().map(NodeId).collect();
        let own = NodeId(self.node_id.value);
        if !ids.contains(&own) {
            ids.push(own);
        }
        ids
    }

    /// Where this node is reached, when it listens at `bound`.
    pub(crate) fn advertised(&self, bound: &Address) -> Address {
        if !self.advertise.value.0.is_empty() {
            return self.advertise.value.address();
        }
        let listed = self.peers.value.0.get(&self.node_id.value);
        listed.map_or_else(|| bound.clone(), super::HostPort::address)
    }
}

fn check_size(name: &str, size: Size, size_max: Size) -> Done {
    match size.0 >= 1 && size <= size_max {
        true => Ok(()),
        false => Err(Failure::usage(format!("{name} is {size} and must be from 1B to {size_max}"))),
    }
}

/// How many ticks `span` has; none if they do not fill it exactly.
fn ticks(span: Span, tick: Span) -> Option<u32> {
    let (span, tick) = (span.0.as_micros(), tick.0.as_micros());
    let whole = tick > 0 && span > 0 && span.is_multiple_of(tick);
    whole.then(|| span / tick).and_then(|ticks| u32::try_from(ticks).ok())
}
