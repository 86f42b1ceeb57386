use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use flow_engine::driver::Stop;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::signal::Order;

use flow_engine::plan::Plan;
use flow_engine::planner::Arg;
use flow_engine::step::StepError;

use super::*;
use crate::means::host::Local;
use crate::means::reach::testing::{Bench, Change, Say, failure, output, plan, undone};
use crate::means::supervisor::contract::Supervisor as _;

/// A pm2 of its own: own home, own daemon, ended with it.
pub(crate) struct Pm2 {
    pub(crate) home: tempfile::TempDir,
    pub(crate) prefix: Vec<String>,
}

/// Installs pm2 once into the build folder. A real one: what is tested here is how it really behaves.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools/pm2");
        let program = dir.join("node_modules/.bin/pm2");
        if !program.exists() {
            std::fs::create_dir_all(&dir).unwrap();
            let install = Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix"])
                .arg(&dir)
                .arg("pm2@7")
                .output()
                .expect("these tests need npm");
            assert!(install.status.success(), "npm install pm2: {install:?}");
        }
        program
    })
}

impl Pm2 {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let prefix = vec![
            "env".into(),
            format!("PM2_HOME={}", home.path().join(".pm2").display()),
            program().to_str().unwrap().into(),
        ];
        Pm2 { home, prefix }
    }

    pub(crate) fn pm2(&self, args: &[&str]) {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    /// The application's processes now; all but modules where none is named.
    pub(crate) async fn list(&self, application: &Application) -> ProcessList {
        let pm2 = crate::means::supervisor::pm2::Pm2 {
            host: &Local::new("here"),
            program: &self.prefix,
            application,
        };
        pm2.list().await.unwrap()
    }

    /// Every process but modules.
    pub(crate) async fn all(&self) -> ProcessList {
        self.list(&Application::default()).await
    }

    /// Installs a module that only sleeps, as a log rotator would be.
    pub(crate) fn module(&self, name: &str) {
        let dir = self.home.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let package = format!(r#"{{"name":"{name}","version":"1.0.0","main":"i.js"}}"#);
        std::fs::write(dir.join("package.json"), package).unwrap();
        std::fs::write(dir.join("i.js"), STEADY).unwrap();
        let output = self.command(&["install", "."]).current_dir(&dir).output();
        assert!(output.unwrap().status.success());
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.prefix[0]);
        command.args(&self.prefix[1..]).args(args);
        command
    }

    /// Starts an application of this source text.
    pub(crate) fn app(&self, name: &str, source: &str) {
        let file = self.home.path().join(format!("{name}.js"));
        std::fs::write(&file, source).unwrap();
        self.pm2(&["start", file.to_str().unwrap(), "--name", name]);
    }
}

impl Drop for Pm2 {
    fn drop(&mut self) {
        self.pm2(&["kill"]);
    }
}

mod foreign;
mod namesakes;
mod old_code;
mod rollback;
mod timers;

const STEADY: &str = "setInterval(() => {}, 1000)";

fn registry() -> Registry {
    Registry::default()
        .with::<Processes>()
        .with::<Online>()
        .with::<Restarted>()
}

fn processes(pm2: &Pm2) -> Processes {
    Processes {
        host: "here".into(),
        pm2: pm2.prefix.clone(),
        application: Application::default(),
        restart_if_started: Some("prod/deploy".into()),
        settle_seconds: 2,
        health: None,
        keep_in: Some(pm2.home.path().join("kept").to_str().unwrap().into()),
        since: None,
        newer: None,
    }
}

#[test]
fn the_list_is_the_last_line_and_keeps_nothing_of_the_environment() {
    let text = "\n  Runtime Edition\n[PM2] Spawning PM2 daemon with pm2_home=/root/.pm2\n[PM2] PM2 Successfully daemonized\n\
        [{\"pid\":17,\"name\":\"api\",\"pm2_env\":{\"status\":\"online\",\"restart_time\":3,\"version\":\"1.4.0\",\
        \"DATABASE_URL\":\"hunter2\",\"pm_out_log_path\":\"/l/o\",\"pm_err_log_path\":\"/dev/null\"},\"pm_id\":4}]\n";
    let all = crate::means::supervisor::pm2::parse(text).unwrap();
    let [(app, _, definition)] = &all[..] else {
        panic!("not one");
    };
    assert_eq!(
        app.in_words(),
        "api #4 online, pid 17, 3 restarts, version 1.4.0"
    );
    assert_eq!(app.logs, ["/l/o"]);
    assert!(!serde_json::to_string(app).unwrap().contains("hunter2"));
    assert!(!format!("{definition:?}").contains("hunter2"));
}

