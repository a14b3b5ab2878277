//! `shardkv status`: the cluster on one screen. Nodes are asked one by one and at once, so that it works without
//! a leader and without a quorum.

mod overview;
mod plain;
mod sharded;

pub(super) use overview::Overview;

use crate::cli::StatusArgs;
use crate::config::Mode;
use crate::exit::Done;
use crate::units::Size;

pub(crate) async fn status(args: StatusArgs) -> Done {
    match args.connect.mode {
        Mode::Plain => plain::status(args).await,
        Mode::Sharded => sharded::status(args).await,
    }
}

/// Rows in columns. A row that is shorter than the first is a remark, and makes no column wider but the first.
pub(super) fn table(cells: Vec<Vec<String>>) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let wide = cells.iter().filter(|row| row.len() == columns || column == 0);
        wide.filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in &cells {
        let line: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}", width = *width))
            .collect();
        out.push_str(line.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// A size that is read at a glance.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => Size(bytes).to_string(),
        10_240..10_485_760 => format!("{}KiB", bytes >> 10),
        _ => format!("{}MiB", bytes >> 20),
    }
}

/// Numbers in order, as in `0-3, 7`.
pub(super) fn ranges(numbers: impl IntoIterator<Item = u16>) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    match ranges.is_empty() {
        true => "none".to_owned(),
        false => shown.collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges([]), "none");
        assert_eq!(ranges([5]), "5");
        assert_eq!(ranges([0, 1, 2, 5, 7, 8, u16::MAX]), "0-2, 5, 7-8, 65535");
    }
}
