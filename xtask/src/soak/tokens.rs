//! The second workload: `server/examples/appender.rs`, and the check of what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cluster::eventually;

/// An append that was acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Ack {
    key: String,
    token: String,
    index: u64,
    length: u64,
}

/// All that the appender has said.
#[derive(Default)]
pub(super) struct Told {
    acks: Vec<Ack>,
    ack_times: Vec<Instant>,
    /// Key and token.
    unknown: BTreeSet<(String, String)>,
    pub(super) sent_again: u64,
    wrong: Vec<String>,
}

impl Told {
    fn hear(&mut self, line: &str, at: Instant) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", key, token, index, length] => {
                let (Ok(index), Ok(length)) = (index.parse(), length.parse()) else {
                    self.wrong.push(format!("the appender said {line:?}"));
                    return;
                };
                self.acks.push(Ack { key: key.into(), token: token.into(), index, length });
                self.ack_times.push(at);
            }
            ["unknown", key, token, ..] => {
                self.unknown.insert((key.to_owned(), token.to_owned()));
            }
            ["again", ..] => self.sent_again += 1,
            _ => self.wrong.push(line.to_owned()),
        }
    }

    pub(super) fn acks(&self) -> u64 {
        self.acks.len() as u64
    }

    pub(super) fn unknown(&self) -> u64 {
        self.unknown.len() as u64
    }

    /// What is wrong with the values that the keys have at the end; and how many of the unknown were done.
    pub(super) fn check(&self, values: &BTreeMap<String, String>) -> (Vec<String>, u64) {
        let mut wrong = self.wrong.clone();
        for Ack { key, token, length, .. } in &self.acks {
            // Where an append ended says exactly where its token is.
            let until = values.get(key).and_then(|value| value.get(..*length as usize));
            if !until.is_some_and(|until| until.ends_with(token.as_str())) {
                wrong.push(format!("{token} was acknowledged and is not at {length} of {key}"));
            }
        }
        let known: BTreeSet<(&str, &str)> = self
            .acks
            .iter()
            .map(|ack| (ack.key.as_str(), ack.token.as_str()))
            .chain(self.unknown.iter().map(|(key, token)| (key.as_str(), token.as_str())))
            .collect();
        let mut unknown_done = 0;
        for (key, value) in values {
            let mut seen = BTreeSet::new();
            for token in value.split_inclusive(';') {
                if !seen.insert(token) {
                    wrong.push(format!("{token} is more than once in {key}"));
                }
                if !known.contains(&(key, token)) {
                    wrong.push(format!("{token} in {key} was never sent there"));
                }
                unknown_done += u64::from(self.unknown.contains(&(key.clone(), token.to_owned())));
            }
        }
        wrong.extend(self.disorder());
        (wrong, unknown_done)
    }

    /// A lane sends one token after the other: so must the log have them. And a key only grows.
    fn disorder(&self) -> Vec<String> {
        let (mut wrong, mut lanes) = (Vec::new(), BTreeMap::new());
        let mut keys: BTreeMap<&str, Vec<&Ack>> = BTreeMap::new();
        for ack in &self.acks {
            keys.entry(&ack.key).or_default().push(ack);
            let lane = ack.token.rsplit_once('.').map_or("", |(lane, _)| lane);
            if lanes.insert(lane, ack.index).is_some_and(|before| before >= ack.index) {
                wrong.push(format!("{} at {} is not after its lane's last", ack.token, ack.index));
            }
        }
        for acks in keys.values_mut() {
            acks.sort_by_key(|ack| ack.index);
            for pair in acks.windows(2) {
                if pair[0].index == pair[1].index || pair[0].length >= pair[1].length {
                    wrong.push(format!("{:?} and {:?} are in disorder", pair[0], pair[1]));
                }
            }
        }
        wrong
    }
}

/// The appender, and a thread that listens to it.
pub(super) struct Appender {
    child: Child,
    told: Arc<Mutex<Told>>,
    listener: Option<JoinHandle<()>>,
}

impl Appender {
    /// What it says is kept in `log`, too.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let failed = |error| format!("the appender: {error}");
        let mut log = std::fs::File::create(log).map_err(failed)?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or("the appender has no stdout")?;
        let told = Arc::new(Mutex::new(Told::default()));
        let theirs = told.clone();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let at = Instant::now();
                let kept = writeln!(log, "{line}");
                let mut told = lock(&theirs);
                told.hear(&line, at);
                if let Err(error) = kept {
                    told.wrong.push(format!("the appender's log: {error}"));
                }
            }
        });
        Ok(Self { child, told, listener: Some(listener) })
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// How long from `fault` until appends were acknowledged again. What comes within `grace` had been
    /// acknowledged before the fault and was on its way.
    pub(super) fn downtime(&self, fault: Instant, grace: Duration) -> Result<Duration, String> {
        eventually("an append is acknowledged again", || {
            let told = self.told();
            let late = told.ack_times.partition_point(|at| *at < fault + grace);
            Ok(told.ack_times.get(late).map(|at| at.duration_since(fault)))
        })
    }

    /// Ends it, when all that is in flight has ended.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        let child = &mut self.child;
        let status = eventually("the appender ends", || {
            child.try_wait().map_err(|error| error.to_string())
        })?;
        if let Some(listener) = self.listener.take() {
            listener.join().map_err(|_| "the appender's listener panicked".to_owned())?;
        }
        match status.success() {
            true => Ok(()),
            false => Err(format!("the appender ended with {status}")),
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "ack k 0.0.0; 5 6\nack k 1.0.0; 6 12\nunknown k 0.0.1; no leader\nagain k 0.0.2; x\n\
                        ack k 0.0.2; 9 24";

    fn wrong(said: &str, value: &str) -> Vec<String> {
        let mut told = Told::default();
        said.lines().for_each(|line| told.hear(line, Instant::now()));
        told.check(&BTreeMap::from([("k".to_owned(), value.to_owned())])).0
    }

    #[test]
    fn what_is_right_passes_and_each_kind_of_wrong_is_found() {
        let right = "0.0.0;1.0.0;0.0.1;0.0.2;";
        assert_eq!(wrong(SAID, right), [""; 0]);
        let found = |said: &str, value: &str, what: &str| {
            let wrong = wrong(said, value);
            assert!(wrong.iter().any(|line| line.contains(what)), "{what}: {wrong:?}");
        };
        found(SAID, "0.0.0;1.0.0;0.0.1;", "0.0.2; was acknowledged and is not");
        found(SAID, "0.0.0;1.0.0;0.0.1;0.0.2;1.0.0;", "1.0.0; is more than once");
        found(SAID, "0.0.0;1.0.0;0.0.1;0.0.2;0.0.1;", "0.0.1; is more than once");
        found(SAID, "0.0.0;1.0.0;0.0.1;0.0.2;9.0.1;", "9.0.1; in k was never sent");
        found(SAID, "1.0.0;0.0.0;0.0.1;0.0.2;", "0.0.0; was acknowledged and is not");
        found(&SAID.replace(" 9 24", " 4 24"), right, "is not after its lane's last");
        found(&SAID.replace(" 6 12", " 5 12"), right, "are in disorder");
        found("stale k 12 6", right, "stale");
    }
}
