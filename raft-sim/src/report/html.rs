//! The report as one page that needs nothing else.

use std::fmt::{self, Write};

use super::timeline;
use super::{Report, Role, Shown, shorten};

/// The most characters of an operation or a state in a table.
const WORDS_MAX: usize = 400;

const STYLE: &str = "
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; }
code, td.words { font-family: ui-monospace, monospace; font-size: 12px; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: 2px 10px; text-align: left; vertical-align: top; }
tr { border-top: 1px solid #ddd; } tr.offending td { background: #fbdada; }
.timeline { overflow-x: auto; border: 1px solid #ddd; }
svg text { font: 12px ui-monospace, monospace; fill: #222; } svg line { stroke: #ddd; }
svg rect { stroke: #666; fill: #cfe6cf; } svg g:hover rect { stroke: #000; stroke-width: 2; }
.offending rect, .key.offending { fill: #e04848; background: #e04848; } svg .offending text { fill: #fff; }
.needed rect, .key.needed { fill: #a8d5a8; background: #a8d5a8; }
.optional rect, .key.optional { fill: #fbeec1; background: #fbeec1; }
.left-out rect, .key.left-out { fill: #f2f2f2; background: #f2f2f2; } .left-out text { fill: #999; }
.open rect { stroke-dasharray: 5 3; }
.key { display: inline-block; padding: 0 8px; margin-right: 8px; border: 1px solid #666; border-radius: 4px; }
";

/// Text that may stand anywhere in a page: nothing in it is markup.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                control if control.is_control() => f.write_char('\u{FFFD}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The style of a role.
pub(super) fn class(role: Role) -> &'static str {
    match role {
        Role::Offending => "offending",
        Role::Needed => "needed",
        Role::Optional => "optional",
        Role::LeftOut => "left-out",
    }
}

impl Report {
    /// The report as a page for a browser. It loads nothing and runs nothing; whatever stands in keys,
    /// values or descriptions is shown as text.
    pub fn html(&self) -> String {
        let mut page = String::new();
        self.page(&mut page).expect("a string has room");
        page
    }

    fn page(&self, page: &mut String) -> fmt::Result {
        let part = Escaped(&self.part);
        write!(
            page,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <title>Not linearizable: {part}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>Not linearizable: <code>{part}</code></h1>\n",
        )?;
        self.summary(page)?;
        writeln!(page, "<h2>Timeline</h2>")?;
        for (class, words) in [
            ("offending", "has no place in the order"),
            ("needed", "its answer is needed for the contradiction"),
            ("optional", "may have taken effect at any time after its call, or never"),
            ("left-out", "plays no part"),
        ] {
            writeln!(page, "<span class=\"key {class}\">{words}</span>")?;
        }
        writeln!(
            page,
            "<p>A number is the operation's place in the order below. A dashed bar never returns. Rest the pointer on a bar for details.</p>"
        )?;
        writeln!(page, "<div class=\"timeline\">\n{}</div>", timeline::draw(self))?;
        self.explanation(page)?;
        writeln!(page, "</body>\n</html>")
    }

    fn summary(&self, page: &mut String) -> fmt::Result {
        let needed = self.with(Role::Needed).count() + 1;
        let offending = self.offending();
        writeln!(
            page,
            "<p>The answers of {needed} of {} operations contradict each other. In the state \
             <code>{}</code>, <code>{}</code> of client {} must come next, and cannot.</p>",
            self.operations.len(),
            Escaped(&shorten(self.last_state(), WORDS_MAX)),
            Escaped(&shorten(&offending.words, WORDS_MAX)),
            offending.client,
        )
    }

    fn explanation(&self, page: &mut String) -> fmt::Result {
        writeln!(page, "<h2>How far an explanation gets</h2>\n<table>")?;
        writeln!(
            page,
            "<tr><th></th><th></th><th>client</th><th>operation</th><th>state</th></tr>"
        )?;
        let first = Escaped(&self.first_state);
        writeln!(
            page,
            "<tr><td></td><td></td><td></td><td></td><td class=\"words\">{first}</td></tr>"
        )?;
        for (place, (shown, state)) in self.order().into_iter().enumerate() {
            row(page, &format!("{}.", place + 1), shown, state)?;
        }
        row(page, "", self.offending(), "not possible")?;
        writeln!(page, "</table>")
    }
}

fn row(page: &mut String, place: &str, shown: &Shown, state: &str) -> fmt::Result {
    writeln!(
        page,
        "<tr class=\"{}\"><td>{place}</td><td>{}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
        class(shown.role),
        shown.id,
        shown.client,
        Escaped(&shorten(&shown.words, WORDS_MAX)),
        Escaped(&shorten(state, WORDS_MAX)),
    )
}
