use flow_engine::driver::Stop;
use flow_engine::plan::Plan;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::run::Run;

use super::*;
use crate::health::tests::{reply, serve};
use crate::means::reach::testing::{Bench, Change, failure, output, plan};
use crate::pm2::tests::Pm2;

mod darkness;
mod reload;
mod thaw;

fn registry() -> Registry {
    Registry::default().with::<Watch>()
}

fn watch(pm2: &Pm2, seconds: u64) -> Watch {
    Watch {
        host: "here".into(),
        pm2: pm2.prefix.clone(),
        application: Application::default(),
        apps: vec!["api".into()],
        seconds,
        errors: vec![],
        allow: vec![],
        health: None,
        max_restarts: 0,
        since: None,
        thaw: None,
    }
}

fn of(watch: Watch) -> Plan {
    plan(
        |p| {
            p.step("prep/change", Change);
        },
        |p| {
            p.step("prod/watch", watch);
        },
    )
}

/// Writes an old error at once, then the content of a file whenever there is one.
fn chatty(pm2: &Pm2) -> std::path::PathBuf {
    let file = pm2.home.path().join("say");
    let source = format!(
        "const fs = require('fs'); console.error('Error: old'); setInterval(() => {{ \
         if (fs.existsSync({file:?})) {{ const t = fs.readFileSync({file:?}, 'utf8'); fs.unlinkSync({file:?}); \
         if (t === 'die') process.exit(1); console.error(t); }} }}, 100)"
    );
    pm2.app("api", &source);
    std::thread::sleep(Duration::from_millis(800));
    file
}

fn millis(run: &Run) -> u64 {
    let (index, _) = run.plan.node("prod/watch").unwrap();
    let note = run.steps[index as usize].note.clone().unwrap();
    serde_json::from_slice::<Seen>(&note).unwrap().millis
}

async fn load(bench: &Bench) -> Run {
    Run::load(&*bench.journal, &"r-one".parse().unwrap())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_watch_continues_and_does_not_start_again() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    let bench = Bench::new(registry);
    bench
        .crash_after("r-one", of(watch(&pm2, 14)), Duration::from_secs(9))
        .await;
    let before = millis(&load(&bench).await);
    assert!(before >= 4_000, "{before}");
    // Nobody looks: this does not count.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = std::time::Instant::now();
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let rest = begun.elapsed().as_millis();
    let wanted = u128::from(14_000 - before);
    assert!(
        rest >= wanted - 500 && rest < wanted + 3_500,
        "{rest} ms after {before} ms"
    );
    let watched: Watched = output(&run, "prod/watch");
    assert!((14..=17).contains(&watched.seconds), "{watched:?}");
    assert!(bench.shown().contains("going on with the watch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_written_while_flow_was_down_is_found_and_an_old_one_is_not() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let bench = Bench::new(registry);
    bench
        .crash_after("r-one", of(watch(&pm2, 600)), Duration::from_secs(3))
        .await;
    std::fs::write(&say, "TypeError: x is undefined").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (run, stop) = bench.resume("r-one").await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let failure = failure(&run, "prod/watch");
    assert!(
        failure
            .message
            .contains("log of api on `here`: TypeError: x is undefined"),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_during_the_watch_fails_it() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let bench = Bench::new(registry);
    let watch = Watch {
        allow: vec!["old".into()],
        ..watch(&pm2, 60)
    };
    let dying = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        std::fs::write(&say, "die").unwrap();
    });
    let (run, _) = bench.start("r-one", of(watch)).await;
    dying.await.unwrap();
    let failure = failure(&run, "prod/watch");
    assert!(
        failure.message.contains("1 restarts on `here`"),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_answer_is_forgiven_and_three_in_a_row_are_not() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    let server = serve(|n, _| match n {
        0 | 2.. => reply("503 Service Unavailable", "broken"),
        _ => reply("200 OK", "ok"),
    });
    let bench = Bench::new(registry);
    let watch = Watch {
        health: Some(crate::means::probes::Check::ok(server.url("/health")).into()),
        ..watch(&pm2, 60)
    };
    let (run, _) = bench.start("r-one", of(watch)).await;
    let failure = failure(&run, "prod/watch");
    assert!(
        failure
            .message
            .contains("unhealthy 3 times in a row: status 503"),
        "{failure:?}"
    );
    assert!(millis(&run) >= 14_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_pm2_does_not_know_cannot_be_watched() {
    let pm2 = Pm2::start();
    let bench = Bench::new(registry);
    let (run, _) = bench.start("r-one", of(watch(&pm2, 60))).await;
    assert!(
        failure(&run, "prod/watch")
            .message
            .contains("does not know api")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_log_file_cannot_be_watched() {
    let pm2 = Pm2::start();
    let file = pm2.home.path().join("api.js");
    std::fs::write(&file, "setInterval(() => {}, 1000)").unwrap();
    let (file, none) = (file.to_str().unwrap(), "/dev/null");
    pm2.pm2(&["start", file, "--name", "api", "-o", none, "-e", none]);
    let bench = Bench::new(registry);
    let (run, _) = bench.start("r-one", of(watch(&pm2, 6))).await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("nothing was watched"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_or_a_restart_between_the_deploy_and_the_watch_is_seen() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let before = pm2.all().await;
    pm2.pm2(&["restart", "api"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let restarted = crate::pm2::Restarted {
        host: "here".into(),
        pm2: pm2.prefix.clone(),
        application: Application::default(),
        before: Arg::Value(before),
        settle_seconds: 1,
        released: None,
        script: None,
        removed: None,
    };
    let registry = || registry().with::<crate::pm2::Restarted>();
    let bench = Bench::new(registry);
    let alone = plan(
        |p| {
            p.step("prep/restarted", restarted);
        },
        |p| {
            p.step("prod/change", Change);
        },
    );
    let (run, stop) = bench.start("r-zero", alone).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let after: ProcessList = output(&run, "prep/restarted");
    assert!(after.log_sizes.values().any(|n| *n > 0), "{after:?}");
    let since = Watch {
        since: Some(Arg::Value(after)),
        ..watch(&pm2, 6)
    };
    let (run, stop) = bench.start("r-calm", of(since.clone())).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);

    std::fs::write(&say, "2026-11-22T20:00:00: Error: in the smoke test").unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (run, _) = bench.start("r-error", of(since.clone())).await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("Error: in the smoke test"), "{message}");

    std::fs::write(&say, "die").unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let since = Watch {
        allow: vec!["in the smoke test".into(), "old".into()],
        ..since
    };
    let (run, _) = bench.start("r-died", of(since)).await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("1 restarts on `here`"), "{message}");
}
