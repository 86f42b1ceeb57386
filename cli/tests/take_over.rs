//! Two `flow` processes on one state folder: the second is refused, and replaces the first only when it stands still.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use driving::Driving;
use left::{configure, err, flow, leave_waiting};
use rustix::process::Signal;

#[path = "support/driving.rs"]
mod driving;
#[path = "support/left.rs"]
mod left;

/// A project with one run that waits for an answer.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path());
    leave_waiting(dir.path(), "r-one", &["one"]);
    dir
}

#[test]
fn a_driver_that_answers_is_not_taken_over_from() {
    let dir = project();
    let first = Driving::start(dir.path());
    let second = flow(dir.path(), &["resume", "--take-over"]);
    assert_eq!(second.status.code(), Some(7), "{}", err(&second));
    let pid = first.0.id();
    assert!(
        err(&second).contains(&format!("run r-one is being driven by process {pid} on")),
        "{}",
        err(&second)
    );
    assert!(
        err(&second).contains(&format!("kill -INT {pid}")),
        "{}",
        err(&second)
    );
    // A run that is driven already is not resumed a second time; the holder stays.
    let again = flow(dir.path(), &["resume", "r-one"]);
    assert!(
        err(&again).contains("is being driven already"),
        "{}",
        err(&again)
    );
    let status = flow(dir.path(), &["status", "r-one"]);
    assert!(!err(&status).contains("error"), "{}", err(&status));
}

#[test]
fn a_stopped_driver_is_named_at_once_and_replaced_on_request() {
    let dir = project();
    let mut first = Driving::start(dir.path());
    let pid = first.0.id();
    first.stop();
    let begun = Instant::now();
    let refused = flow(dir.path(), &["resume", "--no-wait"]);
    assert_eq!(refused.status.code(), Some(7), "{}", err(&refused));
    let said = err(&refused);
    assert!(
        said.contains(&format!("the journal is in use by pid {pid} on ")),
        "{said}"
    );
    assert!(
        said.contains("it is stopped") && said.contains(", since 2"),
        "{said}"
    );
    assert!(said.contains("flow resume --take-over"), "{said}");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "nobody waits for what cannot answer"
    );

    let taken = flow(dir.path(), &["resume", "--no-wait", "--take-over"]);
    assert_eq!(taken.status.code(), Some(4), "{}", err(&taken));
    assert!(
        err(&taken).contains(&format!("taken over from pid {pid} on ")),
        "{}",
        err(&taken)
    );
    first.signal(Signal::CONT);
    let end = first.0.wait().expect("it ended");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(9));
    // Nobody holds it any more: nothing is left to take over, and the socket that was left behind is no obstacle.
    let again = flow(dir.path(), &["resume", "--no-wait", "--take-over"]);
    assert_eq!(again.status.code(), Some(4), "{}", err(&again));
    assert!(!err(&again).contains("taken over"), "{}", err(&again));
}

#[test]
fn what_a_stopped_driver_left_can_be_looked_at_and_is_shown_as_stopped() {
    let dir = project();
    let first = Driving::start(dir.path());
    let pid = first.0.id();
    first.stop();
    let begun = Instant::now();
    for look in [
        &["status", "r-one"][..],
        &["list"],
        &["logs", "r-one"],
        &["export", "r-one"],
        &["journal", "verify"],
    ] {
        let said = flow(dir.path(), look);
        assert_eq!(said.status.code(), Some(0), "{look:?}: {}", err(&said));
        let said = err(&said);
        assert!(
            said.contains(&format!("in use by pid {pid} on ")),
            "{look:?}: {said}"
        );
    }
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "nobody waits for what cannot answer"
    );
    let status = flow(dir.path(), &["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status["driver"]["pid"], pid, "{status:#}");
    assert_eq!(status["driver"]["alive"], true);
    assert_eq!(status["driver"]["stopped"], true);
    let text = flow(dir.path(), &["status"]).stdout;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(&format!("process {pid} on ")), "{text}");
    assert!(text.contains("is stopped: nothing goes on"), "{text}");
    // What needs the journal itself is refused as before, and nobody is told to wait for what stands still.
    for needs in [
        &["cancel", "r-one", "--reason", "x"][..],
        &["check", "r-one", "prep/list"],
        &["rows", "r-one"],
        &["journal", "repair"],
        &["journal", "seal"],
        &["resume"],
    ] {
        let refused = flow(dir.path(), needs);
        let said = err(&refused);
        assert_eq!(refused.status.code(), Some(7), "{needs:?}: {said}");
        assert!(
            said.contains(&format!("kill -CONT {pid}")),
            "{needs:?}: {said}"
        );
        assert!(!said.contains("Ctrl-C"), "{needs:?}: {said}");
    }
}

#[test]
fn what_is_piped_into_a_file_is_a_log_though_the_person_sits_at_a_terminal() {
    let dir = project();
    let flow = env!("CARGO_BIN_EXE_flow");
    let piped = format!("'{flow}' --state .flow resume --no-wait | cat >log");
    let said = Command::new("script")
        .args(["-qec", &piped, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output();
    said.expect("script starts (bsdutils)");
    let log = std::fs::read_to_string(dir.path().join("log")).expect("it was made");
    assert!(
        log.contains("run r-one ") && log.contains("steps done"),
        "{log:?}"
    );
    assert!(!log.contains('\u{1b}'), "{log:?}");
}
