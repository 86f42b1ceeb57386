//! What ran before runs again, as it was defined before.

use super::*;

/// Two scripts and an ecosystem file, as a repository has them; what the release changes is committed by hand.
fn ecosystem(pm2: &Pm2, script: &str, secret: &str, instances: u32) {
    let home = pm2.home.path();
    let text = format!(
        "module.exports = {{ apps: [{{ name: 'api', script: '{script}', cwd: __dirname, args: ['a b', 'c'], \
         instances: {instances}, exec_mode: 'cluster', env: {{ SECRET: '{secret}' }} }}] }}"
    );
    std::fs::write(home.join("ecosystem.config.js"), text).unwrap();
    let file = home.join("ecosystem.config.js");
    pm2.pm2(&["delete", "api"]);
    pm2.pm2(&["start", file.to_str().unwrap()]);
}

fn says(pm2: &Pm2, name: &str, exits: bool) {
    let log = pm2.home.path().join("says");
    let end = if exits { "process.exit(1)" } else { "" };
    let text = format!(
        "require('fs').appendFileSync({log:?}, ['{name}', process.env.SECRET, ...process.argv.slice(2)].join('|') + '\\n'); \
         {end}; {STEADY}"
    );
    std::fs::write(pm2.home.path().join(name), text).unwrap();
}

async fn released(pm2: &Pm2, bench: &Bench) {
    let plan = plan(
        |p| {
            p.step("prep/processes", processes(pm2));
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    let (_, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_release_that_moved_the_script_the_old_definition_runs_again_and_no_secret_is_stored()
 {
    let pm2 = Pm2::start();
    says(&pm2, "server.js", false);
    pm2.app("api", STEADY);
    ecosystem(&pm2, "server.js", "hunter2", 2);
    let bench = Bench::new(registry);
    released(&pm2, &bench).await;
    let kept = pm2.home.path().join("kept/pm2-r-one.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(std::fs::read_to_string(&kept).unwrap().contains("hunter2"));

    // The release: another script, one instance, another environment. The rollback reverts the code: it is gone.
    says(&pm2, "main.js", true);
    ecosystem(&pm2, "main.js", "other", 1);
    std::fs::remove_file(pm2.home.path().join("main.js")).unwrap();
    std::fs::write(pm2.home.path().join("says"), "").unwrap();
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = undone(&run, "prep/processes");
    assert!(
        report.starts_with(
            "restarted api: 2 online, no restart within 2 s; with the definition of before: api"
        ),
        "{report}"
    );
    let said = std::fs::read_to_string(pm2.home.path().join("says")).unwrap();
    assert_eq!(said, "server.js|hunter2|a b|c\n".repeat(2));
    let stored = format!("{:?}", run.steps) + &bench.shown();
    assert!(!stored.contains("hunter2"), "a secret was stored or shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_brought_back_keeps_no_other_down_and_each_is_reported() {
    let pm2 = Pm2::start();
    pm2.app("aaa", STEADY);
    pm2.app("api", STEADY);
    let bench = Bench::new(registry);
    released(&pm2, &bench).await;
    pm2.pm2(&["delete", "aaa"]);
    pm2.pm2(&["stop", "api"]);
    // Neither the process nor its script is there any more.
    std::fs::remove_file(pm2.home.path().join("aaa.js")).unwrap();
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let failed = run.steps[0].undo_failure.clone().unwrap().1;
    assert!(failed.message.contains("aaa: "), "{failed:?}");
    assert!(failed.message.contains("restarted: api"), "{failed:?}");
    assert_eq!(
        pm2.all().await.running().into_keys().collect::<Vec<_>>(),
        ["api"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_definitions_that_were_changed_are_not_believed() {
    let pm2 = Pm2::start();
    pm2.app("api", STEADY);
    let bench = Bench::new(registry);
    released(&pm2, &bench).await;
    let kept = pm2.home.path().join("kept/pm2-r-one.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replace("api.js", "evil.js")).unwrap();
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    assert!(
        bench.shown().contains("was changed since it was written"),
        "{}",
        bench.shown()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_by_hand_before_the_deploy_is_not_brought_back_by_a_rollback() {
    let pm2 = Pm2::start();
    pm2.app("api", STEADY);
    pm2.app("old", STEADY);
    let bench = Bench::new(registry);
    let first = Processes {
        newer: Some("prep/running".into()),
        ..processes(&pm2)
    };
    let second = Processes {
        restart_if_started: None,
        since: Some("prep/processes".into()),
        ..processes(&pm2)
    };
    let plan = plan(
        |p| {
            p.step("prep/processes", first);
            p.step("prep/running", second);
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    let hand = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        pm2.pm2(&["delete", "old"]);
    };
    let ((_, stop), ()) = tokio::join!(bench.start("r-one", plan), hand);
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    assert!(undone(&run, "prep/processes").starts_with("restarted api: 1 online"));
}
