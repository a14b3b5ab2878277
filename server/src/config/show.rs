//! `shardkv config show`: every setting in effect, and where its value came from.

use std::fmt;

use super::Config;

/// Prints as a TOML file, with the source of each value as a comment.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self
            .rows()
            .into_iter()
            .map(|(name, value, source)| match value.as_str() {
                "\"\"" => (format!("# {name} is not set"), source),
                _ => (format!("{name} = {value}"), source),
            })
            .collect();
        let width = rows.iter().map(|(row, _)| row.chars().count()).max().unwrap_or(0).min(60);
        rows.iter().try_for_each(|(row, source)| writeln!(f, "{row:width$}  # {source}"))
    }
}
