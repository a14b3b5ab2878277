//! The README's Rust is the example's: what a newcomer copies is what is compiled and run.

use std::fs;

use crate::cargo::root;
use crate::stage::{Counts, Ended};

/// Checks that every block of Rust in the README stands in the example it comes from, but for indentation.
pub(crate) fn check() -> Result<Ended, String> {
    let read = |path: &str| {
        fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
    };
    let (readme, example) = (flat(&read("README.md")?), flat(&read("examples/counter.rs")?));
    let blocks: Vec<&str> =
        readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let strange = blocks.iter().find(|block| !example.contains(**block));
    if let Some(block) = strange {
        println!("this block of README.md is not in examples/counter.rs:\n{block}");
    }
    Ok(Ended::Ran(Counts::of(strange.is_none() && !blocks.is_empty())))
}

/// The text without indentation.
fn flat(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}
