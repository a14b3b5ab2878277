//! Over streams in memory, with a paused clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use raft_core::Address;
use raft_sim::proxy::{Control, Counters, Delay, Rate, Rules, StreamProxy, StreamRules, Unit, Way};
use raft_transport::codec::{FrameKind, write_frame};
use raft_transport::{Listener, MemoryNetwork, Network, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

/// So long nothing comes that has not come yet.
const QUIET: Duration = Duration::from_secs(60);
const FRAME: usize = 24;

struct Setup {
    network: Arc<dyn Network>,
    listener: Box<dyn Listener>,
    proxy: StreamProxy,
}

impl Setup {
    async fn new(unit: Unit, seed: u64) -> Self {
        let network: Arc<dyn Network> = Arc::new(MemoryNetwork::default());
        let target = Address::from("target");
        let listener = network.bind(&target).await.unwrap();
        let listen = Address::from("proxy");
        let proxy = StreamProxy::start(Arc::clone(&network), &listen, target, unit, seed).await;
        Self { network, listener, proxy: proxy.unwrap() }
    }

    /// With these rules for what is sent to the target.
    async fn ruled(rules: impl Into<StreamRules>) -> Self {
        let setup = Self::new(Unit::Frames, 1).await;
        setup.control().set(Way::ToTarget, rules);
        setup
    }

    fn control(&self) -> &Control<StreamRules> {
        self.proxy.control()
    }

    fn counters(&self) -> Counters {
        self.control().counters()
    }

    /// A connection: the dialler's end, and the target's.
    async fn connect(&mut self) -> (Box<dyn Stream>, Box<dyn Stream>) {
        let dialled = self.network.connect(self.proxy.address()).await.unwrap();
        (dialled, self.listener.accept().await.unwrap().0)
    }
}

/// A frame with this number in it.
fn frame(number: u64) -> Vec<u8> {
    let mut out = BytesMut::new();
    let body = |out: &mut BytesMut| out.extend_from_slice(&number.to_le_bytes());
    write_frame(&mut out, FrameKind::Raft, 64, body).unwrap();
    assert_eq!(out.len(), FRAME);
    out.into()
}

async fn send(stream: &mut Box<dyn Stream>, numbers: impl IntoIterator<Item = u64>) {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(frame).collect();
    stream.write_all(&bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// What comes until nothing comes any more.
async fn heard(stream: &mut Box<dyn Stream>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(Ok(count)) = timeout(QUIET, stream.read_buf(&mut all)).await
        && count > 0
    {}
    all
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let number = |frame: &[u8]| u64::from_le_bytes(frame[16..FRAME].try_into().unwrap());
    bytes.chunks(FRAME).map(number).collect()
}

async fn numbers_through(rules: impl Into<StreamRules>) -> (Vec<u64>, Counters) {
    let mut setup = Setup::ruled(rules).await;
    let (mut dialler, mut target) = setup.connect().await;
    send(&mut dialler, 0..10).await;
    let came = numbers(&heard(&mut target).await);
    (came, setup.counters())
}

#[tokio::test(start_paused = true)]
async fn without_rules_everything_passes_as_it_is() {
    let mut setup = Setup::new(Unit::Frames, 1).await;
    let (mut dialler, mut target) = setup.connect().await;
    send(&mut dialler, 0..100).await;
    send(&mut target, 100..200).await;
    assert_eq!(numbers(&heard(&mut target).await), (0..100).collect::<Vec<_>>());
    assert_eq!(numbers(&heard(&mut dialler).await), (100..200).collect::<Vec<_>>());
    let counters = setup.counters();
    assert_eq!((counters.connections, counters.passed), (1, 200));
    // The end of one way leaves the other.
    dialler.shutdown().await.unwrap();
    assert_eq!(target.read(&mut [0]).await.unwrap(), 0);
    send(&mut target, [7]).await;
    assert_eq!(numbers(&heard(&mut dialler).await), [7]);
}

#[tokio::test(start_paused = true)]
async fn each_rule_does_what_it_says_to_whole_units() {
    let always = Rate::ALWAYS;
    let (came, counters) = numbers_through(Rules { drop: always, ..Rules::default() }).await;
    assert_eq!((came, counters.dropped), (vec![], 10));
    let (came, counters) = numbers_through(Rules { duplicate: always, ..Rules::default() }).await;
    assert_eq!(came, (0..10).flat_map(|n| [n, n]).collect::<Vec<_>>());
    assert_eq!(counters.duplicated, 10);
    // One waits for the next, which cannot wait as well.
    let (came, counters) = numbers_through(Rules { swap: always, ..Rules::default() }).await;
    assert_eq!(came, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]);
    assert_eq!((counters.swapped, counters.passed), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_swapped_does_not_wait_for_ever() {
    let mut setup = Setup::ruled(Rules { swap: Rate::ALWAYS, ..Rules::default() }).await;
    let (mut dialler, mut target) = setup.connect().await;
    send(&mut dialler, [1]).await;
    assert_eq!(numbers(&heard(&mut target).await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_flip_is_of_one_bit_of_each_unit() {
    let mut setup = Setup::ruled(Rules { flip: Rate::ALWAYS, ..Rules::default() }).await;
    let (mut dialler, mut target) = setup.connect().await;
    send(&mut dialler, 0..50).await;
    let came = heard(&mut target).await;
    assert_eq!(came.len(), 50 * FRAME);
    let mut places = std::collections::BTreeSet::new();
    for (number, came) in (0..).zip(came.chunks(FRAME)) {
        let sent = frame(number);
        let flipped: Vec<_> = (0..FRAME).filter(|at| came[*at] != sent[*at]).collect();
        let [at] = flipped[..] else { panic!("{flipped:?} of {number}") };
        assert_eq!((came[at] ^ sent[at]).count_ones(), 1);
        places.insert(at);
    }
    assert!(places.len() > 10, "headers and payloads: {places:?}");
    assert_eq!(setup.counters().flipped, 50);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_up_what_follows() {
    let second = Duration::from_secs(1);
    let delay = Delay { rate: Rate::ALWAYS, range: second..=second };
    let mut setup = Setup::ruled(Rules { delay, ..Rules::default() }).await;
    let (mut dialler, mut target) = setup.connect().await;
    let begun = Instant::now();
    send(&mut dialler, 0..10).await;
    let mut bytes = vec![0; 10 * FRAME];
    target.read_exact(&mut bytes).await.unwrap();
    assert_eq!(numbers(&bytes), (0..10).collect::<Vec<_>>());
    assert!((10 * second..11 * second).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(setup.counters().delayed, 10);
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_both_ways_within_a_unit() {
    let reset = StreamRules { reset: Rate::one_in(10), ..StreamRules::default() };
    let mut setup = Setup::ruled(reset).await;
    let mut within = 0;
    for connection in 1..=20 {
        let (mut dialler, mut target) = setup.connect().await;
        send(&mut dialler, 0..1000).await;
        let begun = Instant::now();
        let came = heard(&mut target).await;
        assert!(came.len() < 1000 * FRAME);
        assert!(
            heard(&mut dialler).await.is_empty() && begun.elapsed() < QUIET,
            "it is not closed"
        );
        within += usize::from(came.len() % FRAME > 0);
        assert_eq!(setup.counters().resets, connection);
    }
    assert!(within >= 15, "{within}");
}

#[tokio::test(start_paused = true)]
async fn who_is_mute_does_not_say_so() {
    let mute = StreamRules { mute: Rate::ALWAYS, ..StreamRules::default() };
    let mut setup = Setup::ruled(mute).await;
    let (mut dialler, mut target) = setup.connect().await;
    send(&mut dialler, 0..100).await;
    assert_eq!(numbers(&heard(&mut target).await), [0]);
    // It is open, and the other way passes.
    send(&mut target, [7]).await;
    assert_eq!(numbers(&heard(&mut dialler).await), [7]);
    assert_eq!(setup.counters().muted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_way_that_is_cut_stalls_until_it_is_healed() {
    let mut setup = Setup::new(Unit::Frames, 1).await;
    let (mut dialler, mut target) = setup.connect().await;
    setup.control().cut(Way::ToTarget);
    send(&mut dialler, 0..10).await;
    assert!(heard(&mut target).await.is_empty());
    send(&mut target, [7]).await;
    assert_eq!(numbers(&heard(&mut dialler).await), [7]);
    setup.control().cut(Way::FromTarget);
    send(&mut target, [8]).await;
    assert!(heard(&mut dialler).await.is_empty());
    Way::BOTH.iter().for_each(|way| setup.control().heal(*way));
    assert_eq!(numbers(&heard(&mut target).await), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(&heard(&mut dialler).await), [8]);
}

#[tokio::test(start_paused = true)]
async fn what_is_drawn_comes_from_the_seed() {
    let lossy = || Rules { drop: Rate::one_in(2), ..Rules::default() };
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let mut setup = Setup::new(Unit::Frames, seed).await;
        setup.control().set(Way::ToTarget, lossy());
        let (mut dialler, mut target) = setup.connect().await;
        send(&mut dialler, 0..100).await;
        runs.push(numbers(&heard(&mut target).await));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!((25..75).contains(&runs[0].len()), "{}", runs[0].len());
}

#[tokio::test(start_paused = true)]
async fn records_of_tls_are_units_as_well() {
    let mut setup = Setup::new(Unit::TlsRecords, 1).await;
    setup.control().set(Way::ToTarget, Rules { drop: Rate::ALWAYS, ..Rules::default() });
    setup.control().set(Way::FromTarget, Rules { duplicate: Rate::ALWAYS, ..Rules::default() });
    let (mut dialler, mut target) = setup.connect().await;
    let record = |byte| [23, 3, 3, 0, 3, byte, byte, byte];
    let records = [record(1), record(2)].concat();
    dialler.write_all(&records).await.unwrap();
    target.write_all(&records).await.unwrap();
    assert!(heard(&mut target).await.is_empty());
    let twice = [record(1), record(1), record(2), record(2)].concat();
    assert_eq!(heard(&mut dialler).await, twice);
    assert_eq!((setup.counters().dropped, setup.counters().duplicated), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn other_bytes_pass_and_so_does_what_is_cut_off() {
    let mut setup = Setup::new(Unit::Frames, 1).await;
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\nRT"[..], b"RT\x01\x05\xff\xff\xff\xff and so on", b"RT\x01"]
    {
        let (mut dialler, mut target) = setup.connect().await;
        for byte in bytes {
            dialler.write_all(&[*byte]).await.unwrap();
        }
        dialler.shutdown().await.unwrap();
        assert_eq!(heard(&mut target).await, bytes);
    }
    // A long one, in as many reads as it takes.
    let (mut dialler, mut target) = setup.connect().await;
    let mut long = BytesMut::new();
    write_frame(&mut long, FrameKind::Raft, 1 << 21, |out| out.resize(16 + (1 << 20), 7)).unwrap();
    let sent = long.clone();
    let sending = tokio::spawn(async move {
        dialler.write_all(&sent).await.unwrap();
        dialler
    });
    assert!(heard(&mut target).await == long);
    drop(sending.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn connections_are_bounded_and_a_target_that_is_away_is_counted() {
    let mut setup = Setup::new(Unit::Frames, 1).await;
    let mut held = Vec::new();
    for _ in 0..1024 {
        held.push(setup.connect().await);
    }
    let mut extra = setup.network.connect(setup.proxy.address()).await.unwrap();
    assert_eq!(extra.read(&mut [0]).await.unwrap(), 0);
    assert_eq!((setup.counters().connections, setup.counters().refused), (1024, 1));
    // The places of those that end are free again.
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let Setup { network, listener, proxy } = setup;
    drop(listener);
    let mut refused = network.connect(proxy.address()).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(proxy.control().counters().refused, 2);
    drop(proxy);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(network.connect(&Address::from("proxy")).await.is_err(), "it listens on");
}
