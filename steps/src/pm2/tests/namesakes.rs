//! Processes of one name: those of other applications, and a second one of our own.

use super::foreign::{World, with_deploy};
use super::*;
use crate::deploy::Deploy;
use crate::pm2::App;

/// Has a hand do something when it is undone.
#[derive(serde::Serialize, serde::Deserialize)]
struct Hand(Vec<String>);

#[async_trait::async_trait]
impl flow_engine::step::Step for Hand {
    const KIND: &'static str = "test.hand";
    type Output = ();

    fn summary(&self) -> String {
        "a hand at work".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("a hand at work".into())
    }

    async fn run(&self, _: &flow_engine::step::Cx) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _: &flow_engine::step::Cx, _: Option<()>) -> Result<String, StepError> {
        let done = Command::new(&self.0[0]).args(&self.0[1..]).output();
        assert!(done.unwrap().status.success());
        Ok("done".into())
    }
}

impl World {
    /// Another application's process of this name, in a folder of its own.
    fn namesake(&self, name: &str, more: &[&str]) {
        let folder = self.pm2.home.path().join("other");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("other.js"), STEADY).unwrap();
        let args = [&["start", "other.js", "--name", name, "-f"], more].concat();
        let output = self.pm2.command(&args).current_dir(folder).output();
        assert!(output.unwrap().status.success());
    }

    /// Number, pid, restarts and namespace of what is not the application's.
    async fn neighbours(&self) -> Vec<(u64, String, u64, u64, Option<String>)> {
        let known = crate::means::supervisor::pm2::Pm2 {
            host: &Local::new("here"),
            program: &self.pm2.prefix,
            application: &self.application,
        };
        let foreign = known.inventory().await.unwrap().foreign;
        let of = |a: App| (a.id, a.name, a.pid, a.restarts, a.namespace);
        foreign.into_iter().map(of).collect()
    }

    /// What is set for our processes of this name, as text: the folder, the script, the timer and what the release sets.
    async fn defined(&self, name: &str) -> Vec<String> {
        let known = crate::means::supervisor::pm2::Pm2 {
            host: &Local::new("here"),
            program: &self.pm2.prefix,
            application: &self.application,
        };
        let all = known.inventory().await.unwrap().definitions;
        let ours = all.iter().filter(|one| one.name() == name);
        let text = |one| {
            let one = serde_json::to_value(one).unwrap();
            let keys = [
                "name",
                "namespace",
                "cwd",
                "script",
                "cron_restart",
                "exec_mode",
            ];
            let mut words: Vec<String> = keys.iter().map(|key| one[key].to_string()).collect();
            words.push(one["env"]["NEW"].to_string());
            let env = one["env"].as_object().unwrap().keys();
            words.extend(env.filter(|key| key.contains(name)).cloned());
            words.join(" ")
        };
        ours.map(text).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_comes_back_as_it_was_defined_and_namesakes_of_others_are_not_touched() {
    let world = World::start();
    world.namesake("api", &[]);
    world.namesake("api", &["--namespace", "third"]);
    let (neighbours, defined) = (world.neighbours().await, world.defined("api").await);
    let bench = Bench::new(with_deploy);
    let script = format!("export NEW=1; {}", world.words("restart 0 --update-env"));
    let (run, stop) = bench.start("r-one", world.release(&script)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    assert_ne!(world.defined("api").await, defined);

    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = undone(&run, "prep/processes");
    assert!(
        report.starts_with("restarted api: 1 online") && report.contains("of before: api"),
        "{report}"
    );
    assert_eq!(world.defined("api").await, defined);
    assert_eq!(world.neighbours().await, neighbours);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_timer_comes_back_beside_a_namesake_and_nothing_that_others_deleted_does() {
    let world = World::start();
    world.app("tick", STEADY, &["--cron-restart", "0 3 1 1 *"]);
    world.app(
        "job",
        "process.exit(0)",
        &["--cron-restart", "0 3 1 1 *", "--no-autorestart"],
    );
    world.namesake("tick", &["--namespace", "third"]);
    world.namesake("left", &[]);
    let bench = Bench::new(|| with_deploy().with::<Hand>());
    let mut hand = world.pm2.prefix.clone();
    hand.extend(["delete".into(), "left".into()]);
    let (neighbours, defined) = (world.neighbours().await, world.defined("tick").await);
    let release = world.deploy(&world.words("restart api"));
    let plan = plan(
        |p| {
            p.step("prep/processes", world.processes());
        },
        |p| {
            p.step("prod/hand", Hand(hand));
            p.step("prod/deploy", release);
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let said = undone(&run, "prod/deploy");
    assert!(
        said.contains("another application's process has: tick (by hand"),
        "{said}"
    );
    let report = undone(&run, "prep/processes");
    assert!(
        report.contains("waiting for their clock again: job; removed: left #"),
        "{report}"
    );
    assert_eq!(world.defined("tick").await, defined);
    let rest: Vec<_> = neighbours.into_iter().filter(|n| n.1 != "left").collect();
    assert_eq!(world.neighbours().await, rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_that_was_stopped_before_is_no_witness_and_stays_stopped() {
    let world = World::start();
    // Two of them cannot run at a time: the second one fails at once.
    let source = format!(
        "require('net').createServer().listen(__dirname + '/api.sock'); process.on('SIGINT', () => {{ require('fs').rmSync(__dirname + '/api.sock'); process.exit(0) }}); {STEADY}"
    );
    world.pm2.pm2(&["delete", "api"]);
    world.app("api", &source, &[]);
    world.app("api", &source, &["-f", "--max-restarts", "1"]);
    let all = world.pm2.list(&world.application).await;
    let ids: Vec<u64> = all.apps.iter().map(|a| a.id).collect();
    let (first, second) = (ids[0], ids[1].to_string());
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.pm2.pm2(&["stop", &second]);
    let bench = Bench::new(with_deploy);
    let script = format!(
        "{}sleep 1; {}sleep 2",
        world.words(&format!("restart {first}")),
        world.words(&format!("restart {second}"))
    );
    let (run, stop) = bench.start("r-one", world.release(&script)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    // Another one that only lay there, and that the release got up.
    let state = async |id: u64| {
        let list = world.pm2.all().await;
        let app = list.apps.into_iter().find(|a| a.id == id).unwrap();
        (app.status, app.restarts)
    };
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = undone(&run, "prep/processes");
    assert!(report.starts_with("restarted api: 1 online"), "{report}");
    assert!(
        report.contains(&format!("api #{second} (it did not run before")),
        "{report}"
    );
    assert_eq!(state(first).await.0, "online");
    assert_ne!(state(ids[1]).await.0, "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_rested_and_that_the_release_started_is_told_and_stopped_again() {
    let world = World::start();
    world.app("api", STEADY, &["-f"]);
    let all = world.pm2.list(&world.application).await;
    let second = all.apps.iter().map(|a| a.id).max().unwrap();
    world.pm2.pm2(&["stop", &second.to_string()]);
    let bench = Bench::new(with_deploy);
    let release = Deploy {
        stop_on_undo: None,
        ..world.deploy(&world.words("restart api"))
    };
    let before = || Arg::Output("prep/processes".into());
    let plan = plan(
        |p| {
            p.step("prep/processes", world.processes());
        },
        |p| {
            p.step("prod/deploy", release);
            p.step("prod/restarted", world.restarted(before()));
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let shown = bench.shown();
    assert!(
        shown.contains("it was stopped before the release, which started it"),
        "{shown}"
    );
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = undone(&run, "prep/processes");
    assert!(
        report.contains(&format!("stopped again, as before: api #{second}")),
        "{report}"
    );
    let now = world.pm2.list(&world.application).await;
    let up: Vec<u64> = now
        .apps
        .iter()
        .filter(|a| a.is_running())
        .map(|a| a.id)
        .collect();
    assert_eq!(up, [0], "{now:?}");
}
