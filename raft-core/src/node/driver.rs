//! The loop: the only task that touches the cores.
//!
//! ```text
//! wait for any of: the disk, messages, a tick, the mailbox
//! step the groups that these concern                       -> they are dirty
//! drain the dirty groups into one Effects
//! send the messages of all of them          (one call)
//! write the writes of all of them           (one call, when none is under way)
//! ```
//!
//! Messages leave before the writes begin: the core holds back what may not, so that a leader's disk and
//! its followers' work at the same time. When the store is ready at once, the second half is done again in
//! the same turn, and an acknowledgement leaves without another wake-up.
//!
//! A turn takes what is there and then gives way to the other tasks of its thread, sockets among them, even
//! when there is more by then.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::mem;
use core::task::{Context, Poll};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::lock::{Mutex, lock};
use super::serve::{Serving, is_intact};
use super::signal::{Signal, Signals, Token};
use super::slot::{Join, Slot};
use super::tasks::Tasks;
use super::turns::Turns;
use super::writer::{Mark, Writer};
use super::{NodeConfig, NodeStatus, StartError, StopReason};
use crate::{BoxFuture, Effects, Envelope, GroupId, NodeId, Storage, Transport, TransportClosed};

/// What the loop needs of its node, which outlives it.
pub(super) struct Surroundings<'a> {
    pub(super) config: &'a NodeConfig,
    pub(super) storage: &'a Arc<dyn Storage>,
    pub(super) transport: &'a dyn Transport,
    pub(super) signals: &'a Arc<Signals>,
    pub(super) tasks: &'a Tasks,
    pub(super) status: &'a Mutex<NodeStatus>,
}

/// The loop's state. Dropping it answers everybody who waits, and nothing else: no message leaves and
/// nothing is written.
pub(super) struct Driver<'a> {
    id: NodeId,
    storage: &'a Arc<dyn Storage>,
    transport: &'a dyn Transport,
    signals: &'a Arc<Signals>,
    tasks: &'a Tasks,
    status: &'a Mutex<NodeStatus>,
    ticks: Interval,
    writer: Writer<'a>,
    serving: Serving,
    turns: Turns,
    /// By [`Token`].
    slots: Vec<Option<Slot>>,
    tokens: BTreeMap<GroupId, Token>,
    /// Groups to drain, each once.
    dirty: Vec<Token>,
    counted: NodeStatus,
    // Room that is used turn after turn; empty between them, except what a wait has brought.
    effects: Effects,
    marks: Vec<Mark>,
    durable: Vec<Mark>,
    arrived: Vec<Envelope>,
    heard: Vec<Signal>,
}

/// How often a turn drains when the store is ready at once. An election in a group of one needs three: its
/// vote, its no-op, and the commit.
const ROUNDS_MAX: usize = 4;

/// Whether time has passed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tick {
    No,
    Yes,
}

