//! Messages that are answered: how many a second, and how long each takes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_core::{Envelope, Message, Round, Transport};
use raft_transport::ChannelNetwork;
use tokio::time::timeout;

use super::{FAR, NEAR, Over, Pair, append, far};
use crate::load;
use crate::measure::{Latencies, Meter};
use crate::sample::{Missing, Sample};
use crate::suite::Plan;

const COMMAND_BYTES: usize = 256;
/// Longer than any message takes that is not lost.
const LOST: Duration = Duration::from_secs(5);

/// Between two processes; the CPU is that of both.
pub(crate) fn measure(plan: &Plan, over: Over, in_flight: u64) -> Result<Sample, Missing> {
    load::on_one_thread(async {
        let pair = Pair::start(over, Path::new(&plan.dir)).await?;
        let pids = [std::process::id(), pair.far_pid()];
        Ok(talk(plan, &pair.transport, in_flight, &pids).await?)
    })?
}

/// Between two threads of a process.
pub(crate) fn measure_channel(plan: &Plan, in_flight: u64) -> Result<Sample, Missing> {
    load::on_one_thread(async {
        let network = ChannelNetwork::new();
        far::beside(network.transport(FAR));
        let near = network.transport(NEAR);
        Ok(talk(plan, &near, in_flight, &[std::process::id()]).await?)
    })?
}

async fn talk(
    plan: &Plan,
    transport: &impl Transport,
    in_flight: u64,
    pids: &[u32],
) -> io::Result<Sample> {
    let mut talk = Talk::new(transport);
    talk.connect().await?;
    talk.run(in_flight, plan.warm).await?;
    talk.latencies = Latencies::default();
    let meter = Meter::of(pids)?;
    let count = talk.run(in_flight, plan.measure).await?;
    let latencies = std::mem::take(&mut talk.latencies);
    meter.sample(count, latencies)
}

struct Talk<'a, T> {
    transport: &'a T,
    command: Bytes,
    number: u64,
    /// Sent and not answered, the oldest first.
    sent: VecDeque<(Round, Instant)>,
    latencies: Latencies,
    inbox: Vec<Envelope>,
}

impl<'a, T: Transport> Talk<'a, T> {
    fn new(transport: &'a T) -> Self {
        let command = Bytes::from(vec![7; COMMAND_BYTES]);
        let (sent, latencies, inbox) = Default::default();
        Self { transport, command, number: 0, sent, latencies, inbox }
    }

    /// Says something until there is an answer.
    async fn connect(&mut self) -> io::Result<()> {
        for _ in 0..100 {
            self.send(1);
            let answer = self.transport.receive(&mut self.inbox);
            if timeout(Duration::from_millis(100), answer).await.is_ok() {
                // What else there may be is not waited for.
                self.sent.clear();
                self.inbox.clear();
                return Ok(());
            }
        }
        Err(io::Error::other("the other side does not answer"))
    }

    /// Keeps as many in flight for this long; how many were answered.
    async fn run(&mut self, in_flight: u64, span: Duration) -> io::Result<u64> {
        let (begun, mut count) = (Instant::now(), 0);
        self.send(in_flight);
        while !self.sent.is_empty() {
            let answered = self.receive().await?;
            count += answered;
            if begun.elapsed() < span {
                self.send(answered);
            }
        }
        Ok(count)
    }

    fn send(&mut self, count: u64) {
        let now = Instant::now();
        let mut messages = Vec::new();
        for _ in 0..count {
            self.number += 1;
            self.sent.push_back((Round(self.number), now));
            messages.push(append(self.number, Some(self.command.clone())));
        }
        self.transport.send(&mut messages);
    }

    async fn receive(&mut self) -> io::Result<u64> {
        let arrived = timeout(LOST, self.transport.receive(&mut self.inbox)).await;
        if !matches!(arrived, Ok(Ok(()))) {
            return Err(io::Error::other("a message was lost"));
        }
        let mut answered = 0;
        for message in self.inbox.drain(..) {
            let Message::AppendEntriesReply(reply) = message.message else { continue };
            while let Some((round, at)) = self.sent.front().copied()
                && round <= reply.round
            {
                self.sent.pop_front();
                self.latencies.add(at.elapsed());
                answered += 1;
            }
        }
        Ok(answered)
    }
}
