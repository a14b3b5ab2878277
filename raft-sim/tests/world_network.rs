//! Links: latency, loss, cuts, filters, counters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use raft_core::{
    AppendEntries, BoxFuture, CallError, Caller, Envelope, GroupId, LogId, LogIndex, Message,
    NodeId, Round, Service, Term, Transport,
};
use raft_sim::Sim;
use raft_sim::net::{HostId, Kind, Link, PerMille, Verdict};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

fn message(from: u64, to: u64, number: u64) -> Envelope {
    let append = AppendEntries {
        prev: LogId::ZERO,
        entries: Vec::new(),
        commit: LogIndex(number),
        round: Round(0),
    };
    Envelope {
        group: GroupId(1),
        from: NodeId(from),
        to: NodeId(to),
        term: Term(number),
        message: Message::AppendEntries(append),
    }
}

/// Two processes: the first sends numbers to the second, one per millisecond; what arrives is collected.
struct Pair {
    sim: Sim,
    hosts: [HostId; 2],
    arrived: Arc<Mutex<Vec<u64>>>,
}

fn pair(seed: u64, count: u64) -> Pair {
    let mut sim = Sim::new(seed);
    let hosts = [sim.add_host("n1"), sim.add_host("n2")];
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let into = arrived.clone();
    sim.start(hosts[1], |process| async move {
        let transport = process.transport(NodeId(2));
        let mut inbox = Vec::new();
        while transport.receive(&mut inbox).await.is_ok() {
            into.lock().unwrap().extend(inbox.drain(..).map(|envelope| envelope.term.0));
        }
    });
    sim.start(hosts[0], |process| async move {
        let transport = process.transport(NodeId(1));
        // The test sets the links first.
        sleep(MS).await;
        for number in 0..count {
            transport.send(&mut vec![message(1, 2, number)]);
            sleep(MS).await;
        }
        std::future::pending::<()>().await;
    });
    Pair { sim, hosts, arrived }
}

impl Pair {
    fn arrived(&self) -> Vec<u64> {
        self.arrived.lock().unwrap().clone()
    }

    fn run(&mut self) -> Vec<u64> {
        self.sim.run_for(Duration::from_secs(10));
        self.arrived()
    }
}

#[test]
fn everything_arrives_once_over_a_good_link() {
    let mut pair = pair(1, 500);
    pair.sim.net().set_default_link(Link::with_latency(3 * MS, 3 * MS));
    assert_eq!(pair.run(), (0..500).collect::<Vec<_>>());
    let count = pair.sim.net().traffic().sum(|_, _, kind| kind == Kind::AppendEntries);
    assert_eq!((count.messages, count.lost), (500, 0));
    assert!(count.bytes >= 500 * 8);
}

