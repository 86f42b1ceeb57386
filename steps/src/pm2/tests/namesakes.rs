//! Processes of one name: those of other applications, and a second one of our own.

use super::foreign::{World, with_deploy};
use super::*;
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
        let known = crate::pm2::Pm2 {
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
        let known = crate::pm2::Pm2 {
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
