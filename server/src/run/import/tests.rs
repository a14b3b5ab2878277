use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use kv::Cause;
use tokio::time::sleep;

use super::*;
use crate::cli::{Cli, Command};

/// Remembers what it holds; the writes of some values take long, or fail.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    held: BTreeMap<Vec<u8>, Vec<u8>>,
    in_flight: usize,
    in_flight_most: usize,
}

impl Sink for Fake {
    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), ClerkError> {
        {
            let mut state = self.0.lock().unwrap();
            state.in_flight += 1;
            state.in_flight_most = state.in_flight_most.max(state.in_flight);
        }
        // The later a record, the sooner its write ends.
        let number: u64 = std::str::from_utf8(value).unwrap().parse().unwrap_or(0);
        sleep(Duration::from_millis(100 - number.min(99))).await;
        let mut state = self.0.lock().unwrap();
        state.in_flight -= 1;
        match value {
            b"not done" => Err(ClerkError::NotDone(Cause::NoLeader)),
            b"unknown" => Err(ClerkError::Unknown(Cause::NoReply)),
            _ => {
                state.held.insert(key.to_vec(), value.to_vec());
                Ok(())
            }
        }
    }
}

fn args(arguments: &[&str]) -> ImportArgs {
    let words = ["shardkv", "import", "-", "--format", "tsv"].iter().chain(arguments);
    let cli = Cli::from_arg_matches(&Cli::command().get_matches_from(words)).unwrap();
    let Command::Import(args) = cli.command else { panic!("another command") };
    args
}

async fn imported(text: &str, arguments: &[&str]) -> (Fake, Import<Fake>, Option<BadRecord>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let mut source = Source::open(file.path(), crate::cli::Format::Tsv).unwrap();
    let sink = Fake::default();
    let mut import = Import::new(sink.clone(), args(arguments), ProgressBar::hidden());
    let bad = import.run(&mut source).await;
    (sink, import, bad)
}

#[tokio::test]
async fn of_two_records_with_one_key_the_later_wins_though_its_write_is_faster() {
    let text: String = (0..60).map(|n| format!("key {}\t{n}\n", n % 6)).collect();
    let (sink, import, bad) = imported(&text, &["--in-flight", "32", "--prefix", "p/"]).await;
    assert_eq!((import.acknowledged, import.done(), bad), (60, 60, None));
    let state = sink.0.lock().unwrap();
    let held: Vec<_> = state.held.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    let lasts = ["54", "55", "56", "57", "58", "59"].map(str::as_bytes);
    let keys = [b"p/key 0", b"p/key 1", b"p/key 2", b"p/key 3", b"p/key 4", b"p/key 5"];
    assert_eq!(held, keys.map(|key| &key[..]).into_iter().zip(lasts).collect::<Vec<_>>());
    assert_eq!(state.in_flight_most, 6, "other keys are in flight at once");
}

#[tokio::test]
async fn no_more_are_in_flight_than_may_be() {
    let text: String = (0..60).map(|n| format!("key {n}\t{n}\n")).collect();
    let (sink, import, _) = imported(&text, &["--in-flight", "8", "--skip", "10"]).await;
    assert_eq!((import.acknowledged, import.skipped, import.done()), (50, 10, 60));
    assert_eq!(sink.0.lock().unwrap().in_flight_most, 8);
}

#[tokio::test]
async fn the_gravest_outcome_is_the_exit_code_and_what_is_done_is_told() {
    let (_, import, _) = imported("a\t1\nb\tnot done\nc\t2\n", &[]).await;
    assert_eq!((import.acknowledged, import.not_done, import.done()), (2, 1, 1));
    let failure = import.report(None).unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(failure.cause.starts_with("line 2: ") && failure.remedy.contains("--skip 1"));

    let (_, import, _) = imported("a\tnot done\nb\tunknown\n", &[]).await;
    let failure = import.report(None).unwrap_err();
    assert_eq!(failure.exit, Exit::Unknown, "though another failed first: {failure}");
}
