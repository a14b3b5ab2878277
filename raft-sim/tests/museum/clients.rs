//! What clients ask for, and how they go away: items 30, 88 to 91 of the catalogue.

use std::time::Duration;

use kv::command::Ticket;
use kv::raw::AttemptError;
use kv::{Cause, ClerkError, Op, Refusal, Scan};
use raft_sim::cluster::{Wire, address_of};
use raft_sim::kv::{KvClient, KvCluster};
use raft_sim::net::Kind;

use super::serving::*;
use super::support::*;

/// Item 30: the leader stands still at every moment of a read, the one between its confirmation and the reply among
/// them. Meanwhile another one is elected and writes: the reply, when it comes, is of a moment of the read.
#[test]
fn c30_a_leader_that_stands_still_before_it_answers_tells_nothing_stale() {
    let mut answered_late = 0;
    for moment in 0..30 {
        let mut config = config(moment);
        // The clerk waits for the old leader's reply.
        config.clerk.attempt_timeout = 10 * SECOND;
        let (mut kv, old) = serving(config);
        let reader = kv.client_of(&[old]);
        append(&mut kv, reader, "k", "old ");
        let host = kv.nodes().host(old);
        let slow = kv.spawn(reader, |mut clerk| async move { clerk.get("k").await });
        let mut events = 0;
        let _ = kv.nodes_mut().sim().run_until(SECOND, |_| {
            events += 1;
            events > moment
        });
        kv.nodes_mut().sim().pause(host);
        // When it wakes up it has heard of the others' term, or does not for a while.
        let deaf = moment % 2 == 1;
        let rest = others(kv.nodes(), &[old]);
        let net = kv.nodes().net().clone();
        if deaf {
            kv.nodes().hosts(&rest).into_iter().for_each(|other| net.cut(other, host));
        }
        kv.nodes_mut().run_for(3 * TIMEOUT);
        let writer = kv.client_of(&rest);
        append(&mut kv, writer, "k", "new ");
        answered_late += u64::from(!slow.is_done());
        // It gets there when the leader wakes up, together with what the others have sent.
        let late = kv.spawn(reader, |mut clerk| async move { clerk.get("k").await });
        kv.nodes_mut().run_for(SECOND);
        kv.nodes_mut().sim().resume(host);
        kv.nodes_mut().run_for(100 * MS);
        net.heal();
        kv.finish(PATIENCE, &slow).expect("in time").expect("read");
        let late = kv.finish(PATIENCE, &late).expect("in time").expect("read").expect("a value");
        assert_eq!(late.value, "old new ", "stale");
        judge(&mut kv);
    }
    assert!((5..30).contains(&answered_late), "{answered_late} of 30 after the pause");
}

fn last_index(kv: &KvCluster, at: usize) -> u64 {
    kv.nodes().status(at).expect("it runs").last.index.0
}

/// Items 88 and 89, over the production transport: values of no bytes, one, and as many as there may be; keys of any
/// bytes. One byte more is refused, by the clerk and by a server whose client has not looked, and nothing of it gets
/// into the log.
#[test]
fn c88_c89_any_bytes_up_to_the_limits_and_none_beyond() {
    let mut config = config(1);
    config.cluster.wire = Wire::Streams;
    config.server.store.limits.value_bytes_max = 100_000;
    config.server.store.limits.key_bytes_max = 64 << 10;
    let (mut kv, leader) = serving(config);
    let client = kv.client();
    let long = vec![b'x'; 64 << 10];
    let keys: [&[u8]; 9] =
        [b"", b"\0", b"\0\0", b"a", b"a\0", b"../", b"../../etc/passwd", b"\xff\xfe\xc0", &long];
    let sizes = [0, 1, 99_999, 100_000];
    let of = |n: usize| vec![n as u8; sizes[n % sizes.len()]];
    for (n, key) in keys.into_iter().enumerate() {
        let (key, value) = (key.to_vec(), of(n));
        let done =
            kv.call(PATIENCE, client, |mut clerk| async move { clerk.put(key, value).await });
        done.expect("in time").expect("done");
    }
    let ticket = Ticket { session: session(&mut kv, client, leader), seq: 1, acked: 1 };
    let before = last_index(&kv, leader);
    refuse_what_is_too_long(&mut kv, client, leader, ticket);
    assert_eq!(last_index(&kv, leader), before, "refused, and in the log");
    let page =
        kv.call(
            PATIENCE,
            client,
            |mut clerk| async move { clerk.scan(&Scan::range("", None)).await },
        );
    let page = page.expect("in time").expect("read");
    let found: Vec<_> = page.entries.iter().map(|(key, value, _)| (&key[..], &value[..])).collect();
    let values: Vec<_> = (0..keys.len()).map(of).collect();
    let mut wanted: Vec<_> = keys.into_iter().zip(values.iter().map(|value| &value[..])).collect();
    wanted.sort();
    assert!(found == wanted, "{} of {} keys", found.len(), wanted.len());
    judge(&mut kv);
}

