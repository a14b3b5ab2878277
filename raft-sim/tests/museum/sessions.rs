//! Sessions and what they are for: entries 18 and 23 of the museum, and items 86 and 87 of the catalogue.

use std::time::Duration;

use kv::CommandError;
use kv::command::Ticket;
use kv::raw::AttemptError;
use raft_sim::kv::{Job, KvCluster};
use raft_sim::net::{Kind, Verdict};
use raft_sim::{Keep, Sim};

use super::serving::*;
use super::support::*;

const HOUR: Duration = Duration::from_secs(3600);
const EXPIRED: AttemptError = AttemptError::Command(CommandError::SessionExpired);
const STALE: AttemptError = AttemptError::Command(CommandError::StaleSequence);

/// Museum 18: a leader stands still, another one is elected, and when the first one wakes up it does not hear the
/// others, leads on, and its clock is an hour late. What it stamps by that clock would end every session, and some
/// others hear it; it is of a term that is over, and ends none.
#[test]
fn m18_an_old_leader_that_wakes_up_ends_no_session() {
    each_seed(10, |seed| {
        let mut config = config(seed);
        config.server.session_ttl = 60 * SECOND;
        let (mut kv, old) = serving(config);
        let rest = others(kv.nodes(), &[old]);
        let (late, busy) = (kv.client_of(&[old]), kv.client_of(&rest));
        let held = session(&mut kv, busy, old);
        let ticket = Ticket { session: held, seq: 1, acked: 1 };
        let first = attempt(&mut kv, busy, old, ticket, "first ").expect("applied");
        append(&mut kv, late, "late", "one ");
        let host = kv.nodes().host(old);
        kv.nodes_mut().sim().pause(host);
        for n in 0..4 {
            append(&mut kv, busy, "busy", &format!("{n} "));
            kv.nodes_mut().run_for(SECOND);
        }
        let nodes = kv.nodes_mut();
        for other in nodes.hosts(&rest) {
            nodes.net().cut(other, host);
            if seed % 2 == 0 {
                nodes.net().cut(host, other);
            }
        }
        nodes.sim().resume(host);
        nodes.sim().jump(host, HOUR);
        let two = kv.spawn(late, |mut clerk| async move { clerk.append("late", "two ").await });
        kv.nodes_mut().run_for(200 * MS);
        let led_on = kv.nodes().leaders().iter().any(|(at, _)| *at == old);
        assert!(led_on, "nobody woke up believing to lead");
        kv.nodes_mut().run_for(SECOND * (seed % 2) as u32);
        kv.nodes().net().heal();
        kv.finish(PATIENCE, &two).expect("in time").expect("done");
        let leader = await_leader(kv.nodes_mut());
        assert_eq!(attempt(&mut kv, busy, leader, ticket, "first "), Ok(first), "seed {seed}");
        assert_eq!(value(&mut kv, busy, "late"), "one two ");
        let judged = judge(&mut kv);
        assert_eq!(judged.sessions_ended, 0, "{judged:?}");
    });
}

/// Museum 18: a session ends by an entry of the log and by nothing else. However long nobody writes, whoever wakes
/// up meanwhile: it is there on all nodes until a write has come that is late enough, and then on none.
#[test]
fn m18_a_session_ends_when_the_log_says_so() {
    each_seed(5, |seed| {
        let mut config = config(seed);
        config.server.session_ttl = 2 * SECOND;
        let (mut kv, leader) = serving(config);
        let client = kv.client();
        let held = session(&mut kv, client, leader);
        let ticket = Ticket { session: held, seq: 1, acked: 1 };
        attempt(&mut kv, client, leader, ticket, "once ").expect("applied");
        for at in 0..3 {
            let host = kv.nodes().host(at);
            kv.nodes_mut().sim().pause(host);
            kv.nodes_mut().run_for(300 * MS);
            kv.nodes_mut().sim().resume(host);
            kv.nodes_mut().run_for(5 * SECOND);
        }
        assert_eq!(sessions(&kv), [1, 1, 1], "it ended by itself");
        let leader = await_leader(kv.nodes_mut());
        // What moves the log's time on is a command of whoever leads.
        for n in 0..4 {
            append(&mut kv, client, "other", &format!("{n} "));
            kv.nodes_mut().run_for(SECOND);
        }
        assert_eq!(sessions(&kv), [1, 1, 1], "the clerk's own, and not the other one");
        assert_eq!(attempt(&mut kv, client, leader, ticket, "once "), Err(EXPIRED));
        assert_eq!(value(&mut kv, client, "k"), "once ");
        assert_eq!(judge(&mut kv).sessions_ended, 1);
    });
}

/// Appends tokens until there are so many, and says what became of each.
fn append_tokens(kv: &mut KvCluster, client: usize, count: u64) -> Job<Vec<(String, Fate)>> {
    let it = kv.client();
    kv.spawn(it, move |mut clerk| async move {
        let mut fates = Vec::new();
        for n in 0..count {
            let token = format!("<{client}.{n}>");
            let result = clerk.append("k", &token).await;
            fates.push((token, fate(&result)));
        }
        fates
    })
}

