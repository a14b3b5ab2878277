//! Streams on which something is wrong: closed, counted, and felt by nobody else.

use std::sync::Arc;
use std::time::Duration;

use raft_core::{NodeId, Transport};
use raft_transport::{Network, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::bench::{Bench, Flaw, flaw, part};
use super::messages::{append, small};
use super::tamper::{Direction, Tamper, TamperNetwork};
use super::{Endpoints, TransportKit, TransportProperty as Property, TransportReport, Verdict};

pub(super) fn check<E: Endpoints>(
    kit: &TransportKit,
    make: &impl Fn(Arc<dyn Network>) -> E,
    report: &mut TransportReport,
) -> Verdict<()> {
    let network = TamperNetwork::new();
    let on = |network: &TamperNetwork| make(Arc::new(network.clone()));
    for (name, kind) in [("altered", Kind::Flip), ("cut off", Kind::Cut), ("stalled", Kind::Stall)]
    {
        let step = format!("streams that are {name} on their way");
        let network = TamperNetwork::new();
        part(kit, on(&network), &step, report, async |bench| {
            tampered(bench, &network, kind).await
        })?;
    }
    part(kit, on(&network), "streams of nonsense", report, async |bench| {
        nonsense(bench, &network).await
    })?;
    let network = TamperNetwork::new();
    part(kit, on(&network), "streams that are silent or slow", report, async |bench| {
        slow(bench, &network).await
    })?;
    let network = TamperNetwork::new();
    part(
        kit,
        on(&network),
        "what a peer has said, said again with errors",
        report,
        async |bench| said_again(bench, &network).await,
    )?;
    let network = TamperNetwork::new();
    part(kit, on(&network), "a node of another cluster", report, stranger)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flip,
    Cut,
    Stall,
}

fn rejected<E: Endpoints>(bench: &Bench<E>) -> Option<u64> {
    bench.nodes.values().map(|transport| bench.endpoints.rejected(transport)).sum()
}

/// Something happens to a stream while messages pass in both directions.
async fn tampered<E: Endpoints>(
    bench: &mut Bench<E>,
    network: &TamperNetwork,
    kind: Kind,
) -> Result<(), Flaw> {
    let mut rng = fastrand::Rng::with_seed(bench.kit.seed);
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    for _ in 0..bench.kit.streams {
        let (before, done, resent) = (rejected(bench), network.done(), bench.report.resent);
        let direction = [Direction::FromDialler, Direction::ToDialler][rng.usize(0..2)];
        let tamper = match kind {
            Kind::Flip => Tamper::Flip(1 << rng.u32(0..8)),
            Kind::Cut => Tamper::Cut,
            Kind::Stall => Tamper::Stall,
        };
        network.arm(direction, rng.u64(0..3000), tamper);
        for _ in 0..5 {
            let mut messages = Vec::new();
            for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 2)] {
                let data = vec![rng.u8(..); rng.usize(0..400)];
                messages.push(append(from, to, bench.number(), data.into()));
            }
            bench.deliver(messages, Property::Recovers).await?;
        }
        network.disarm();
        bench.all_talk(&bench.all(), Property::Recovers).await?;
        let hit = network.done() > done;
        bench.report.streams_tampered += u64::from(hit);
        // A byte may have no meaning, as the version in a record of TLS: then nothing is lost by it.
        let lost = bench.report.resent > resent;
        if kind == Kind::Flip && hit && lost && before.is_some() && rejected(bench) == before {
            return Err(flaw(Property::Counts, "an altered byte"));
        }
    }
    Ok(())
}

/// A stream to node 2 of somebody who does not belong to the cluster.
async fn dial<E: Endpoints>(
    bench: &mut Bench<E>,
    network: &TamperNetwork,
) -> Result<Box<dyn Stream>, Flaw> {
    bench.report.streams_hostile += 1;
    let address = bench.endpoints.address(NodeId(2));
    let address = address.unwrap_or_else(|| panic!("`Endpoints::address` gives no address"));
    let stream = network.dial(&address).await;
    stream.map_err(|error| flaw(Property::Independent, format!("it cannot be reached: {error}")))
}

/// Waits until the other side closes.
async fn closed<E: Endpoints>(
    bench: &Bench<E>,
    stream: &mut Box<dyn Stream>,
    what: &str,
) -> Result<(), Flaw> {
    let mut answer = [0; 1024];
    let reading = async { while stream.read(&mut answer).await.is_ok_and(|count| count > 0) {} };
    match timeout(bench.kit.patience, reading).await {
        Ok(()) => Ok(()),
        Err(_) => {
            Err(flaw(Property::ClosesHostile, format!("{what}, {:?} ago", bench.kit.patience)))
        }
    }
}

