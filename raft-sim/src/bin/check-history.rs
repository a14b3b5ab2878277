//! Says of histories in files whether they are linearizable.
//!
//! Prints `linearizable`, `illegal` or `unknown` for each file, and explains what is illegal on the standard
//! error. Ends with 64 if a file cannot be read or understood, else with 1 if a history is illegal, else with
//! 2 if one is undecided, else with 0.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use raft_sim::checker::models::{KvModel, Register};
use raft_sim::checker::{Budget, Limits, Model, Verdict, check, minimise};
use raft_sim::history::{History, jepsen, kv_log};
use raft_sim::report::Report;

/// Checks histories for linearizability
#[derive(Parser)]
#[command(name = "check-history")]
struct Arguments {
    /// What the histories are of [default: what the file looks like]
    #[arg(long, value_enum)]
    model: Option<ModelName>,
    /// How long to look at one file: a number with ms, s, m or h
    #[arg(long, value_parser = duration, default_value = "30s")]
    timeout: Duration,
    /// Writes a page about the first history that is illegal
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
    /// Logs of Jepsen's (register), or maps line by line (kv)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A model, and the format that its histories have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ModelName {
    /// A register with compare-and-set, in Jepsen's logs
    Register,
    /// A key/value store, in maps line by line
    Kv,
}

/// What became of a file. The later, the worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Linearizable,
    Unknown,
    Illegal,
    Unreadable,
}

impl End {
    fn code(self) -> u8 {
        match self {
            Self::Linearizable => 0,
            Self::Illegal => 1,
            Self::Unknown => 2,
            Self::Unreadable => 64,
        }
    }
}

/// The words for an illegal history.
struct Judged {
    end: End,
    /// On the standard error.
    words: Option<String>,
    page: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done if this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { End::Unreadable.code() } else { 0 });
        }
    };
    let mut worst = End::Linearizable;
    let mut page_to = arguments.html.as_deref();
    for file in &arguments.files {
        let end = match judge(file, &arguments) {
            Ok(judged) => tell(file, &arguments, judged, &mut page_to),
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                End::Unreadable
            }
        };
        worst = worst.max(end);
    }
    ExitCode::from(worst.code())
}

/// Prints the verdict, and writes the page if it is the first.
fn tell(file: &Path, arguments: &Arguments, judged: Judged, page_to: &mut Option<&Path>) -> End {
    let word = match judged.end {
        End::Illegal => "illegal",
        End::Unknown => "unknown",
        _ => "linearizable",
    };
    match arguments.files.len() {
        1 => println!("{word}"),
        _ => println!("{}: {word}", file.display()),
    }
    if let Some(words) = judged.words {
        eprintln!("{}: {words}", file.display());
    }
    if let Some(page) = judged.page
        && let Some(to) = page_to.take()
        && let Err(error) = std::fs::write(to, page)
    {
        eprintln!("{}: {error}", to.display());
        return End::Unreadable;
    }
    judged.end
}

/// Judges one file. The error is for people.
fn judge(file: &Path, arguments: &Arguments) -> Result<Judged, String> {
    let log = std::fs::read(file).map_err(|error| error.to_string())?;
    let looks = match () {
        () if jepsen::detect(&log) => ModelName::Register,
        () if kv_log::detect(&log) => ModelName::Kv,
        () => return Err("line 1: neither a log of Jepsen's nor a map".into()),
    };
    let model = arguments.model.unwrap_or(looks);
    let limits = Limits::new(Budget::Time(arguments.timeout));
    match model {
        ModelName::Register => {
            Ok(by_model(&Register, &jepsen::parse(&log).map_err(words)?, &limits))
        }
        ModelName::Kv => Ok(by_model(&KvModel, &kv_log::parse(&log).map_err(words)?, &limits)),
    }
}

fn words(error: impl Display) -> String {
    error.to_string()
}

fn by_model<M>(model: &M, history: &History<M::Input, M::Output>, limits: &Limits) -> Judged
where
    M: Model,
    M::Input: Clone,
    M::Output: Clone,
{
    match check(model, history, limits) {
        Verdict::Linearizable => Judged { end: End::Linearizable, words: None, page: None },
        Verdict::Illegal(witness) => {
            let few = Limits { budget: Budget::Steps(100_000), ..*limits };
            let core = minimise(model, history, &witness, &few, 500);
            let report = Report::new(model, history, &core);
            let page = Some(report.html());
            Judged { end: End::Illegal, words: Some(report.text()), page }
        }
        Verdict::Unknown(parts) => {
            let part = |(part, why)| format!("\n  {}: {why}", model.describe_part(&part));
            let parts: String = parts.into_iter().map(part).collect();
            Judged { end: End::Unknown, words: Some(format!("undecided:{parts}")), page: None }
        }
    }
}

/// Reads a time such as `500ms` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "expected a whole number and a unit")?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected one of the units ms, s, m and h".into()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or("too long".into())
}
