//! A command opens the journal once, and nobody comes between what it read there and what it does.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use left::{commit, configure, err, flow, out};

#[path = "support/left.rs"]
mod left;

/// A project whose hosts cannot be reached: a run stops at its first step that needs one.
fn project(dir: &Path) {
    configure(dir);
    let config = std::fs::read_to_string(dir.join("flow.toml")).expect("reads");
    let config = config + "\n[ssh]\nconfig = \"ssh.conf\"\n";
    std::fs::write(dir.join("flow.toml"), config).expect("writes");
    let nowhere = "Host *\n  HostName 127.0.0.1\n  Port 1\n";
    std::fs::write(dir.join("ssh.conf"), nowhere).expect("writes");
    commit(dir);
}

/// How often a command opened the journal, and what it put out.
fn opens(dir: &Path, args: &[&str]) -> (usize, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(args)
        .current_dir(dir)
        .env("FLOW_LOG", "flow_cli::store=debug")
        .stdin(Stdio::null())
        .output()
        .expect("flow starts");
    (
        err(&output).matches("the journal is opened").count(),
        output,
    )
}

#[test]
fn a_command_that_drives_opens_the_journal_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    project(at);
    let start = ["start", "--yes", "--no-wait", "--id", "one"];
    let (opened, started) = opens(at, &start);
    assert_eq!(opened, 1, "{}", err(&started));
    let listed: serde_json::Value =
        serde_json::from_str(&out(&flow(at, &["list", "--json"]))).expect("is JSON");
    assert_eq!(
        listed.as_array().map(Vec::len),
        Some(1),
        "{}",
        err(&started)
    );
    for args in [&["retry", "latest", "--no-wait"] as &[&str], &start] {
        let (opened, ended) = opens(at, args);
        assert_eq!(opened, 1, "{args:?}: {}", err(&ended));
    }
}
