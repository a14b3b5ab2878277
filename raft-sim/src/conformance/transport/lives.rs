//! Links that break, nodes that start anew, and the end.

use std::sync::Arc;
use std::time::Duration;

use raft_core::{NodeId, Transport, TransportClosed};
use tokio::time::{Instant, timeout};

use super::bench::{Bench, Flaw, emptied, flaw, part};
use super::messages::{key, small};
use super::{
    Endpoints, LinkControl, LinkState, TransportKit, TransportProperty as Property,
    TransportReport, Verdict,
};

pub(super) fn check<E: Endpoints>(
    kit: &TransportKit,
    make: &impl Fn() -> E,
    report: &mut TransportReport,
) -> Verdict<()> {
    part(kit, make(), "a link that breaks and is mended", report, mended)?;
    part(kit, make(), "a node that starts anew while its old life lasts", report, newer)?;
    part(kit, make(), "a node that starts anew after its old life", report, restarted)?;
    part(kit, make(), "a shutdown", report, shutdown)
}

async fn mended<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    for down in [10, 1000, 20_000] {
        let (one, two) = (NodeId(1), NodeId(2));
        if bench.endpoints.set_link(one, two, LinkState::Broken) == LinkControl::Missing {
            return Ok(());
        }
        bench.report.links_broken += 1;
        for _ in 0..10 {
            let (there, back) = (bench.number(), bench.number());
            bench.send(1, vec![small(1, 2, there)])?;
            bench.send(2, vec![small(2, 1, back)])?;
            tokio::time::sleep(Duration::from_millis(down / 10)).await;
        }
        bench.all_talk(&[1, 3], Property::Independent).await?;
        bench.all_talk(&[2, 3], Property::Independent).await?;
        bench.endpoints.set_link(one, two, LinkState::Whole);
        bench.all_talk(&[1, 2], Property::Recovers).await?;
    }
    Ok(())
}

/// Two lives of a node at once, as when the older one hangs. A peer that has heard the newer one leaves the older
/// alone; when the older one ends at last, everybody finds the newer.
async fn newer<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    for node in bench.all() {
        bench.all_talk(&bench.all(), Property::Delivers).await?;
        let new = Arc::new(bench.endpoints.start(NodeId(node)).await);
        let Some(old) = bench.nodes.insert(node, new) else { return Ok(()) };
        for peer in bench.all().into_iter().filter(|peer| *peer != node) {
            if heard(bench, node, peer).await? {
                left_alone(bench, node, &old, peer).await?;
            }
        }
        bench.endpoints.shutdown(&old).await;
        drop(old);
        bench.all_talk(&bench.all(), Property::Recovers).await?;
    }
    Ok(())
}

/// Whether `peer` hears the newest life of `node`, which tries for a while.
async fn heard<E: Endpoints>(bench: &mut Bench<E>, node: u64, peer: u64) -> Result<bool, Flaw> {
    let message = small(node, peer, bench.number());
    for _ in 0..10 {
        bench.send(node, vec![message.clone()])?;
        let arrived = bench.receive(peer, Duration::from_millis(300)).await?;
        if arrived.iter().any(|it| key(it) == key(&message)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn left_alone<E: Endpoints>(
    bench: &mut Bench<E>,
    node: u64,
    old: &E::Transport,
    peer: u64,
) -> Result<(), Flaw> {
    let before = small(peer, node, bench.number());
    bench.deliver(vec![before], Property::Recovers).await?;
    let later = small(peer, node, bench.number());
    bench.deliver(vec![later.clone()], Property::Recovers).await?;
    let mut inbox = Vec::new();
    let _ = timeout(Duration::from_secs(1), old.receive(&mut inbox)).await;
    match inbox.iter().any(|message| key(message) == key(&later)) {
        true => Err(flaw(Property::NewerWins, format!("node {peer} serves both lives of {node}"))),
        false => Ok(()),
    }
}

async fn restarted<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    for _ in 0..3 {
        bench.all_talk(&bench.all(), Property::Recovers).await?;
        let old = bench.nodes.remove(&2);
        if let Some(old) = &old {
            bench.endpoints.shutdown(old).await;
        }
        drop(old);
        for _ in 0..5 {
            let number = bench.number();
            bench.send(1, vec![small(1, 2, number)])?;
        }
        bench.all_talk(&[1, 3], Property::Independent).await?;
        let new = Arc::new(bench.endpoints.start(NodeId(2)).await);
        bench.nodes.insert(2, new);
    }
    bench.all_talk(&bench.all(), Property::Recovers).await
}

async fn shutdown<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    bench.all_talk(&bench.all(), Property::Delivers).await?;
    let two = bench.node(2);
    let waiting = tokio::spawn({
        let two = Arc::clone(&two);
        async move {
            let mut inbox = Vec::new();
            while two.receive(&mut inbox).await.is_ok() {}
        }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    bench.endpoints.shutdown(&two).await;
    let not = |what| Err(flaw(Property::Closes, what));
    if timeout(bench.kit.patience, waiting).await.is_err() {
        return not("whoever waited in it waits still");
    }
    if begun.elapsed() > bench.kit.patience {
        return not("it took too long");
    }
    for _ in 0..3 {
        let mut inbox = Vec::new();
        match timeout(bench.kit.patience, two.receive(&mut inbox)).await {
            Ok(Err(TransportClosed)) => {}
            Ok(Ok(())) => return not("it received something afterwards"),
            Err(_) => return not("it waits"),
        }
    }
    let mut late = vec![small(2, 1, 1)];
    bench.record(&late);
    two.send(&mut late);
    emptied(&late)?;
    bench.send(1, vec![small(1, 2, 2)])?;
    bench.all_talk(&[1, 3], Property::Independent).await
}