fn refuse_what_is_too_long(kv: &mut KvCluster, client: KvClient, leader: usize, ticket: Ticket) {
    let address = address_of(kv.nodes().id(leader));
    let (long, large) = (vec![1; (64 << 10) + 1], vec![1; 100_001]);
    let answers = kv.call(PATIENCE, client, |mut clerk| async move {
        let key = clerk.put(&long, "").await;
        // The clerk has larger limits than the servers: this one gets there.
        let value = clerk.put("k", &large).await;
        let ops = [Op::Put { key: &long, value: b"" }, Op::Append { key: b"k", value: &large }];
        let mut raw = Vec::new();
        for op in ops {
            raw.push(clerk.attempt(&address, ticket, op, SECOND).await);
        }
        (key, value, raw)
    });
    let (key, value, raw) = answers.expect("in time");
    let long_key = Refusal::KeyTooLarge { bytes: 65_537, bytes_max: 65_536 };
    let long_value = Refusal::ValueTooLarge { bytes: 100_001, bytes_max: 100_000 };
    assert_eq!(key, Err(ClerkError::Refused(long_key)));
    assert_eq!(value, Err(ClerkError::Refused(long_value)));
    let refused = [long_key, long_value].map(|refusal| Err(AttemptError::Refused(refusal)));
    assert_eq!(raw, refused);
}

/// Item 90: deadlines shorter than the way there and back, calls that are given up in the middle, and clients that
/// are gone before the answer comes. What was asked for is done once or not at all, and whoever stays is served.
#[test]
fn c90_calls_that_are_given_up_take_effect_once_or_never() {
    let (mut unknown, mut there) = (0, 0);
    each_seed(8, |seed| {
        let mut config = config(seed);
        config.cluster.wire = if seed % 2 == 0 { Wire::Streams } else { Wire::Messages };
        let (mut kv, _) = serving(config);
        kv.nodes().net().change_links(|link| link.latency = (10 * MS, 40 * MS));
        let (gone, hasty) = (kv.client(), kv.client());
        append(&mut kv, gone, "k", "begin ");
        append(&mut kv, hasty, "k", "begin ");
        let job = kv.spawn(hasty, |mut clerk| async move {
            let mut fates = Vec::new();
            for n in 0..40_u64 {
                let (token, limit) = (format!("<{n}>"), MS * (5 + n as u32));
                let fate = if n % 2 == 0 {
                    let given_up = tokio::time::timeout(limit, clerk.append("k", &token)).await;
                    given_up.map_or(Fate::Unknown, |result| fate(&result))
                } else {
                    clerk = clerk.with_deadline(limit);
                    let fate = fate(&clerk.append("k", &token).await);
                    clerk = clerk.with_deadline(PATIENCE);
                    fate
                };
                fates.push((token, fate));
            }
            fates
        });
        let mut fates = Vec::new();
        for n in 0..10 {
            let token = format!("[{n}]");
            let it = token.clone();
            kv.spawn(gone, |mut clerk| async move { clerk.append("k", it).await });
            kv.nodes_mut().run_for(MS * (10 * n));
            kv.restart_client(gone, &[0, 1, 2]);
            fates.push((token, Fate::Unknown));
        }
        fates.extend(kv.finish(PATIENCE, &job).expect("in time"));
        append(&mut kv, hasty, "k", "end");
        kv.nodes_mut().run_for(SECOND);
        let value = value(&mut kv, hasty, "k");
        check_fates(&value, &fates);
        unknown += fates.iter().filter(|(_, fate)| *fate == Fate::Unknown).count();
        there += fates.iter().filter(|(token, _)| times(&value, token) == 1).count();
        judge(&mut kv);
    });
    assert!(unknown > 100 && there > 100, "{unknown} unknown, {there} applied");
}

