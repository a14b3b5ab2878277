//! What we are compared with, each driven as its own users would drive it.

#[cfg(feature = "peers")]
pub(crate) mod etcd;
#[cfg(feature = "peers")]
mod etcd_rpc;
pub(crate) mod floor;
#[cfg(feature = "peers")]
pub(crate) mod openraft;
#[cfg(feature = "peers")]
mod openraft_store;
#[cfg(feature = "peers")]
pub(crate) mod raft_engine;
#[cfg(feature = "peers")]
pub(crate) mod raft_rs;

/// Why a peer is missing from a build without them.
#[cfg(not(feature = "peers"))]
pub(crate) fn not_built() -> crate::sample::Missing {
    crate::sample::Missing::Skipped(
        "built without the feature `peers`; `cargo xtask bench` turns it on".to_owned(),
    )
}