#[test]
fn an_answer_that_is_no_list_fails_without_repeating_it() {
    let StepError::Fail(failure) =
        crate::means::supervisor::pm2::parse("[{\"hunter2\":1}]").unwrap_err()
    else {
        panic!("not a failure");
    };
    assert!(!format!("{failure:?}").contains("hunter2"));
    assert!(crate::means::supervisor::pm2::parse("").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_what_was_running_runs_again_and_what_was_stopped_stays_stopped() {
    let pm2 = Pm2::start();
    pm2.app("api", STEADY);
    pm2.app("worker", STEADY);
    pm2.app("rest", STEADY);
    pm2.pm2(&["stop", "rest"]);
    let bench = Bench::new(registry);
    let plan = plan(
        |p| {
            p.step("prep/processes", processes(&pm2));
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    let (run, _) = bench.start("r-one", plan).await;
    let before: ProcessList = output(&run, "prep/processes");
    assert_eq!(before.running().len(), 2);
    assert!(pm2.home.path().join(".pm2/dump.pm2").exists(), "pm2 save");
    // What a release and its rollback do to them: one is stopped, one is forgotten altogether.
    pm2.pm2(&["stop", "api"]);
    pm2.pm2(&["delete", "worker"]);
    let dump = pm2.home.path().join(".pm2/dump.pm2");
    let written = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
    let saved = written(&dump);
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert!(written(&dump) > saved, "the list was not saved again");
    let report = undone(&run, "prep/processes");
    assert!(report.starts_with("restarted api, worker: "), "{report}");
    assert_eq!(pm2.all().await.running(), before.running());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pm2_without_any_process_is_taken_for_the_wrong_user() {
    let pm2 = Pm2::start();
    let bench = Bench::new(registry);
    let step = processes(&pm2);
    let plan = plan(
        |p| {
            p.step("prep/processes", step);
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    let (run, _) = bench.start("r-one", plan).await;
    let message = failure(&run, "prep/processes").message;
    assert!(message.contains("is it the right user?"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_the_configuration_names_and_pm2_does_not_know_stops_the_run_before_production()
 {
    let pm2 = Pm2::start();
    pm2.app("api", STEADY);
    let bench = Bench::new(registry);
    let step = Processes {
        application: Application {
            processes: vec!["api".into(), "worker".into()],
            ..Application::default()
        },
        ..processes(&pm2)
    };
    let plan = plan(
        |p| {
            p.step("prep/processes", step);
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    let (run, _) = bench.start("r-one", plan).await;
    let message = failure(&run, "prep/processes").message;
    assert!(
        message.contains("pm2 on `here` knows no worker,"),
        "{message}"
    );
    assert!(run.steps[1].attempts == 0, "production was not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_pm2_calls_a_success_is_none_while_the_application_crash_loops() {
    let pm2 = Pm2::start();
    let flag = pm2.home.path().join("bad");
    let source = format!(
        "if (require('fs').existsSync({flag:?})) setTimeout(() => process.exit(1), 1200); {STEADY}"
    );
    pm2.app("api", &source);
    let bench = Bench::new(registry);
    let plan = plan(
        |p| {
            p.step("prep/processes", processes(&pm2));
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    bench.start("r-one", plan).await;
    std::fs::write(&flag, "").unwrap();
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let failed = run.steps[0].undo_failure.clone().unwrap().1;
    let said = failed.message.contains("crash") || failed.message.contains("not online");
    assert!(said, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_not_restarted_or_is_down_is_named() {
    let pm2 = Pm2::start();
    pm2.app("api", STEADY);
    let before = pm2.all().await;
    let check = |step: &str| {
        let (host, pm2) = ("here".to_owned(), pm2.prefix.clone());
        let before = Arg::Value(before.clone());
        let restarted = step == "restarted";
        plan(
            |p| {
                p.step("prep/say", Say::new(1));
            },
            |p| {
                if restarted {
                    p.step(
                        "prod/x",
                        Restarted {
                            host,
                            pm2,
                            application: Application::default(),
                            before,
                            settle_seconds: 1,
                            released: None,
                            script: None,
                            removed: None,
                        },
                    );
                } else {
                    p.step(
                        "prod/x",
                        Online {
                            host,
                            pm2,
                            application: Application::default(),
                            expected: before,
                            since: None,
                            settle_seconds: 1,
                        },
                    );
                }
            },
        )
    };
    let bench = Bench::new(registry);
    let (run, _) = bench.start("r-old", check("restarted")).await;
    assert!(
        failure(&run, "prod/x")
            .message
            .contains("the old code still runs: api #0")
    );
    pm2.pm2(&["restart", "api"]);
    let (_, stop) = bench.start("r-new", check("restarted")).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let (_, stop) = bench.start("r-up", check("online")).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    // Came with the release, and does not stay up.
    pm2.app("extra", "process.exit(1)");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (run, _) = bench.start("r-down", check("online")).await;
    assert!(
        failure(&run, "prod/x").message.contains("extra"),
        "{:?}",
        failure(&run, "prod/x")
    );
}
