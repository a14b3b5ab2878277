//! Reports of what is not linearizable, for people: text for a terminal, and a page for a browser.
//!
//! Both show the operations that contradict each other, how far an explanation gets, and the operation at
//! which it ends.
//!
//! ```
//! use raft_sim::checker::models::{Register, RegisterInput, RegisterOutput};
//! use raft_sim::checker::{Budget, Limits, Verdict, check, minimise};
//! use raft_sim::history::Recorder;
//! use raft_sim::report::Report;
//!
//! let recorder = Recorder::new();
//! let mut client = recorder.client();
//! for value in 1..=9 {
//!     client.call(RegisterInput::Write(value)).returned(RegisterOutput::Done);
//! }
//! client.call(RegisterInput::Read).returned(RegisterOutput::Value(Some(7)));
//! let history = recorder.history();
//! let Verdict::Illegal(witness) = check(&Register, &history, &Limits::default()) else {
//!     panic!("the read is stale")
//! };
//! let limits = Limits::new(Budget::Steps(100_000));
//! let core = minimise(&Register, &history, &witness, &limits, 500);
//! let report = Report::new(&Register, &history, &core);
//! println!("{}", report.text());
//! std::fs::write(std::env::temp_dir().join("stale.html"), report.html())?;
//! # assert!(report.text().contains("read -> 7"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod html;
mod text;
mod timeline;

use crate::checker::{Core, Model};
use crate::history::{ClientId, History, Moment, OpId};

/// What is to be shown, in words.
pub struct Report {
    part: String,
    /// In the order of the calls.
    operations: Vec<Shown>,
    /// The state at first.
    first_state: String,
}

/// An operation in words.
struct Shown {
    id: OpId,
    client: ClientId,
    words: String,
    called: Moment,
    returned: Option<Moment>,
    role: Role,
    /// Where it stands in the order that gets farthest, counted from one, and the state after it.
    placed: Option<(usize, String)>,
}

/// What an operation has to do with the contradiction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// It has no place in the order.
    Offending,
    /// Its answer is needed.
    Needed,
    /// It may have taken effect or not.
    Optional,
    /// It plays no part.
    LeftOut,
}

impl Report {
    /// A report about a core of a history.
    pub fn new<M: Model>(
        model: &M,
        history: &History<M::Input, M::Output>,
        core: &Core<M::Part>,
    ) -> Self {
        let role = |id: OpId| match id {
            id if id == core.partial.offending => Role::Offending,
            id if core.needed.contains(&id) => Role::Needed,
            id if core.optional.contains(&id) => Role::Optional,
            _ => Role::LeftOut,
        };
        let of_part = history.iter().filter(|(_, op)| model.part(&op.input) == core.part);
        let shown = of_part.map(|(id, op)| Shown {
            id,
            client: op.client,
            words: model.describe_op(&op.input, op.outcome.output()),
            called: op.called,
            returned: op.outcome.returned(),
            role: role(id),
            placed: None,
        });
        let mut report = Self {
            part: model.describe_part(&core.part),
            operations: shown.collect(),
            first_state: model.describe_state(&model.init()),
        };
        report.place(model, history, core);
        report
    }

    /// Goes through the order that gets farthest.
    fn place<M: Model>(
        &mut self,
        model: &M,
        history: &History<M::Input, M::Output>,
        core: &Core<M::Part>,
    ) {
        let mut state = model.init();
        for (place, id) in core.partial.order.iter().enumerate() {
            let op = history.op(*id);
            let known = core.needed.contains(id);
            let output = op.outcome.output().filter(|_| known);
            state = model.step(&state, &op.input, output).expect("as the checker did");
            let shown = self.operations.binary_search_by_key(id, |shown| shown.id);
            let shown = &mut self.operations[shown.expect("of this part")];
            shown.placed = Some((place + 1, model.describe_state(&state)));
        }
    }

    fn with(&self, role: Role) -> impl Iterator<Item = &Shown> {
        self.operations.iter().filter(move |shown| shown.role == role)
    }

    fn offending(&self) -> &Shown {
        self.with(Role::Offending).next().expect("it is of this part")
    }

    /// The operations that have a place, in that order, with the state after each.
    fn order(&self) -> Vec<(&Shown, &str)> {
        let mut order: Vec<_> = self
            .operations
            .iter()
            .filter_map(|shown| {
                shown.placed.as_ref().map(|(place, state)| (*place, shown, &**state))
            })
            .collect();
        order.sort_unstable_by_key(|(place, _, _)| *place);
        order.into_iter().map(|(_, shown, state)| (shown, state)).collect()
    }

    /// The state in which the explanation ends.
    fn last_state(&self) -> &str {
        self.order().last().map_or(&self.first_state, |(_, state)| state)
    }
}

/// Shortens what is longer than `max` characters, in the middle, and says how long it was.
fn shorten(words: &str, max: usize) -> String {
    let count = words.chars().count();
    if count <= max {
        return words.into();
    }
    let keep = max.saturating_sub(12) / 2;
    let head: String = words.chars().take(keep).collect();
    let tail: String = words.chars().skip(count - keep).collect();
    format!("{head}\u{2026}({count})\u{2026}{tail}")
}
