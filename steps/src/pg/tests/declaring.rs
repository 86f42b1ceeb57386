//! What a release may declare, and what is found all the same.

use super::super::integrity::compare;
use super::cluster::database;
use super::comparing::after;
use super::*;

/// Orders with a composite key, and rows that are alike but for it.
const LINES: &str = "CREATE TABLE public.line (\"order\" int, place int, article text NOT NULL, PRIMARY KEY (\"order\", place)); \
    INSERT INTO public.line SELECT g / 3, g % 3, 'article ' || g FROM generate_series(0, 299) g;";

async fn lines_after(change: &str, allowed: &[&str], run: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(LINES).await;
    let folder = dir.path().to_str().unwrap();
    let backup = take(&pg, folder, &format!("{run}/b")).await.unwrap();
    pg.query(change).await.unwrap();
    let allowed: Vec<String> = allowed.iter().map(|a| (*a).to_owned()).collect();
    let report = compare(&pg, &backup, (&[], &allowed), run, &|_| {})
        .await
        .unwrap();
    report.in_words(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_lost_from_a_table_with_a_declared_key_are_found_and_named() {
    let change = "DELETE FROM public.\"Order\" WHERE customer IN (17, 500, 999); DELETE FROM public.\"Customer\" WHERE id IN (17, 500, 999);";
    let report = after(change, &["Customer.id", "Order.id"], "r-declkey").await;
    let customers = &report.differing["public.Customer"];
    assert!(customers.is_loss() && customers.by_rest, "{customers:?}");
    assert_eq!((customers.lost, customers.changed), (3, 0));
    assert_eq!(customers.lost_keys, ["(17)", "(500)", "(999)"]);
    assert_eq!(report.differing["public.Order"].lost, 15);
    let words = report.in_words(true).join(" ");
    assert!(words.contains("compared by the other columns"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_become_uuids_are_no_loss_but_a_row_that_goes_on_the_way_is() {
    let rekey = "ALTER TABLE public.\"Order\" DROP CONSTRAINT \"Order_customer_fkey\"; DROP VIEW public.v; \
        ALTER TABLE public.\"Customer\" DROP COLUMN id; ALTER TABLE public.\"Customer\" ADD COLUMN id uuid PRIMARY KEY DEFAULT gen_random_uuid(); \
        ALTER TABLE public.\"Order\" DROP COLUMN customer; ALTER TABLE public.\"Order\" ADD COLUMN customer uuid;";
    let declared = ["Customer.id", "Order.customer"];
    let report = after(rekey, &declared, "r-uuid").await;
    assert!(report.in_words(true).is_empty(), "{report:?}");
    let lossy = format!(
        "{rekey} DELETE FROM public.\"Customer\" WHERE name = (SELECT max(name) FROM public.\"Customer\"); \
         INSERT INTO public.\"Customer\" (name) VALUES ('another');"
    );
    let report = after(&lossy, &declared, "r-uuidloss").await;
    let customers = &report.differing["public.Customer"];
    assert_eq!((customers.before, customers.after), (1000, 1000));
    assert_eq!((customers.lost, customers.new), (1, 1), "{customers:?}");
    assert_eq!(customers.lost_keys, ["(999)"]);
    let unsaid = after(rekey, &["Order.customer"], "r-unsaid").await;
    assert_eq!(unsaid.differing["public.Customer"].lost, 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_declared_column_of_a_composite_key_hides_no_lost_row() {
    let moved = "UPDATE public.line SET place = place + 10;";
    assert!(
        lines_after(moved, &["line.place"], "r-moved")
            .await
            .is_empty()
    );
    let told = lines_after(
        &format!("{moved} DELETE FROM public.line WHERE article = 'article 8';"),
        &["line.place"],
        "r-movedloss",
    )
    .await;
    assert_eq!(
        told,
        [
            "public.line: 300 rows before, 299 now; 1 LOST: (2,2); compared by the other columns, without the key"
        ]
    );
    // One row less and one row more: the count alone is as it was.
    let told = lines_after(
        "UPDATE public.line SET article = 'overwritten' WHERE article = 'article 8';",
        &["line.place"],
        "r-swapped",
    )
    .await;
    assert!(told[0].contains("1 LOST: (2,2)"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_whose_columns_are_all_declared_must_not_become_lower_nor_go() {
    let all = ["line.order", "line.place", "line.article"];
    let told = lines_after("DELETE FROM public.line WHERE place = 1;", &all, "r-lower").await;
    assert!(
        told[0].contains("300 rows before, 200 now; 100 LOST"),
        "{told:?}"
    );
    let told = lines_after("DROP TABLE public.line;", &all, "r-alldrop").await;
    assert!(told[0].contains("the table is gone"), "{told:?}");
    let told = lines_after("UPDATE public.line SET article = 'x';", &all, "r-allsaid").await;
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_a_collation_takes_for_equal_are_compared_as_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(
        "CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
         CREATE DOMAIN public.mail AS text COLLATE public.ci; \
         CREATE TABLE public.person (id int PRIMARY KEY, mail text COLLATE public.ci, other public.mail); \
         INSERT INTO public.person VALUES (1, 'Bob@X.org', 'A'), (2, 'eve@x.org', 'B');",
    )
    .await;
    let folder = dir.path().to_str().unwrap();
    for (n, change) in ["mail = lower(mail)", "other = 'a'"].iter().enumerate() {
        let run = format!("r-ci{n}");
        let backup = take(&pg, folder, &format!("{run}/b")).await.unwrap();
        pg.query(&format!("UPDATE public.person SET {change} WHERE id = 1;"))
            .await
            .unwrap();
        let report = compare(&pg, &backup, (&[], &[]), &run, &|_| {})
            .await
            .unwrap();
        assert_eq!(report.differing["public.person"].changed_keys, ["(1)"]);
    }
}

/// Rows two levels below the table that is declared, and in a child of another one; names as difficult as they may be.
const DEEP: &str = "CREATE TABLE public.\"Event\" (id int, year int, what text, PRIMARY KEY (id, year)) PARTITION BY RANGE (year); \
    CREATE TABLE public.\"Event, \"\"old\"\".x\" PARTITION OF public.\"Event\" FOR VALUES FROM (2000) TO (2026) PARTITION BY LIST (year); \
    CREATE SCHEMA far; CREATE TABLE far.e2025 PARTITION OF public.\"Event, \"\"old\"\".x\" FOR VALUES IN (2025); \
    CREATE TABLE public.\"Event_2026\" PARTITION OF public.\"Event\" FOR VALUES FROM (2026) TO (2027); \
    CREATE TABLE public.base (id int PRIMARY KEY, what text); CREATE TABLE public.child () INHERITS (public.base); \
    INSERT INTO public.\"Event\" SELECT g, 2025 + g % 2, 'e' || g FROM generate_series(1, 90) g; INSERT INTO public.child VALUES (1, 'a');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_of_a_partitioned_table_is_declared_of_its_partitions_at_every_depth() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(DEEP).await;
    let backup = take(&pg, folder, "r-deep/b").await.unwrap();
    pg.query("UPDATE public.\"Event\" SET what = upper(what); UPDATE public.base SET what = 'b';")
        .await
        .unwrap();
    let lost = async |allowed: &[&str], run: &str| {
        let allowed: Vec<String> = allowed.iter().map(|a| (*a).to_owned()).collect();
        let report = compare(&pg, &backup, (&[], &allowed), run, &|_| {})
            .await
            .unwrap();
        assert_eq!(report.nameless, [""; 0]);
        let tables = report.differing.into_iter();
        let tables = tables.filter(|(_, f)| f.is_loss());
        tables.map(|(table, _)| table).collect::<Vec<_>>()
    };
    let all = ["far.e2025", "public.Event_2026", "public.child"];
    assert_eq!(lost(&[], "r-deepnone").await, all);
    assert_eq!(lost(&["Event.what"], "r-deepone").await, ["public.child"]);
    let both = ["Event.what", "base.what"];
    assert_eq!(lost(&both, "r-deepboth").await, [""; 0]);
    assert_eq!(lost(&["Event.year"], "r-deepother").await, all);
    pg.query("UPDATE public.\"Event\" SET id = id + 1000 WHERE id = 8;")
        .await
        .unwrap();
    assert_eq!(lost(&both, "r-deepmore").await, ["far.e2025"]);
}
