//! What pm2 restarts by itself.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_for_a_changed_file_is_forgiven_and_a_crash_of_the_same_process_is_not() {
    let pm2 = Pm2::start();
    let live = pm2.home.path().join("live");
    std::fs::create_dir(&live).unwrap();
    let bad = pm2.home.path().join("bad");
    let source = format!(
        "console.log('up'); setInterval(() => {{ if (require('fs').existsSync({bad:?})) process.exit(1) }}, 100)"
    );
    std::fs::write(pm2.home.path().join("api.js"), source).unwrap();
    let apps = serde_json::json!({ "apps": [
        { "name": "api", "script": "api.js", "cwd": pm2.home.path(), "watch": [live], "ignore_watch": ["none"] }
    ] });
    let file = pm2.home.path().join("apps.json");
    std::fs::write(&file, apps.to_string()).unwrap();
    pm2.pm2(&["start", file.to_str().unwrap()]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bench = Bench::new(registry);
    let change = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        std::fs::write(live.join("settings"), "1").unwrap();
    };
    let ((run, stop), ()) = tokio::join!(bench.start("r-one", of(watch(&pm2, 14))), change);
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let watched: Watched = output(&run, "prod/watch");
    assert_eq!(watched.restarts, 1, "{watched:?}");
    let shown = bench.shown();
    assert!(
        shown.contains("forgiven, pm2 restarted it by itself"),
        "{shown}"
    );

    let crash = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        std::fs::write(&bad, "").unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        std::fs::remove_file(&bad).unwrap();
    };
    let ((run, _), ()) = tokio::join!(bench.start("r-two", of(watch(&pm2, 20))), crash);
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("restarts on `here`"), "{message}");
}
