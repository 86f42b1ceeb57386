//! An ordinary role that owns the database and what is in it, and is no superuser.

use super::super::proof::prove;
use super::super::right::Right;
use super::super::rights::{Purpose, look};
use super::cluster::{as_superuser, database, ordinary, value};
use super::*;
use crate::means::psql::sessions::{Whom, end};
use crate::means::read_only::{freeze, thaw};

async fn missing(pg: &Pg) -> Vec<Right> {
    let mut found = look(pg, Purpose::Release).await.unwrap();
    found.retain(|right| !right.ok);
    found
}

/// What is wrong with a database of an ordinary owner, as a superuser makes it so; and what is said of it.
const FOREIGN: &str = r"
CREATE ROLE {other};
CREATE SCHEMA auth AUTHORIZATION {other};
CREATE TABLE auth.users (id int); ALTER TABLE auth.users OWNER TO {other};
CREATE SEQUENCE auth.numbers; ALTER SEQUENCE auth.numbers OWNER TO {other};
CREATE TABLE public.hidden (id int); ALTER TABLE public.hidden OWNER TO {other};
GRANT SELECT ON public.hidden TO {me};
ALTER TABLE public.hidden ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
ALTER FUNCTION public.on_ddl() OWNER TO {me};
CREATE EVENT TRIGGER watch_{me} ON ddl_command_start EXECUTE FUNCTION public.on_ddl();
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER DATABASE {db} SET log_min_duration_statement = 100;
ALTER ROLE {other} IN DATABASE {db} SET work_mem = '8MB';
ALTER DEFAULT PRIVILEGES FOR ROLE {other} GRANT SELECT ON TABLES TO {me};
ALTER ROLE {me} NOCREATEDB;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_right_that_a_later_step_needs_is_asked_for_and_named_with_its_grant() {
    let pg = ordinary(SHOP).await;
    let (db, me) = (pg.db.name.clone(), pg.db.user.clone());
    let other = format!("other_{db}");
    let sql = FOREIGN
        .replace("{other}", &other)
        .replace("{me}", &me)
        .replace("{db}", &db);
    as_superuser(&pg).query(&sql).await.unwrap();
    let found = missing(&pg).await;
    let text = format!("{found:#?}");
    for (about, object, fix) in [
        (
            "make databases",
            me.as_str(),
            format!("ALTER ROLE {me} CREATEDB;"),
        ),
        (
            "read every row",
            "auth.numbers, auth.users",
            format!(
                "GRANT USAGE ON SCHEMA auth TO {me}; GRANT SELECT ON ALL TABLES IN SCHEMA auth TO {me}; GRANT SELECT ON ALL SEQUENCES"
            ),
        ),
        (
            "read every row",
            "public.hidden rows are hidden",
            format!("ALTER ROLE {me} BYPASSRLS;"),
        ),
        (
            "see how much room there is",
            "data_directory",
            format!("GRANT pg_read_all_settings TO {me};"),
        ),
        (
            "restore what other roles own",
            "auth.users",
            format!("GRANT {other} TO {me};"),
        ),
        ("restore event triggers", "watch_", "superuser".into()),
        (
            "restore publications",
            "everything",
            "name its tables".into(),
        ),
        (
            "restore settings",
            "log_min_duration_statement",
            "log_min_duration_statement".into(),
        ),
        (
            "restore settings",
            "work_mem of role",
            format!("ALTER ROLE {other} IN DATABASE {db} RESET work_mem"),
        ),
        (
            "restore rights",
            "default privileges of",
            format!("GRANT {other} TO {me};"),
        ),
    ] {
        let is = |r: &&Right| r.about == about && r.found.contains(object) && r.fix.contains(&fix);
        assert!(
            found.iter().any(|r| is(&r)),
            "{about}: {object}: {fix}\nin {text}"
        );
    }
    assert!(
        missing(&as_superuser(&pg)).await.is_empty(),
        "a superuser lacks nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_index_is_named_and_stops_no_release() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    pg.query(
        "CREATE INDEX \"Customer_name_idx\" ON public.\"Customer\" (name); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.\"Customer_name_idx\"'::regclass;",
    )
    .await
    .unwrap();
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-invalid/b")
        .await
        .unwrap();
    prove(&pg, &backup, "r-invalid", &|_| {}).await.unwrap();
    let found = look(&pg, Purpose::Release).await.unwrap();
    let index = found.iter().find(|r| r.about == "invalid indexes").unwrap();
    assert!(
        index.ok && index.found.contains("public.\"Customer_name_idx\""),
        "{index:?}"
    );
}

