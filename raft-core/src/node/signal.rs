//! What the other tasks of a node tell its loop.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::StopReason;
use super::mailbox::Mailbox;
use super::serve::Served;
use super::slot::Join;

/// The loop's mailbox. Bounded by construction: at most one `Ready` for each group, one `Served` for
/// each snapshot that is being sent, one `Join` for each call of `add_group`; `Stop` ends the loop.
pub(super) type Signals = Mailbox<Signal>;

/// Which of the loop's groups: its position there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Token(pub(super) usize);

/// Something for the loop.
pub(super) enum Signal {
    /// There is something in the inbox of this group.
    Ready(Token),
    /// A chunk of a snapshot was read, or could not be.
    Served(Box<Served>),
    /// A group wants to run.
    Join(Box<Join>),
    /// The node has to stop.
    Stop(StopReason),
}

impl Signal {
    /// Why the node has to stop, if this says so.
    pub(super) fn stop(&self) -> Option<&StopReason> {
        match self {
            Self::Stop(reason) => Some(reason),
            _ => None,
        }
    }
}

/// How the inbox of a group calls the loop.
#[derive(Clone)]
pub(super) struct Bell {
    pub(super) token: Token,
    pub(super) signals: Arc<Signals>,
}

impl Bell {
    /// Has the loop look into the group's inbox.
    pub(super) fn ring(&self) {
        // Refused only when the loop has ended; then the inbox is closed too, or about to be.
        let _ = self.signals.push(Signal::Ready(self.token));
    }

    /// Has the node stop.
    pub(super) fn stop(&self, reason: StopReason) {
        let _ = self.signals.push(Signal::Stop(reason));
    }
}
