//! The clients: `server/examples/witness.rs`, in the namespace of the host.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::super::cluster::eventually;
use super::nodes::Nodes;

pub(super) struct Witness {
    child: Child,
    answered: Arc<AtomicU64>,
    /// What it says last.
    verdict: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Witness {
    pub(super) fn start(
        program: &Path,
        nodes: &Nodes,
        seed: u64,
        dir: &Path,
    ) -> Result<Self, String> {
        let failed = |error| format!("{}: {error}", program.display());
        let log = File::create(dir.join("witness.log")).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args(["--endpoints", &nodes.endpoints(), "--seed", &seed.to_string()])
            .envs(nodes.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(failed)?;
        let (answered, verdict) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::default()));
        let listener = child.stdout.take().map(|stdout| {
            let (answered, verdict) = (Arc::clone(&answered), Arc::clone(&verdict));
            std::thread::spawn(move || listen(BufReader::new(stdout), &answered, &verdict))
        });
        Ok(Self { child, answered, verdict, listener })
    }

    /// Waits until so many more operations were answered.
    pub(super) fn answers(&mut self, more: u64) -> Result<(), String> {
        let answered = || self.answered.load(Ordering::Relaxed);
        let goal = answered() + more;
        eventually("clients are answered", || Ok((answered() >= goal).then_some(())))
    }

    /// Ends the clients; what they say of what they were told.
    pub(super) fn finish(&mut self) -> Result<String, String> {
        drop(self.child.stdin.take());
        let child = &mut self.child;
        let status = eventually("the clients end and judge", || {
            child.try_wait().map_err(|error| error.to_string())
        })?;
        if let Some(listener) = self.listener.take() {
            listener.join().map_err(|_| "the clients were not heard to their end")?;
        }
        let verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        match (status.success(), verdict.strip_prefix("right ")) {
            (true, Some(right)) => Ok(right.to_owned()),
            _ => Err(format!("the clients ended with {status}: {verdict}")),
        }
    }
}

fn listen(lines: impl BufRead, answered: &AtomicU64, verdict: &Mutex<String>) {
    for line in lines.lines().map_while(Result::ok) {
        match line.strip_prefix("answered ").and_then(|count| count.parse().ok()) {
            Some(count) => answered.store(count, Ordering::Relaxed),
            None => {
                let mut verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner);
                verdict.push_str(&line);
                verdict.push('\n');
            }
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
