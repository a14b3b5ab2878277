//! What is imported: a real data set.

use std::fs;
use std::path::Path;

use crate::cargo::root;

/// Debian's package `unicode-data`: some 35,000 records.
const UNICODE: &str = "/usr/share/unicode/UnicodeData.txt";

/// Lines, each with its newline, and where they are from.
pub(super) struct Data {
    pub(super) lines: Vec<Vec<u8>>,
    pub(super) from: String,
}

impl Data {
    pub(super) fn load() -> Result<Self, String> {
        let (text, from) = match fs::read(UNICODE) {
            Ok(text) => (text, UNICODE.to_owned()),
            Err(_) => (sources(&root())?, "Cargo.lock and the sources".to_owned()),
        };
        let mut lines: Vec<Vec<u8>> =
            text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if let Some(last) = lines.last_mut().filter(|last| !last.ends_with(b"\n")) {
            last.push(b'\n');
        }
        if lines.len() < 1000 {
            return Err(format!("{from} has {} lines only", lines.len()));
        }
        Ok(Self { lines, from })
    }

    /// The text of a round. The first is the data as it is; each later one begins at another line, so that
    /// no record is what an earlier round wrote under its key.
    pub(super) fn text(&self, round: usize) -> Vec<u8> {
        let begin = round * 1009 % self.lines.len();
        [&self.lines[begin..], &self.lines[..begin]].concat().concat()
    }
}

fn sources(dir: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |path: &Path, error| format!("{}: {error}", path.display());
    let lock = dir.join("Cargo.lock");
    let mut text = fs::read(&lock).map_err(|error| unreadable(&lock, error))?;
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let entries = fs::read_dir(&dir).map_err(|error| unreadable(&dir, error))?;
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
            if path.is_dir() && !path.ends_with("target") && !hidden {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.extend(fs::read(&path).map_err(|error| unreadable(&path, error))?);
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_differ_in_every_line_and_lose_none() {
        let lines = (0..5000).map(|n| format!("{n}\n").into_bytes()).collect();
        let data = Data { lines, from: String::new() };
        let (first, second) = (data.text(0), data.text(1));
        assert!(first.starts_with(b"0\n1\n") && second.starts_with(b"1009\n"));
        assert_eq!(first.len(), second.len());
    }
}
