//! Runs every example. One that has a file `NAME.expected` beside it must print exactly that; the others
//! check themselves and say so with their exit status.

use std::path::Path;

use crate::cargo::{cargo, output, root};
use crate::stage::{Counts, Ended};

pub(crate) fn check() -> Result<Ended, String> {
    let dir = root().join("examples");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml"))
        .map_err(|error| format!("examples/Cargo.toml: {error}"))?;
    let mut counts = Counts::default();
    for name in names(&manifest) {
        let ran = run(name, &dir);
        match &ran {
            Ok(()) => println!("{name}: as expected"),
            Err(why) => println!("{name}: FAILED: {why}"),
        }
        counts.add(Counts::of(ran.is_ok()));
    }
    Ok(Ended::Ran(counts))
}

fn run(name: &str, dir: &Path) -> Result<(), String> {
    let printed = output(&mut cargo(&["run", "--quiet", "-p", "shardkv-examples", "--bin", name]))?;
    match std::fs::read_to_string(dir.join(format!("{name}.expected"))) {
        Ok(expected) if expected != printed => {
            Err(format!("it printed\n{printed}\nwhere {name}.expected says\n{expected}"))
        }
        _ => Ok(()),
    }
}

/// Names of the programs that a manifest lists under `[[bin]]`.
fn names(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut in_bin = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_bin = line == "[[bin]]";
        } else if let (true, Some((key, value))) = (in_bin, line.split_once('='))
            && key.trim() == "name"
        {
            names.push(value.trim().trim_matches('"'));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn programs_are_found_and_the_packages_own_name_is_not() {
        let manifest = "[package]\nname = \"p\"\n[[bin]]\nname = \"a\"\npath = \"a.rs\"\n[[bin]]\nname=\"b\"\n";
        assert_eq!(super::names(manifest), ["a", "b"]);
    }
}
