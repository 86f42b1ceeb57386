use super::super::integrity::{IntegrityReport, compare};
use super::cluster::{database, databases};
use super::*;

async fn after(change: &str, allowed: &[&str], run: &str) -> IntegrityReport {
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
    assert!(log.lost_keys[0].contains("line 1"), "{log:?}");
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