/// Works for the application, and not with an empty `search_path`.
const UNQUALIFIED: &str = r#"
SET search_path = public;
CREATE SCHEMA aux;
CREATE FUNCTION b58(b bytea) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT encode(b, 'hex') $$;
CREATE FUNCTION short_id(u uuid) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT b58(decode(replace(u::text, '-', ''), 'hex')) $$;
CREATE TABLE aux.ticket (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), code text GENERATED ALWAYS AS (public.short_id(id)) STORED);
INSERT INTO aux.ticket DEFAULT VALUES;
CREATE TABLE aux.checked (id uuid CONSTRAINT odd CHECK (public.short_id(id) <> ''));
INSERT INTO aux.checked VALUES (gen_random_uuid());
CREATE TABLE aux.indexed (id uuid);
INSERT INTO aux.indexed VALUES (gen_random_uuid());
CREATE INDEX by_short ON aux.indexed (public.short_id(id));
CREATE MATERIALIZED VIEW public.words AS SELECT word FROM ts_stat('select to_tsvector(''simple'', code) from aux.ticket, "Named"');
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_restore_could_compute_is_named_before_a_release_and_where_a_load_stops() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(&format!(
        "CREATE TABLE public.\"Named\" (i int); {UNQUALIFIED}"
    ))
    .await;
    let found = missing(&pg).await;
    let text = format!("{found:#?}");
    for object in [
        "generated column aux.ticket.code",
        "constraint odd of aux.checked",
        "index aux.by_short",
        "materialized view public.words",
    ] {
        assert!(
            found.iter().any(|r| r.found.starts_with(object)),
            "{object} in {text}"
        );
    }
    assert!(text.contains("short_id"), "{text}");
    // The planner computes an index's expression to know what it is for, so not even rows can be counted.
    let error = take(&pg, dir.path().to_str().unwrap(), "r-path/a")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("table aux.indexed: ERROR:  function b58"),
        "{error}"
    );
    pg.query("DROP TABLE aux.indexed, aux.checked;")
        .await
        .unwrap();
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-path/b")
        .await
        .unwrap();
    let error = prove(&pg, &backup, "r-path", &|_| {})
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("it stops at TABLE aux.ticket"), "{error}");
    assert!(error.contains("search_path"), "{error}");
    pg.query("ALTER FUNCTION public.short_id(uuid) SET search_path = public; DROP MATERIALIZED VIEW public.words;")
        .await
        .unwrap();
    assert!(missing(&pg).await.is_empty());
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-path/c")
        .await
        .unwrap();
    prove(&pg, &backup, "r-path", &|_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_an_earlier_life_of_a_step_are_ended_and_no_others() {
    let pg = database("").await;
    let life = |step: &str| {
        let mut pg = pg.clone();
        pg.session = crate::means::psql::orphans::SessionName::of("r-orphan", step).unwrap();
        pg
    };
    let (earlier, now, other) = (life("r-orphan/a"), life("r-orphan/a"), life("r-orphan/b"));
    let mut orphan = earlier.session().await.unwrap();
    orphan.ask("SELECT 1;").await.unwrap();
    let mut mine = now.session().await.unwrap();
    mine.ask("SELECT 1;").await.unwrap();
    let mut others = other.session().await.unwrap();
    others.ask("SELECT 1;").await.unwrap();
    assert_eq!(crate::means::psql::orphans::end(&now).await.unwrap(), 1);
    assert!(orphan.ask("SELECT 1;").await.is_err());
    mine.ask("SELECT 1;").await.unwrap();
    others.ask("SELECT 1;").await.unwrap();
    let named =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'flow %r-orphan';";
    assert_eq!(value(&pg, named).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_owner_proves_a_backup_in_a_copy_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let pg = ordinary(SHOP).await;
    as_superuser(&pg)
        .query(&format!("GRANT pg_read_all_settings TO {};", pg.db.user))
        .await
        .unwrap();
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-owner/b")
        .await
        .unwrap();
    prove(&pg, &backup, "r-owner", &|_| {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_the_role_may_not_see_or_end_is_named_and_never_taken_for_gone() {
    let pg = ordinary(SHOP).await;
    let (name, user) = (pg.db.name.clone(), pg.db.user.clone());
    let root = as_superuser(&pg);
    root.query(&format!("CREATE ROLE app_{name} LOGIN;"))
        .await
        .unwrap();
    let mut app = root.clone();
    app.db.user = format!("app_{name}");
    let mut writer = app.session().await.unwrap();
    writer.ask("SELECT 1;").await.unwrap();
    let mut chief = root.session().await.unwrap();
    chief.ask("SELECT 1;").await.unwrap();
    let left = end(&pg, &name, Whom::All).await.unwrap().join("; ");
    assert!(
        left.contains(&format!("GRANT pg_signal_backend TO {user}")),
        "{left}"
    );
    assert!(
        left.contains("superuser `postgres`, which only a superuser may end"),
        "{left}"
    );
    let error = freeze(&pg).await.unwrap_err().to_string();
    assert!(
        error.contains("may go on writing") && error.contains(&format!("app_{name}")),
        "{error}"
    );
    writer
        .ask("SELECT 1;")
        .await
        .expect("nobody could end it, and that was said");
    thaw(&root).await.unwrap();
    root.query(&format!(
        "GRANT pg_signal_backend, pg_read_all_stats TO {user};"
    ))
    .await
    .unwrap();
    let mut writer = app.session().await.unwrap();
    writer.ask("SELECT 1;").await.unwrap();
    assert!(freeze(&pg).await.unwrap().read_only);
    assert!(writer.ask("SELECT 1;").await.is_err());
    thaw(&pg).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superusers_session_is_named_and_stops_neither_the_freeze_nor_the_thaw() {
    let pg = ordinary(SHOP).await;
    let root = as_superuser(&pg);
    let user = &pg.db.user;
    root.query(&format!(
        "GRANT pg_signal_backend, pg_read_all_stats TO {user};"
    ))
    .await
    .unwrap();
    let mut chief = root.session().await.unwrap();
    chief.ask("SELECT 1;").await.unwrap();
    let frozen = freeze(&pg).await.unwrap();
    let told = frozen.unbound.join("; ");
    assert!(
        frozen.read_only && told.contains("may still write"),
        "{told}"
    );
    let open = thaw(&pg).await.unwrap();
    assert!(!open.read_only);
    assert!(
        open.unbound.join("; ").contains("stays read-only"),
        "{:?}",
        open.unbound
    );
    chief
        .ask("INSERT INTO public.\"AuditLog\" VALUES ('chief');")
        .await
        .expect("it was not ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_nobody_here_may_end_is_refused_before_the_setting_is_made() {
    let pg = ordinary(SHOP).await;
    let root = as_superuser(&pg);
    let name = pg.db.name.clone();
    root.query(&format!("CREATE ROLE late_{name} LOGIN;"))
        .await
        .unwrap();
    let mut other = root.clone();
    other.db.user = format!("late_{name}");
    let mut writer = other.session().await.unwrap();
    writer.ask("SELECT 1;").await.unwrap();
    let error = freeze(&pg).await.unwrap_err().to_string();
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(
        value(&pg, "SHOW default_transaction_read_only;").await,
        "off"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_break_in_a_name_blocks_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(
        "CREATE TABLE public.\"two\nlines\" (id int PRIMARY KEY, \"a\n\"\"b\" text); \
         INSERT INTO public.\"two\nlines\" VALUES (1, 'x'), (2, 'y'), (3, NULL);",
    )
    .await;
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-lines/b")
        .await
        .unwrap();
    assert_eq!(backup.state.tables["public.two\nlines"].rows, 3);
    let proof = prove(&pg, &backup, "r-lines", &|_| {}).await.unwrap();
    assert_eq!(proof.rows, 3);
    assert_eq!(value(&pg, "SELECT 1;").await, "1");
}
