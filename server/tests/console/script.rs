//! What a document types, and what it shows.
//!
//! The blocks of a document that are fenced as `console` are one session, from the first to the last. A line that begins
//! with `$ ` is typed; it goes on in the next line after a `\`. The lines up to the next one are what it prints. Of a
//! command that shows nothing it is not said what it prints. In what is shown `…` stands for anything within a line,
//! and a line of `…` alone for any lines.

/// A command of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// In which line of the document it stands, from 1.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) shown: Vec<String>,
}

/// The commands of a document in order.
///
/// # Panics
/// When a block does not begin with a command, or is not closed.
pub(crate) fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = Block::None;
    for (line, text) in (1..).zip(document.lines()) {
        block = match (block, text) {
            (Block::None, "```console") => Block::Console,
            (Block::None, fence) if fence.starts_with("```") => Block::Other,
            (Block::None, _) => Block::None,
            (_, "```") => Block::None,
            (Block::Other, _) => Block::Other,
            (Block::Continued, more) => {
                let last = steps.last_mut().expect("it goes on from one");
                last.command.push('\n');
                last.command.push_str(more);
                if more.ends_with('\\') { Block::Continued } else { Block::Console }
            }
            (Block::Console, text) => match text.strip_prefix("$ ") {
                Some(command) => {
                    let (command, shown) = (command.to_owned(), Vec::new());
                    let is_continued = command.ends_with('\\');
                    steps.push(Step { line, command, shown });
                    if is_continued { Block::Continued } else { Block::Console }
                }
                None => {
                    let last = steps.last_mut();
                    let last = last.unwrap_or_else(|| panic!("line {line}: nothing was typed"));
                    last.shown.push(text.to_owned());
                    Block::Console
                }
            },
        };
    }
    assert!(matches!(block, Block::None), "a block is not closed");
    steps
}

#[derive(Clone, Copy)]
enum Block {
    None,
    Console,
    /// In the midst of a command.
    Continued,
    Other,
}

/// Whether `printed` is what is shown.
pub(crate) fn is_as_shown(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any.trim() == "…" => {
            (0..=printed.len()).any(|skipped| is_as_shown(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed.split_first().is_some_and(|(found, others)| {
            is_line(line.trim_end(), found.trim_end()) && is_as_shown(rest, others)
        }),
    }
}

/// Whether a line is as shown. Columns are as wide as what is in them, and that may vary: any blanks are alike.
fn is_line(shown: &str, found: &str) -> bool {
    let blanks = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, found) = (blanks(shown), blanks(found));
    let Some((first, rest)) = shown.split_once('…') else { return shown == found };
    let Some(mut left) = found.strip_prefix(first) else { return false };
    let parts: Vec<&str> = rest.split('…').collect();
    let (last, middle) = parts.split_last().expect("a split has a part");
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_and_what_they_show_are_found() {
        let document = "# Title\n```toml\n$ not this\n```\ntext\n```console\n$ one \\\n  two\n1\n2\n$ three\n\
                        ```\n```console\n$ four\n```\n";
        let found = steps(document);
        let step = |line, command: &str, shown: &str| Step {
            line,
            command: command.to_owned(),
            shown: lines(shown),
        };
        let expected =
            [step(7, "one \\\n  two", "1\n2"), step(11, "three", ""), step(14, "four", "")];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_varies_is_left_open_and_nothing_else() {
        let same = |shown: &str, printed: &str| is_as_shown(&lines(shown), &lines(printed));
        assert!(same("a\nb", "a\nb") && !same("a", "a\nb") && !same("a\nb", "a"));
        assert!(same("index …", "index 12") && !same("index …", "since 12"));
        assert!(same("a … b … c", "a 1 b 2 c") && !same("a … b … c", "a 1 c"));
        assert!(same("1  x", "1      x") && !same("1 x", "1x"));
        assert!(same("a\n…\nd", "a\nb\nc\nd") && same("a\n…", "a") && !same("a\n…\nd", "a\nb"));
        assert!(same("…b", "ab") && !same("…b", "ba"));
    }
}