/// Two of three replies are lost, and leaders crash. Gives what three clients were told, and the value.
fn told_little(seed: u64, deadline: Duration) -> (Vec<(String, Fate)>, u64) {
    let mut config = config(seed);
    config.clerk.deadline = deadline;
    config.clerk.attempt_timeout = 100 * MS;
    config.cluster.snapshot_bytes = Some(2000);
    let (mut kv, _) = serving(config);
    let mut rng = fastrand::Rng::with_seed(seed);
    kv.nodes().net().set_filter(move |letter| match letter.kind {
        Kind::Reply if rng.u8(0..3) > 0 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let jobs: Vec<_> = (0..3).map(|client| append_tokens(&mut kv, client, 15)).collect();
    for _ in 0..3 {
        kv.nodes_mut().run_for(400 * MS);
        if let Some(leader) = kv.nodes().leader() {
            kv.nodes_mut().power_loss(leader, Keep::RandomSectors);
            kv.nodes_mut().run_for(200 * MS);
            kv.nodes_mut().restart(leader);
        }
    }
    let requests = |sim: &Sim| sim.net().traffic().sum(|_, _, kind| kind == Kind::Request);
    let told = kv.finish_all(2 * PATIENCE, &jobs).expect("in time");
    let requests = requests(kv.nodes_mut().sim()).messages;
    let fates: Vec<_> = told.into_iter().flatten().collect();
    judge(&mut kv);
    let reader = kv.client();
    check_fates(&value(&mut kv, reader, "k"), &fates);
    judge(&mut kv);
    (fates, requests)
}

/// Museum 23: a write that was not answered is tried again as the same one: whether it had been applied or not, it
/// is applied once. Appending twice would show.
#[test]
fn m23_a_write_that_may_have_been_done_is_repeated_and_not_done_again() {
    let mut requests = 0;
    each_seed(10, |seed| {
        let (fates, sent) = told_little(seed, PATIENCE);
        assert!(fates.iter().all(|(_, fate)| *fate == Fate::Done), "{fates:?}");
        requests += sent;
    });
    // Of 45 writes by each seed.
    assert!(requests > 450 * 2, "only {requests}: hardly any was repeated");
}

/// Museum 23: a clerk that gives up says whether the write may have been done, and does not repeat it as another
/// one behind its caller's back.
#[test]
fn m23_a_write_that_is_given_up_is_unknown() {
    let mut unknown = 0;
    each_seed(10, |seed| {
        let (fates, _) = told_little(seed, 250 * MS);
        unknown += fates.iter().filter(|(_, fate)| *fate == Fate::Unknown).count();
    });
    assert!(unknown > 50, "only {unknown}");
}

/// Item 86: numbers come out of order, with gaps, again, too far ahead and as high as there are; two clients use the
/// same one. Each has one effect at the most, and whatever has none says why.
#[test]
fn c86_numbers_in_disorder_have_one_effect_or_an_error() {
    each_seed(3, |seed| {
        let (mut kv, at) = serving(config(seed));
        let (one, two) = (kv.client(), kv.client());
        let session = session(&mut kv, one, at);
        let ticket = |seq, acked| Ticket { session, seq, acked };
        let window = Err(AttemptError::Command(CommandError::SessionWindow { window: 1024 }));
        let five = attempt(&mut kv, one, at, ticket(5, 1), "5 ").expect("a gap");
        attempt(&mut kv, one, at, ticket(3, 1), "3 ").expect("older than the one before");
        attempt(&mut kv, one, at, ticket(1024, 1), "1024 ").expect("the last of the window");
        assert_eq!(attempt(&mut kv, one, at, ticket(1025, 1), "1025 "), window);
        assert_eq!(attempt(&mut kv, one, at, ticket(1 << 40, 1), "far "), window);
        // The second clerk of that number gets the first one's reply, and has no effect.
        assert_eq!(attempt(&mut kv, two, at, ticket(5, 1), "another 5 "), Ok(five));
        let last = attempt(&mut kv, one, at, ticket(u64::MAX, u64::MAX), "MAX ").expect("the last");
        assert_eq!(attempt(&mut kv, two, at, ticket(u64::MAX, u64::MAX), "MAX "), Ok(last));
        for seq in [0, 1, 5, 1025, 1 << 40, u64::MAX - 1] {
            assert_eq!(attempt(&mut kv, two, at, ticket(seq, seq), "late "), Err(STALE), "{seq}");
        }
        assert_eq!(value(&mut kv, two, "k"), "5 3 1024 MAX ");
        judge(&mut kv);
    });
}

/// Item 87: more clerks than there may be sessions, each idle between its writes. No node keeps more sessions than
/// it may; a clerk whose session made room opens another one, and a repetition in one that is gone is refused.
#[test]
fn c87_idle_clerks_cost_what_they_may_and_lose_nothing() {
    each_seed(3, |seed| {
        let mut config = config(seed);
        config.server.store.sessions_max = 10;
        config.cluster.snapshot_bytes = Some(3000);
        let (mut kv, leader) = serving(config);
        let raw = kv.client();
        let ticket = Ticket { session: session(&mut kv, raw, leader), seq: 1, acked: 1 };
        attempt(&mut kv, raw, leader, ticket, "raw ").expect("applied");
        let clients: Vec<_> = (0..40).map(|_| kv.client()).collect();
        for round in 0..3 {
            for (n, client) in clients.iter().enumerate() {
                append(&mut kv, *client, &format!("own {n}"), &format!("{round} "));
                assert!(sessions(&kv).iter().all(|count| *count <= 10), "{:?}", sessions(&kv));
            }
            kv.nodes_mut().power_loss(leader, Keep::Nothing);
            kv.nodes_mut().restart(leader);
        }
        let leader = await_leader(kv.nodes_mut());
        assert_eq!(attempt(&mut kv, raw, leader, ticket, "raw "), Err(EXPIRED));
        assert_eq!(value(&mut kv, raw, "k"), "raw ");
        for n in 0..40 {
            assert_eq!(value(&mut kv, raw, &format!("own {n}")), "0 1 2 ");
        }
        assert!(judge(&mut kv).sessions_ended >= 110);
    });
}
