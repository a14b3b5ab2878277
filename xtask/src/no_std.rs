//! Proves that `raft-core` without features needs `core` and `alloc` only, and one dependency: `bytes`.
//!
//! No other target's standard library can be taken for granted, so the proof is made on the host: the
//! crate is compiled against a directory of libraries from which `std` has been left out. Whatever
//! mentions `std`, in the crate or below it, does not compile there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, root, stream};
use crate::stage::{Counts, Ended};

/// What a `no_std` crate with `alloc` is linked with.
const LIBRARIES: [&str; 3] = ["libcore-", "liballoc-", "libcompiler_builtins-"];
const CORE: [&str; 3] = ["-p", "raft-core", "--no-default-features"];

pub(crate) fn check() -> Result<Ended, String> {
    let mut counts = Counts::default();
    counts.add(Counts::of(only_bytes()?));
    let host = rustc(&["--print", "host-tuple"])?;
    let sysroot = without_std(&host)?;
    let target_dir = root().join("target/no-std");
    let mut command = cargo(&["build"]);
    command.args(CORE).args(["--target", &host, "--target-dir"]).arg(target_dir);
    // Escaped by cargo's own rule, one flag a part: the path may have blanks in it.
    let flag = format!("--sysroot={}", sysroot.display());
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flag);
    counts.add(Counts::of(stream(&mut command, |_| ())?));
    Ok(Ended::Ran(counts))
}

/// Whether the only dependency is `bytes`.
fn only_bytes() -> Result<bool, String> {
    let mut command = cargo(&["tree", "--edges", "normal", "--prefix", "none"]);
    let tree = output(command.args(CORE))?;
    let strangers: Vec<&str> = tree
        .lines()
        .filter(|line| !["raft-core", "bytes"].contains(&line.split(' ').next().unwrap_or("")))
        .collect();
    println!(
        "dependencies without features: {}",
        tree.lines().skip(1).collect::<Vec<_>>().join(", ")
    );
    if !strangers.is_empty() {
        println!("raft-core without features may depend on `bytes` only, not on {strangers:?}");
    }
    Ok(strangers.is_empty())
}

fn rustc(args: &[&str]) -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    Ok(output(Command::new(rustc).args(args).current_dir(root()))?.trim().to_owned())
}

/// A directory of the compiler's libraries with `std` left out.
fn without_std(host: &str) -> Result<PathBuf, String> {
    let libraries = |sysroot: &Path| sysroot.join("lib/rustlib").join(host).join("lib");
    let from = libraries(Path::new(&rustc(&["--print", "sysroot"])?));
    let sysroot = root().join("target/sysroot-without-std");
    let to = libraries(&sysroot);
    let copy = || -> std::io::Result<()> {
        if to.exists() {
            // Of another compiler, perhaps.
            fs::remove_dir_all(&to)?;
        }
        fs::create_dir_all(&to)?;
        for file in fs::read_dir(&from)? {
            let name = file?.file_name();
            if LIBRARIES.iter().any(|library| name.to_string_lossy().starts_with(library)) {
                fs::copy(from.join(&name), to.join(&name))?;
            }
        }
        Ok(())
    };
    copy().map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(sysroot)
}
