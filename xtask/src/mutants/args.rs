//! The arguments of `cargo xtask mutants`.

use std::time::Duration;

use super::bugs::PlantedBug;

pub(super) const HELP: &str = "\
Usage: cargo xtask mutants [ARGS]

Plants one bug at a time and shows that each is found. Ends with status 1 if one is not.

  --tests       hunts with the ordinary tests, not with the simulator's swarm
  --seeds N     the most seeds of the swarm for a bug (default 2000)
  --from S      the first of them (default 0)
  --seconds S   the longest hunt for a bug (default 600)
  --bug NAME    only this bug; may be given more than once
  --list        shows the bugs and does nothing
";

/// What to do.
#[derive(PartialEq, Debug)]
pub(super) enum Parsed {
    Run(Args),
    List,
    Help,
}

#[derive(PartialEq, Debug)]
pub(super) struct Args {
    pub(super) hunter: Hunter,
    pub(super) bugs: Vec<PlantedBug>,
    /// The longest that a hunt may take.
    pub(super) limit: Duration,
}

#[derive(PartialEq, Debug)]
pub(super) enum Hunter {
    Swarm { seeds: u64, from: u64 },
    Tests,
}

pub(super) fn parse(args: &[String]) -> Result<Parsed, String> {
    let (mut tests, mut seeds, mut from, mut seconds) = (false, 2000, 0, 600);
    let mut bugs = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--tests" => tests = true,
            "--seeds" => seeds = number(arg, args.next())?,
            "--from" => from = number(arg, args.next())?,
            "--seconds" => seconds = number(arg, args.next())?,
            "--bug" => bugs.push(bug(args.next())?),
            "--list" => return Ok(Parsed::List),
            "--help" | "-h" => return Ok(Parsed::Help),
            _ => return Err(format!("mutants has no argument {arg:?}\n\n{HELP}")),
        }
    }
    if bugs.is_empty() {
        bugs.extend(PlantedBug::ALL);
    }
    let hunter = if tests { Hunter::Tests } else { Hunter::Swarm { seeds, from } };
    Ok(Parsed::Run(Args { hunter, bugs, limit: Duration::from_secs(seconds) }))
}

fn number(of: &str, text: Option<&String>) -> Result<u64, String> {
    let text = text.ok_or_else(|| format!("{of} needs a number"))?;
    text.parse().map_err(|error| format!("{of} {text}: {error}"))
}

fn bug(name: Option<&String>) -> Result<PlantedBug, String> {
    let name = name.ok_or("--bug needs a name; --list shows them")?;
    let found = PlantedBug::ALL.iter().find(|bug| bug.name() == name);
    found.copied().ok_or_else(|| format!("no bug {name:?}; --list shows them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Parsed, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_bugs_unless_some_are_named() {
        let Ok(Parsed::Run(all)) = parse_line("") else { panic!("runs") };
        assert_eq!(all.bugs, PlantedBug::ALL);
        assert_eq!(all.hunter, Hunter::Swarm { seeds: 2000, from: 0 });
        let two = parse_line("--bug sync-skipped --seconds 5 --bug no-pre-vote --tests");
        let bugs = vec![PlantedBug::SyncSkipped, PlantedBug::NoPreVote];
        let limit = Duration::from_secs(5);
        assert_eq!(two, Ok(Parsed::Run(Args { hunter: Hunter::Tests, bugs, limit })));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--bug", "--bug none", "--seeds", "--seeds x", "--seed 1"] {
            assert!(parse_line(line).is_err(), "{line}");
        }
    }
}
