//! A shell in which a document's commands are typed, with `shardkv` on its path, in a folder of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use crate::common::{PATIENCE, free_ports, sharded};

/// Begins the line that ends what a command has printed; its exit code follows.
const MARK: char = '\u{1}';

/// A shell, and the addresses of the document, which stand for others here.
pub(crate) struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// The port that a document names, and the one that it has here.
    ports: BTreeMap<u16, u16>,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) lines: Vec<String>,
}

impl Shell {
    /// In `folder`. Of the document's ports those on this machine are replaced by free ones.
    pub(crate) fn start(folder: &Path, document: &str) -> Self {
        let named = document.split("127.0.0.1:").skip(1).filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let named: std::collections::BTreeSet<u16> = named.collect();
        let ports = free_ports(named.len());
        let ports: BTreeMap<u16, u16> = named.into_iter().zip(ports).collect();
        let program = Path::new(env!("CARGO_BIN_EXE_shardkv"));
        let path = format!(
            "{}:{}",
            program.parent().unwrap().display(),
            std::env::var("PATH").unwrap_or_default()
        );
        // For its environment, which has no settings of whoever runs the tests.
        let clean = sharded();
        let mut command = Command::new("bash");
        for (name, value) in clean.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.arg("--norc").current_dir(folder).env("PATH", path).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("bash");
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, ports }
    }

    /// Types a command and waits until it has ended.
    pub(crate) fn type_in(&mut self, command: &str) -> Printed {
        let mut here = command.to_owned();
        for (named, port) in &self.ports {
            here = here.replace(&format!("127.0.0.1:{named}"), &format!("127.0.0.1:{port}"));
        }
        // What it printed may not end in a newline.
        let script = format!("{{ {here}\n}} < /dev/null 2>&1; printf '\\n{MARK}%d\\n' $?\n");
        self.stdin.write_all(script.as_bytes()).unwrap();
        let begun = Instant::now();
        let mut lines = Vec::new();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let line = self.lines.recv_timeout(left);
            let line =
                line.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {command}\n{lines:?}"));
            if let Some(code) = line.strip_prefix(MARK) {
                let code = code.parse().expect("an exit code");
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                return Printed { code, lines };
            }
            // What the shell says of its jobs is not the command's.
            if !(line.starts_with("bash: line ") && line.contains(" Killed ")) {
                lines.push(self.as_in_the_document(line));
            }
        }
    }

    fn as_in_the_document(&self, mut line: String) -> String {
        for (named, port) in &self.ports {
            line = line.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{named}"));
        }
        line
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What it has started in the background as well.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
