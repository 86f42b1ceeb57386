//! `flow check` on a terminal: each answer counts as soon as it is given.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use left::{err, flow, leave_waiting, out};

#[path = "support/left.rs"]
mod left;

const WAIT: Duration = Duration::from_mins(2);

/// A run that waits for three answers.
fn waiting(dir: &Path) {
    leave_waiting(dir, "r-one", &["login", "orders", "mail"]);
}

/// `flow check` on a terminal of its own, which takes what is written to it as typed.
fn on_a_terminal(dir: &Path) -> Child {
    let command = format!("'{}' --state .flow check r-one", env!("CARGO_BIN_EXE_flow"));
    let child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("TERM", "xterm")
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    child.expect("script starts (bsdutils)")
}

/// What counts now, as another process sees it: `KEY=RESULT (NOTE)`.
fn counted(dir: &Path) -> Vec<String> {
    let said = flow(dir, &["check", "r-one", "--json"]);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let list: serde_json::Value = serde_json::from_str(&out(&said)).expect("JSON");
    let items = list["items"].as_array().expect("items");
    let given = items.iter().filter(|item| !item["answer"].is_null());
    let word = |item: &serde_json::Value, of: &str| item["answer"][of].as_str().map(str::to_owned);
    given
        .map(|item| {
            format!(
                "{}={} ({})",
                item["key"].as_str().unwrap_or_default(),
                word(item, "result").unwrap_or_default(),
                word(item, "note").unwrap_or_default()
            )
        })
        .collect()
}

fn until(dir: &Path, expected: &[&str]) {
    let begun = Instant::now();
    while counted(dir) != expected {
        assert!(begun.elapsed() < WAIT, "{:?}", counted(dir));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn rest(mut child: Child) -> String {
    drop(child.stdin.take());
    let mut said = String::new();
    let mut shown = child.stdout.take().expect("piped");
    shown.read_to_string(&mut said).expect("text");
    child.wait().expect("it ended");
    said
}

#[test]
fn each_answer_counts_as_it_is_given_and_a_fail_only_when_it_is_meant() {
    let dir = tempfile::tempdir().expect("a folder");
    waiting(dir.path());
    let mut first = on_a_terminal(dir.path());
    let mut keys = first.stdin.take().expect("piped");
    keys.write_all(b"p as before\n").expect("types");
    // The command still asks: what was given is stored already.
    until(dir.path(), &["login=pass (as before)"]);
    assert!(first.try_wait().expect("known").is_none());
    keys.write_all(b"f blank page\nno\n\n").expect("types");
    keys.write_all(b"f nothing comes\nfail\n").expect("types");
    drop(keys);
    let said = rest(first);
    assert!(
        said.contains("1 of 3  try login") && said.contains("2 of 3  try orders"),
        "{said}"
    );
    assert!(said.contains("Type `fail` if you are sure"), "{said}");
    assert!(said.contains("2 answers stored"), "{said}");
    assert_eq!(
        counted(dir.path()),
        ["login=pass (as before)", "mail=fail (nothing comes)"]
    );
    // Whoever comes again is asked what is open, and what failed before.
    let mut again = on_a_terminal(dir.path());
    let mut keys = again.stdin.take().expect("piped");
    keys.write_all(b"p\np\n").expect("types");
    drop(keys);
    let said = rest(again);
    assert!(
        !said.contains("try login") && said.contains("(failed before: nothing comes)"),
        "{said}"
    );
    assert_eq!(counted(dir.path()).len(), 3);
}
