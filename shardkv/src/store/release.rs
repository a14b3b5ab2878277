//! How a shard that has left is freed.

use std::time::Duration;

use kv::Remains;
use tokio::time::sleep;

/// As many entries as are freed in well below a millisecond.
const STEP: usize = 500;
/// The time between two steps.
const PAUSE: Duration = Duration::from_millis(2);

/// Frees a shard that has left in small steps, by a task of its own: a large one at once would keep its thread
/// from all else, and in a thread of its own the processor and the allocator from all others. For
/// [`ShardStore::with_release`](super::ShardStore::with_release).
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn free_in_steps(mut remains: Remains) {
    tokio::spawn(async move {
        while remains.free(STEP) {
            sleep(PAUSE).await;
        }
    });
}
