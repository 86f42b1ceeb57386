//! What is looked at before anything is stopped, and what a rollback says about rows.

use super::super::cluster::{database, databases, small_disk, value};
use super::guarding::Harm;
use super::*;

const ADD: &str = "ALTER TABLE public.\"Customer\" ADD COLUMN x int;";
const EDIT: &str = "UPDATE public.\"Order\" SET amount = 7 WHERE id = 1; DELETE FROM public.\"Order\" WHERE id = 2;";

/// A release after whose thaw something happens and the application fails; its thaw looks before anything is stopped.
fn fails_after(pg: &Pg, dir: &str, what: &str) -> flow_engine::plan::Plan {
    let mut plan = plan(&pg.db, dir, ADD);
    let look = Restorable {
        backup: Arg::Output("prod/baseline".into()),
    };
    let thaw = plan.nodes.iter_mut().find(|n| n.key == "prod/thaw");
    let thaw = thaw.unwrap();
    thaw.params["look"] = serde_json::to_value(look).unwrap();
    thaw.undo = Some("look".into());
    insert_sql(&mut plan, "", "prod/customer", what);
    insert_sql(&mut plan, "", "prod/watch", "SELECT 1 / 0;");
    plan
}

fn undo_of(run: &Run, key: &str) -> flow_engine::run::Undo {
    let (index, _) = run.plan.node(key).unwrap();
    run.steps[index as usize].undo
}

