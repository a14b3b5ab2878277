//! The help texts, held against `tests/help`: they are part of what users rely on. `UPDATE_HELP=1` rewrites
//! them.

mod common;

use std::path::Path;

use common::run;

const COMMANDS: [&str; 39] = [
    "",
    "demo",
    "server",
    "get",
    "put",
    "append",
    "del",
    "cas",
    "scan",
    "status",
    "shard",
    "shard list",
    "shard join",
    "shard leave",
    "shard move",
    "shard query",
    "shard rebalance",
    "member",
    "member list",
    "member add",
    "member promote",
    "member remove",
    "member replace",
    "leader",
    "leader show",
    "leader transfer",
    "import",
    "export",
    "bench",
    "certs",
    "certs create-ca",
    "certs create-node",
    "certs create-client",
    "inspect",
    "inspect wal",
    "config",
    "config show",
    "config example",
    "completions",
];

#[test]
fn help_is_what_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut differing = Vec::new();
    for command in COMMANDS {
        let words: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let ended = run(&words);
        assert_eq!(ended.code, Some(0), "{command}");
        let name = if command.is_empty() { "shardkv" } else { command };
        let path = folder.join(format!("{}.txt", name.replace(' ', "-")));
        if std::env::var_os("UPDATE_HELP").is_some() {
            std::fs::write(&path, &ended.out).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept != ended.out {
            differing.push(format!("{}:\n{}", path.display(), ended.out));
        }
    }
    assert!(differing.is_empty(), "changed; UPDATE_HELP=1 rewrites\n{}", differing.join("\n"));
}

#[test]
fn every_command_is_among_them() {
    let help = run(&["--help"]).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed: Vec<_> = commands
        .take_while(|line| !line.is_empty())
        // A description that is folded goes on further to the right.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(listed.len() > 10, "{help}");
    for name in listed {
        assert!(COMMANDS.contains(&name), "{name} has no text in tests/help");
    }
}

#[test]
fn the_version_and_the_completions_are_printed() {
    assert_eq!(run(&["--version"]).out, concat!("shardkv ", env!("CARGO_PKG_VERSION"), "\n"));
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(&["completions", shell]);
        assert!(ended.code == Some(0) && ended.out.contains("shardkv"), "{shell}");
    }
}
