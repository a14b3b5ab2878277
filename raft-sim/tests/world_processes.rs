//! Processes: their clocks, pauses and ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use raft_sim::Sim;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);

/// What a process says, with the world's time at which it was heard.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A process that says something every 10 ms of its own time.
fn ticking(sim: &mut Sim, name: &str) -> (raft_sim::net::HostId, Heard) {
    let (host, heard) = (sim.add_host(name), Heard::default());
    let say = heard.clone();
    sim.start(host, |_| async move {
        loop {
            sleep(10 * MS).await;
            say.say("tick");
        }
    });
    (host, heard)
}

#[test]
fn time_passes_for_everybody() {
    let mut sim = Sim::new(1);
    let (_, a) = ticking(&mut sim, "a");
    let (_, b) = ticking(&mut sim, "b");
    sim.run_for(1005 * MS);
    assert_eq!((a.count(), b.count()), (100, 100));
    assert_eq!(sim.now(), 1005 * MS);
}

#[test]
fn a_killed_process_does_nothing_more_and_its_spawned_tasks_neither() {
    let mut sim = Sim::new(1);
    let (host, heard) = (sim.add_host("a"), Heard::default());
    let say = heard.clone();
    sim.start(host, |_| async move {
        let say = say.clone();
        tokio::spawn(async move {
            loop {
                sleep(MS).await;
                say.say("spawned");
            }
        });
        std::future::pending::<()>().await;
    });
    sim.run_for(10 * MS);
    assert!(sim.is_up(host) && heard.count() >= 8);
    sim.kill(host);
    heard.take();
    sim.run_for(Duration::from_secs(1));
    assert_eq!(heard.count(), 0);
    assert_eq!((sim.is_up(host), sim.crashes(host)), (false, 1));
}

#[test]
fn a_process_crashes_at_the_effect_it_was_told_to() {
    let mut sim = Sim::new(1);
    let (host, heard) = (sim.add_host("a"), Heard::default());
    let main = |say: Heard| {
        |process: raft_sim::world::Process| async move {
            for step in 0..10 {
                if process.fate().reach("step") {
                    say.say(format!("{step}"));
                }
                sleep(MS).await;
            }
        }
    };
    sim.start(host, main(heard.clone()));
    sim.run_for(20 * MS);
    assert_eq!(sim.reached(host).get("step"), Some(&10));
    assert_eq!(heard.take().len(), 10);

    sim.kill(host);
    sim.crash_at(host, "step", 4);
    sim.start(host, main(heard.clone()));
    sim.run_for(20 * MS);
    assert!(!sim.is_up(host));
    assert_eq!(heard.take(), ["0", "1", "2"], "nothing of the fourth step or after it");

    // The order counted for one incarnation only.
    sim.start(host, main(heard.clone()));
    sim.run_for(20 * MS);
    assert!(sim.is_up(host));
    assert_eq!(heard.count(), 10);
}

#[test]
fn what_is_to_be_done_at_a_death_is_done_once() {
    let mut sim = Sim::new(1);
    let (host, heard) = (sim.add_host("a"), Heard::default());
    let say = heard.clone();
    sim.start(host, |process| async move {
        process.fate().on_death(move || say.say("dead"));
        std::future::pending::<()>().await;
    });
    sim.kill(host);
    sim.kill(host);
    assert_eq!(heard.take(), ["dead"]);
}

#[test]
fn a_paused_process_wakes_up_later_all_at_once() {
    let mut sim = Sim::new(1);
    let (host, heard) = (sim.add_host("a"), Heard::default());
    let say = heard.clone();
    sim.start(host, |_| async move {
        let start = Instant::now();
        loop {
            sleep(10 * MS).await;
            say.say(format!("{}", start.elapsed().as_millis()));
        }
    });
    sim.run_for(25 * MS);
    assert_eq!(heard.take(), ["10", "20"]);
    sim.pause(host);
    assert!(sim.is_paused(host));
    sim.run_for(500 * MS);
    assert_eq!(heard.take(), [] as [&str; 0]);
    sim.resume(host);
    sim.run_for(20 * MS);
    let after: Vec<u64> = heard.take().iter().map(|ms| ms.parse().unwrap()).collect();
    assert!(
        after[0] >= 520,
        "the timer that was due in the pause sees the time after it: {after:?}"
    );
    assert!(after.len() <= 4, "one late timer, not a burst of them: {after:?}");
}

#[test]
fn a_clock_drifts_and_jumps_alone() {
    let mut sim = Sim::new(1);
    let (slow, heard_slow) = ticking(&mut sim, "slow");
    let (fast, heard_fast) = ticking(&mut sim, "fast");
    let (_, right) = ticking(&mut sim, "right");
    sim.set_rate(slow, 800);
    sim.set_rate(fast, 1250);
    sim.run_for(Duration::from_secs(2));
    let near = |count: usize, wanted: usize| count.abs_diff(wanted) <= 2;
    assert!(near(heard_slow.count(), 160), "{}", heard_slow.count());
    assert!(near(heard_fast.count(), 250), "{}", heard_fast.count());
    assert!(near(right.count(), 200), "{}", right.count());

    let before = right.count();
    let (jumper, jumped) = (sim.add_host("jumper"), Heard::default());
    let say = jumped.clone();
    sim.start(jumper, |_| async move {
        sleep(Duration::from_secs(3600)).await;
        say.say("an hour");
    });
    sim.run_for(10 * MS);
    sim.jump(jumper, Duration::from_secs(3600));
    sim.run_for(20 * MS);
    assert_eq!(jumped.take(), ["an hour"]);
    assert!(right.count() - before <= 4, "nobody else's time has jumped");
}

#[test]
fn waiting_has_a_limit() {
    let mut sim = Sim::new(1);
    let (_, heard) = ticking(&mut sim, "a");
    assert!(sim.run_until(Duration::from_secs(1), |_| heard.count() >= 3).reached());
    assert!(sim.now() <= 50 * MS);
    assert!(!sim.run_until(100 * MS, |_| false).reached());
}
