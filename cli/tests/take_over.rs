//! Two `flow` processes on one state folder: the second is refused, and replaces the first only when it stands still.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::signal::Actor;
use flow_engine::step::Resources;
use flow_steps::people::{Checklist, Item};
use rustix::process::{Pid, Signal, kill_process};

const CONFIG: &str = r#"
people = "flow.people.toml"
[app]
name = "demo"
migrations = "m"
[signoff]
roles = ["qa"]
"#;

/// A project with one run that waits for an answer.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = CONFIG.to_owned();
    for name in ["test", "stage", "prod"] {
        config += &[
            &format!("[env.{name}]\nssh = \"{name}\"\n"),
            "app_dir = \"/srv/app\"\nbackup_dir = \"/srv/backups\"\nflow_dir = \"/srv/flow\"\n",
            "deploy = [\"./deploy.sh\"]\nhealth = \"http://127.0.0.1:1/\"\n",
            "database = { user = \"postgres\", name = \"postgres\" }\n",
        ]
        .concat();
    }
    let write = |file: &str, text: &str| {
        std::fs::write(dir.path().join(file), text).expect("writes");
    };
    write("flow.toml", &config);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    write(
        "flow.people.toml",
        &format!("[[roles.qa]]\nname = \"qa\"\nkey = \"{key}\"\n"),
    );
    write("flow.data.toml", "[tables]\n");
    let state = dir.path().join(".flow");
    std::fs::create_dir_all(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    runtime.block_on(leave_a_run_that_waits(&state));
    dir
}

async fn leave_a_run_that_waits(state: &Path) {
    let (journal, _) =
        SledJournal::open(&state.join("journal"), &OpenOptions::default()).expect("opens");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        let item = Item {
            key: "one".into(),
            text: "try it".into(),
            required: true,
        };
        let list = Checklist {
            title: "features".into(),
            items: vec![item],
            who: "qa".into(),
            deadline_minutes: None,
        };
        p.step("prep/features", list);
    });
    let engine = Engine {
        journal: Arc::new(journal),
        registry: Arc::new(flow_workflows::registry::registry()),
        resources: Resources::default(),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    };
    let new = NewRun {
        id: "r-one".parse().expect("an id"),
        plan: planner.finish().expect("plans"),
        by: Actor {
            name: "anna".into(),
            from: "box".into(),
        },
        reason: "a test".into(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await.expect("starts");
    driver.drive().await.expect("drives");
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
    command
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(dir)
        .env_remove("FLOW_STATE")
        .env_remove("FLOW_CONFIG")
        .stdin(Stdio::null());
    command
}

fn flow(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().expect("flow starts")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A `flow resume --wait` that stays.
struct Driving(Child);

impl Driving {
    fn start(dir: &Path) -> Driving {
        let mut command = command(dir, &["resume", "--wait"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let driving = Driving(child.expect("flow starts"));
        let socket = dir.join(".flow/control.sock");
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(90), "it never serves");
            std::thread::sleep(Duration::from_millis(20));
        }
        driving
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a number"), signal).expect("signals");
    }

    fn stop(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.0.id());
        let begun = Instant::now();
        while !std::fs::read_to_string(&stat)
            .expect("reads")
            .contains(") T ")
        {
            assert!(begun.elapsed() < Duration::from_secs(90), "it never stops");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone_already = self.0.wait();
    }
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
        begun.elapsed() < Duration::from_secs(60),
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
    // What needs the journal itself is refused as before.
    let order = flow(dir.path(), &["cancel", "r-one", "--reason", "x"]);
    assert_eq!(order.status.code(), Some(7), "{}", err(&order));
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
