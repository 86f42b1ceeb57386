//! What is found on test and staging already, where a release parks and production is not touched.

use super::super::cluster::database;
use super::*;

/// A release on one environment: recorded, deployed, counted.
async fn on_test(run: &str, tables: &[&str], allowed: &[&str], sql: &str) -> (Arc<Run>, Stop) {
    let pg = database(SHOP).await;
    let words = |these: &[&str]| these.iter().map(|s| (*s).to_owned()).collect();
    let mut p = Planner::new("release", "1", "test", "test");
    p.phase("test", "Test", OnFailure::Park, |p| {
        let state = RecordState {
            db: pg.db.clone(),
            tables: words(tables),
            only_if_started: None,
            baseline: None,
        };
        let before = p.step("test/counts-before", state);
        let (db, sql) = (pg.db.clone(), sql.to_owned());
        p.step("test/deploy", Deploy { db, sql });
        let counts = CountsMatch {
            before: Arg::from(&before),
            db: pg.db.clone(),
            allow_growth: true,
            allowed: words(allowed),
        };
        p.step("test/counts-after", counts);
    });
    drive(run, p.finish().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_or_table_that_the_script_drops_is_found_on_test_whether_recorded_or_not() {
    for (n, sql, word) in [
        (
            0,
            "ALTER TABLE public.\"Order\" DROP COLUMN amount;",
            "public.Order: columns gone: amount",
        ),
        (
            1,
            "ALTER TABLE public.\"Customer\" DROP COLUMN meta;",
            "public.Customer: columns gone: meta",
        ),
        (
            2,
            "DROP TABLE public.\"AuditLog\";",
            "public.AuditLog: is gone",
        ),
    ] {
        let (run, stop) = on_test(&format!("r-found{n}"), &["Customer"], &[], sql).await;
        let parked = matches!(stop, Stop::Parked(ParkReason::StepFailed { .. }));
        assert!(parked, "{stop:?} {}", told(&run));
        assert!(told(&run).contains(word), "{}", told(&run));
    }
    let declared = ["Order.amount", "Customer.meta"];
    let sql = "ALTER TABLE public.\"Order\" DROP COLUMN amount; ALTER TABLE public.\"Customer\" DROP COLUMN meta;";
    let (run, stop) = on_test("r-foundsaid", &["Customer"], &declared, sql).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_names_no_column_is_refused_on_test() {
    for (n, entry) in ["Customer.Name", "Customer.*", "Custmer.name"]
        .iter()
        .enumerate()
    {
        let (run, stop) = on_test(
            &format!("r-misspelt{n}"),
            &[],
            &[entry, "Customer.later"],
            "ALTER TABLE public.\"Customer\" ADD COLUMN later int;",
        )
        .await;
        let parked = matches!(stop, Stop::Parked(ParkReason::Refused { .. }));
        assert!(parked, "{stop:?} {}", told(&run));
        let word = format!("neither before nor after the deploy: public.{entry}.");
        assert!(told(&run).contains(&word), "{}", told(&run));
    }
}