/// Item 91: a clerk knows one node, which led and does not any more, or is gone: it finds the leader by what it is
/// told, or by asking the others.
#[test]
fn c91_a_clerk_whose_leader_is_gone_finds_the_next() {
    each_seed(5, |seed| {
        let (mut kv, old) = serving(config(seed));
        let (hinted, asking) = (kv.client_of(&[old]), kv.client());
        for client in [hinted, asking] {
            append(&mut kv, client, "k", "x");
        }
        let host = kv.nodes().host(old);
        kv.nodes_mut().sim().pause(host);
        kv.nodes_mut().run_for(4 * TIMEOUT);
        kv.nodes_mut().sim().resume(host);
        // Its route is of the time before; a node that follows knows better.
        kv.nodes_mut().run_for(200 * MS);
        append(&mut kv, hinted, "k", "x");
        kv.nodes_mut().kill(old);
        await_leader(kv.nodes_mut());
        append(&mut kv, asking, "k", "x");
        append(&mut kv, hinted, "k", "x");
        assert_eq!(value(&mut kv, asking, "k"), "xxxxx");
        judge(&mut kv);
    });
}

/// Item 91: nobody leads, and every node says so or points at one that is gone. A clerk asks again and again, slower
/// and slower, and gives up in time with an error that says that nothing was done.
#[test]
fn c91_without_a_leader_a_clerk_asks_slowly() {
    each_seed(5, |seed| {
        let mut config = config(seed);
        config.clerk.deadline = 20 * SECOND;
        let (mut kv, leader) = serving(config);
        let client = kv.client();
        append(&mut kv, client, "k", "x");
        let rest = others(kv.nodes(), &[leader]);
        kv.nodes_mut().kill(leader);
        for at in rest.iter().copied() {
            let nodes = kv.nodes();
            rest.iter().for_each(|to| nodes.net().cut(nodes.host(at), nodes.host(*to)));
        }
        kv.nodes_mut().run_for(SECOND);
        kv.nodes().net().reset_traffic();
        let begun = kv.nodes_mut().sim().now();
        let tried =
            kv.call(PATIENCE, client, |mut clerk| async move { clerk.append("k", "y").await });
        let took = kv.nodes_mut().sim().now() - begun;
        let error = tried.expect("in time").expect_err("nobody leads");
        assert!(
            matches!(error, ClerkError::NotDone(Cause::NoLeader | Cause::Unreachable)),
            "{error}"
        );
        let sent = kv.nodes().net().traffic().sum(|from, _, _| from == client.host()).messages;
        // Twenty seconds at half a second for a pause, of which up to a half is cut, and at the most two hops.
        assert!((30..300).contains(&sent), "{sent} requests");
        assert!(took <= Duration::from_millis(20_100), "{took:?}");
        assert!(kv.nodes().net().traffic().sum(|_, _, kind| kind == Kind::Request).messages >= 30);
        judge(&mut kv);
        assert_eq!(value(&mut kv, client, "k"), "x");
    });
}
