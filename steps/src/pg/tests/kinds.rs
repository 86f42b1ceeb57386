//! Kinds of things that a shape tells of since it tells more: each is found, explained by migrations, and not held against
//! what an older `flow` recorded.

use super::super::expected::Expectation;
use super::super::shape::Change;
use super::super::state::DbState;
use super::cluster::database;
use super::shaping::{deploy, migrations, now, odd, tried};
use super::*;

/// One thing of each kind.
const THINGS: &str = "CREATE SCHEMA other; CREATE TABLE other.t (id int); CREATE TABLE public.more (id int, x int, z text); \
    CREATE MATERIALIZED VIEW public.sums AS SELECT count(*) FROM public.\"Order\"; \
    CREATE PUBLICATION pub FOR TABLE public.\"Order\", TABLES IN SCHEMA other; COMMENT ON TABLE public.more IS 'told'; \
    CREATE FUNCTION public.f(n int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT n'; \
    CREATE AGGREGATE public.total (int) (SFUNC = int4pl, STYPE = int); \
    CREATE TEXT SEARCH CONFIGURATION public.words (COPY = english); CREATE TEXT SEARCH DICTIONARY public.stems (TEMPLATE = simple); \
    CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'a', password 'hunter2'); \
    CREATE USER MAPPING FOR postgres SERVER s OPTIONS (password 'hunter3'); \
    CREATE FOREIGN TABLE public.far (id int OPTIONS (name 'one')) SERVER s OPTIONS (name 'a'); \
    CREATE OPERATOR public.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq); CREATE TYPE public.span AS RANGE (SUBTYPE = int4); \
    CREATE COLLATION public.plain (provider = libc, locale = 'C'); \
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %1$I SET lock_timeout = 7; ALTER DATABASE %1$I SET app.secret = ''hunter4''; \
      COMMENT ON DATABASE %1$I IS ''shop''', current_database()); END $$;";