async fn nonsense<E: Endpoints>(bench: &mut Bench<E>, network: &TamperNetwork) -> Result<(), Flaw> {
    let mut rng = fastrand::Rng::with_seed(bench.kit.seed);
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    for round in 0..bench.kit.streams {
        let before = rejected(bench);
        let mut bytes: Vec<u8> = (0..rng.usize(64..3000)).map(|_| rng.u8(..)).collect();
        match round % 4 {
            0 => bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            1 => bytes.fill(0),
            2 => bytes.fill(0xff),
            _ => {}
        }
        let mut stream = dial(bench, network).await?;
        // It may be closed before all of it is written.
        let _ = timeout(bench.kit.patience, stream.write_all(&bytes)).await;
        closed(bench, &mut stream, "random bytes were written").await?;
        drop(stream);
        bench.all_talk(&bench.all(), Property::Independent).await?;
        if before.is_some() && rejected(bench) == before {
            return Err(flaw(Property::Counts, "a stream of random bytes"));
        }
    }
    Ok(())
}

async fn slow<E: Endpoints>(bench: &mut Bench<E>, network: &TamperNetwork) -> Result<(), Flaw> {
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    // Of a peer that connects, a byte at a time, and never all of it.
    let said = network.said().into_iter().find(|said| !said.is_empty()).unwrap_or_else(|| vec![1]);
    let mut silent = Vec::new();
    for _ in 0..bench.kit.streams {
        silent.push(dial(bench, network).await?);
        bench.all_talk(&bench.all(), Property::Independent).await?;
    }
    for stream in &mut silent {
        closed(bench, stream, "nothing was written").await?;
    }
    let mut stream = dial(bench, network).await?;
    let dripping = async {
        for byte in said.iter().take(20).cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(bench.kit.patience, dripping).await.is_err() {
        return Err(flaw(Property::ClosesHostile, "a byte was written every second"));
    }
    drop(stream);
    bench.all_talk(&bench.all(), Property::Independent).await
}

/// The beginning of a real connection, with a bit flipped or an end before its time: whoever holds it may be
/// taken for the peer, but nothing is believed that the peer did not say.
async fn said_again<E: Endpoints>(
    bench: &mut Bench<E>,
    network: &TamperNetwork,
) -> Result<(), Flaw> {
    let mut rng = fastrand::Rng::with_seed(bench.kit.seed);
    for _ in 0..10 {
        bench.all_talk(&bench.all(), Property::Delivers).await?;
    }
    let said: Vec<Vec<u8>> = network.said().into_iter().filter(|said| !said.is_empty()).collect();
    for _ in 0..bench.kit.streams {
        let Some(mut bytes) = rng.choice(&said).cloned() else { return Ok(()) };
        let at = rng.usize(0..bytes.len());
        match rng.bool() {
            true => bytes[at] ^= 1 << rng.u32(0..8),
            false => bytes.truncate(at + 1),
        }
        let mut stream = dial(bench, network).await?;
        let _ = timeout(bench.kit.patience, stream.write_all(&bytes)).await;
        let _ = stream.shutdown().await;
        closed(bench, &mut stream, "a damaged copy was written, and the end").await?;
        drop(stream);
        bench.all_talk(&bench.all(), Property::Recovers).await?;
    }
    Ok(())
}

async fn stranger<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    for node in [1, 2] {
        let Some(stranger) = bench.endpoints.start_stranger(NodeId(node)).await else {
            return Ok(());
        };
        for _ in 0..20 {
            // Nothing of this was sent in the cluster.
            for to in bench.all().into_iter().filter(|to| *to != node) {
                stranger.send(&mut vec![small(node, to, 7)]);
            }
            let heard = bench.all_talk(&bench.all(), Property::Independent).await;
            heard.map_err(|found| match found.property {
                Property::Unaltered => flaw(Property::OneCluster, found.detail),
                _ => found,
            })?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let mut inbox = Vec::new();
        let _ = timeout(Duration::from_secs(1), stranger.receive(&mut inbox)).await;
        if !inbox.is_empty() {
            return Err(flaw(Property::OneCluster, "the stranger heard something"));
        }
    }
    Ok(())
}
