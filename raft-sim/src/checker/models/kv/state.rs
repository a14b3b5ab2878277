//! [`KvState`]: one key, as far as it is known.

use bytes::Bytes;

use super::super::chain::Chain;
use super::{Current, Expect, Got, KvOutput, describe};

/// One key: its value, and what is known of its version. A write of which the index was not told leaves the
/// version open until somebody reads it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct KvState {
    item: Option<Item>,
    /// The last index that was told, of whatever operation. Later operations have higher ones.
    index: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Item {
    value: Chain<u8>,
    version: Version,
}

/// A version, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Version {
    Told(u64),
    /// Not told, but between these: something was decided at `above` before the write, and perhaps
    /// something at `below` after it.
    Between {
        above: u64,
        below: Option<u64>,
    },
}

impl Version {
    /// Whether the version may be this one.
    fn may_be(self, version: u64) -> bool {
        match self {
            Self::Told(told) => told == version,
            Self::Between { above, below } => {
                above < version && below.is_none_or(|below| version < below)
            }
        }
    }
}

impl KvState {
    pub(super) fn exists(&self) -> bool {
        self.item.is_some()
    }

    /// The value's length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.item.as_ref().map_or(0, |item| item.value.len() as u64)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.item.as_ref().map_or(0, |item| item.value.bytes())
    }

    pub(super) fn describe(&self) -> String {
        let Some(Item { value, version }) = &self.item else { return "missing".into() };
        let value = describe::text(&value.to_vec());
        match version {
            Version::Told(version) => format!("{value} at version {version}"),
            Version::Between { .. } => value,
        }
    }

    pub(super) fn get(&self, got: &Got) -> Option<Self> {
        match got {
            Got::Missing => (!self.exists()).then(|| self.clone()),
            Got::MissingOrEmpty => (self.len() == 0).then(|| self.clone()),
            Got::Found { value, version } => {
                let item = self.item.as_ref().filter(|item| item.value.is(value))?;
                match version {
                    Some(version) if !item.version.may_be(*version) => None,
                    Some(version) => Some(self.with_version(*version)),
                    None => Some(self.clone()),
                }
            }
        }
    }

    pub(super) fn put(&self, index: Option<u64>, value: &Bytes) -> Option<Self> {
        self.set(index, Chain::from(&**value))
    }

    pub(super) fn append(&self, index: Option<u64>, tail: &Bytes) -> Option<Self> {
        let value = match &self.item {
            Some(item) => item.value.append(tail),
            None => Chain::from(&**tail),
        };
        self.set(index, value)
    }

    pub(super) fn remove(&self, index: Option<u64>) -> Option<Self> {
        Some(Self { item: None, index: self.advance(index)? })
    }

    pub(super) fn compare_and_set(
        &self,
        expect: &Expect,
        then: Option<&Bytes>,
        output: Option<&KvOutput>,
    ) -> Option<Self> {
        match output {
            Some(KvOutput::Mismatch { index, current }) => {
                self.clone().mismatch(expect, *index, *current)
            }
            Some(KvOutput::Done { index }) => self.swap(expect, then, *index),
            // A mismatch would change nothing.
            None => self.swap(expect, then, None),
            _ => None,
        }
    }

    fn swap(&self, expect: &Expect, then: Option<&Bytes>, index: Option<u64>) -> Option<Self> {
        let met = match (expect, &self.item) {
            (Expect::Absent, item) => item.is_none(),
            (Expect::Value(value), Some(item)) => item.value.is(value),
            (Expect::Version(version), Some(item)) => item.version.may_be(*version),
            (_, None) => false,
        };
        // If the version was open it is known now: the new one is higher.
        let before = match expect {
            Expect::Version(version) if met => self.with_version(*version),
            _ => self.clone(),
        };
        match then {
            _ if !met => None,
            Some(value) => before.put(index, value),
            None => before.remove(index),
        }
    }

    fn mismatch(mut self, expect: &Expect, index: Option<u64>, current: Current) -> Option<Self> {
        match current {
            Current::Untold => {}
            Current::Absent if self.item.is_none() => {}
            Current::Version(version) if self.item.as_ref()?.version.may_be(version) => {
                self = self.with_version(version);
            }
            Current::Absent | Current::Version(_) => return None,
        }
        let met = match (expect, &self.item) {
            (Expect::Absent, item) => item.is_none(),
            (Expect::Value(value), Some(item)) => item.value.is(value),
            // While the version is open, it is not said that it is this one.
            (Expect::Version(version), Some(item)) => item.version == Version::Told(*version),
            (_, None) => false,
        };
        if met {
            return None;
        }
        let advanced = self.advance(index)?;
        if let (Some(Item { version: Version::Between { below, .. }, .. }), Some(index)) =
            (&mut self.item, index)
        {
            below.get_or_insert(index);
        }
        Some(Self { index: advanced, ..self })
    }

    /// Whether this was got, or may be after some appends.
    pub(super) fn is_start_of(&self, got: &Got) -> bool {
        match got {
            Got::Missing => !self.exists(),
            Got::MissingOrEmpty => self.len() == 0,
            // The appends have versions that may be as well, if this one's may.
            Got::Found { value, version } => {
                self.may_become(value) && version.is_none_or(|version| self.version_may_be(version))
            }
        }
    }

    /// Whether a compare-and-set may have this outcome, now or after some appends.
    pub(super) fn may_meet(&self, expect: &Expect, output: Option<&KvOutput>) -> bool {
        match output {
            Some(KvOutput::Mismatch { current, .. }) => match current {
                Current::Untold => true,
                Current::Absent => !self.exists(),
                Current::Version(version) => self.version_may_be(*version),
            },
            _ => match expect {
                Expect::Absent => !self.exists(),
                Expect::Value(value) => self.may_become(value),
                Expect::Version(version) => self.version_may_be(*version),
            },
        }
    }

    /// Whether appends may lead to this value, if it is not the value already.
    fn may_become(&self, value: &Bytes) -> bool {
        let Some(item) = &self.item else { return true };
        value.get(..item.value.len()).is_some_and(|start| item.value.is(start))
    }

    /// Whether this may be the version, or that of an append to come.
    fn version_may_be(&self, version: u64) -> bool {
        self.item.as_ref().is_none_or(|item| item.version.may_be(version))
    }

    /// The item has this version, which it may have.
    fn with_version(&self, version: u64) -> Self {
        let item = self.item.clone();
        let item = item.map(|item| Item { version: Version::Told(version), ..item });
        Self { item, index: self.index.max(version) }
    }

    fn set(&self, index: Option<u64>, value: Chain<u8>) -> Option<Self> {
        let open = Version::Between { above: self.index, below: None };
        let version = index.map_or(open, Version::Told);
        Some(Self { item: Some(Item { value, version }), index: self.advance(index)? })
    }

    /// The last index after an operation at this one.
    fn advance(&self, index: Option<u64>) -> Option<u64> {
        match index {
            Some(index) if index <= self.index => None,
            Some(index) => Some(index),
            None => Some(self.index),
        }
    }
}
