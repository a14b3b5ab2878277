//! The tokio driver: runs the cores of many groups over one [`Storage`] and one [`Transport`].
//!
//! # One loop, one writer, appliers beside it
//!
//! A [`Node`] has one **loop**, a task that alone touches the cores. In a *turn* it takes whatever has
//! happened (messages, finished writes, a tick, the inboxes of the groups), steps the groups concerned,
//! and drains them into one [`Effects`](crate::Effects): one call of the transport carries the messages
//! of all groups, one call of the storage their writes. The **writer** begins the next call when the one
//! before is durable, with all that has gathered meanwhile: load makes larger batches, without a timer.
//! Each group has an **applier**, a task that owns the way to the state machine: a slow `apply` delays
//! no heartbeat. Snapshots are written, and read for laggards, by tasks of their own.
//!
//! ```text
//! Group::propose ──> inbox ──> loop: Raft ──> transport, writer
//!        ^                       │  ^
//!        └──── answer ── applier <┘  └── durable, applied, messages, ticks
//! ```
//!
//! A **handle** ([`Group`]) may be used from anywhere. What a client asks for gets exactly one answer;
//! nobody waits for a node that has stopped. [`Group::append`] splits the answer to a proposal in two: the
//! loop says which entry the command became in the turn that takes it, the applier what came of it.
//!
//! # Invariants
//!
//! 1. A proposal is answered with an output only when the entry with its [`LogId`](crate::LogId) was
//!    applied here, and as rejected only when it was never appended. Everything else is `Unknown`.
//! 2. After an error of [`Storage::write`] it is never called again: the node stops and says why.
//! 3. Every queue has a bound: an inbox in bytes ([`GroupConfig::inbox_bytes_max`]), reads in number
//!    ([`Config::reads_max`](crate::Config::reads_max)), the writer's and the appliers' queues in bytes by
//!    the core, snapshot transfers in number ([`NodeConfig::snapshot_sends_max`]).
//! 4. Time is tokio's; there is no thread and nothing random here. On a runtime with one thread and a
//!    paused clock, the same events make the same run.
//! 5. Dropping a node is a crash: nothing is sent, written or applied afterwards. Whoever waits learns
//!    that the outcome is unknown.

mod applier;
mod change;
mod compact;
mod config;
mod driver;
mod error;
mod group;
mod handing;
mod inbox;
mod lock;
mod machine;
mod mailbox;
mod serve;
mod shared;
mod signal;
mod slot;
mod start;
mod status;
mod tasks;
mod turns;
mod waiting;
pub mod watch;
mod writer;

use alloc::string::ToString;
use alloc::sync::Arc;

use tokio::sync::Mutex as AsyncMutex;
use tokio::task::{AbortHandle, JoinHandle};

use self::driver::{Driver, Surroundings};
use self::lock::{Mutex, lock};
use self::signal::{Signal, Signals};
use self::start::Registry;
use self::tasks::{Panicked, Tasks};
use crate::{StateMachine, Storage, Transport};

pub use self::config::{GroupConfig, NodeConfig};
pub use self::error::{
    Applied, ChangeError, GroupEnd, HandoverError, ProposalError, QueryError, SnapshotError,
    StartError, StopReason,
};
pub use self::group::{Appended, Group};
pub use self::status::{GroupStatus, NodeStatus};

/// A node: drives all its groups over one storage and one transport, until it is shut down, dropped, or
/// something fails.
pub struct Node {
    inner: Arc<Inner>,
    stopped: watch::Receiver<Option<StopReason>>,
    main: AsyncMutex<Option<JoinHandle<()>>>,
    abort: AbortHandle,
}

/// What a node shares with its loop.
struct Inner {
    config: NodeConfig,
    storage: Arc<dyn Storage>,
    transport: Arc<dyn Transport>,
    signals: Arc<Signals>,
    tasks: Tasks,
    status: Mutex<NodeStatus>,
    registry: Mutex<Registry>,
}

impl Node {
    /// Starts a node without groups.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its time enabled, or when the configured tick is zero.
    pub fn start(
        config: NodeConfig,
        storage: Arc<dyn Storage>,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let inner = Arc::new(Inner {
            config,
            storage,
            transport,
            signals: Arc::new(Signals::new()),
            tasks: Tasks::new(),
            status: Mutex::new(NodeStatus::default()),
            registry: Mutex::new(Registry::default()),
        });
        let (stopping, stopped) = watch::channel(None);
        let main = tokio::spawn(run(inner.clone(), stopping));
        let abort = main.abort_handle();
        Self { inner, stopped, main: AsyncMutex::new(Some(main)), abort }
    }

    /// Loads the group from the storage and runs it: its snapshot is restored into `machine`, which must
    /// be in its initial state, and its log is applied as it becomes known to be committed.
    ///
    /// # Errors
    ///
    /// See [`StartError`]; the group does not run then.
    pub async fn add_group<S: StateMachine>(
        &self,
        config: GroupConfig,
        machine: S,
    ) -> Result<Group<S>, StartError> {
        start::add_group(&self.inner, config, machine).await
    }

    /// A look at the node, as of its loop's last turn.
    pub fn status(&self) -> NodeStatus {
        *lock(&self.inner.status)
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.stopped.clone();
        let reason = stopped.wait_for(Option::is_some).await;
        // The loop ends without a reason only by a panic of its own, or with its runtime.
        reason.ok().flatten().unwrap_or_else(|| {
            StopReason::Panicked("the loop of the node ended without a reason".to_string())
        })
    }

    /// Stops the node: proposals in flight are answered `Unknown`. Returns when nothing of it runs any
    /// more; a write that the storage has begun may or may not become durable.
    pub async fn shutdown(&self) {
        // Refused when it has stopped already.
        let _ = self.inner.signals.push(Signal::Stop(StopReason::Shutdown));
        // Whoever comes second waits here for the first.
        if let Some(main) = self.main.lock().await.take() {
            // An error is a panic of the loop: it has ended all the same, and `stopped` tells.
            let _ = main.await;
        }
        self.inner.tasks.shutdown().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.abort.abort();
        self.inner.tasks.abort();
    }
}

/// The loop from its beginning to its end.
async fn run(inner: Arc<Inner>, stopping: watch::Sender<Option<StopReason>>) {
    let mut driver = Driver::new(Surroundings {
        config: &inner.config,
        storage: &inner.storage,
        transport: &*inner.transport,
        signals: &inner.signals,
        tasks: &inner.tasks,
        status: &inner.status,
    });
    let reason = driver.run().await;
    // Appliers first: whoever is told that the outcome is unknown is told so for good.
    inner.tasks.shutdown().await;
    drop(driver);
    stopping.send_replace(Some(reason));
}

impl From<Panicked> for StopReason {
    fn from(_: Panicked) -> Self {
        Self::Panicked("a state machine or a snapshot of it".to_string())
    }
}
