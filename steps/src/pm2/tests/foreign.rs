//! What is not the application's, and what was not well before, is left alone and is no witness.

use super::*;
use crate::deploy::{Deploy, StopSpec, fixture};

/// Processes in a folder of their own: these are the application's.
pub(super) struct World {
    pub(super) pm2: Pm2,
    pub(super) application: Application,
}

impl World {
    /// An `api` in the application's folder, a module, and `shop`, another application under the same pm2.
    pub(super) fn start() -> Self {
        let pm2 = Pm2::start();
        let folder = pm2.home.path().join("app");
        std::fs::create_dir_all(&folder).unwrap();
        let application = Application {
            processes: vec![],
            folder: Some(folder.to_str().unwrap().into()),
            supervisor: Kind::Pm2,
        };
        let world = World { pm2, application };
        world.app("api", STEADY, &[]);
        world.pm2.app("shop", STEADY);
        world.pm2.module("rotate");
        world
    }

    pub(super) fn app(&self, name: &str, source: &str, more: &[&str]) {
        let folder = self.application.folder.clone().unwrap();
        let file = format!("{folder}/{name}.js");
        std::fs::write(&file, source).unwrap();
        let args = [&["start", &file, "--name", name], more].concat();
        let output = self.pm2.command(&args).current_dir(folder).output();
        assert!(output.unwrap().status.success());
    }

    pub(super) fn processes(&self) -> Processes {
        Processes {
            application: self.application.clone(),
            ..processes(&self.pm2)
        }
    }

    pub(super) fn restarted(&self, before: Arg<ProcessList>) -> Restarted {
        Restarted {
            host: "here".into(),
            pm2: self.pm2.prefix.clone(),
            application: self.application.clone(),
            before,
            settle_seconds: 1,
            released: None,
            script: None,
            removed: None,
        }
    }

    fn online(&self, expected: Arg<ProcessList>) -> Online {
        Online {
            host: "here".into(),
            pm2: self.pm2.prefix.clone(),
            application: self.application.clone(),
            expected,
            since: None,
            settle_seconds: 1,
        }
    }

    async fn foreign(&self) -> Vec<(u64, u64)> {
        let all = self.pm2.all().await;
        let foreign = all.apps.iter().filter(|a| a.name == "shop");
        foreign.map(|a| (a.pid, a.restarts)).collect()
    }

    pub(super) fn deploy(&self, script: &str) -> Deploy {
        let file = self.pm2.home.path().join("release.sh");
        std::fs::write(&file, script).unwrap();
        let words = vec!["sh".into(), file.to_str().unwrap().into()];
        Deploy {
            cwd: self.application.folder.clone().unwrap(),
            stop_on_undo: Some(StopSpec {
                pm2: self.pm2.prefix.clone(),
                application: self.application.clone(),
                look: None,
            }),
            ..fixture::deploy(self.pm2.home.path(), words)
        }
    }

    /// The plan of a release whose deploy is `script`.
    pub(super) fn release(&self, script: &str) -> Plan {
        let deploy = self.deploy(script);
        let before = || Arg::Output("prep/processes".into());
        plan(
            |p| {
                p.step("prep/processes", self.processes());
            },
            |p| {
                p.step("prod/deploy", deploy);
                p.step("prod/restarted", self.restarted(before()));
                p.step("prod/online", self.online(before()));
            },
        )
    }

    pub(super) fn words(&self, command: &str) -> String {
        format!("{} {command}\n", self.pm2.prefix.join(" "))
    }
}

