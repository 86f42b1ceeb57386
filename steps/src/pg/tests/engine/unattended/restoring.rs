//! A restore whose driver is gone.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_nobody_drives_any_more_lets_writers_in_and_is_finished_later() {
    let bench = Bench::new().await;
    let much = "CREATE TABLE public.much AS SELECT g AS id, md5(g::text) AS x FROM generate_series(1, 200000) g;";
    bench.pg.query(much).await.unwrap();
    let plan = bench.plan_of(&bench.watchdog(SECONDS, 60), true);
    bench.left_in(plan).await;
    let over = bench.resumed().await;
    let mut run = Run::clone(&over);
    let bad = "DELETE FROM public.much WHERE id < 100;";
    bench.pg.query(bad).await.unwrap();
    let (by, at) = (run.by.clone(), run.updated);
    append_order(
        &*bench.journal,
        &mut run,
        Order::Rollback,
        by,
        "lost rows",
        at,
    )
    .await
    .unwrap();
    let (driver, _handle) = bench.engine(None).resume(&run.id).await.unwrap();
    let going_on = tokio::spawn(driver.drive());
    let begun = std::time::Instant::now();
    while !bench.is_read_only().await {
        assert!(begun.elapsed() < Duration::from_mins(2), "it never begins");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    going_on.abort();
    bench.until_writable().await;
    let (driver, _handle) = bench.engine(None).resume(&run.id).await.unwrap();
    let (run, stop) = driver.drive().await.unwrap();
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let rows = bench.pg.query("SELECT count(*) FROM public.much;").await;
    assert_eq!(rows.unwrap(), ["200000"]);
    assert!(!bench.is_read_only().await);
}
