//! Addresses, and the list of a cluster's nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use raft_core::Address;
use serde::Deserialize;

/// A host and a port, as in `127.0.0.1:7101`, `node-a:7101` or `[::1]:7101`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HostPort(pub(crate) String);

impl HostPort {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn address(&self) -> Address {
        Address(self.0.clone())
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("`{text}` has no port; write it like `127.0.0.1:7101`"))?;
        if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
            return Err(format!(
                "`{text}` has no host; write it like `127.0.0.1:7101`, or `[::1]:7101` for IPv6"
            ));
        }
        match port.parse::<u16>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(format!("`{text}`: the port is a number from 0 to 65535")),
        }
    }
}

impl TryFrom<String> for HostPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The nodes of a cluster, by id.
#[derive(Clone, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "BTreeMap<String, HostPort>")]
pub(crate) struct Peers(pub(crate) BTreeMap<u64, HostPort>);

fn node_id(text: &str) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a node id: a number from 1 on")),
        Ok(id) => Ok(id),
    }
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut peers = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (id, at) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` is not a peer; write it like `1=127.0.0.1:7101`")
            })?;
            let id = node_id(id)?;
            if peers.insert(id, at.trim().parse()?).is_some() {
                return Err(format!("node {id} is listed twice"));
            }
        }
        Ok(Self(peers))
    }
}

impl TryFrom<BTreeMap<String, HostPort>> for Peers {
    type Error = String;

    fn try_from(table: BTreeMap<String, HostPort>) -> Result<Self, String> {
        let mut peers = BTreeMap::new();
        for (id, at) in table {
            let id = node_id(&id)?;
            if peers.insert(id, at).is_some() {
                return Err(format!("node {id} is listed twice"));
            }
        }
        Ok(Self(peers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_ids_and_addresses() {
        let peers: Peers = "1=127.0.0.1:7101, 2=node-b:7101,3=[::1]:7103".parse().unwrap();
        assert_eq!(peers.0[&2].0, "node-b:7101");
        assert_eq!(peers.0.len(), 3);
        for (text, says) in [
            ("7101", "is not a peer"),
            ("0=a:1", "is not a node id"),
            ("1=a", "has no port"),
            ("1=::1", "has no host"),
            ("1=a:70000", "0 to 65535"),
            ("1=a:1,1=b:1", "listed twice"),
        ] {
            let error = text.parse::<Peers>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
