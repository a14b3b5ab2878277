//! Running cargo, and reading what it prints while it does.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// `cargo ARGS` at the root of the workspace, by the cargo that started this.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs `command`, passes its output on as it comes, and shows each line to `look`.
/// Whether it succeeded.
pub(crate) fn stream(command: &mut Command, mut look: impl FnMut(&str)) -> Result<bool, String> {
    command.stdout(Stdio::piped());
    let named = command_line(command);
    let failed = |error| format!("{named}: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let mut out = std::io::stdout();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        // Bytes, not text: a test may print anything.
        while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
            out.write_all(&line).and_then(|()| out.flush()).map_err(failed)?;
            look(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }
    Ok(child.wait().map_err(failed)?.success())
}

/// Runs `command` and returns what it printed to stdout; its stderr is passed on.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", command_line(command)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", command_line(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