impl<'a> Driver<'a> {
    pub(super) fn new(around: Surroundings<'a>) -> Self {
        let Surroundings { config, storage, transport, signals, tasks, status } = around;
        let mut ticks = interval_at(Instant::now() + config.tick, config.tick);
        // After a pause of the process: one tick, and the next a whole period later. A burst would
        // look like silence of the others and begin an election.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            id: config.id,
            storage,
            transport,
            signals,
            tasks,
            status,
            ticks,
            writer: Writer::new(&**storage),
            serving: Serving::new(config, storage.clone(), signals.clone()),
            turns: Turns::default(),
            slots: Vec::new(),
            tokens: BTreeMap::new(),
            dirty: Vec::new(),
            counted: NodeStatus::default(),
            effects: Effects::default(),
            marks: Vec::new(),
            durable: Vec::new(),
            arrived: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Runs until the node has to stop.
    pub(super) async fn run(&mut self) -> StopReason {
        loop {
            let turn = async {
                let tick = self.wait().await?;
                self.turn(tick).await
            };
            if let Err(reason) = turn.await {
                return reason;
            }
        }
    }

    /// Waits until there is something to do and takes all that is there.
    async fn wait(&mut self) -> Result<Tick, StopReason> {
        let mut sources = Sources {
            writer: &mut self.writer,
            durable: &mut self.durable,
            ticks: &mut self.ticks,
            signals: self.signals,
            heard: &mut self.heard,
            receive: Some(self.transport.receive(&mut self.arrived)),
            tick: Tick::No,
            yielded: false,
            ready: !self.dirty.is_empty(),
        };
        poll_fn(|cx| sources.poll(cx)).await
    }

    async fn turn(&mut self, tick: Tick) -> Result<(), StopReason> {
        self.persisted();
        // Before the tick: after a pause, what the leader said meanwhile counts.
        self.step();
        if tick == Tick::Yes {
            self.tick()?;
        }
        self.hear()?;
        self.act().await?;
        self.publish();
        Ok(())
    }

    fn persisted(&mut self) {
        for (token, seq) in self.durable.drain(..) {
            if let Some(slot) = &mut self.slots[token.0] {
                slot.on_persisted(seq);
                slot.touch(&mut self.dirty);
            }
        }
    }

    fn step(&mut self) {
        for envelope in self.arrived.drain(..) {
            if envelope.to != self.id || !is_intact(&envelope.message) {
                self.counted.dropped += 1;
                continue;
            }
            let token = self.tokens.get(&envelope.group);
            let Some(slot) = token.and_then(|token| self.slots[token.0].as_mut()) else {
                self.counted.dropped += 1;
                continue;
            };
            slot.step(envelope);
            slot.touch(&mut self.dirty);
        }
    }

    fn tick(&mut self) -> Result<(), StopReason> {
        self.tasks.reap()?;
        self.serving.tick();
        for slot in self.slots.iter_mut().flatten() {
            slot.tick();
            slot.touch(&mut self.dirty);
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<(), StopReason> {
        let mut heard = mem::take(&mut self.heard);
        // First: what waits in an inbox by now is not appended any more.
        if let Some(reason) = heard.iter().find_map(Signal::stop) {
            return Err(reason.clone());
        }
        for signal in heard.drain(..) {
            match signal {
                Signal::Ready(token) => self.feed(token)?,
                Signal::Served(served) => {
                    self.effects.messages.extend(self.serving.served(*served));
                }
                Signal::Join(join) => self.join(*join),
                Signal::Stop(_) => unreachable!("looked for above"),
            }
        }
        self.heard = heard;
        Ok(())
    }

    fn feed(&mut self, token: Token) -> Result<(), StopReason> {
        let Some(slot) = self.slots.get_mut(token.0).and_then(Option::as_mut) else {
            return Ok(());
        };
        slot.feed(self.storage, self.tasks, &mut self.turns)?;
        slot.touch(&mut self.dirty);
        Ok(())
    }

    fn join(&mut self, join: Join) {
        let Join { mut slot, applier, reply } = join;
        if self.tokens.contains_key(&slot.group) {
            let _ = reply.send(Err(StartError::Running));
            return;
        }
        let token = slot.token;
        self.tokens.insert(slot.group, token);
        if self.slots.len() <= token.0 {
            self.slots.resize_with(token.0 + 1, || None);
        }
        self.tasks.spawn(applier);
        slot.touch(&mut self.dirty);
        self.slots[token.0] = Some(slot);
        let _ = reply.send(Ok(()));
    }

    /// Does what the cores ask for.
    async fn act(&mut self) -> Result<(), StopReason> {
        for _ in 0..ROUNDS_MAX {
            self.drain();
            if !self.effects.messages.is_empty() {
                self.counted.sends += 1;
                self.transport.send(&mut self.effects.messages);
                self.effects.messages.clear();
            }
            self.writer.queue(&mut self.effects.writes, &mut self.marks);
            let (writer, durable) = (&mut self.writer, &mut self.durable);
            match poll_fn(|cx| Poll::Ready(writer.poll(cx, durable))).await {
                Poll::Pending => break,
                Poll::Ready(outcome) => {
                    outcome.map_err(|error| StopReason::Storage(error.to_string()))?;
                }
            }
            self.persisted();
        }
        Ok(())
    }

    fn drain(&mut self) {
        let mut dirty = mem::take(&mut self.dirty);
        for token in dirty.drain(..) {
            let Some(slot) = &mut self.slots[token.0] else { continue };
            slot.drain(&mut self.effects, &mut self.marks, &mut self.dirty, &mut self.turns);
            for request in self.effects.snapshots.drain(..) {
                self.serving.request(request, self.tasks);
            }
            if slot.has_ended() {
                slot.close(&mut self.turns);
                self.tokens.remove(&slot.group);
                self.slots[token.0] = None;
            }
        }
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    fn publish(&mut self) {
        self.counted.turns += 1;
        self.counted.groups = self.tokens.len();
        self.counted.batches = self.writer.batches();
        self.counted.write_bytes = self.writer.bytes();
        self.counted.snapshot_sends = self.serving.len();
        *lock(self.status) = self.counted;
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.signals.close();
        for slot in self.slots.iter_mut().flatten() {
            slot.close(&mut self.turns);
        }
    }
}

/// What a turn waits for.
struct Sources<'w, 'a> {
    writer: &'w mut Writer<'a>,
    durable: &'w mut Vec<Mark>,
    ticks: &'w mut Interval,
    signals: &'w Signals,
    heard: &'w mut Vec<Signal>,
    receive: Option<BoxFuture<'w, Result<(), TransportClosed>>>,
    tick: Tick,
    ready: bool,
    yielded: bool,
}

impl Sources<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Tick, StopReason>> {
        if let Poll::Ready(outcome) = self.writer.poll(cx, self.durable) {
            outcome.map_err(|error| StopReason::Storage(error.to_string()))?;
            self.ready = true;
        }
        if let Some(receive) = &mut self.receive
            && let Poll::Ready(outcome) = receive.as_mut().poll(cx)
        {
            outcome.map_err(|TransportClosed| StopReason::Transport)?;
            self.receive = None;
            self.ready = true;
        }
        if self.ticks.poll_tick(cx).is_ready() {
            self.tick = Tick::Yes;
            self.ready = true;
        }
        self.ready |= self.signals.poll_take(cx, self.heard).is_ready();
        match (self.ready, mem::replace(&mut self.yielded, true)) {
            (true, true) => Poll::Ready(Ok(self.tick)),
            // There was something at once: the others have their turn first, and may bring more.
            (true, false) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            (false, _) => Poll::Pending,
        }
    }
}
