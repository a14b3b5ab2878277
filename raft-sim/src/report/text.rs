//! The report as text.

use std::fmt::{self, Write};

use super::{Report, Role, Shown, shorten};

/// The most characters of an operation or a state in a line.
const WORDS_MAX: usize = 100;

impl Report {
    /// The report as text for a terminal, one line for each operation.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string has room");
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "not linearizable: {}\n", self.part)?;
        let needed: Vec<_> = self
            .operations
            .iter()
            .filter(|shown| matches!(shown.role, Role::Needed | Role::Offending))
            .collect();
        let all = self.operations.len();
        writeln!(text, "Of {all} operations, the answers of these contradict each other:\n")?;
        table(text, &needed)?;
        let optional: Vec<_> = self.with(Role::Optional).collect();
        if !optional.is_empty() {
            writeln!(text, "\nThey do whenever these took effect after their calls, if ever:\n")?;
            table(text, &optional)?;
        }
        writeln!(text, "\nAn explanation gets no farther than this:\n")?;
        writeln!(text, "  {:>4}  {:>6}  {}", "", "", at_first(&self.first_state))?;
        for (place, (shown, state)) in self.order().into_iter().enumerate() {
            let (place, id) = (place + 1, shown.id.to_string());
            let (words, state) = (shorten(&shown.words, WORDS_MAX), shorten(state, WORDS_MAX));
            writeln!(text, "  {place:>4}. {id:>6}  {words}  =>  {state}")?;
        }
        let offending = self.offending();
        let words = shorten(&offending.words, WORDS_MAX);
        writeln!(text, "  stuck {:>6}  {words}", offending.id.to_string())?;
        writeln!(
            text,
            "\nIt returned before anything else that is left was called, so it must come next."
        )
    }
}

fn at_first(state: &str) -> String {
    format!("at first  =>  {}", shorten(state, WORDS_MAX))
}

fn table(text: &mut String, operations: &[&Shown]) -> fmt::Result {
    let timed = operations.iter().any(|shown| !shown.called.time.is_zero());
    let head = if timed { "    called at" } else { "" };
    writeln!(
        text,
        "  {:>6}  {:>6}  {:>8}  {:>8}{head}  operation",
        "", "client", "called", "returned"
    )?;
    for shown in operations {
        let returned = shown.returned.map_or("never".into(), |at| at.position.to_string());
        let (id, client) = (shown.id.to_string(), shown.client.to_string());
        let called = shown.called.position;
        write!(text, "  {id:>6}  {client:>6}  {called:>8}  {returned:>8}")?;
        if timed {
            write!(text, "  {:>10.6}s", shown.called.time.as_secs_f64())?;
        }
        writeln!(text, "  {}", shorten(&shown.words, WORDS_MAX))?;
    }
    Ok(())
}
