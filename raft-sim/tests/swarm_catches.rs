//! The swarm sees what it is there to see: disks that say that data are safe when they are not.

use raft_core::{Command, Restore, SnapshotSource, StateMachine, Whole};
use raft_sim::cluster::Cluster;
use raft_sim::disk::{Failure as DiskFailure, OpKind};
use raft_sim::swarm::{
    Dice, Failure, Faults, Floor, Liveness, Outcome, Planned, Recording, Scale, Setting, Tally,
    minimise, safety,
};

/// Counts.
struct Count(u64);

impl StateMachine for Count {
    type Output = ();

    fn apply(&mut self, commands: &[Command]) -> Vec<()> {
        self.0 += commands.len() as u64;
        vec![(); commands.len()]
    }

    fn snapshot(&self) -> Box<dyn SnapshotSource> {
        Whole::source(self.0.to_le_bytes().to_vec())
    }

    fn restore(&self) -> Box<dyn Restore<Self>> {
        Whole::restore(|bytes| Ok(Count(bytes.len() as u64)))
    }
}

/// A suite of somebody else: disks lie about some of their syncs.
struct LyingDisks;

#[derive(Clone)]
struct Plan {
    setting: Setting,
    faults: Faults,
    /// Of a hundred syncs.
    lies: u32,
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n  {} percent of syncs are lies\n{}", self.setting, self.lies, self.faults)
    }
}

fn phases(plan: &Plan, cluster: &mut Cluster<Count>, tally: &mut Tally) -> Result<(), Failure> {
    for at in 0..cluster.len() {
        let rate = f64::from(plan.lies) / 100.0;
        cluster.disk(at).set_failure_rate(OpKind::Sync, DiskFailure::Lost, rate);
    }
    let Setting { seed, safety: length, .. } = plan.setting;
    let mut ward = safety(cluster, &plan.faults, seed, length, tally, |cluster, _| {
        if let Some(leader) = cluster.leader() {
            cluster.offer(leader, vec![7; 100]);
        }
    })?;
    Liveness::of(&plan.setting, &plan.faults).run(cluster, &plan.setting, &mut ward, tally)
}

impl Planned for LyingDisks {
    type Plan = Plan;

    fn name(&self) -> &'static str {
        "lying disks"
    }

    fn draw(&self, seed: u64, scale: Scale) -> Plan {
        let lies = Dice::new(seed, "lies").pick(&[1, 10, 50]);
        Plan { setting: Setting::draw(seed, scale), faults: Faults::draw(seed), lies }
    }

    fn run(&self, plan: &Plan, recording: Recording) -> Outcome {
        let mut cluster = Cluster::start(plan.setting.cluster(), || Count(0));
        if recording == Recording::Lines {
            cluster.sim().trace().keep_lines();
        }
        let mut faults = Tally::default();
        let verdict = phases(plan, &mut cluster, &mut faults);
        Outcome::of(plan.setting.seed, &mut cluster, faults, verdict)
    }

    fn simpler(&self, plan: &Plan) -> Vec<(String, Plan)> {
        let faults = plan.faults.simpler().into_iter();
        let faults =
            faults.map(|(what, faults)| (what.to_owned(), Plan { faults, ..plan.clone() }));
        let settings = plan.setting.simpler().into_iter();
        let settings = settings.map(|(what, setting)| (what, Plan { setting, ..plan.clone() }));
        let honest = ("honest disks".to_owned(), Plan { lies: 0, ..plan.clone() });
        faults.chain(settings).chain([honest]).collect()
    }

    fn floors(&self) -> Vec<Floor> {
        Vec::new()
    }

    fn calm(&self) -> Plan {
        Plan { faults: Faults::default(), lies: 0, ..self.draw(1, Scale::Short) }
    }
}

#[test]
fn syncs_that_lie_are_found_and_made_small() {
    let seeds = 1..30;
    let mut outcomes = seeds.map(|seed| {
        let plan = LyingDisks.draw(seed, Scale::Short);
        let outcome = LyingDisks.run(&plan, Recording::Hash);
        (plan, outcome.verdict)
    });
    let found = outcomes.find_map(|(plan, verdict)| verdict.err().map(|failure| (plan, failure)));
    let (plan, failure) = found.expect("thirty seeds are enough");
    let caught = ["durable-survives", "monotonic", "no-node-stops", "one-vote"];
    assert!(caught.contains(&failure.by.as_str()), "{failure}");
    let minimised = minimise(&LyingDisks, plan, &failure, 40);
    assert_eq!(minimised.failure.by, failure.by);
    // What matters was kept: the lies, and something that ends a node.
    assert!(!minimised.without.contains(&"honest disks".to_owned()), "{:?}", minimised.without);
    assert!(!minimised.without.is_empty() && !minimised.lines.is_empty());
    let ends = ["Crashes", "Outages", "DiskErrors"];
    assert!(ends.iter().any(|class| minimised.plan.contains(class)), "{}", minimised.plan);
}
