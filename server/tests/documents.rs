//! The documents' commands, typed in order against real processes, with what they print compared.
#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

mod common;
#[path = "console/script.rs"]
mod script;
#[path = "console/shell.rs"]
mod shell;

use std::path::Path;
use std::time::{Duration, Instant};

use common::PATIENCE;
use script::{Step, is_as_shown, steps};
use shell::Shell;

/// What only looks may be typed again until it is as shown: what was begun before may take its time.
const LOOKS: [&str; 5] =
    ["shardkv get ", "shardkv leader show", "shardkv member list", "shardkv shard list", "tail "];

fn play(document: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(folder.path(), &text);
    let steps = steps(&text);
    assert!(steps.len() > 5, "{document} has hardly any commands");
    for step in &steps {
        let at = format!("{document}, line {}: {}", step.line, step.command);
        follow(&mut shell, step, &at, folder.path());
    }
}

fn follow(shell: &mut Shell, step: &Step, at: &str, folder: &Path) {
    let begun = Instant::now();
    loop {
        let printed = shell.type_in(&step.command);
        let is_right = printed.code == 0
            && (step.shown.is_empty() || is_as_shown(&step.shown, &printed.lines));
        if is_right {
            return;
        }
        let may_repeat = LOOKS.iter().any(|look| step.command.starts_with(look));
        if !may_repeat || begun.elapsed() > PATIENCE {
            let shown = step.shown.join("\n");
            let lines = printed.lines.join("\n");
            let logs = logs(folder);
            panic!(
                "{at}\n--- shown\n{shown}\n--- printed, exit code {}\n{lines}\n{logs}",
                printed.code
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the nodes have logged.
fn logs(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|file| file.path());
    let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
    let shown = |path: std::path::PathBuf| {
        format!("--- {}\n{}", path.display(), std::fs::read_to_string(&path).unwrap_or_default())
    };
    logs.map(shown).collect()
}

#[test]
fn the_operators_guide_is_right() {
    play("docs/operating.md");
}
