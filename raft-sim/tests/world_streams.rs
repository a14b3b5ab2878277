//! Byte streams over simulated links.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_sim::Sim;
use raft_sim::net::{HostId, Kind, Link, PerMille, Verdict};
use raft_transport::Network;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Seen {
    received: Vec<u8>,
    ended: Option<io::Result<()>>,
    written: usize,
    writing: Option<io::ErrorKind>,
}

struct World {
    sim: Sim,
    server: HostId,
    client: HostId,
    seen: Arc<Mutex<Seen>>,
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// A client that writes `len` bytes in pieces of 1000, one each millisecond, and then waits; a server that
/// reads all it gets, or nothing.
fn world(seed: u64, len: usize, reads: bool, link: Link) -> World {
    let mut sim = Sim::new(seed);
    let (server, client) = (sim.add_host("server"), sim.add_host("client"));
    sim.net().set_default_link(link);
    let seen: Arc<Mutex<Seen>> = Arc::default();
    start_server(&mut sim, server, reads, &seen);
    let into = seen.clone();
    sim.start(client, |process| async move {
        let sockets = process.sockets();
        let mut stream = sockets.connect(&"server:1".into()).await.unwrap();
        for piece in pattern(len).chunks(1000) {
            if let Err(error) = stream.write_all(piece).await {
                into.lock().unwrap().writing = Some(error.kind());
                break;
            }
            into.lock().unwrap().written += piece.len();
            sleep(MS).await;
        }
        std::future::pending::<()>().await;
        drop(stream);
    });
    World { sim, server, client, seen }
}

fn start_server(sim: &mut Sim, server: HostId, reads: bool, seen: &Arc<Mutex<Seen>>) {
    let into = seen.clone();
    sim.start(server, |process| async move {
        let sockets = process.sockets();
        let mut listener = sockets.bind(&"server:1".into()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        if !reads {
            std::future::pending::<()>().await;
        }
        let mut buffer = vec![0; 4096];
        let ended = loop {
            match stream.read(&mut buffer).await {
                Ok(0) => break Ok(()),
                Ok(count) => into.lock().unwrap().received.extend(&buffer[..count]),
                Err(error) => break Err(error),
            }
        };
        into.lock().unwrap().ended = Some(ended);
        std::future::pending::<()>().await;
    });
}

fn good() -> Link {
    Link::with_latency(1 * MS, 5 * MS)
}

impl World {
    fn received(&self) -> Vec<u8> {
        self.seen.lock().unwrap().received.clone()
    }
}

#[test]
fn bytes_arrive_in_order_in_spite_of_loss() {
    for seed in 0..20 {
        let mut link = good();
        link.loss = PerMille(200);
        let mut world = world(seed, 100_000, true, link);
        world.sim.run_for(Duration::from_secs(20));
        assert_eq!(world.received(), pattern(100_000), "seed {seed}");
    }
}

#[test]
fn a_writer_waits_for_a_reader_that_does_not_read() {
    let mut world = world(1, 2_000_000, false, good());
    world.sim.run_for(Duration::from_secs(20));
    let written = world.seen.lock().unwrap().written;
    assert!((200_000..300_000).contains(&written), "{written}");
}

#[test]
fn a_cut_holds_bytes_back_and_loses_none() {
    let mut world = world(1, 100_000, true, good());
    world.sim.run_for(20 * MS);
    world.sim.net().cut(world.client, world.server);
    world.sim.run_for(10 * MS);
    let before = world.received().len();
    world.sim.run_for(Duration::from_secs(5));
    assert_eq!(world.received().len(), before);
    assert!(before > 0 && before < 100_000);
    world.sim.net().heal();
    world.sim.run_for(Duration::from_secs(5));
    assert_eq!(world.received(), pattern(100_000));
}

#[test]
fn a_filter_flips_a_bit() {
    let mut world = world(1, 10_000, true, good());
    let mut segments = 0;
    world.sim.net().set_filter(move |letter| {
        segments += u64::from(letter.kind == Kind::Segment && letter.bytes > 0);
        if segments == 5 { Verdict::Corrupt } else { Verdict::Pass }
    });
    world.sim.run_for(Duration::from_secs(1));
    let (received, sent) = (world.received(), pattern(10_000));
    assert_eq!(received.len(), sent.len());
    let flipped: u32 = received.iter().zip(&sent).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert!(flipped >= 1, "a bit is flipped");
}

#[test]
fn a_filter_resets_a_stream() {
    let mut world = world(1, 100_000, true, good());
    world.sim.run_for(20 * MS);
    world.sim.net().set_filter(|_| Verdict::Reset);
    world.sim.run_for(Duration::from_secs(1));
    let seen = world.seen.lock().unwrap();
    assert!(
        matches!(&seen.ended, Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset)
    );
}

#[test]
fn a_stream_ends_when_its_owner_drops_it() {
    let mut sim = Sim::new(1);
    let (server, client) = (sim.add_host("server"), sim.add_host("client"));
    let seen: Arc<Mutex<Seen>> = Arc::default();
    start_server(&mut sim, server, true, &seen);
    sim.start(client, |process| async move {
        let mut stream = process.sockets().connect(&"server:1".into()).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
    });
    sim.run_for(Duration::from_secs(1));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.received, b"bye");
    assert!(matches!(seen.ended, Some(Ok(()))));
}

#[test]
fn of_a_peer_that_is_gone_nothing_is_heard_until_something_is_sent_to_its_successor() {
    let mut world = world(1, 1_000_000, true, good());
    world.sim.run_for(20 * MS);
    world.sim.kill(world.server);
    world.sim.run_for(Duration::from_secs(2));
    assert_eq!(world.seen.lock().unwrap().writing, None, "half open");
    let mut other = world_with_idle_client(1);
    other.sim.run_for(20 * MS);
    other.sim.kill(other.server);
    let seen = other.seen.clone();
    start_server(&mut other.sim, other.server, true, &seen);
    other.sim.run_for(Duration::from_secs(2));
    assert_eq!(seen.lock().unwrap().writing, Some(io::ErrorKind::ConnectionReset));
}

/// A client that writes a byte each 100 ms.
fn world_with_idle_client(seed: u64) -> World {
    let mut world = world(seed, 0, true, good());
    world.sim.kill(world.client);
    world.sim.kill(world.server);
    let seen = world.seen.clone();
    start_server(&mut world.sim, world.server, true, &seen);
    world.sim.start(world.client, |process| async move {
        let mut stream = process.sockets().connect(&"server:1".into()).await.unwrap();
        loop {
            sleep(100 * MS).await;
            if let Err(error) = stream.write_all(b"x").await {
                seen.lock().unwrap().writing = Some(error.kind());
                return;
            }
        }
    });
    world
}

#[test]
fn nobody_listens_and_nobody_is_there() {
    let mut sim = Sim::new(1);
    let (_, client) = (sim.add_host("server"), sim.add_host("client"));
    let errors: Arc<Mutex<Vec<io::ErrorKind>>> = Arc::default();
    let into = errors.clone();
    let server = sim.net().host_at(&"server".into()).unwrap();
    sim.start(server, |_| std::future::pending::<()>());
    sim.start(client, |process| async move {
        for address in ["server:9", "nowhere:1"] {
            if let Err(error) = process.sockets().connect(&address.into()).await {
                into.lock().unwrap().push(error.kind());
            }
        }
        let bound = process.sockets().bind(&"server:1".into()).await;
        into.lock().unwrap().extend(bound.err().map(|error| error.kind()));
    });
    sim.run_for(Duration::from_secs(1));
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, NotFound};
    assert_eq!(*errors.lock().unwrap(), [ConnectionRefused, NotFound, AddrNotAvailable]);
}
