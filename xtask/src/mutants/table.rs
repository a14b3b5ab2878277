//! The table that is printed as the hunt goes on.

use std::time::Duration;

use super::Fate;

pub(super) struct Table {
    width: usize,
    found: usize,
    not_found: Vec<&'static str>,
}

impl Table {
    /// Prints the head; `names` are all that will be in the first column.
    pub(super) fn begin(names: impl Iterator<Item = &'static str>) -> Self {
        let width = names.map(str::len).max().unwrap_or(0).max(3);
        println!("\n{:<width$}  {:>8}  {:>8}  found by", "bug", "seed", "seconds");
        Self { width, found: 0, not_found: Vec::new() }
    }

    pub(super) fn row(&mut self, bug: &'static str, fate: &Fate, took: Duration) {
        match fate {
            Fate::Found { .. } => self.found += 1,
            Fate::Missed | Fate::TimeUp | Fate::Broken(_) => self.not_found.push(bug),
        }
        println!("{}", line(self.width, bug, fate, took));
    }

    /// Prints the sum, and says whether every bug was found.
    pub(super) fn end(self) -> bool {
        let all = self.found + self.not_found.len();
        println!("\n{} of {all} bugs were found", self.found);
        for bug in &self.not_found {
            println!("NOT FOUND: {bug}");
        }
        self.not_found.is_empty()
    }
}

fn line(width: usize, bug: &str, fate: &Fate, took: Duration) -> String {
    let (by, seed) = match fate {
        Fate::Found { by, seed } => (by.as_str(), *seed),
        Fate::Missed => ("NOT FOUND", None),
        Fate::TimeUp => ("NOT FOUND: time was up", None),
        Fate::Broken(why) => (why.as_str(), None),
    };
    let seed = seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string());
    format!("{bug:<width$}  {seed:>8}  {:>8.1}  {by}", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_by_what_and_at_which_seed() {
        let fate = Fate::Found { by: "log_matching".to_owned(), seed: Some(17) };
        let line = line(5, "bug", &fate, Duration::from_millis(1250));
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["bug", "17", "1.2", "log_matching"]);
    }

    #[test]
    fn one_bug_that_is_not_found_fails_the_whole() {
        let found = Fate::Found { by: "x".to_owned(), seed: None };
        let mut table = Table::begin(["a", "b"].into_iter());
        table.row("a", &found, Duration::ZERO);
        table.row("b", &Fate::TimeUp, Duration::ZERO);
        assert!(!table.end());
        let mut table = Table::begin(["a"].into_iter());
        table.row("a", &found, Duration::ZERO);
        assert!(table.end());
    }
}
