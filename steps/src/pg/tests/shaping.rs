//! What a deploy does to the shape, and what its migrations explain of it.

use super::super::capture::{self, Look};
use super::super::expected::{Expectation, as_one_query, expect, or_unknown};
use super::super::places::Sequences;
use super::super::state::DbState;
use super::cluster::{database, databases, value};
use super::*;
use flow_lint::migration::Migration;

pub(super) fn migrations(texts: &[&str]) -> Vec<Migration> {
    let one = |(n, sql): (usize, &&str)| Migration {
        name: format!("2026010{n}_m"),
        sql: (*sql).to_owned(),
        unreadable: None,
    };
    texts.iter().enumerate().map(one).collect()
}

pub(super) async fn tried(pg: &Pg, pending: &[Migration], run: &str) -> Expectation {
    let found = or_unknown(expect((pg, pg), pending, "public", run).await, pending).unwrap();
    let part = run.replace('-', "_");
    assert!(databases(pg, &part).await.is_empty(), "a copy is left");
    found
}

pub(super) async fn deploy(pg: &Pg, pending: &[Migration]) {
    for migration in pending {
        let mut session = pg.session().await.unwrap();
        session
            .ask(&as_one_query(migration, "public").unwrap())
            .await
            .unwrap();
        session.close().await.unwrap();
    }
}

pub(super) async fn now(pg: &Pg) -> DbState {
    capture::capture(pg, Look::All).await.unwrap()
}

pub(super) fn odd(
    expected: &Expectation,
    was: &DbState,
    is: &DbState,
    declared: &[&str],
) -> Vec<String> {
    let declared: Vec<String> = declared.iter().map(|d| (*d).to_owned()).collect();
    let sequences = Sequences::between(was, is);
    expected.unexplained(&was.shape.changes(&is.shape), &sequences, &declared)
}

