use std::collections::BTreeMap;

use super::super::copy_safe::{Copied, Policy, copy_all};
use super::super::scratch::{self, Mark};
use super::super::text::ident;
use super::super::text::literal;
use super::cluster::{database, databases, value};
use super::*;

const STOCK: &str = r#"
CREATE TABLE public."Product" (id serial PRIMARY KEY, title text, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE public."Person" (id int PRIMARY KEY, email text, product int REFERENCES public."Product" (id));
"#;

fn policy(email: Option<&str>) -> Policy {
    let mut person = BTreeMap::from([
        ("id".to_owned(), "keep".to_owned()),
        ("product".into(), "keep".into()),
    ]);
    if let Some(class) = email {
        person.insert("email".into(), class.into());
    }
    let product = ["id", "title", "twice"]
        .map(|c| (c.to_owned(), "keep".to_owned()))
        .into();
    Policy {
        tables: BTreeMap::from([
            ("Product".to_owned(), product),
            ("public.Person".into(), person),
        ]),
    }
}

async fn copy(from: &Pg, to: &Pg, policy: &Policy, run: &str) -> Result<Copied, PgError> {
    let dir = tempfile::tempdir().unwrap();
    let made_by = format!("{run}/copy");
    let order = Order {
        dir: dir.path().to_str().unwrap(),
        prefix: "before-copy",
        compression: Compression::Zstd,
        min_free_bytes: 0,
        critical: &[],
        made_by: &made_by,
        progress: &|_| {},
    };
    copy_all(from, to, policy, &order, run).await
}

async fn two() -> (Pg, Pg) {
    let (prod, stage) = (database(STOCK).await, database(STOCK).await);
    let odd = literal("a\tb\n\\.\nc\\");
    prod.query(&format!(
        "INSERT INTO public.\"Product\" (title) SELECT {odd} || g FROM generate_series(1, 500) g; \
         INSERT INTO public.\"Person\" VALUES (1, 'someone@example.org', 400);"
    ))
    .await
    .unwrap();
    stage
        .query("INSERT INTO public.\"Product\" (title) VALUES ('old'); INSERT INTO public.\"Person\" VALUES (7, 'tester@example.test', 1);")
        .await
        .unwrap();
    (prod, stage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_tables_with_nothing_personal_are_copied() {
    let (prod, stage) = two().await;
    for run in ["r-copy", "r-copy", "r-copy2"] {
        let done = copy(&prod, &stage, &policy(Some("email")), run)
            .await
            .unwrap();
        assert_eq!(
            done.copied,
            BTreeMap::from([("public.Product".to_owned(), 500)])
        );
        assert_eq!(done.not_copied["public.Person"], ["email"]);
        assert!(!done.prod_state.tables.contains_key("public.Person"));
    }
    assert_eq!(
        value(
            &stage,
            "SELECT count(*), max(twice) FROM public.\"Product\";"
        )
        .await,
        "500|1000"
    );
    assert_eq!(
        value(&stage, "SELECT email FROM public.\"Person\";").await,
        "tester@example.test"
    );
    stage
        .query("INSERT INTO public.\"Product\" (title) VALUES ('next');")
        .await
        .unwrap();
    assert!(databases(&stage, "r_copy").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_or_table_the_policy_does_not_list_stops_everything() {
    let (prod, stage) = two().await;
    let error = copy(&prod, &stage, &policy(None), "r-closed")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("column public.Person.email"),
        "{error}"
    );
    prod.query("CREATE TABLE public.\"Secret\" (x text);")
        .await
        .unwrap();
    let error = copy(&prod, &stage, &policy(Some("email")), "r-closed")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("table public.Secret"), "{error}");
    assert_eq!(
        value(&stage, "SELECT count(*) FROM public.\"Product\";").await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_would_point_nowhere_stop_it_and_staging_is_as_it_was() {
    let (prod, stage) = two().await;
    prod.query(
        "UPDATE public.\"Person\" SET product = 2; DELETE FROM public.\"Product\" WHERE id = 1;",
    )
    .await
    .unwrap();
    let error = copy(&prod, &stage, &policy(Some("email")), "r-orphan")
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Person_product_fkey (1 rows of public.Person"),
        "{error}"
    );
    assert_eq!(
        value(&stage, "SELECT title FROM public.\"Product\";").await,
        "old"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_killed_between_closing_staging_and_renaming_it_goes_on() {
    let (prod, stage) = two().await;
    let (run, copied) = ("r-heal", scratch::name_for("copy", "r-heal"));
    let mark = Mark::new(run, "copy", "loading", "a scratch copy; may be dropped");
    scratch::create(&stage, &stage.db.name, &copied, &mark)
        .await
        .unwrap();
    let closed = format!(
        "ALTER DATABASE {} ALLOW_CONNECTIONS false;",
        ident(&stage.db.name)
    );
    stage.maintenance().query(&closed).await.unwrap();
    let done = copy(&prod, &stage, &policy(Some("email")), run)
        .await
        .unwrap();
    assert_eq!(done.copied["public.Product"], 500);

    stage.maintenance().query(&closed).await.unwrap();
    let error = copy(&prod, &stage, &policy(Some("email")), "r-other")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("not currently accepting"),
        "{error}"
    );
}
