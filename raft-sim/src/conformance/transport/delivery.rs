//! Everything arrives where it should, as it was sent.

use std::collections::BTreeSet;
use std::task::{Context, Waker};

use bytes::Bytes;
use raft_core::{GroupId, Transport};

use super::bench::{Bench, Flaw, flaw, part};
use super::messages::{all_kinds, append, small};
use super::{Endpoints, TransportKit, TransportProperty as Property, TransportReport, Verdict};

pub(super) fn check<E: Endpoints>(
    kit: &TransportKit,
    make: &impl Fn() -> E,
    report: &mut TransportReport,
) -> Verdict<()> {
    part(kit, make(), "messages of every kind", report, every_kind)?;
    part(kit, make(), "messages of many groups", report, many_groups)?;
    part(kit, make(), "large messages", report, large)?;
    part(kit, make(), "messages to nobody", report, nobody)?;
    part(kit, make(), "a receive that is given up", report, given_up)
}

async fn every_kind<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    let mut messages = Vec::new();
    for from in bench.all() {
        for to in bench.all().into_iter().filter(|to| *to != from) {
            messages.extend(all_kinds(from, to, 10 * from + to));
        }
    }
    bench.deliver(messages, Property::Delivers).await
}

async fn many_groups<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    let mut messages = Vec::new();
    for group in 0..500 {
        for (from, to) in [(1, 2), (2, 1), (1, 3)] {
            let mut message = small(from, to, group);
            message.group = GroupId(u64::MAX - group);
            messages.push(message);
        }
    }
    bench.deliver(messages, Property::Delivers).await
}

async fn large<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    let max = bench.kit.message_bytes_max;
    let mut rng = fastrand::Rng::with_seed(bench.kit.seed);
    for len in [1000, max / 2, max - 1, max] {
        let data: Bytes = (0..len).map(|_| rng.u8(..)).collect();
        let (there, back) =
            (append(1, 2, len as u64, data.clone()), append(2, 1, len as u64, data));
        bench.deliver(vec![there, back], Property::Delivers).await?;
    }
    // One that is far too large may be dropped; those about it arrive.
    let far_too_large = append(1, 2, 1, vec![1; 64 * max].into());
    bench.send(1, vec![far_too_large])?;
    bench.all_talk(&[1, 2, 3], Property::Independent).await
}

async fn nobody<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    bench.send(1, vec![])?;
    bench.send(1, vec![small(1, 99, 1), small(1, 1, 2), small(1, 0, 3)])?;
    bench.all_talk(&bench.all(), Property::Independent).await
}

const MESSAGES: u64 = 300;

/// Messages come in one by one while `receive` is given up again and again. What a transport drops by itself, when
/// nothing is given up, is not lost by that.
async fn given_up<E: Endpoints>(bench: &mut Bench<E>) -> Result<(), Flaw> {
    bench.all_talk(&[1, 2], Property::Delivers).await?;
    let plain = one_by_one(bench, GivingUp::Never).await?;
    let arrived = one_by_one(bench, GivingUp::Often).await?;
    bench.report.delivered += plain + arrived;
    if plain == MESSAGES && arrived < MESSAGES {
        let detail =
            format!("{arrived} of {MESSAGES} arrived, and all of them if it is not given up");
        return Err(flaw(Property::CancelSafe, detail));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GivingUp {
    Never,
    Often,
}

/// How many of the messages arrive.
async fn one_by_one<E: Endpoints>(bench: &mut Bench<E>, giving_up: GivingUp) -> Result<u64, Flaw> {
    let two = bench.node(2);
    let (mut inbox, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    let first = bench.numbers(MESSAGES);
    for number in 0..MESSAGES {
        bench.send(1, vec![small(1, 2, first + number)])?;
        tokio::task::yield_now().await;
        let times = if giving_up == GivingUp::Often { number % 4 } else { 0 };
        for _ in 0..times {
            let mut receive = two.receive(&mut inbox);
            for _ in 0..number / 4 % 3 + 1 {
                if receive.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }
    bench.examine(2, &inbox)?;
    let mut arrived = BTreeSet::new();
    loop {
        let ours = |term: &u64| (first..first + MESSAGES).contains(term);
        arrived.extend(inbox.drain(..).map(|message| message.term.0).filter(ours));
        if arrived.len() as u64 == MESSAGES {
            break;
        }
        inbox = bench.receive(2, bench.kit.patience).await?;
        if inbox.is_empty() {
            break;
        }
    }
    Ok(arrived.len() as u64)
}
