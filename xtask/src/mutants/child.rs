//! A process that may take so long and no longer.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a process that ended by itself left.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What it printed to stdout. What it says on stderr is not for anybody: a bug that is found makes noise.
    pub(super) printed: String,
}

const POLL: Duration = Duration::from_millis(20);

/// Runs `command`; `None` when it was killed because it took longer than `limit`.
pub(super) fn run(mut command: Command, limit: Duration) -> Result<Option<Ended>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| format!("{program}: {error}");
    command.stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take();
    // Read beside the wait, or a process that says much would wait for its reader.
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.map(|mut stdout| stdout.read_to_end(&mut bytes));
        bytes
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            break None;
        }
        std::thread::sleep(POLL);
    };
    let bytes = reader.join().map_err(|_| format!("{program}: its output cannot be read"))?;
    let printed = String::from_utf8_lossy(&bytes).into_owned();
    Ok(status.map(|status| Ended { status, printed }))
}
