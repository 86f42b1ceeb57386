//! A run that parked with its database frozen, and is retried once the timer has opened it.

use super::*;
use crate::deploy::{Deploy as Script, fixture};
use crate::means::read_only::freeze::Freeze;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_failed_on_test_leaves_no_database_read_only_and_a_retry_freezes_it_again() {
    let bench = Bench::new().await;
    let watchdog = bench.watchdog(SECONDS, 60);
    let freeze = Freeze {
        db: bench.pg.db.clone(),
        ended_by: Some("test/writable".into()),
        watchdog: Some(watchdog.clone()),
    };
    let (go, said) = (bench.path("go"), bench.path("said"));
    let mut psql = bench.pg.psql_words();
    for word in &mut psql {
        if word.starts_with("dbname=") {
            *word = format!("dbname='{}'", bench.pg.db.name);
        }
    }
    let mut script = vec!["sh".to_owned(), "-c".to_owned()];
    script.push(format!(
        "[ -e {go} ] && \"$@\" -c 'SHOW default_transaction_read_only' > {said}"
    ));
    script.push("sh".to_owned());
    script.extend(psql);
    let deploy = Script {
        freeze: Some(freeze.clone()),
        ..fixture::deploy(bench.dir.path(), script)
    };
    let thaw = Thaw {
        db: bench.pg.db.clone(),
        look: None,
        watchdog: Some(watchdog),
    };
    let mut p = Planner::new("release", "1", "test", "test");
    p.phase("test", "Test", OnFailure::Park, |p| {
        p.step("test/maintenance", freeze);
        p.step("test/deploy", deploy);
        p.step("test/writable", thaw);
    });
    let (run, stop) = drive_on(&bench.journal, RUN, p.finish().unwrap()).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?} {}", told(&run));
    assert!(bench.is_read_only().await);
    bench.until_writable().await;
    bench.opened();
    std::fs::write(go, "").unwrap();
    let (run, stop) = give(&bench.journal, &run, Order::Retry, "put right").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    assert_eq!(std::fs::read_to_string(said).unwrap().trim(), "on");
    assert!(!bench.is_read_only().await);
    assert_eq!(bench.timers(), Vec::<String>::new());
}
