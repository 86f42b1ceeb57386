use std::collections::BTreeMap;

use super::super::copy_safe::take_back::{left, take_back};
use super::super::copy_safe::{Copied, copy_all};
use super::super::policy::Policy;
use super::super::scratch::{self, Mark};
use super::cluster::{as_superuser, database, databases, ordinary, value};
use super::*;
use crate::means::psql::text::ident;
use crate::means::psql::text::literal;

mod odd;
mod refused;

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

/// What a release that was cancelled leaves on staging: a column, a table, a label and a migration production has not.
const AHEAD: &str = r#"
ALTER TABLE public."Product" ADD COLUMN color text;
ALTER TABLE public."Product" DROP COLUMN title;
ALTER TABLE public."Person" ADD COLUMN phone text;
CREATE TABLE public."New" (id int);
"#;

const HISTORY: &str = r"
CREATE TABLE public._prisma_migrations (id text PRIMARY KEY, checksum text NOT NULL, finished_at timestamptz, migration_name text NOT NULL,
  logs text, rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count int NOT NULL DEFAULT 0);
INSERT INTO public._prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('1', 'c', now(), '1_init');
INSERT INTO public._prisma_migrations (id, checksum, migration_name, logs, rolled_back_at)
  VALUES ('0', 'c', '0_failed', 'Key (email)=(someone@example.org)', now());
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staging_that_a_cancelled_release_left_ahead_is_taken_back_to_productions_schema() {
    let (prod, stage) = two().await;
    for pg in [&prod, &stage] {
        pg.query(HISTORY).await.unwrap();
    }
    let role = format!("web_{}", stage.db.name);
    stage
        .query(&format!(
            "{AHEAD} INSERT INTO public._prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('2', 'c', now(), '2_color'); \
             CREATE ROLE {role}; GRANT SELECT ON public.\"Person\" TO {role}; GRANT USAGE ON SCHEMA public TO {role}; \
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role};"
        ))
        .await
        .unwrap();
    let done = copy(&prod, &stage, &policy(Some("email")), "r-ahead")
        .await
        .unwrap();
    let why = done.taken_back.join("; ");
    for line in ["migration 2_color (only on staging)", "\"New\"", "color"] {
        assert!(why.contains(line.trim_matches('"')), "{line}: {why}");
    }
    assert_eq!(done.copied["public.Product"], 500);
    let columns = "SELECT string_agg(attname, ',' ORDER BY attname) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN \
                   ('public.\"Product\"'::regclass, 'public.\"Person\"'::regclass);";
    assert_eq!(
        value(&stage, columns).await,
        "email,id,id,product,title,twice"
    );
    assert_eq!(
        value(&stage, "SELECT to_regclass('public.\"New\"') IS NULL;").await,
        "t"
    );
    assert_eq!(
        value(&stage, "SELECT email FROM public.\"Person\";").await,
        "tester@example.test",
        "staging's own rows, not production's"
    );
    assert_eq!(
        value(
            &stage,
            "SELECT migration_name, logs IS NULL FROM public._prisma_migrations ORDER BY id;"
        )
        .await,
        "0_failed|t|1_init|t"
    );
    let may = format!("SELECT has_table_privilege('{role}', 'public.\"Person\"', 'SELECT');");
    assert_eq!(value(&stage, &may).await, "t");
    let valid = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated;";
    assert_eq!(value(&stage, valid).await, "1");
    // The next one finds nothing to take back.
    let again = copy(&prod, &stage, &policy(Some("email")), "r-ahead2")
        .await
        .unwrap();
    assert!(again.taken_back.is_empty(), "{:?}", again.taken_back);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_owner_fills_staging_and_triggers_and_keys_are_as_before() {
    let (prod, _) = two().await;
    let stage = ordinary(&format!(
        "{STOCK} INSERT INTO public.\"Product\" (title) VALUES ('old'); \
         INSERT INTO public.\"Person\" VALUES (7, 'tester@example.test', 1); \
         CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'; \
         CREATE TRIGGER guard BEFORE INSERT ON public.\"Product\" FOR EACH ROW EXECUTE FUNCTION public.no(); \
         ALTER TABLE public.\"Product\" ENABLE ALWAYS TRIGGER guard; \
         COMMENT ON CONSTRAINT \"Person_product_fkey\" ON public.\"Person\" IS 'kept';"
    ))
    .await;
    prod.query(
        "CREATE FUNCTION public.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END'; \
         CREATE TRIGGER guard BEFORE INSERT ON public.\"Product\" FOR EACH ROW EXECUTE FUNCTION public.no(); \
         ALTER TABLE public.\"Product\" ENABLE ALWAYS TRIGGER guard;",
    )
    .await
    .unwrap();
    let grant = format!("GRANT pg_read_all_settings TO {};", stage.db.user);
    as_superuser(&stage).query(&grant).await.unwrap();
    for (ahead, run) in [
        ("", "r-plaincopy"),
        ("CREATE TABLE public.extra (i int);", "r-plainback"),
    ] {
        if !ahead.is_empty() {
            stage.query(ahead).await.unwrap();
        }
        let done = copy(&prod, &stage, &policy(Some("email")), run)
            .await
            .unwrap();
        assert_eq!(done.copied["public.Product"], 500);
        assert_eq!(
            done.taken_back.is_empty(),
            ahead.is_empty(),
            "{:?}",
            done.taken_back
        );
        let kept = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'guard';";
        assert_eq!(value(&stage, kept).await, "A");
        let valid = "SELECT convalidated FROM pg_constraint WHERE conname = 'Person_product_fkey';";
        assert_eq!(value(&stage, valid).await, "t");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_copy_begins_from_what_is_on_staging_now() {
    let (prod, stage) = two().await;
    let dir = tempfile::tempdir().unwrap();
    let order = Order {
        dir: dir.path().to_str().unwrap(),
        prefix: "before-copy",
        compression: Compression::Zstd,
        min_free_bytes: 0,
        critical: &[],
        made_by: "r-retry/copy",
        progress: &|_| {},
    };
    stage
        .query("UPDATE public.\"Person\" SET product = 1;")
        .await
        .unwrap();
    prod.query("DELETE FROM public.\"Product\" WHERE id = 1;")
        .await
        .unwrap();
    let policy = policy(Some("email"));
    let first = copy_all(&prod, &stage, &policy, &order, "r-retry").await;
    assert!(first.unwrap_err().to_string().contains("point nowhere"));
    // Repaired by hand, as the message says.
    stage
        .query("UPDATE public.\"Person\" SET product = 2;")
        .await
        .unwrap_err();
    stage
        .query("UPDATE public.\"Person\" SET product = NULL;")
        .await
        .unwrap();
    copy_all(&prod, &stage, &policy, &order, "r-retry")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_the_policy_does_not_list_is_named_at_once() {
    let (prod, stage) = two().await;
    let columns: Vec<String> = (0..80)
        .map(|n| format!("column_of_some_length_{n} int"))
        .collect();
    prod.query(&format!(
        "CREATE TABLE public.wide ({});",
        columns.join(", ")
    ))
    .await
    .unwrap();
    let mut listed = policy(Some("email"));
    listed.tables.insert("wide".into(), BTreeMap::new());
    let error = copy(&prod, &stage, &listed, "r-all")
        .await
        .unwrap_err()
        .to_string();
    for n in 0..80 {
        assert!(
            error.contains(&format!("public.wide.column_of_some_length_{n}")),
            "{n}: {error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_database_that_a_cancelled_release_left_ahead_is_taken_back_with_its_own_rows() {
    let (prod, test) = two().await;
    for pg in [&prod, &test] {
        pg.query(HISTORY).await.unwrap();
    }
    // Production has it and the commit has not: a squashed history is no left-over.
    assert!(left(&prod, &test, &[]).await.unwrap().is_empty());
    let commit = ["1_init".to_owned()];
    assert!(left(&prod, &test, &commit).await.unwrap().is_empty());
    let ahead = "INSERT INTO public._prisma_migrations (id, checksum, migration_name) VALUES ('2', 'c', '2_color');";
    test.query(&format!("{AHEAD} {ahead}")).await.unwrap();
    assert_eq!(left(&prod, &test, &commit).await.unwrap(), ["2_color"]);
    // Of the same name, and begun without an end: it stands in the way as well.
    let both = ["1_init".to_owned(), "2_color".to_owned()];
    assert_eq!(left(&prod, &test, &both).await.unwrap(), ["2_color"]);
    let dir = tempfile::tempdir().unwrap();
    let order = Order {
        dir: dir.path().to_str().unwrap(),
        prefix: "before-taking-back",
        compression: Compression::Zstd,
        min_free_bytes: 0,
        critical: &[],
        made_by: "r-taken/back",
        progress: &|_| {},
    };
    let (odd, backup) = take_back(&prod, &test, &order, "r-taken").await.unwrap();
    assert!(odd.join(";").contains("color"), "{odd:?}");
    assert!(std::path::Path::new(&backup).exists());
    assert!(left(&prod, &test, &commit).await.unwrap().is_empty());
    assert_eq!(
        value(&test, "SELECT id, title IS NULL FROM public.\"Product\";").await,
        "1|t",
        "the row stays, the column production has is there again"
    );
    assert_eq!(
        value(&test, "SELECT email FROM public.\"Person\";").await,
        "tester@example.test"
    );
    test.query("INSERT INTO public.\"Product\" (title) VALUES ('next');")
        .await
        .unwrap();
    assert!(databases(&test, "r_taken").await.is_empty());
}