fn harm(plan: &mut flow_engine::plan::Plan, before: &str, dir: &str) {
    insert_sql(plan, before, "prod/harm", "");
    let node = plan.nodes.iter_mut().find(|n| n.key == "prod/harm");
    let node = node.unwrap();
    node.kind = Harm::KIND.into();
    node.params = serde_json::json!({ "dir": dir });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_whose_backup_is_damaged_stops_before_any_other_undo() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let mut plan = fails_after(&pg, folder, "SELECT 1;");
    harm(&mut plan, "prod/watch", folder);
    let (run, stop) = drive("r-lookgone", plan).await;
    assert_asks(&stop, &run, "could not be restored, so nothing was stopped");
    assert_eq!(
        undo_of(&run, "prod/integrity"),
        flow_engine::run::Undo::Pending
    );
    assert_eq!(
        undo_of(&run, "prod/baseline"),
        flow_engine::run::Undo::Pending
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_customers_are_asked_for_once_and_before_anything_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let plan = fails_after(&pg, dir.path().to_str().unwrap(), EDIT);
    let (run, stop) = drive_on(&journal, "r-lookask", plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?}"
    );
    let text = told(&run);
    assert!(
        text.contains("accepts writes again (public.Order)")
            || text.contains("accepted writes again (public.Order)"),
        "{text}"
    );
    assert!(text.contains("Nothing was stopped"), "{text}");
    assert_eq!(
        undo_of(&run, "prod/integrity"),
        flow_engine::run::Undo::Pending
    );
    let (run, stop) = give(&journal, &run, Order::Retry, "we will enter it again").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let words = "no row exists only there, 1 updated and 1 deleted there (public.Order: 1 updated, 1 deleted)";
    assert!(told(&run).contains(words), "{}", told(&run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rollback_of_a_completed_run_is_told_row_by_row_before_it_is_ordered() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let plan = plan(&pg.db, dir.path().to_str().unwrap(), ADD);
    let (run, stop) = drive("r-outlook", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let hosts = Hosts::new().with(Local::new("here"));
    let found = outlook(&run, &hosts, &|_| {}).await.unwrap().unwrap();
    assert!(
        found.rows.is_empty() && !found.is_same,
        "only the schema differs: {found:?}"
    );
    pg.query(&format!(
        "{EDIT} INSERT INTO public.\"Customer\" (name) VALUES ('new');"
    ))
    .await
    .unwrap();
    let found = outlook(&run, &hosts, &|_| {}).await.unwrap().unwrap();
    let words: Vec<String> = found.rows.iter().map(Aside::in_words).collect();
    assert_eq!(
        words,
        [
            "public.Customer: 1 inserted",
            "public.Order: 1 updated, 1 deleted"
        ]
    );
    assert!(databases(&pg, "r_outlook").await.is_empty());
    let baseline: Backup = out(&run, "prod/baseline");
    std::fs::remove_file(&baseline.path).unwrap();
    let error = outlook(&run, &hosts, &|_| {}).await.unwrap_err();
    assert!(matches!(error, OutlookError::Impossible(_)), "{error}");
    assert!(
        error.to_string().contains("is not there any more"),
        "{error}"
    );
    let nowhere = Hosts::new();
    assert!(outlook(&run, &nowhere, &|_| {}).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_whose_copy_has_no_room_is_refused_while_production_serves() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let mut pg = database(SHOP).await;
    let free = small_disk(&mut pg.db, dir.path());
    std::fs::write(&free, "7000000").unwrap();
    let plan = plan(&pg.db, folder, ADD);
    let (run, stop) = drive("r-noroom", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let hosts = Hosts::new().with(Local::new("here"));
    assert!(outlook(&run, &hosts, &|_| {}).await.is_ok());
    std::fs::write(&free, "1").unwrap();
    let error = outlook(&run, &hosts, &|_| {}).await.unwrap_err();
    assert!(matches!(error, OutlookError::Impossible(_)), "{error}");
    assert!(error.to_string().contains("and 1024 are free"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_client_that_overrides_read_only_mode_are_never_set_aside_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), ADD);
    let write =
        "BEGIN READ WRITE; UPDATE public.\"Customer\" SET role = 'ADMIN' WHERE id = 1; COMMIT;";
    insert_sql(&mut plan, "prod/integrity", "prod/client", write);
    let (run, stop) = drive_on(&journal, "r-override", plan).await;
    assert_asks(
        &stop,
        &run,
        "a client overrides it (public.Customer: 1 row)",
    );
    let role = "SELECT role FROM public.\"Customer\" WHERE id = 1;";
    assert_eq!(value(&pg, role).await, "ADMIN");
    let (run, stop) = give(&journal, &run, Order::Retry, "known").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    assert!(
        told(&run).contains("1 updated there (public.Customer: 1 updated)"),
        "{}",
        told(&run)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_mode_that_was_ended_by_others_is_asked_about_and_takes_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), ADD);
    let thaw = format!(
        "ALTER DATABASE {} RESET default_transaction_read_only;",
        pg.db.name
    );
    insert_sql(&mut plan, "prod/integrity", "prod/others", &thaw);
    let (run, stop) = drive_on(&journal, "r-others", plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?} {}",
        told(&run)
    );
    let text = told(&run);
    assert!(
        text.contains("is not read-only any more, which this run did not do"),
        "{text}"
    );
    assert!(
        text.contains("every row of before is there and unchanged"),
        "{text}"
    );
    let (run, stop) = give(&journal, &run, Order::Retry, "nobody wrote").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_given_up_is_not_missed_a_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let mut plan = plan(&pg.db, folder, EDIT);
    harm(&mut plan, "prod/integrity", folder);
    let (run, stop) = drive_on(&journal, "r-givenup", plan).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let skip = |key: &str| Order::Skip { step: key.into() };
    let (run, stop) = match stop {
        Stop::Parked(ParkReason::UndoFailed { .. }) => (run, stop),
        _ => give(&journal, &run, Order::Rollback, "lost rows").await,
    };
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?} {}",
        told(&run)
    );
    let (run, stop) = give(&journal, &run, skip("prod/baseline"), "no backup").await;
    assert_eq!(
        stop,
        Stop::Finished(Verdict::RolledBackInPart),
        "{}",
        told(&run)
    );
    assert!(
        told(&run).contains("not verified, because the restore was given up"),
        "{}",
        told(&run)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_behind_a_loss_and_behind_a_rollback_are_read_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let plan = plan(&pg.db, dir.path().to_str().unwrap(), ADD);
    let journal = Arc::default();
    let (run, stop) = drive_on(&journal, "r-rows", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let hosts = Hosts::new().with(Local::new("here"));
    pg.query(&format!(
        "{EDIT} INSERT INTO public.\"Customer\" (name) VALUES ('a new one');"
    ))
    .await
    .unwrap();
    let check = |found: &RunRows| {
        let told = |table: &TableRows| (table.lost, table.changed, table.new);
        let tables: Vec<_> = found
            .tables
            .iter()
            .map(|t| (t.table.as_str(), told(t)))
            .collect();
        assert_eq!(
            tables,
            [("public.Customer", (0, 0, 1)), ("public.Order", (1, 1, 0))]
        );
        let row = &found.tables[0].rows[0];
        assert_eq!(
            (row.fate, &row.columns["name"]),
            (Fate::New, &serde_json::json!("a new one"))
        );
        let fates: Vec<_> = found.tables[1]
            .rows
            .iter()
            .map(|r| (r.fate, r.key.clone()))
            .collect();
        let (one, two) = (vec![serde_json::json!("1")], vec![serde_json::json!("2")]);
        let expected = [
            (Fate::Lost, two),
            (Fate::ChangedFrom, one.clone()),
            (Fate::ChangedTo, one),
        ];
        assert_eq!(fates, expected);
        let amount = |at: usize| {
            found.tables[1].rows[at].columns["amount"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!((amount(1), amount(2)), ("1.00".into(), "7.00".into()));
    };
    let found = rows_of(&run, &hosts, None, &|_| {}).await.unwrap().unwrap();
    assert!(!found.set_aside);
    check(&found);
    let (run, stop) = give(&journal, &run, Order::Rollback, "wrong prices").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let found = rows_of(&run, &hosts, None, &|_| {}).await.unwrap().unwrap();
    assert!(
        found.set_aside && found.database.contains("_failed_"),
        "{found:?}"
    );
    check(&found);
    let only = rows_of(&run, &hosts, Some("Order"), &|_| {}).await.unwrap();
    assert_eq!(only.unwrap().tables.len(), 1);
    let wrong = rows_of(&run, &hosts, Some("Ordre"), &|_| {}).await;
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("no table `public.Ordre`")
    );
    assert_eq!(databases(&pg, "flow_rows_r_rows").await.len(), 0);
    let text = told(&run);
    assert!(
        !text.contains("a new one"),
        "nothing of it is on record: {text}"
    );
}

/// Columns with and without a default. The generated one rewrites the table, so it comes first.
const WIDEN: &str = "ALTER TABLE public.\"Customer\" ADD COLUMN doubled int GENERATED ALWAYS AS (id * 2) STORED; \
    ALTER TABLE public.\"Customer\" ADD COLUMN notes text, ADD COLUMN size int NOT NULL DEFAULT 3, \
    ADD COLUMN at timestamptz DEFAULT now(), ADD COLUMN data json DEFAULT '{}';";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_in_columns_that_the_release_added_are_never_told_as_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let plan = plan(&pg.db, dir.path().to_str().unwrap(), WIDEN);
    let journal = Arc::default();
    let (run, stop) = drive_on(&journal, "r-wider", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let hosts = Hosts::new().with(Local::new("here"));
    let found = outlook(&run, &hosts, &|_| {}).await.unwrap().unwrap();
    assert!(
        found.rows.is_empty(),
        "what the columns give by themselves is nobody's: {found:?}"
    );
    let write = "UPDATE public.\"Customer\" SET notes = 'n' WHERE id <= 2; \
        UPDATE public.\"Customer\" SET size = 4, notes = 'm' WHERE id = 3;";
    pg.query(write).await.unwrap();
    let found = outlook(&run, &hosts, &|_| {}).await.unwrap().unwrap();
    let words: Vec<String> = found.rows.iter().map(Aside::in_words).collect();
    let expected = "public.Customer: values in new columns: notes (3 rows), size (1 row)";
    assert_eq!(words, [expected]);
    let found = rows_of(&run, &hosts, None, &|_| {}).await.unwrap().unwrap();
    let mut rows = found.tables[0].rows.clone();
    rows.sort_by_key(|row| row.columns["id"].to_string());
    let keys: Vec<_> = rows.iter().map(|r| (r.fate, r.key.clone())).collect();
    let wider = |id: &str| (Fate::Wider, vec![serde_json::json!(id)]);
    assert_eq!(keys, [wider("1"), wider("2"), wider("3")]);
    assert_eq!(rows[2].columns["notes"], serde_json::json!("m"));
    let (run, stop) = give(&journal, &run, Order::Rollback, "wrong prices").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let words = format!(
        "no row exists only there, and values in columns that the backup does not have are only there ({expected})"
    );
    assert!(told(&run).contains(&words), "{}", told(&run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_customers_in_columns_that_the_release_added_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let write = "UPDATE public.\"Customer\" SET x = 7 WHERE id = 1;";
    let plan = fails_after(&pg, dir.path().to_str().unwrap(), write);
    let (run, stop) = drive_on(&journal, "r-widerask", plan).await;
    assert_asks(&stop, &run, "(public.Customer, in new columns: x (1 row))");
    let (run, stop) = give(&journal, &run, Order::Retry, "we will enter it again").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
}
