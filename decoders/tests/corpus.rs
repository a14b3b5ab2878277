//! The inputs in `fuzz/corpus`, without a fuzzer: the seeds, and what has found a bug.
//!
//! `UPDATE_CORPUS=1 cargo test -p decoders --test corpus` writes the seeds anew.

#[allow(unreachable_pub)]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use decoders::{ALL, Decoder};

const PREFIX: &str = "seed-";

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a name");
        (name, fs::read(entry.path()).expect("its bytes"))
    };
    entries.map(|entry| file(entry.expect("a file"))).collect()
}

fn seeds(decoder: &Decoder) -> BTreeMap<String, Vec<u8>> {
    let seeds = (decoder.seeds)().into_iter();
    (0..).zip(seeds).map(|(n, seed): (u32, _)| (format!("{PREFIX}{n:02}"), seed)).collect()
}

#[test]
fn every_input_holds() {
    for decoder in ALL {
        let (mut understood, mut seeds) = (0, 0);
        for (name, input) in files(&fuzz().join("corpus").join(decoder.name)) {
            println!("{}/{name}", decoder.name);
            let is_understood = common::check(decoder, &input);
            if name.starts_with(PREFIX) {
                understood += usize::from(is_understood);
                seeds += 1;
            }
        }
        // Among the golden messages there are some that nobody understands.
        let enough = understood > 0 && 2 * understood >= seeds;
        assert!(enough, "{}: of {seeds} seeds, {understood} are understood", decoder.name);
    }
}

#[test]
fn the_seeds_are_what_is_encoded_now() {
    for decoder in ALL {
        let folder = fuzz().join("corpus").join(decoder.name);
        let seeds = seeds(decoder);
        assert!(!seeds.is_empty(), "{} has no seeds", decoder.name);
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            fs::create_dir_all(&folder).expect("a folder");
            for name in files(&folder).keys().filter(|name| name.starts_with(PREFIX)) {
                fs::remove_file(folder.join(name)).expect("removed");
            }
            seeds
                .iter()
                .for_each(|(name, seed)| fs::write(folder.join(name), seed).expect("written"));
        }
        let mut found = files(&folder);
        found.retain(|name, _| name.starts_with(PREFIX));
        assert!(found == seeds, "{}: UPDATE_CORPUS=1 writes the seeds anew", decoder.name);
        let bytes: usize = found.values().map(Vec::len).sum();
        assert!(bytes < 32 << 10, "{}: {bytes} bytes of seeds", decoder.name);
    }
}

/// A decoder without a target would never be fuzzed.
#[test]
fn every_decoder_has_a_target() {
    let names: BTreeSet<_> = ALL.iter().map(|decoder| decoder.name.to_owned()).collect();
    assert_eq!(names.len(), ALL.len(), "two have the same name");
    let targets = files(&fuzz().join("fuzz_targets"));
    let targets: BTreeSet<_> =
        targets.keys().map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(targets, names);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest");
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "no program {name}");
    }
}
