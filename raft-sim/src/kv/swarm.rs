//! The suite of the key/value service: production servers and clerks, and everything that goes wrong with nodes,
//! and with clients as well.

use std::fmt;
use std::time::Duration;

use super::{Crew, Judged, KvCluster, KvConfig, KvLoad, Wrong};
use crate::cluster::Wire;
use crate::swarm::{
    Absence, Dice, Failure, Faults, Floor, Liveness, Outcome, Planned, Recording, Scale, Setting,
    Tally, Ward, check, safety,
};

/// The suite of the key/value service.
#[derive(Clone, Copy, Debug)]
pub struct KvSuite;

/// Everything that is drawn for a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KvPlan {
    /// The nodes.
    pub setting: Setting,
    /// What goes wrong with them.
    pub faults: Faults,
    /// What clients do, and what goes wrong with them.
    pub load: KvLoad,
}

/// By when every call has returned, after the faults have ended.
const CALLS_MAX: Duration = Duration::from_secs(10);
/// Over streams, that much later: until broken ones are noticed.
const STREAMS_MORE: Duration = Duration::from_secs(6);
const STEP: Duration = Duration::from_millis(20);

impl fmt::Display for KvPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, faults, load } = self;
        writeln!(f, "{setting}\n{load}")?;
        write!(f, "{faults}")
    }
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        let by = match &wrong {
            Wrong::Violation(violation) => return violation.clone().into(),
            Wrong::Illegal(_) => "linearizable",
            Wrong::Undecided(_) => "decided",
            Wrong::Untrue { .. } => "answers-are-true",
            Wrong::TooOften { .. } => "done-as-often-as-asked",
            Wrong::TornScan(_) => "scans-are-of-one-moment",
        };
        Self::new(by, wrong.to_string())
    }
}

impl Planned for KvSuite {
    type Plan = KvPlan;

    fn name(&self) -> &'static str {
        "kv"
    }

    fn draw(&self, seed: u64, scale: Scale) -> KvPlan {
        let (setting, faults) = (Setting::draw(seed, scale), Faults::draw(seed));
        KvPlan { setting, faults, load: KvLoad::draw(seed) }
    }

    fn run(&self, plan: &KvPlan, recording: Recording) -> Outcome {
        let seed = plan.setting.seed;
        let mut config = KvConfig::new(seed, plan.setting.nodes);
        config.cluster = plan.setting.cluster();
        plan.load.configure(&mut config);
        let mut kv = KvCluster::start(config);
        if recording == Recording::Lines {
            kv.nodes_mut().sim().trace().keep_lines();
        }
        let mut crew = Crew::start(&mut kv, &plan.load, seed);
        let (mut faults, mut coverage) = (Tally::default(), Tally::default());
        let judged = phases(plan, &mut kv, &mut crew, &mut faults);
        if let Ok(judged) = &judged {
            add(&mut coverage, judged);
        }
        for (what, count) in crew.counts() {
            coverage.add(what, count);
        }
        let mut outcome = Outcome::of(seed, kv.nodes_mut(), faults, judged.map(|_| ()));
        outcome.coverage += &coverage;
        outcome
    }

    fn simpler(&self, plan: &KvPlan) -> Vec<(String, KvPlan)> {
        let mut all = Vec::new();
        for (what, faults) in plan.faults.simpler() {
            all.push((what.to_owned(), KvPlan { faults, ..plan.clone() }));
        }
        for (what, setting) in plan.setting.simpler() {
            all.push((what, KvPlan { setting, ..plan.clone() }));
        }
        for (what, load) in plan.load.simpler() {
            all.push((what, KvPlan { load, ..plan.clone() }));
        }
        all
    }

    fn floors(&self) -> Vec<Floor> {
        Floor::table(&FLOORS)
    }

    fn calm(&self) -> KvPlan {
        KvPlan { setting: Setting::calm(), faults: Faults::default(), load: KvLoad::calm() }
    }
}

/// About half of what is there.
const FLOORS: [(&str, u64); 32] = [
    ("append", 30_000),
    ("batch", 7000),
    ("cas swapped", 7000),
    ("delete", 9000),
    ("get", 40_000),
    ("put", 30_000),
    ("pages of scans", 4000),
    ("operations of unknown outcome", 10_000),
    ("clients killed", 5000),
    ("clients paused", 5000),
    ("sessions opened", 10_000),
    ("sessions ended", 6000),
    ("sessions expired in doubt", 1000),
    ("refused", 300),
    ("elections", 6000),
    ("truncations", 1000),
    ("snapshots taken", 100_000),
    ("snapshots received", 1000),
    ("restores", 8000),
    ("restarts", 10_000),
    ("power loss, nothing kept", 1000),
    ("power loss, random sectors kept", 1000),
    ("crash at a point", 1000),
    ("outage of all nodes", 1000),
    ("partition", 4000),
    ("pause of a process", 5000),
    ("stopped by an I/O error", 1000),
    ("stopped by a full disk", 700),
    ("messages lost", 200_000),
    ("quorum only", 100),
    ("deaf minority", 50),
    ("mute minority", 50),
];

fn add(coverage: &mut Tally, judged: &Judged) {
    coverage.add("operations", judged.operations as u64);
    coverage.add("operations of unknown outcome", judged.unknown as u64);
    coverage.add("pages of scans", judged.scans as u64);
    coverage.add("sessions opened", judged.sessions_opened);
    coverage.add("sessions ended", judged.sessions_ended);
}

fn phases(
    plan: &KvPlan,
    kv: &mut KvCluster,
    crew: &mut Crew,
    tally: &mut Tally,
) -> Result<Judged, Failure> {
    let (seed, length) = (plan.setting.seed, plan.setting.safety);
    let (nodes, clients) = kv.parts();
    let mut ward = safety(nodes, &plan.faults, seed, length, tally, |nodes, now| {
        crew.disturb(nodes.sim(), clients, now);
    })?;
    serve(plan, kv, crew, &mut ward, tally)?;
    // Clients keep their connections; those that were killed have left some behind.
    let killed = crew.counts().get("clients killed").copied().unwrap_or_default();
    let clients = plan.load.clients + killed as usize;
    let liveness = Liveness { clients, ..Liveness::of(&plan.setting, &plan.faults) };
    liveness.run(kv.nodes_mut(), &plan.setting, &mut ward, tally)?;
    Ok(kv.judge()?)
}

/// The faults have ended, but that a minority may take no part: all calls of clients return.
fn serve(
    plan: &KvPlan,
    kv: &mut KvCluster,
    crew: &mut Crew,
    ward: &mut Ward,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut dice = Dice::new(plan.setting.seed, "serve");
    let absence = Absence::draw(plan.faults.minority, &mut dice, kv.nodes(), ward);
    absence.begin(kv.nodes_mut(), ward, tally);
    let (nodes, clients) = kv.parts();
    crew.calm(nodes.sim(), clients);
    let more = if plan.setting.wire == Wire::Streams { STREAMS_MORE } else { Duration::ZERO };
    let until = kv.nodes_mut().sim().now() + CALLS_MAX + more;
    while !crew.is_done() {
        if kv.nodes_mut().sim().now() >= until {
            let what = format!("after {:?}: {:?}", CALLS_MAX + more, crew.waiting());
            return Err(Failure::new("liveness-calls", what));
        }
        kv.nodes_mut().run_for(STEP);
        ward.visit(kv.nodes_mut(), tally)?;
        check(kv.nodes_mut())?;
    }
    absence.end(kv.nodes_mut(), ward, tally);
    Ok(())
}
