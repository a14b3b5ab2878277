//! The program `check-history`: what it prints and how it ends.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const LEGAL: &str = "INFO jepsen.util - 0 :invoke :write 1\nINFO jepsen.util - 0 :ok :write 1\n";
const ILLEGAL: &str = "INFO jepsen.util - 0 :invoke :read nil\nINFO jepsen.util - 0 :ok :read 1\n";
const KV: &str = "{:process 0, :type :invoke, :f :get, :key \"x\", :value nil}\n\
    {:process 0, :type :ok, :f :get, :key \"x\", :value \"<script>\"}\n";

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check-history"));
    let Output { status, stdout, stderr } =
        command.current_dir(folder).args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in [
        ("legal", LEGAL),
        ("illegal", ILLEGAL),
        ("kv", KV),
        ("empty", ""),
        ("broken", "INFO jepsen.util - 0 :invoke :write 1\nINFO jepsen.util - 0 :ok :write 2\n"),
        ("hard", &hard()),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

/// Thirty appends at once, then a read of what never was.
fn hard() -> String {
    let line = |n: usize, kind, op| format!("{{:process {n}, :type :{kind}, {op}}}\n");
    let append = |n: usize| format!(":f :append, :key \"x\", :value \"{}\"", ["a", "b"][n % 2]);
    let mut log = String::new();
    for kind in ["invoke", "ok"] {
        (0..30).for_each(|n| log += &line(n, kind, append(n)));
    }
    let get = |value| format!(":f :get, :key \"x\", :value {value}");
    log + &line(30, "invoke", get("nil"))
        + &line(30, "ok", get("\"aaaaaaaaaaaaaaaabbbbbbbbbbbbbb\""))
}

#[test]
fn verdicts_and_exit_codes() {
    let folder = folder();
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    let (code, out, _) = run(&["--model", "register", "legal"]);
    assert_eq!((code, &*out), (0, "linearizable\n"));
    let (code, out, err) = run(&["illegal"]);
    assert_eq!((code, &*out), (1, "illegal\n"));
    assert!(err.contains("read -> 1"), "{err}");
    let (code, out, err) = run(&["--timeout", "100ms", "hard"]);
    assert_eq!((code, &*out), (2, "unknown\n"));
    assert!(err.contains("key \"x\": the time was over"), "{err}");
    let (code, out, _) = run(&["kv", "legal", "hard", "--timeout", "10ms"]);
    assert_eq!((code, &*out), (1, "kv: illegal\nlegal: linearizable\nhard: unknown\n"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let folder = folder();
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    let (code, out, err) = run(&["broken"]);
    assert_eq!((code, &*out), (64, ""));
    assert_eq!(err, "broken: line 2: client 0 returns from another operation than it had called\n");
    let (code, out, err) = run(&["illegal", "empty", "missing"]);
    assert_eq!((code, &*out), (64, "illegal: illegal\n"));
    assert!(err.contains("empty: line 1: neither"), "{err}");
    assert!(err.contains("missing: "), "{err}");
    assert_eq!(run(&["--model", "kv", "legal"]).0, 64);
    assert_eq!(run(&["--timeout", "1 year", "legal"]).0, 64);
    assert_eq!(run(&[]).0, 64);
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn the_page_is_about_the_first_illegal_one() {
    let folder = folder();
    let (code, _, _) = run(folder.path(), &["legal", "kv", "illegal", "--html", "page.html"]);
    assert_eq!(code, 1);
    let page = std::fs::read_to_string(folder.path().join("page.html")).expect("the page");
    assert!(page.contains("key &quot;x&quot;"), "{page}");
    let (code, _, err) = run(folder.path(), &["illegal", "--html", "no/such/folder"]);
    assert_eq!(code, 64, "{err}");
}