/// Statements as a script or a migration has them, and what is said of each. Later ones find what earlier ones left.
const KINDS: &[(&str, &str)] = &[
    (
        "ALTER TABLE public.\"Order\" DISABLE TRIGGER ALL;",
        "enforcement public.Order Order_customer_fkey by public.Order is new (disabled)",
    ),
    (
        "REFRESH MATERIALIZED VIEW public.sums WITH NO DATA;",
        "population public.sums is new (holds nothing)",
    ),
    (
        "ALTER PUBLICATION pub SET TABLE public.\"Order\" (id, amount) WHERE (id > 5);",
        "published pub of public.Order is new (some rows columns (amount, id))",
    ),
    (
        "ALTER PUBLICATION pub SET TABLE public.\"Order\";",
        "published pub of public.Order is gone",
    ),
    (
        "ALTER PUBLICATION pub SET (publish_via_partition_root = true);",
        "published pub is new",
    ),
    (
        "COMMENT ON TABLE public.more IS NULL;",
        "comment table public.more is gone",
    ),
    (
        "CREATE OR REPLACE FUNCTION public.f(n int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT n';",
        "call public.f(n integer) has another expression",
    ),
    (
        "CREATE OR REPLACE AGGREGATE public.total (int) (SFUNC = int4mul, STYPE = int);",
        "aggregate public.total(integer) is ",
    ),
    (
        "ALTER TEXT SEARCH CONFIGURATION public.words DROP MAPPING FOR email;",
        "text search configuration public.words is ",
    ),
    (
        "DROP TEXT SEARCH CONFIGURATION public.words;",
        "text search configuration public.words is gone",
    ),
    (
        "ALTER TEXT SEARCH DICTIONARY public.stems (accept = false);",
        "text search dictionary public.stems is ",
    ),
    (
        "ALTER SERVER s OPTIONS (SET host 'b');",
        "foreign server s is ",
    ),
    (
        "ALTER USER MAPPING FOR postgres SERVER s OPTIONS (SET password 'hunter5');",
        "user mapping s for postgres is ",
    ),
    (
        "DROP USER MAPPING FOR postgres SERVER s;",
        "user mapping s for postgres is gone",
    ),
    (
        "ALTER FOREIGN TABLE public.far OPTIONS (SET name 'b');",
        "remote public.far is ",
    ),
    (
        "GRANT USAGE ON FOREIGN SERVER s TO pg_monitor;",
        "access foreign server s to pg_monitor is new (USAGE)",
    ),
    (
        "ALTER OPERATOR public.=== (int, int) SET (RESTRICT = eqsel);",
        "operator public.===(integer,integer) is ",
    ),
    (
        "DROP TYPE public.span;",
        "range public.span is gone (integer - -)",
    ),
    (
        "DROP COLLATION public.plain;",
        "collation public.plain is gone",
    ),
    (
        "ALTER TABLE public.more ALTER z SET STORAGE EXTERNAL;",
        "storage public.more.z is new (kept as e)",
    ),
    (
        "ALTER PUBLICATION pub OWNER TO pg_monitor;",
        "ownership publication pub is `pg_monitor`",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 8', current_database()); END $$;",
        "setting lock_timeout is `8` instead of `7`",
    ),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.secret = ''hunter6''', current_database()); END $$;",
        "setting app.secret is ",
    ),
    (
        "DO $$ BEGIN EXECUTE format('REVOKE TEMP ON DATABASE %I FROM PUBLIC', current_database()); END $$;",
        "access database to PUBLIC is `CONNECT` instead of `CONNECT, TEMPORARY`",
    ),
];

/// Those that a table's schema without rows cannot tell: the copy holds every view without rows and every key enforced.
const UNSEEN: [&str; 1] = ["population "];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_that_is_not_a_table_is_named_and_its_secrets_are_not() {
    let pg = database(&format!("{SHOP} {THINGS}")).await;
    let mut before = now(&pg).await;
    let mut said = String::new();
    for (sql, word) in KINDS {
        pg.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let after = now(&pg).await;
        let found = odd(&Expectation::default(), &before, &after, &[]);
        assert!(
            found.iter().any(|words| words.contains(word)),
            "{sql}: {found:#?}"
        );
        said += &found.join(" ");
        said += &serde_json::to_string(&after).unwrap();
        before = after;
    }
    assert!(!said.contains("hunter"), "a secret is stored or told");
}

/// A state as it was stored before shapes told of these kinds.
fn as_older(state: &DbState) -> DbState {
    let mut stored = serde_json::to_value(state).unwrap();
    let shape = stored["shape"].as_object_mut().unwrap();
    let newer = |thing: &str| {
        let change = Change {
            thing: thing.to_owned(),
            was: None,
            now: None,
        };
        change.is_newer_than(0)
    };
    shape.retain(|thing, _| thing != "reads" && !newer(thing));
    serde_json::from_value(stored).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_an_older_flow_recorded_makes_nothing_new_and_hides_nothing_else() {
    let pg = database(&format!("{SHOP} {THINGS}")).await;
    let state = now(&pg).await;
    let older = as_older(&state);
    assert!(older.shape.get("foreign server s").is_none());
    assert!(older.shape.get("table public.more").is_some());
    assert_eq!(older.shape.changes(&state.shape), []);
    pg.query("DROP TYPE public.span; DROP SERVER s CASCADE;")
        .await
        .unwrap();
    let found = odd(&Expectation::default(), &older, &now(&pg).await, &[]);
    let found: Vec<&str> = found
        .iter()
        .filter_map(|f| f.split(" is gone").next())
        .collect();
    assert!(found.contains(&"type public.span"), "{found:?}");
    assert!(!found.contains(&"foreign server s"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrations_explain_these_kinds_as_they_do_the_others() {
    let pg = database(&format!("{SHOP} {THINGS}")).await;
    let seen = KINDS
        .iter()
        .filter(|(_, word)| !UNSEEN.iter().any(|u| word.starts_with(u)));
    let mut texts: Vec<&str> = seen.map(|(sql, _)| *sql).collect();
    let remade = "DROP MATERIALIZED VIEW public.sums; CREATE MATERIALIZED VIEW public.sums AS SELECT 1 AS one WITH NO DATA;";
    texts.push(remade);
    let named = format!(
        "ALTER DATABASE {0} SET work_mem = '5MB'; GRANT CREATE ON DATABASE {0} TO pg_monitor;",
        pg.db.name
    );
    texts.push(&named);
    let pending = migrations(&texts);
    let expected = tried(&pg, &pending, "r-kinds").await;
    assert_eq!(expected.unknown, None);
    let before = now(&pg).await;
    assert!(before.shape.get("setting work_mem").is_none(), "only tried");
    deploy(&pg, &pending).await;
    let after = now(&pg).await;
    assert_eq!(odd(&expected, &before, &after, &[]), [""; 0]);
    assert!(!serde_json::to_string(&expected).unwrap().contains("hunter"));
    let older = Expectation {
        reads: 0,
        changes: Vec::new(),
        ..expected
    };
    let found = odd(&older, &before, &after, &[]);
    assert!(found.iter().all(|f| !f.starts_with("setting")), "{found:?}");
    assert!(
        found.iter().any(|f| f.starts_with("type public.span")),
        "{found:?}"
    );
}
