//! Keeps the processors of a virtual machine awake while a disk is measured.
//!
//! On some virtual machines a processor that sleeps learns of a finished flush only at its next timer tick:
//! a write with fdatasync then takes 4 ms instead of 0.1 ms, for minutes, until something else keeps the
//! processor busy. Whoever happens to burn more CPU would look faster. So something always does, for both
//! sides alike: a process of the idle class, which runs only when nothing else wants to.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::thread;

/// As long as this lives, no processor sleeps. Where there is no `chrt`, nothing happens.
pub(crate) struct Awake(Option<Child>);

impl Awake {
    /// From now on.
    pub(crate) fn start() -> io::Result<Self> {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(std::env::current_exe()?).arg("spin");
        match command.stdin(Stdio::piped()).spawn() {
            Ok(child) => Ok(Self(Some(child))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It ends with its input, too: whatever becomes of this process, nothing is left spinning.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Spins on every processor until the standard input ends.
pub(crate) fn spin() -> io::Result<()> {
    for _ in 0..thread::available_parallelism()?.get() {
        thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
    }
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
