//! What the release itself did to sessions is forgiven up to the mark, and the same words are errors after it.

use flow_engine::record::ParkReason;
use flow_engine::signal::Order;

use super::*;

/// What Prisma's engine prints when the server ends a session.
const ENDED: &str = "prisma:error Error in PostgreSQL connection: Error { kind: Db, cause: Some(DbError { severity: \"FATAL\", \
    code: SqlState(\"57P01\"), message: \"terminating connection due to administrator command\" }) }";
const REFUSED: &str =
    "PrismaClientUnknownRequestError: cannot execute INSERT in a read-only transaction";

async fn marked(pm2: &Pm2) -> ProcessList {
    let pm2 = crate::means::supervisor::pm2::Pm2 {
        host: &crate::means::host::Local::new("here"),
        program: &pm2.prefix,
        application: &Application::default(),
    };
    pm2.marked().await.unwrap()
}

async fn says(file: &std::path::Path, text: &str) {
    std::fs::write(file, text).unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
}

fn after(pm2: &Pm2, since: &ProcessList, mark: &ProcessList, late: bool) -> Watch {
    let mark = Mark {
        processes: mark.clone(),
        late,
    };
    Watch {
        since: Some(Arg::Value(since.clone())),
        thaw: Some(Arg::Value(mark)),
        ..watch(pm2, 6)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_sessions_and_refused_writes_are_forgiven_up_to_the_mark_and_are_errors_after_it() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let since = marked(&pm2).await;
    says(&say, REFUSED).await;
    says(&say, ENDED).await;
    let mark = marked(&pm2).await;
    let bench = Bench::new(registry);
    let (run, stop) = bench
        .start("r-one", of(after(&pm2, &since, &mark, false)))
        .await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    assert!(bench.shown().contains("forgiven"), "{}", bench.shown());

    says(&say, ENDED).await;
    let (run, _) = bench
        .start("r-two", of(after(&pm2, &since, &mark, false)))
        .await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("57P01"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_error_before_the_mark_is_not_forgiven() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let since = marked(&pm2).await;
    says(&say, ENDED).await;
    says(&say, "TypeError: x is undefined").await;
    let mark = marked(&pm2).await;
    let (run, _) = Bench::new(registry)
        .start("r-one", of(after(&pm2, &since, &mark, false)))
        .await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("TypeError: x is undefined"), "{message}");
}

/// Leaves when it is told that its session was ended, as node-pg without a handler does, or for no reason.
fn fragile(pm2: &Pm2) -> std::path::PathBuf {
    let file = pm2.home.path().join("say");
    let source = format!(
        "const fs = require('fs'); setInterval(() => {{ if (!fs.existsSync({file:?})) return; \
         const t = fs.readFileSync({file:?}, 'utf8'); fs.unlinkSync({file:?}); \
         if (t) console.error('Error: Connection terminated unexpectedly\\n    at Connection.<anonymous> (c.js:1:1)'); \
         process.exit(1); }}, 100)"
    );
    pm2.app("api", &source);
    std::thread::sleep(Duration::from_millis(800));
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_left_with_its_sessions_and_came_again_is_no_witness_and_one_that_just_left_is()
 {
    let pm2 = Pm2::start();
    let say = fragile(&pm2);
    let since = marked(&pm2).await;
    says(&say, "ended").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mark = marked(&pm2).await;
    let bench = Bench::new(registry);
    let (run, stop) = bench
        .start("r-one", of(after(&pm2, &since, &mark, false)))
        .await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);

    let since = marked(&pm2).await;
    says(&say, "").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mark = marked(&pm2).await;
    let (run, _) = bench
        .start("r-two", of(after(&pm2, &since, &mark, false)))
        .await;
    let message = failure(&run, "prod/watch").message;
    assert!(message.contains("1 restarts on `here`"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_was_made_too_late_leaves_it_to_a_person_and_their_retry_goes_on() {
    let pm2 = Pm2::start();
    let say = chatty(&pm2);
    let since = marked(&pm2).await;
    says(&say, ENDED).await;
    let mark = marked(&pm2).await;
    let bench = Bench::new(registry);
    let (run, stop) = bench
        .start("r-one", of(after(&pm2, &since, &mark, true)))
        .await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?}"
    );
    let failed = failure(&run, "prod/watch");
    assert!(
        failed.message.contains("may be what the thaw did"),
        "{failed:?}"
    );
    bench.order("r-one", Order::Retry).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
}

/// Marks the logs so many seconds after production was opened.
fn marks(pm2: &Pm2, seconds: u64) -> Plan {
    let reconnect = Reconnect {
        host: "here".into(),
        pm2: pm2.prefix.clone(),
        application: Application::default(),
        thaw: "prod/writable".into(),
        seconds,
    };
    plan(
        |p| {
            p.step("prep/change", Change);
        },
        |p| {
            p.step("prod/writable", Change);
            p.step("prod/reconnect", reconnect);
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_nobody_made_in_time_says_so() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    let bench = Bench::new(|| registry().with::<Reconnect>());
    let a_moment = Duration::from_secs(5);
    let plan = marks(&pm2, 10);
    bench.crash_after("r-one", plan, a_moment).await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let mark: Mark = output(&run, "prod/reconnect");
    assert!(mark.late);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_is_made_some_seconds_after_the_thaw_and_knows_where_the_logs_are() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    let plan = marks(&pm2, 3);
    let begun = std::time::Instant::now();
    let bench = Bench::new(|| registry().with::<Reconnect>());
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    assert!(begun.elapsed() >= Duration::from_secs(3));
    let mark: Mark = output(&run, "prod/reconnect");
    assert!(!mark.late);
    assert!(mark.processes.log_sizes.values().any(|size| *size > 0));
    assert!(mark.processes.log_inodes.values().any(|inode| *inode > 0));
}
