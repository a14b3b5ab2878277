//! What the scenarios of the labs' key/value service have in common.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses its part")]

mod generic;
mod seeds;
mod world;

pub use self::generic::{Crashes, Generic, Keys, Partitions};
pub use self::seeds::{Over, seeds};
pub use self::world::{Net, Seen, World};

use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

pub const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