/// What tables are re-created as, by a script that knows nothing of keys.
const RECREATE: &str = "CREATE TABLE public.copy AS SELECT * FROM public.\"Order\"; DROP TABLE public.\"Order\"; \
    ALTER TABLE public.copy RENAME TO \"Order\";";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_made_anew_without_its_keys_is_named_key_by_key() {
    let pg = database(SHOP).await;
    let before = now(&pg).await;
    pg.query(RECREATE).await.unwrap();
    let after = now(&pg).await;
    assert!(before.tables["public.Order"].rows == after.tables["public.Order"].rows);
    let found = odd(&Expectation::default(), &before, &after, &[]);
    assert_eq!(
        found,
        [
            "column public.Order.customer is `integer` instead of `integer not null`",
            "column public.Order.id is `bigint` instead of `bigint not null`",
            "constraint public.Order Order_customer_fkey is gone (foreign key (customer) to public.\"Customer\" on delete a on update a)",
            "constraint public.Order Order_pkey is gone (primary key (id))",
            "index public.Order_pkey is gone (on public.\"Order\" primary 1 columns)",
        ]
    );
    let declared: Vec<&str> = found
        .iter()
        .map(|words| words.split(" is ").next().unwrap())
        .collect();
    assert!(odd(&Expectation::default(), &before, &after, &declared).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_pending_migrations_do_is_explained_and_nothing_else() {
    let pg = database(SHOP).await;
    let name = pg.db.name.clone();
    let pending = migrations(&[
        "-- \\! touch /tmp/never :name :'name'\nCREATE TYPE \"Kind\" AS ENUM ('a', 'b');\n\
         CREATE TABLE \"Invoice\" (id serial PRIMARY KEY, kind \"Kind\" NOT NULL DEFAULT 'a', \"order\" bigint REFERENCES \"Order\" (id), \
           note text DEFAULT E'it''s \\\\ :x');\n\
         ALTER TYPE \"Role\" ADD VALUE 'OWNER';",
        "CREATE INDEX CONCURRENTLY \"Order_customer_idx\" ON \"Order\" (customer);",
        "ALTER TABLE \"Customer\" RENAME COLUMN status TO state; ALTER TABLE \"Customer\" ALTER COLUMN role SET DEFAULT 'OWNER'; \
         DROP VIEW v; CREATE VIEW v AS SELECT id FROM \"Customer\"; ALTER TABLE \"Order\" ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON \"Order\" USING (amount > 1); GRANT SELECT ON \"Order\" TO pg_monitor; \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; \
         CREATE TRIGGER t BEFORE INSERT ON \"Order\" FOR EACH ROW EXECUTE FUNCTION f();",
    ]);
    let expected = tried(&pg, &pending, "r-explained").await;
    assert_eq!(expected.unknown, None);
    let before = now(&pg).await;
    assert_eq!(before.shape.get("table public.Invoice"), None, "only read");
    deploy(&pg, &pending).await;
    // Whoever runs the migrations owns what they make.
    pg.query(&format!(
        "CREATE ROLE \"d{name}\"; ALTER TABLE public.\"Invoice\" OWNER TO \"d{name}\"; GRANT SELECT ON public.\"Invoice\" TO pg_monitor; \
         INSERT INTO public.\"Invoice\" (kind) VALUES ('b'); CREATE TABLE public._prisma_migrations (id text PRIMARY KEY);"
    ))
    .await
    .unwrap();
    let after = now(&pg).await;
    assert_eq!(odd(&expected, &before, &after, &[]), [""; 0]);
    pg.query(
        "DROP INDEX public.\"Order_customer_idx\"; ALTER TABLE public.\"Invoice\" ALTER note SET DEFAULT 'other'; \
         REVOKE SELECT ON public.\"Order\" FROM pg_monitor; CREATE INDEX extra ON public.\"Invoice\" (kind);",
    )
    .await
    .unwrap();
    let found = odd(&expected, &before, &now(&pg).await, &[]);
    assert_eq!(
        found,
        [
            "column public.Invoice.note is new (text with a default), with another expression than the migrations give it",
            "index public.extra is new (on public.\"Invoice\" 1 columns)",
        ]
    );
}

/// Statements, and what is said of each. One after the other: later ones find what earlier ones left.
const KINDS: &[(&str, &str)] = &[
    ("DROP INDEX public.more_x;", "index public.more_x is gone"),
    (
        "ALTER TABLE public.\"Customer\" ALTER role DROP DEFAULT;",
        "column public.Customer.role is ",
    ),
    (
        "ALTER TABLE public.\"Customer\" ALTER name DROP NOT NULL;",
        "column public.Customer.name is `text` instead of `text not null`",
    ),
    (
        "ALTER TABLE public.\"Customer\" DROP CONSTRAINT \"Customer_status_check\";",
        "constraint public.Customer Customer_status_check is gone",
    ),
    (
        "ALTER TABLE public.\"Order\" DROP CONSTRAINT \"Order_customer_fkey\", ADD CONSTRAINT \"Order_customer_fkey\" FOREIGN KEY (customer) REFERENCES public.\"Customer\" ON DELETE CASCADE;",
        "on delete c on update a",
    ),
    (
        "ALTER TABLE public.more DISABLE TRIGGER t;",
        "trigger public.more t is ",
    ),
    (
        "DROP TRIGGER t ON public.more;",
        "trigger public.more t is gone",
    ),
    (
        "ALTER POLICY own ON public.more USING (x > 2);",
        "policy public.more own has another expression",
    ),
    (
        "DROP POLICY own ON public.more;",
        "policy public.more own is gone",
    ),
    (
        "ALTER TABLE public.more DISABLE ROW LEVEL SECURITY;",
        "table public.more is `plain` instead of `row security on`",
    ),
    (
        "REVOKE SELECT ON public.more FROM pg_monitor;",
        "grant table public.more to pg_monitor is gone (SELECT)",
    ),
    (
        "REVOKE EXECUTE ON FUNCTION public.f(int) FROM PUBLIC;",
        "grant function public.f(a integer) to PUBLIC is gone",
    ),
    (
        "ALTER TABLE public.more OWNER TO pg_monitor;",
        "owner table public.more is `pg_monitor` instead of `postgres`",
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO pg_monitor;",
        "default grant ",
    ),
    (
        "ALTER TYPE public.\"Role\" ADD VALUE 'X';",
        "type public.Role is `enum (ADMIN, MEMBER, X)`",
    ),
    (
        "ALTER TABLE public.more ALTER id DROP IDENTITY;",
        "column public.more.id is `integer not null`",
    ),
    (
        "ALTER TABLE public.more ALTER y DROP EXPRESSION;",
        "column public.more.y is `integer` instead of `integer generated`",
    ),
    (
        "ALTER TABLE public.more ALTER z TYPE text COLLATE \"C\";",
        "column public.more.z is `text collate ",
    ),
    (
        "ALTER TABLE public.more ALTER x TYPE bigint USING x;",
        "column public.more.x is `bigint`",
    ),
    (
        "ALTER SEQUENCE public.\"Customer_id_seq\" OWNED BY NONE;",
        "sequence public.Customer_id_seq parameters is ",
    ),
    (
        "ALTER SEQUENCE public.\"Customer_id_seq\" RESTART;",
        "sequence public.Customer_id_seq went back from 1000 to 0",
    ),
    (
        "CREATE OR REPLACE FUNCTION public.f(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1';",
        "function public.f(a integer) is ",
    ),
    (
        "CREATE OR REPLACE VIEW public.v AS SELECT id, name FROM public.\"Customer\";",
        "view public.v has another expression",
    ),
    ("DROP VIEW public.v;", "view public.v is gone"),
    (
        "ALTER PUBLICATION \"pub\" DROP TABLE public.more;",
        "publication pub of public.more is gone",
    ),
    ("DROP PUBLICATION \"pub\";", "publication pub is gone"),
    (
        "ALTER TABLE public.more REPLICA IDENTITY FULL;",
        "table public.more is `replica identity f`",
    ),
    (
        "ALTER TABLE public.part DETACH PARTITION public.p1;",
        "table public.p1 is `plain` instead of `child of public.part",
    ),
    ("DROP STATISTICS public.st;", "statistics public.st is gone"),
    (
        "ALTER DOMAIN public.dom DROP CONSTRAINT dom_check;",
        "constraint public.dom dom_check is gone",
    ),
    (
        "CREATE TABLE public.extra (id int);",
        "table public.extra is new",
    ),
    ("CREATE SCHEMA other;", "schema other is new"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_change_outside_of_migrations_is_named() {
    let pg = database(&format!(
        "{SHOP} CREATE TABLE public.part (a int, b text) PARTITION BY RANGE (a); CREATE TABLE public.p1 PARTITION OF public.part FOR VALUES FROM (1) TO (9); \
         CREATE TABLE public.more (id int GENERATED ALWAYS AS IDENTITY, x int, y int GENERATED ALWAYS AS (x + 1) STORED, z text); \
         CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'; CREATE FUNCTION public.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER t BEFORE INSERT ON public.more FOR EACH ROW EXECUTE FUNCTION public.g(); ALTER TABLE public.more ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY own ON public.more USING (x > 1); GRANT SELECT ON public.more TO pg_monitor; CREATE PUBLICATION \"pub\" FOR TABLE public.more, public.p1; \
         CREATE INDEX more_x ON public.more (x); CREATE STATISTICS public.st ON x, z FROM public.more; CREATE DOMAIN public.dom AS text CHECK (VALUE <> '');"
    ))
    .await;
    let mut before = now(&pg).await;
    for (sql, word) in KINDS {
        pg.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let after = now(&pg).await;
        let found = odd(&Expectation::default(), &before, &after, &[]);
        assert!(
            found.iter().any(|words| words.contains(word)),
            "{sql}: {found:#?}"
        );
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_does_by_itself_is_no_change_of_shape() {
    let pg = database(SHOP).await;
    pg.query("CREATE INDEX o ON public.\"Order\" (customer);")
        .await
        .unwrap();
    let before = now(&pg).await;
    for sql in [
        "ANALYZE;",
        "VACUUM FULL public.\"Order\";",
        "REINDEX TABLE CONCURRENTLY public.\"Order\";",
        "CLUSTER public.\"Order\" USING o;",
        "INSERT INTO public.\"Customer\" (name) VALUES ('x');",
        "CREATE TEMP TABLE t AS SELECT 1;",
        "CREATE INDEX half ON public.\"Order\" (amount); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.half'::regclass;",
        "SELECT setval('public.\"Customer_id_seq\"', 5000);",
        "CHECKPOINT;",
    ] {
        pg.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let found = odd(&Expectation::default(), &before, &now(&pg).await, &[]);
        assert!(found.is_empty(), "{sql}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_cannot_be_tried_out_is_said_and_explains_only_what_it_names() {
    let pg = database(SHOP).await;
    let pending = migrations(&[
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM \"Customer\") THEN RAISE 'no customers'; END IF; END $$; ALTER TABLE \"Customer\" ADD COLUMN x int;",
    ]);
    let expected = tried(&pg, &pending, "r-untried").await;
    assert!(
        expected.unknown.as_ref().unwrap().contains("no customers"),
        "{expected:?}"
    );
    let before = now(&pg).await;
    deploy(&pg, &pending).await;
    assert!(odd(&expected, &before, &now(&pg).await, &[]).is_empty());
    pg.query(RECREATE).await.unwrap();
    let found = odd(&expected, &before, &now(&pg).await, &[]);
    assert!(
        found.iter().any(|w| w.contains("Order_pkey is gone")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_reaches_beyond_its_database_leaves_nothing_when_it_is_tried_out() {
    let pg = database(SHOP).await;
    let role = format!("reader_{}", pg.db.name);
    let pending = migrations(&[&format!(
        "CREATE ROLE {role}; GRANT SELECT ON \"Order\" TO {role};"
    )]);
    let expected = tried(&pg, &pending, "r-beyond").await;
    assert_eq!(expected.unknown, None);
    let count = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}';");
    assert_eq!(value(&pg, &count).await, "0");
    let before = now(&pg).await;
    deploy(&pg, &pending).await;
    assert!(odd(&expected, &before, &now(&pg).await, &[]).is_empty());
}