#[test]
fn latency_is_drawn_for_each_message_so_that_they_overtake() {
    let mut pair = pair(1, 500);
    pair.sim.net().set_default_link(Link::with_latency(1 * MS, 30 * MS));
    let mut arrived = pair.run();
    assert!(!arrived.is_sorted());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_message_takes_as_long_as_its_link_says() {
    let mut pair = pair(1, 1);
    pair.sim.net().set_default_link(Link::with_latency(250 * MS, 250 * MS));
    pair.sim.run_for(245 * MS);
    assert_eq!(pair.arrived(), []);
    pair.sim.run_for(15 * MS);
    assert_eq!(pair.arrived(), [0]);
}

#[test]
fn some_are_lost_and_some_are_doubled() {
    let mut pair = pair(1, 2000);
    pair.sim.net().change_links(|link| {
        (link.loss, link.duplicates) = (PerMille(100), PerMille(200));
    });
    let arrived = pair.run();
    let different: std::collections::BTreeSet<u64> = arrived.iter().copied().collect();
    let (lost, doubled) = (2000 - different.len(), arrived.len() - different.len());
    assert!((140..260).contains(&lost), "{lost}");
    assert!((280..440).contains(&doubled), "{doubled}");
    assert_eq!(pair.sim.net().traffic().total().lost, lost as u64);
}

#[test]
fn a_cut_is_one_way_and_loses_what_is_under_way() {
    let mut pair = pair(1, 1000);
    let [a, b] = pair.hosts;
    pair.sim.net().set_default_link(Link::with_latency(50 * MS, 50 * MS));
    pair.sim.net().cut(b, a);
    pair.sim.run_for(200 * MS);
    let before = pair.arrived().len();
    assert!(before > 100, "the other direction is open");
    pair.sim.net().cut(a, b);
    pair.sim.run_for(200 * MS);
    assert_eq!(pair.arrived().len(), before, "what was under way is lost");
    pair.sim.net().heal();
    pair.sim.run_for(200 * MS);
    assert!(pair.arrived().len() > before);
}

#[test]
fn sides_are_parted_and_a_bridge_is_on_both() {
    let mut sim = Sim::new(1);
    let hosts: Vec<HostId> = (1..=3).map(|n| sim.add_host(&format!("n{n}"))).collect();
    let heard: Arc<Mutex<Vec<(u64, u64)>>> = Arc::default();
    for (at, host) in hosts.iter().enumerate() {
        let (id, heard) = (at as u64 + 1, heard.clone());
        sim.start(*host, |process| async move {
            let transport = process.transport(NodeId(id));
            let mut inbox = Vec::new();
            loop {
                let mut all =
                    (1..=3).filter(|to| *to != id).map(|to| message(id, to, id)).collect();
                tokio::select! {
                    biased;
                    _ = transport.receive(&mut inbox) => {
                        let from = inbox.drain(..).map(|envelope| (envelope.from.0, id));
                        heard.lock().unwrap().extend(from);
                    }
                    () = sleep(20 * MS) => transport.send(&mut all),
                }
            }
        });
    }
    let (a, b, c) = (hosts[0], hosts[1], hosts[2]);
    let pairs = |heard: &Mutex<Vec<(u64, u64)>>| {
        let mut pairs = std::mem::take(&mut *heard.lock().unwrap());
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    };
    sim.net().partition(&[&[a, b], &[b, c]]);
    sim.run_for(50 * MS);
    pairs(&heard);
    sim.run_for(500 * MS);
    assert_eq!(pairs(&heard), [(1, 2), (2, 1), (2, 3), (3, 2)]);
    sim.net().isolate(b);
    sim.run_for(50 * MS);
    pairs(&heard);
    sim.run_for(500 * MS);
    assert_eq!(pairs(&heard), []);
    sim.net().heal();
    sim.run_for(500 * MS);
    assert_eq!(pairs(&heard).len(), 6);
}

#[test]
fn a_filter_decides_first() {
    let mut pair = pair(1, 100);
    pair.sim.net().set_default_link(Link::with_latency(1 * MS, 1 * MS));
    pair.sim.net().set_filter(|letter| match letter.term.map_or(0, |term| term.0) % 4 {
        0 => Verdict::Drop,
        1 => Verdict::Delay(Duration::from_secs(1)),
        2 => Verdict::Duplicate,
        _ => Verdict::Pass,
    });
    pair.sim.run_for(500 * MS);
    let early = pair.arrived();
    assert!(early.iter().all(|number| number % 4 >= 2));
    assert_eq!(early.len(), 75);
    pair.sim.run_for(Duration::from_secs(2));
    assert_eq!(pair.arrived().len(), 100);
    assert_eq!(pair.sim.net().traffic().total().lost, 25);
}

#[test]
fn a_slow_link_delays_what_comes_behind() {
    let mut pair = pair(1, 100);
    pair.sim.net().change_links(|link| {
        *link = Link::with_latency(1 * MS, 1 * MS);
        // About ten of these messages a second.
        link.bandwidth = Some(1000);
    });
    pair.sim.run_for(Duration::from_secs(2));
    let arrived = pair.arrived().len();
    assert!((5..60).contains(&arrived), "{arrived}");
    pair.sim.run_for(Duration::from_secs(60));
    assert_eq!(pair.arrived(), (0..100).collect::<Vec<_>>(), "and loses nothing");
}

#[test]
fn a_paused_process_gets_what_arrived_when_it_goes_on() {
    let mut pair = pair(1, 100);
    let receiver = pair.hosts[1];
    pair.sim.pause(receiver);
    pair.sim.run_for(Duration::from_secs(1));
    assert_eq!(pair.arrived(), []);
    pair.sim.resume(receiver);
    pair.sim.run_for(20 * MS);
    assert_eq!(pair.arrived().len(), 100);
}

/// Doubles what it is sent, after a while.
struct Doubling(Arc<Mutex<u64>>);

impl Service for Doubling {
    fn call(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        *self.0.lock().unwrap() += 1;
        Box::pin(async move {
            sleep(5 * MS).await;
            [&request[..], &request[..]].concat().into()
        })
    }
}

type Answers = Arc<Mutex<Vec<Result<Bytes, CallError>>>>;

fn calling(sim: &mut Sim, calls: u32) -> (HostId, Answers) {
    let (client, answers) = (sim.add_host("client"), Answers::default());
    let into = answers.clone();
    sim.start(client, |process| async move {
        let caller = Arc::new(process.caller());
        for _ in 0..calls {
            let (caller, into) = (caller.clone(), into.clone());
            tokio::spawn(async move {
                let answer = caller.call(&"server:1".into(), "ab".into()).await;
                into.lock().unwrap().push(answer);
            });
        }
        std::future::pending::<()>().await;
    });
    (client, answers)
}

#[test]
fn a_call_is_answered_and_arrives_at_most_once() {
    let mut sim = Sim::new(3);
    let (server, served) = (sim.add_host("server"), Arc::new(Mutex::new(0)));
    let service = Arc::new(Doubling(served.clone()));
    sim.start(server, |process| async move {
        process.serve(service);
        std::future::pending::<()>().await;
    });
    sim.net().change_links(|link| {
        (link.loss, link.duplicates) = (PerMille(100), PerMille(500));
    });
    let (_, answers) = calling(&mut sim, 1000);
    sim.run_for(Duration::from_secs(1));
    let (served, answers) = (*served.lock().unwrap(), answers.lock().unwrap());
    assert!((850..950).contains(&served), "{served}");
    assert!((760..860).contains(&answers.len()), "{}", answers.len());
    assert!(answers.iter().all(|answer| answer.as_deref() == Ok(&b"abab"[..])));
}

#[test]
fn a_process_that_is_down_or_serves_nothing_refuses() {
    let mut sim = Sim::new(1);
    let server = sim.add_host("server");
    let (client, answers) = calling(&mut sim, 1);
    sim.run_for(50 * MS);
    let refused = |answers: &Answers| {
        matches!(answers.lock().unwrap().pop(), Some(Err(CallError::NotSent { .. })))
    };
    assert!(refused(&answers), "down");
    sim.start(server, |_| std::future::pending::<()>());
    let (caller, into) = (answers.clone(), answers.clone());
    drop(caller);
    sim.kill(client);
    sim.start(client, |process| async move {
        let answer = process.caller().call(&"server:1".into(), "ab".into()).await;
        into.lock().unwrap().push(answer);
    });
    sim.run_for(50 * MS);
    assert!(refused(&answers), "up, without a service");
}
