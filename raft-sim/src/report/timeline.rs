//! The timeline: a drawing (SVG) with a row for each client and a bar for each operation.

use std::collections::{BTreeMap, BTreeSet};

use super::html::{Escaped, class};
use super::{Report, Role, Shown, shorten};

/// Pixels.
const STEP: usize = 34;
const ROW: usize = 34;
const BAR: usize = 24;
const LEFT: usize = 110;
const TOP: usize = 10;
/// About as wide is a character.
const CHARACTER: usize = 7;

/// Where everything goes.
struct Grid {
    /// The column of each position at which something happens. Time has no scale: what counts is the order.
    columns: BTreeMap<u64, usize>,
    /// The row of each client.
    rows: BTreeMap<u64, usize>,
}

/// Draws the operations up to the end of the one at which the explanation ends.
pub(super) fn draw(report: &Report) -> String {
    let end = report.offending().returned.map_or(u64::MAX, |at| at.position);
    let shown: Vec<_> =
        report.operations.iter().filter(|shown| shown.called.position <= end).collect();
    let grid = Grid::of(&shown, end);
    let (width, height) = (grid.x(u64::MAX) + 20, TOP + ROW * grid.rows.len() + 10);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" role=\"img\">\n"
    );
    for (client, row) in &grid.rows {
        let y = TOP + ROW * row;
        svg += &format!(
            "<text class=\"client\" x=\"4\" y=\"{}\">client {client}</text>\
             <line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{1}\" y2=\"{1}\"/>\n",
            y + 17,
            y + BAR / 2,
        );
    }
    for shown in &shown {
        svg += &grid.bar(shown, end);
    }
    svg + "</svg>\n"
}

impl Grid {
    fn of(shown: &[&Shown], end: u64) -> Self {
        let calls = shown.iter().map(|shown| shown.called.position);
        let returns = shown.iter().filter_map(|shown| shown.returned).map(|at| at.position);
        let positions: BTreeSet<_> = calls.chain(returns.filter(|at| *at <= end)).collect();
        let clients: BTreeSet<_> = shown.iter().map(|shown| shown.client.0).collect();
        Self {
            columns: positions.into_iter().zip(0..).collect(),
            rows: clients.into_iter().zip(0..).collect(),
        }
    }

    fn x(&self, position: u64) -> usize {
        LEFT + STEP * self.columns.get(&position).copied().unwrap_or(self.columns.len())
    }

    /// A bar that tells all there is when the pointer rests on it.
    fn bar(&self, shown: &Shown, end: u64) -> String {
        let returned = shown.returned.map(|at| at.position).filter(|at| *at <= end);
        let x = self.x(shown.called.position);
        let width = self.x(returned.unwrap_or(u64::MAX)) + STEP / 2 - x;
        let y = TOP + ROW * self.rows[&shown.client.0];
        let open = if returned.is_none() { " open" } else { "" };
        let number =
            shown.placed.as_ref().map(|(place, _)| format!("{place}. ")).unwrap_or_default();
        let label = start_of(&format!("{number}{}", shown.words), width / CHARACTER);
        format!(
            "<g class=\"{}{open}\" id=\"op{}\"><title>{}</title>\
             <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" rx=\"4\"/>\
             <text x=\"{}\" y=\"{}\">{}</text></g>\n",
            class(shown.role),
            shown.id.0,
            Escaped(&details(shown)),
            x + 5,
            y + 16,
            Escaped(&label),
        )
    }
}

/// As much as there is room for.
fn start_of(words: &str, room: usize) -> String {
    if words.chars().count() <= room {
        return words.into();
    }
    let start: String = words.chars().take(room.saturating_sub(1)).collect();
    start + "\u{2026}"
}

/// All that is known of an operation.
fn details(shown: &Shown) -> String {
    let mut details =
        format!("{} by client {}\n{}\n", shown.id, shown.client, shorten(&shown.words, 2_000));
    let at = |at: super::Moment| format!("position {}, {:.6}s", at.position, at.time.as_secs_f64());
    details += &format!("called at {}\n", at(shown.called));
    details += &match shown.returned {
        Some(returned) => format!("returned at {}\n", at(returned)),
        None => "never returned\n".into(),
    };
    if let Some((place, state)) = &shown.placed {
        details += &format!("place {place} in the order, then: {}\n", shorten(state, 2_000));
    }
    details += match shown.role {
        Role::Offending => "has no place in the order",
        Role::Needed => "its answer is needed for the contradiction",
        Role::Optional => "may have taken effect at any time after its call, or never",
        Role::LeftOut => "plays no part in the contradiction",
    };
    details
}
