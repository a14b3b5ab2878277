//! A state machine of your own under faults, until one seed finds what its author overlooked: the read below
//! looks at whatever the node has, which after a partition may be old.
//!
//! Prints the seed, shows that it is the same run again, writes the history as a page to look at, and tries the
//! same seeds with the mistake repaired.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::node::{Group, ProposalError};
use raft_core::{
    BoxFuture, Caller, Command, Restore, RestoreError, Service, SnapshotSource, StateMachine, Whole,
};
use raft_sim::checker::models::{Register, RegisterInput, RegisterOutput};
use raft_sim::checker::{Budget, Limits, Verdict, check, minimise};
use raft_sim::cluster::address_of;
use raft_sim::history::{Client, History, Recorder};
use raft_sim::report::Report;
use raft_sim::watch::WatchedMachine;
use raft_sim::{Cluster, ClusterConfig};

/// The state machine: one number.
#[derive(Default)]
struct Number(i64);

impl StateMachine for Number {
    type Output = i64;

    fn apply(&mut self, commands: &[Command]) -> Vec<i64> {
        let set = |command: &Command| {
            self.0 = number(&command.data).unwrap_or(self.0);
            self.0
        };
        commands.iter().map(set).collect()
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_le_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        let strange = || RestoreError { reason: "not a number".to_owned() };
        Whole::restore(move |bytes| number(&bytes).map(Number).ok_or_else(strange))
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}

/// How a node answers a read.
#[derive(Clone, Copy)]
enum Reads {
    /// With what it has. The mistake.
    Local,
    /// After it has made sure that it still leads, and has applied what was committed.
    Linearizable,
}

/// Answers clients: a number sets it, nothing reads it. An empty answer is a refusal, one byte means that nobody
/// knows.
struct Server {
    group: Group<WatchedMachine<Number>>,
    reads: Reads,
}

impl Service for Server {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let (group, reads) = (self.group.clone(), self.reads);
        Box::pin(async move {
            let answer = match (request.is_empty(), reads) {
                (false, _) => match group.propose(request).await {
                    Ok(applied) => Some(applied.output),
                    Err(ProposalError::Unknown { .. }) => return Bytes::from_static(b"?"),
                    Err(_) => None,
                },
                (true, Reads::Local) => Some(group.peek(|_, machine| machine.inner().0)),
                (true, Reads::Linearizable) => group.read(|machine| machine.inner().0).await.ok(),
            };
            answer.map(|value| value.to_le_bytes().to_vec()).unwrap_or_default().into()
        })
    }
}

type Registers = History<RegisterInput, RegisterOutput>;

/// Ten seconds of three nodes, three clients, and a leader that is cut off now and then.
fn run(seed: u64, reads: Reads) -> (Registers, u64) {
    let config = ClusterConfig::new(seed, 3);
    let server = move |group: &Group<_>, _: &_| {
        Arc::new(Server { group: group.clone(), reads }) as Arc<dyn Service>
    };
    let mut cluster = Cluster::start_serving(config, Number::default, server);
    let trace = cluster.sim().trace().clone();
    let recorder = Recorder::with_clock(move || trace.now());
    for client in 1..=3 {
        let host = cluster.sim().add_host(&format!("client{client}"));
        let recording = recorder.client();
        cluster.sim().start(host, |process| clients(process.caller(), recording, client));
    }
    for _ in 0..5 {
        cluster.run_for(Duration::from_secs(1));
        if let Some(leader) = cluster.leader() {
            // From the other nodes, not from its clients.
            let (leader, others) = (cluster.host(leader), cluster.hosts(&[0, 1, 2]));
            for other in others.into_iter().filter(|other| *other != leader) {
                cluster.net().cut(leader, other);
                cluster.net().cut(other, leader);
            }
        }
        cluster.run_for(Duration::from_secs(1));
        cluster.net().heal();
    }
    // Raft itself has kept all its promises, whatever the service does.
    cluster.check().expect("an invariant of Raft");
    (recorder.history(), cluster.trace_hash())
}

/// Writes and reads by turns, at one node after the other.
async fn clients(
    caller: impl Caller,
    mut recording: Client<RegisterInput, RegisterOutput>,
    client: i64,
) {
    for round in 0.. {
        let write = (round % 2 == 0).then_some(client * 1_000_000 + round);
        let input = write.map_or(RegisterInput::Read, RegisterInput::Write);
        let request: Bytes =
            write.map(|value| value.to_le_bytes().to_vec()).unwrap_or_default().into();
        let node = raft_core::NodeId(1 + (round as u64 / 2) % 3);
        let call = recording.call(input);
        let answer = caller.call(&address_of(node), request);
        let answer = tokio::time::timeout(Duration::from_millis(500), answer).await;
        match (answer, write) {
            (Ok(Ok(bytes)), _) if bytes.is_empty() => call.had_no_effect(),
            (Ok(Ok(bytes)), Some(_)) if number(&bytes).is_some() => {
                call.returned(RegisterOutput::Done);
            }
            (Ok(Ok(bytes)), None) => {
                // The model's register is empty at first, this one is zero.
                let value = number(&bytes).filter(|value| *value != 0);
                call.returned(RegisterOutput::Value(value));
            }
            (_, None) => call.had_no_effect(),
            // Nobody knows: the call stays open.
            (_, Some(_)) => _ = call,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::new(Budget::Steps(1_000_000));
    let failing =
        (1..100).find(|seed| check(&Register, &run(*seed, Reads::Local).0, &limits).is_illegal());
    let seed = failing.ok_or("no seed finds it")?;
    println!("seed {seed}: the history is not linearizable");

    let ((history, hash), (_, again)) = (run(seed, Reads::Local), run(seed, Reads::Local));
    if hash != again {
        return Err("the same seed made another run".into());
    }
    println!("the same seed made the same run again");

    let Verdict::Illegal(witness) = check(&Register, &history, &limits) else {
        return Err("the same history is judged in another way".into());
    };
    let core = minimise(&Register, &history, &witness, &Limits::new(Budget::Steps(100_000)), 500);
    let report = Report::new(&Register, &history, &core);
    println!("{} of {} operations contradict each other:", core.needed.len(), history.len());
    print!("{}", report.text());
    let page = std::env::temp_dir().join("own_state_machine_under_faults.html");
    std::fs::write(&page, report.html())?;

    let repaired = (1..=20)
        .all(|seed| check(&Register, &run(seed, Reads::Linearizable).0, &limits).is_linearizable());
    if !repaired {
        return Err("reads through the leader are not linearizable".into());
    }
    println!("repaired: 20 seeds are linearizable");
    Ok(())
}