pub(super) fn with_deploy() -> Registry {
    registry().with::<Deploy>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_and_another_application_are_neither_judged_nor_stopped_nor_restarted() {
    let world = World::start();
    let foreign = world.foreign().await;
    let bench = Bench::new(with_deploy);
    let release = world.release(&world.words("restart api"));
    let (run, stop) = bench.start("r-good", release).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let before: ProcessList = output(&run, "prep/processes");
    assert_eq!(before.apps.len(), 1, "{before:?}");
    let shown = bench.shown();
    assert!(
        shown.contains("left alone: rotate #2 (a module of pm2)"),
        "{shown}"
    );
    assert!(
        shown.contains("left alone: shop #1 (not the application's)"),
        "{shown}"
    );

    bench.order("r-good", Order::Rollback).await;
    let (run, stop) = bench.resume("r-good").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let stopped = undone(&run, "prod/deploy");
    assert!(stopped.ends_with("stopped api"), "{stopped}");
    assert_eq!(
        world.foreign().await,
        foreign,
        "the other application was touched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_errored_or_crash_looping_before_is_no_witness_and_stays_as_it_is() {
    let world = World::start();
    world.app("rest", STEADY, &[]);
    world.pm2.pm2(&["stop", "rest"]);
    world.app("loop", "setTimeout(() => process.exit(1), 1100)", &[]);
    world.app("job", "process.exit(0)", &["--no-autorestart"]);
    world.app("dead", "process.exit(1)", &["--max-restarts", "1"]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let bench = Bench::new(with_deploy);
    let release = world.release(&world.words("restart api"));
    let (run, stop) = bench.start("r-one", release).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let before: ProcessList = output(&run, "prep/processes");
    let excused = before.apps.iter().filter(|a| !a.is_witness());
    let mut excused: Vec<&str> = excused.map(|a| a.name.as_str()).collect();
    excused.sort_unstable();
    assert_eq!(excused, ["dead", "loop", "rest"], "{before:?}");

    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = undone(&run, "prep/processes");
    assert!(report.contains("1 online"), "{report}");
    assert!(report.contains("rest (it did not run before)"), "{report}");
    let now = world.pm2.all().await;
    let status = |name: &str| {
        now.apps
            .iter()
            .find(|a| a.name == name)
            .unwrap()
            .status
            .clone()
    };
    assert_eq!(status("rest"), "stopped");
    assert_eq!(status("job"), "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_after_the_release_is_a_witness_and_one_that_ends_well_is_none() {
    let world = World::start();
    world.app(
        "job",
        "process.exit(require('fs').existsSync(__dirname + '/bad') ? 1 : 0)",
        &["--no-autorestart"],
    );
    let bench = Bench::new(with_deploy);
    let script = world.words("restart api job");
    let (run, stop) = bench.start("r-good", world.release(&script)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let (run, _) = bench
        .start("r-bad", world.release(&format!("touch bad; {script}")))
        .await;
    let message = failure(&run, "prod/online").message;
    assert!(message.contains("not online on `here`: job #"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_processes_belong_where_names_are_given_and_nothing_of_ones_own_is_refused() {
    let mut world = World::start();
    world.application.processes = vec!["shop".into()];
    let own = world.pm2.list(&world.application).await;
    assert_eq!(own.running().into_keys().collect::<Vec<_>>(), ["shop"]);
    let here = Local::new("here");
    let said = whose(&here, &world.pm2.prefix, &world.application)
        .await
        .unwrap();
    assert!(
        said.words
            .starts_with("the application's (shop): shop online; left alone: api #0 (not the")
            && said.all_up,
        "{said:?}"
    );
    world.application.processes = vec!["typo".into()];
    let said = whose(&here, &world.pm2.prefix, &world.application)
        .await
        .unwrap_err();
    assert_eq!(said, "pm2 knows no typo");
    let bench = Bench::new(with_deploy);
    let (run, _) = bench.start("r-one", world.release("true")).await;
    let failed = failure(&run, "prep/processes");
    assert!(
        failed
            .message
            .contains("is the application's (typo); there are: api #0"),
        "{failed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_removed_is_missed_once_and_a_retry_goes_on_without_it() {
    let world = World::start();
    world.app("worker", STEADY, &[]);
    let before = || Arg::Output("prep/processes".into());
    let plan = plan(
        |p| {
            p.step("prep/processes", world.processes());
            p.step("prep/hand", Wait);
            p.step("prep/restarted", world.restarted(before()));
        },
        |p| {
            let production = Restarted {
                removed: Some(Arg::Output("prep/restarted".into())),
                ..world.restarted(before())
            };
            p.step("prod/restarted", production);
        },
    );
    let bench = Bench::new(|| registry().with::<Wait>());
    let run = bench.start("r-one", plan);
    let hand = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        world.pm2.pm2(&["delete", "worker"]);
        world.pm2.pm2(&["restart", "api"]);
    };
    let ((run, stop), ()) = tokio::join!(run, hand);
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let failed = failure(&run, "prep/restarted");
    assert!(
        failed
            .message
            .contains("worker ran before, and pm2 no longer knows it"),
        "{failed:?}"
    );
    bench.order("r-one", Order::Retry).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let after: ProcessList = output(&run, "prod/restarted");
    assert!(after.gone.contains("worker"), "{after:?}");
}

/// Time for a hand to do something between two steps.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wait;

#[async_trait::async_trait]
impl flow_engine::step::Step for Wait {
    const KIND: &'static str = "test.wait";
    type Output = ();

    fn summary(&self) -> String {
        "waits".into()
    }

    async fn run(&self, cx: &flow_engine::step::Cx) -> Result<(), StepError> {
        cx.sleep(Duration::from_secs(12)).await
    }
}
