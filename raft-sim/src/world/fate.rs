//! [`Fate`]: whether one incarnation of a process still lives, and where it is to die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::trace::Trace;
use crate::net::HostId;

type OnDeath = Box<dyn FnOnce() + Send>;

/// One incarnation of a process. Shared by everything through which it could have an effect: once it is dead,
/// nothing of it gets out any more, even if some of its code still runs to the next await.
#[derive(Clone)]
pub struct Fate(Arc<Inner>);

struct Inner {
    host: HostId,
    alive: AtomicBool,
    state: Mutex<State>,
    trace: Trace,
}

#[derive(Default)]
struct State {
    /// How often each named effect was reached in this incarnation.
    reached: BTreeMap<String, u64>,
    crash_at: Option<(String, u64)>,
    on_death: Vec<OnDeath>,
}

impl Fate {
    pub(crate) fn new(host: HostId, crash_at: Option<(String, u64)>, trace: Trace) -> Self {
        let state = Mutex::new(State { crash_at, ..State::default() });
        Self(Arc::new(Inner { host, alive: AtomicBool::new(true), state, trace }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it lives.
    pub fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Relaxed)
    }

    /// Reaches an effect that has a name; it dies here if it was told to. Returns whether it lives on.
    pub fn reach(&self, effect: &str) -> bool {
        if !self.is_alive() {
            return false;
        }
        let dies = {
            let mut state = self.state();
            let count = match state.reached.get_mut(effect) {
                Some(count) => count,
                None => state.reached.entry(effect.to_owned()).or_default(),
            };
            *count += 1;
            let count = *count;
            state.crash_at.as_ref().is_some_and(|(name, nth)| name == effect && *nth == count)
        };
        if dies {
            self.0.trace.event("crash-point", self.0.host.0, &[]);
            self.die();
        }
        !dies
    }

    /// How often each named effect was reached.
    pub fn reached(&self) -> BTreeMap<String, u64> {
        self.state().reached.clone()
    }

    pub(crate) fn disarm(&self) {
        self.state().crash_at = None;
    }

    /// Has `action` done when it dies: unmounting a disk, for one.
    pub fn on_death(&self, action: impl FnOnce() + Send + 'static) {
        self.state().on_death.push(Box::new(action));
    }

    pub(crate) fn die(&self) {
        if self.0.alive.swap(false, Ordering::Relaxed) {
            let actions = std::mem::take(&mut self.state().on_death);
            for action in actions {
                action();
            }
        }
    }
}
