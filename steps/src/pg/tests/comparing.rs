use super::super::applied;
use super::super::capture::{self, Look};
use super::super::integrity::{IntegrityReport, compare};
use super::cluster::{database, databases};
use super::*;

pub(super) async fn after(change: &str, allowed: &[&str], run: &str) -> IntegrityReport {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, dir.path().to_str().unwrap(), &format!("{run}/b"))
        .await
        .unwrap();
    pg.query(change).await.unwrap();
    let allowed: Vec<String> = allowed.iter().map(|a| (*a).to_owned()).collect();
    let report = compare(&pg, &backup, (&[], &allowed), run, &|_| {})
        .await
        .unwrap();
    assert!(databases(&pg, &run.replace('-', "_")).await.is_empty());
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_lost_customers_are_named_while_a_hundred_new_ones_raise_the_count() {
    let report = after(
        "DELETE FROM public.\"Order\" WHERE customer IN (17, 500, 999); DELETE FROM public.\"Customer\" WHERE id IN (17, 500, 999); \
         INSERT INTO public.\"Customer\" (name) SELECT 'n' FROM generate_series(1, 100); \
         ALTER TABLE public.\"Customer\" ADD COLUMN score int DEFAULT 0;",
        &[],
        "r-three",
    )
    .await;
    let customers = &report.differing["public.Customer"];
    assert_eq!((customers.before, customers.after), (1000, 1097));
    assert_eq!(
        (customers.lost, customers.changed, customers.new),
        (3, 0, 100)
    );
    assert_eq!(customers.lost_keys, ["(17)", "(500)", "(999)"]);
    assert_eq!(report.differing["public.Order"].lost, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mass_soft_delete_is_changed_rows_and_only_declared_columns_may_change() {
    let change = "UPDATE public.\"Customer\" SET \"deletedAt\" = now() WHERE id <= 300;";
    let report = after(change, &[], "r-soft").await;
    let customers = &report.differing["public.Customer"];
    assert!(customers.is_loss());
    assert_eq!(
        (
            customers.lost,
            customers.changed,
            customers.before,
            customers.after
        ),
        (0, 300, 1000, 1000)
    );
    assert_eq!(customers.changed_keys.len(), 20);
    let report = after(change, &["Customer.deletedAt"], "r-declared").await;
    assert!(report.differing.is_empty(), "{report:?}");
    let more = format!("{change} UPDATE public.\"Customer\" SET name = 'x' WHERE id = 5;");
    let report = after(&more, &["Customer.deletedAt"], "r-more").await;
    assert_eq!(report.differing["public.Customer"].changed_keys, ["(5)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_a_key_lost_columns_and_lost_tables_are_named() {
    let report = after(
        "DELETE FROM public.\"AuditLog\" WHERE ctid IN (SELECT ctid FROM public.\"AuditLog\" LIMIT 1); \
         INSERT INTO public.\"AuditLog\" VALUES ('a new line'); ALTER TABLE public.\"Order\" DROP COLUMN amount;",
        &[],
        "r-nokey",
    )
    .await;
    let log = &report.differing["public.AuditLog"];
    assert_eq!(
        (log.before, log.after, log.lost, log.new),
        (3000, 3000, 1, 1)
    );
    assert!(log.lost_keys.is_empty(), "a row is never told: {log:?}");
    assert_eq!(report.differing["public.Order"].lost_columns, ["amount"]);
    assert_eq!(report.differing["public.Order"].lost, 0);
    let report = after("DROP TABLE public.\"AuditLog\";", &[], "r-gone").await;
    assert!(report.differing["public.AuditLog"].gone);
    let report = after(
        "ALTER TABLE public.\"Order\" DROP COLUMN amount;",
        &["public.Order.amount"],
        "r-meant",
    )
    .await;
    assert!(report.differing.is_empty(), "{report:?}");
    let report = after(
        "CREATE INDEX ON public.\"Order\" (customer);",
        &[],
        "r-none",
    )
    .await;
    assert!(report.differing.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_are_read_as_prisma_writes_them() {
    let pg = database(
        "CREATE TABLE public._prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, \
         migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), \
         applied_steps_count int NOT NULL DEFAULT 0); \
         INSERT INTO public._prisma_migrations (id, checksum, finished_at, migration_name, logs, rolled_back_at) VALUES \
         ('1', 'c', now(), '20260101_init', NULL, NULL), ('2', 'c', NULL, '20260102_bad', E'ERROR: \"x\" does not exist\\nDETAIL: Key (email)=(a@example.org)', NULL);",
    )
    .await;
    let expected = ["20260101_init", "20260102_bad", "20260103_new"].map(String::from);
    let odd = applied::judge(&applied::rows(&pg, "public").await.unwrap(), &expected).unwrap_err();
    assert_eq!(
        odd,
        [
            "20260102_bad began and did not finish: ERROR: \"x\" does not exist",
            "20260103_new is not applied"
        ]
    );
    let state = capture::capture(&pg, Look::All).await.unwrap();
    assert_eq!(state.migrations, ["20260101_init"]);
    pg.query("UPDATE public._prisma_migrations SET finished_at = now();")
        .await
        .unwrap();
    let done =
        applied::judge(&applied::rows(&pg, "public").await.unwrap(), &expected[..2]).unwrap();
    assert_eq!(done.finished.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_psql_would_read_as_a_connection_string_is_refused() {
    let pg = database("").await;
    for name in [
        "host=192.0.2.1 dbname=x",
        "postgres://192.0.2.1/x",
        "-c",
        "",
    ] {
        let mut db = pg.db.clone();
        db.name = name.into();
        assert!(
            Pg::new(std::sync::Arc::clone(&pg.host), db).is_err(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_error_and_a_lost_natural_key_are_told_without_personal_data() {
    let sql = "CREATE TABLE public.t (mail text PRIMARY KEY); INSERT INTO public.t VALUES ('a@example.org'), ('b@example.org');";
    let pg = database(sql).await;
    let twice = "INSERT INTO public.t VALUES ('a@example.org');";
    for shown in ["terse", "verbose"] {
        let sql = format!("\\set VERBOSITY {shown}\n{twice}");
        let error = pg.query(&sql).await.unwrap_err().to_string();
        assert!(error.contains("duplicate key"), "{error}");
        assert!(!error.contains("example.org"), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-mail/b")
        .await
        .unwrap();
    pg.query("DELETE FROM public.t WHERE mail LIKE 'a%';")
        .await
        .unwrap();
    let report = compare(&pg, &backup, (&[], &[]), "r-mail", &|_| {})
        .await
        .unwrap();
    let words = report.in_words(true).join(" ");
    assert!(
        words.contains("2 rows before, 1 now; 1 LOST: (sha256 "),
        "{words}"
    );
    assert!(
        !serde_json::to_string(&report)
            .unwrap()
            .contains("example.org")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_a_new_soft_delete_column_marks_are_lost_from_view_unless_declared() {
    for (n, add) in [
        "ADD deleted_at timestamptz; UPDATE public.\"Order\" SET deleted_at = now() WHERE id <= 3;",
        "ADD \"isDeleted\" boolean NOT NULL DEFAULT false; UPDATE public.\"Order\" SET \"isDeleted\" = true WHERE id <= 3;",
    ]
    .iter()
    .enumerate()
    {
        let change = format!("ALTER TABLE public.\"Order\" {add}");
        let report = after(&change, &[], &format!("r-view{n}")).await;
        let words = report.in_words(true).join(" ");
        assert!(words.contains("5000 rows before, 5000 now; 3 rows LOST FROM VIEW"), "{words}");
        let declared = ["Order.deleted_at", "Order.isDeleted"];
        let report = after(&change, &declared, &format!("r-seen{n}")).await;
        assert!(report.differing.is_empty(), "{report:?}");
    }
    let unset = "ALTER TABLE public.\"Order\" ADD deleted_at timestamptz, ADD is_deleted boolean NOT NULL DEFAULT false;";
    let report = after(unset, &[], "r-unset").await;
    assert!(report.differing.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_compared_one_by_one_and_survive_the_proof() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    // A hole is written out by a dump.
    pg.query(
        "SELECT lo_from_bytea((7000 + g)::oid, convert_to('object ' || g, 'UTF8')) FROM generate_series(1, 20) g; \
         SELECT lo_put(7001, 100000, 'end');",
    )
    .await
    .unwrap();
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-lo/b")
        .await
        .unwrap();
    super::super::proof::prove(&pg, &backup, "r-lo", &|_| {})
        .await
        .unwrap();
    pg.query(
        "SELECT lo_unlink(7005); SELECT lo_put(7006, 0, 'O'); SELECT lo_from_bytea(0, 'new');",
    )
    .await
    .unwrap();
    let report = compare(&pg, &backup, (&[], &[]), "r-lo", &|_| {})
        .await
        .unwrap();
    let found = &report.differing["pg_catalog.pg_largeobject"];
    assert_eq!((found.lost, found.changed, found.new), (1, 1, 1));
    assert_eq!(found.lost_keys, ["(7005)"]);
    assert_eq!(found.changed_keys, ["(7006)"]);
    pg.query("SELECT lo_unlink(oid) FROM pg_largeobject_metadata;")
        .await
        .unwrap();
    let report = compare(&pg, &backup, (&[], &[]), "r-lo", &|_| {})
        .await
        .unwrap();
    assert_eq!(report.differing["pg_catalog.pg_largeobject"].lost, 20);
}
