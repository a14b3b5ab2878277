//! The suite of the core: a group of nodes, and commands that mean nothing.

mod load;
mod machine;

use std::fmt;

pub use self::load::Load;
pub use self::machine::Scratch;

use super::dice::Dice;
use super::faults::Faults;
use super::liveness::Liveness;
use super::safety::safety;
use super::setting::Setting;
use super::suite::{Failure, Floor, Outcome, Planned, Recording, Scale};
use super::tally::Tally;
use crate::cluster::Cluster;

/// The suite of the core.
#[derive(Clone, Copy, Debug)]
pub struct CoreSuite;

/// Everything that is drawn for a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CorePlan {
    /// The cluster.
    pub setting: Setting,
    /// What goes wrong.
    pub faults: Faults,
    /// What is proposed.
    pub load: Load,
    /// The size of the state, and so of snapshots.
    pub state_bytes: usize,
}

impl fmt::Display for CorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, faults, load, state_bytes } = self;
        writeln!(f, "{setting}")?;
        writeln!(f, "  {load:?}, a state of {state_bytes} bytes")?;
        write!(f, "{faults}")
    }
}

impl Planned for CoreSuite {
    type Plan = CorePlan;

    fn name(&self) -> &'static str {
        "core"
    }

    fn draw(&self, seed: u64, scale: Scale) -> CorePlan {
        let mut dice = Dice::new(seed, "core");
        CorePlan {
            setting: Setting::draw(seed, scale),
            faults: Faults::draw(seed),
            load: Load::draw(&mut dice),
            state_bytes: dice.pick(&[0, 1 << 10, 20 << 10]),
        }
    }

    fn run(&self, plan: &CorePlan, recording: Recording) -> Outcome {
        let bytes = plan.state_bytes;
        let mut cluster = Cluster::start(plan.setting.cluster(), move || Scratch::new(bytes));
        if recording == Recording::Lines {
            cluster.sim().trace().keep_lines();
        }
        let mut faults = Tally::default();
        let verdict = phases(plan, &mut cluster, &mut faults);
        Outcome::of(plan.setting.seed, &mut cluster, faults, verdict)
    }

    fn simpler(&self, plan: &CorePlan) -> Vec<(String, CorePlan)> {
        let mut all = Vec::new();
        for (what, faults) in plan.faults.simpler() {
            all.push((what.to_owned(), CorePlan { faults, ..plan.clone() }));
        }
        for (what, setting) in plan.setting.simpler() {
            all.push((what, CorePlan { setting, ..plan.clone() }));
        }
        for (what, load) in plan.load.simpler() {
            all.push((what, CorePlan { load, ..plan.clone() }));
        }
        if plan.state_bytes > 0 {
            all.push(("no state".to_owned(), CorePlan { state_bytes: 0, ..plan.clone() }));
        }
        all
    }

    fn floors(&self) -> Vec<Floor> {
        Floor::table(&FLOORS)
    }

    fn calm(&self) -> CorePlan {
        CorePlan {
            setting: Setting::calm(),
            faults: Faults::default(),
            load: Load { per_second: 200, bytes_max: 100, giants: false },
            state_bytes: 1 << 10,
        }
    }
}

/// About half of what is there.
const FLOORS: [(&str, u64); 27] = [
    ("elections", 7000),
    ("truncations", 1500),
    ("snapshots taken", 200_000),
    ("snapshots received", 4000),
    ("logs discarded", 4000),
    ("restores", 10_000),
    ("restarts", 15_000),
    ("kill", 2000),
    ("power loss, nothing kept", 2000),
    ("power loss, prefix kept", 2000),
    ("power loss, random sectors kept", 2000),
    ("torn writes", 200),
    ("sectors lost", 7000),
    ("names lost", 2500),
    ("crash at a point", 1500),
    ("outage of all nodes", 2000),
    ("partition", 4000),
    ("one-way partition", 3000),
    ("pause of a process", 5000),
    ("clock drift", 2500),
    ("stalled disk", 900),
    ("stopped by an I/O error", 2000),
    ("stopped by a full disk", 1500),
    ("messages lost", 150_000),
    ("quorum only", 50),
    ("deaf minority", 50),
    ("mute minority", 50),
];

fn phases(
    plan: &CorePlan,
    cluster: &mut Cluster<Scratch>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let (seed, length) = (plan.setting.seed, plan.setting.safety);
    let mut load = load::Loading::new(plan.load.clone(), Dice::new(seed, "load"));
    let mut ward = safety(cluster, &plan.faults, seed, length, tally, |cluster, now| {
        load.more(cluster, now);
    })?;
    Liveness::of(&plan.setting, &plan.faults).run(cluster, &plan.setting, &mut ward, tally)
}
