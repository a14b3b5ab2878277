//! The suite of shards: groups that join and leave while everything goes wrong with nodes, with groups and with
//! clients; and then everything comes to rest.

mod faults;
mod liveness;
mod operators;
mod plan;

use crate::kv::Crew;
use crate::shardkv::ShardCluster;
use crate::swarm::{
    Dice, Failure, Floor, Nemeses, Nodes, Outcome, Planned, Recording, Scale, Tally, safety_with,
};

pub use faults::{GroupFaults, GroupOutages, LostDisks, Rifts};
pub use operators::Changes;
pub use plan::{ShardPlan, Sharding};

use operators::Operators;

/// The suite of shards.
#[derive(Clone, Copy, Debug)]
pub struct ShardSuite;

impl Planned for ShardSuite {
    type Plan = ShardPlan;

    fn name(&self) -> &'static str {
        "shardkv"
    }

    fn draw(&self, seed: u64, scale: Scale) -> ShardPlan {
        ShardPlan::draw(seed, scale)
    }

    fn run(&self, plan: &ShardPlan, recording: Recording) -> Outcome {
        let seed = plan.setting.seed;
        let mut cluster = ShardCluster::start(plan.config());
        if recording == Recording::Lines {
            cluster.sim().trace().keep_lines();
        }
        let servers = (0..Nodes::len(&cluster)).map(|at| cluster.host(at)).collect();
        let (sim, clients) = cluster.parts();
        let mut crew = Crew::start_with(sim, clients, &plan.load, seed, servers, Vec::new());
        let operators = Operators::start(&mut cluster, &plan.changes, seed);
        let (mut tally, mut coverage) = (Tally::default(), Tally::default());
        let verdict = phases(plan, &mut cluster, &mut crew, &operators, &mut tally, &mut coverage);
        for (what, count) in crew.counts() {
            coverage.add(what, count);
        }
        coverage += &operators.counts();
        coverage += &cluster.happened();
        coverage.add("sessions opened", cluster.sessions_opened());
        let mut outcome = Outcome::of(seed, &mut cluster, tally, verdict);
        outcome.coverage += &coverage;
        outcome
    }

    fn simpler(&self, plan: &ShardPlan) -> Vec<(String, ShardPlan)> {
        plan.simpler()
    }

    fn floors(&self) -> Vec<Floor> {
        Floor::table(&FLOORS)
    }

    fn calm(&self) -> ShardPlan {
        ShardPlan::calm()
    }
}

/// About half of what is there.
const FLOORS: [(&str, u64); 49] = [
    ("append", 18_000),
    ("batch", 4000),
    ("cas swapped", 4500),
    ("delete", 5000),
    ("get", 25_000),
    ("put", 17_000),
    ("pages of scans", 1900),
    ("operations of unknown outcome", 5000),
    ("clients killed", 2400),
    ("clients paused", 2400),
    ("sessions opened", 14_000),
    ("sessions expired in doubt", 200),
    ("joins", 2800),
    ("leaves", 2200),
    ("moves", 3600),
    ("rebalances", 500),
    ("servers set", 350),
    ("configurations adopted", 27_000),
    ("shards moved", 16_000),
    ("shards frozen", 14_000),
    ("shards kept for nobody", 2500),
    ("moves resumed", 2800),
    ("keys moved", 28_000),
    ("sessions moved", 40_000),
    ("chunks taken", 38_000),
    ("chunks out of place", 200),
    ("installs that came again", 50),
    ("commands behind a freeze", 400),
    ("repeated at the new owner", 200),
    ("repeated at the same owner", 1800),
    ("sent to another group", 50_000),
    ("snapshots taken", 150_000),
    ("snapshots received", 1600),
    ("crash at a point", 500),
    ("power loss, nothing kept", 2500),
    ("power loss, random sectors kept", 2500),
    ("outage of a group", 1900),
    ("outage of all nodes", 900),
    ("partition", 1900),
    ("rift", 1900),
    ("one-way rift", 1400),
    ("disk lost", 400),
    ("pause of a process", 3000),
    ("stopped by an I/O error", 450),
    ("stopped by a full disk", 150),
    ("messages lost", 200_000),
    ("quorum only", 50),
    ("deaf minority", 20),
    ("mute minority", 25),
];

fn phases(
    plan: &ShardPlan,
    cluster: &mut ShardCluster,
    crew: &mut Crew,
    operators: &Operators,
    tally: &mut Tally,
    coverage: &mut Tally,
) -> Result<(), Failure> {
    let (seed, length) = (plan.setting.seed, plan.setting.safety);
    let mut nemeses = Nemeses::new(&plan.faults, seed);
    let dice = |class| Dice::new(seed, class);
    if let Some(plan) = plan.group_faults.rifts.clone() {
        nemeses.push(faults::Rifting::new(plan, dice("rifting"), crew.hosts()));
    }
    if let Some(plan) = plan.group_faults.outages.clone() {
        nemeses.push(faults::Darkening::new(plan, dice("darkening")));
    }
    if let Some(plan) = plan.group_faults.lost_disks.clone() {
        nemeses.push(faults::Losing::new(plan, dice("losing")));
    }
    let mut ward = safety_with(cluster, nemeses, seed, length, tally, |cluster, now| {
        operators.pace(cluster);
        let (sim, clients) = cluster.parts();
        crew.disturb(sim, clients, now);
    })?;
    liveness::Rest { plan, cluster, crew, operators, ward: &mut ward, tally }.run()?;
    let judged = cluster.judge()?;
    coverage.add("operations", judged.operations as u64);
    coverage.add("operations of unknown outcome", judged.unknown as u64);
    coverage.add("pages of scans", judged.scans as u64);
    Ok(())
}
