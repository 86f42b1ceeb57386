//! The rehearsal of a rollback.

use super::super::cluster::{database, databases, value};
use super::*;
use crate::means::psql::Database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_swaps_and_drops_the_replaced_one_and_lost_counts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let mut p = Planner::new("rehearsal", "1", "stage", "test");
    p.phase("stage", "Stage", OnFailure::Park, |p| {
        let record = RecordState {
            db: pg.db.clone(),
            tables: Vec::new(),
            except: Vec::new(),
            only_if_started: None,
            baseline: None,
        };
        let before = p.step("stage/before", record);
        let dir = dir.path().to_str().unwrap().to_owned();
        p.step(
            "stage/rehearsal",
            RestoreRehearsal {
                db: pg.db.clone(),
                dir,
                apart_from: None,
            },
        );
        let counts = |db: &Database| CountsMatch {
            before: Arg::from(&before),
            db: db.clone(),
            allow_growth: false,
            allowed: Vec::new(),
            expected: None,
            shape_allowed: Vec::new(),
            values: false,
        };
        p.step("stage/counts", counts(&pg.db));
        let sql = "DELETE FROM public.\"Order\" WHERE id = 4711;".to_owned();
        p.step(
            "stage/deploy",
            Deploy {
                db: pg.db.clone(),
                sql,
            },
        );
        p.step("stage/counts-after", counts(&pg.db));
    });
    let oid = format!(
        "SELECT oid FROM pg_database WHERE datname = '{}';",
        pg.db.name
    );
    let before = value(&pg, &oid).await;
    let (run, stop) = drive("r-rehearse", p.finish().unwrap()).await;
    assert!(matches!(stop, Stop::Parked(_)), "{}", told(&run));
    let text = told(&run);
    assert!(
        text.contains("public.Order: 5000 rows before, 4999 now") && text.contains("4711"),
        "{text}"
    );
    let done: Rehearsal = out(&run, "stage/rehearsal");
    assert_eq!(done.rows, 9000);
    assert_ne!(
        value(&pg, &oid).await,
        before,
        "the live database is the restored one"
    );
    assert!(databases(&pg, "r_rehearse").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_on_productions_own_server_or_of_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (stage, prod) = (database(SHOP).await, database("").await);
    let folder = dir.path().to_str().unwrap().to_owned();
    for (id, db, apart_from, words) in [
        (
            "r-notprod",
            &stage.db,
            Some(prod.db.clone()),
            "on the same server",
        ),
        ("r-nothing", &prod.db, None, "rehearses nothing"),
    ] {
        let mut p = Planner::new("rehearsal", "1", "stage", "test");
        p.phase("stage", "Stage", OnFailure::Park, |p| {
            let rehearsal = RestoreRehearsal {
                db: db.clone(),
                dir: folder.clone(),
                apart_from,
            };
            p.step("stage/rehearsal", rehearsal);
        });
        let (run, _) = drive(id, p.finish().unwrap()).await;
        assert!(told(&run).contains(words), "{}", told(&run));
    }
}
