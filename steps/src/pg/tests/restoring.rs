use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::super::Thing;
use super::super::capture::{self, Look};
use super::super::restore::{self, Plan, failed_name};
use super::super::scratch;
use super::super::state::DbState;
use super::cluster::{database, databases, value};
use super::*;
use crate::means::host::{Command, Host, HostError, Local, Process};
use crate::means::psql::text::ident;
use crate::means::psql::{Pg, PgError};

/// What a bad release does.
const BAD: &str = r#"
ALTER TABLE public."Customer" DROP COLUMN status CASCADE;
DELETE FROM public."AuditLog" WHERE ctid IN (SELECT ctid FROM public."AuditLog" LIMIT 10);
INSERT INTO public."AuditLog" VALUES ('written by the bad release');
DELETE FROM public."Order" WHERE id BETWEEN 10 AND 40;
UPDATE public."Customer" SET name = 'x' WHERE id < 20;
INSERT INTO public."Customer" (name) VALUES ('a new one'), ('another');
CREATE TABLE public."Invoice" (id int PRIMARY KEY, customer int REFERENCES public."Customer" (id));
INSERT INTO public."Invoice" VALUES (1, 1);
"#;

pub(super) async fn undo(
    pg: &Pg,
    backup: &Backup,
    dir: &str,
    run: &str,
) -> Result<String, PgError> {
    let plan = Plan {
        backup,
        dir,
        prefix: "baseline",
        run,
        progress: &|_| {},
    };
    let hold = restore::hold(pg, run).await?;
    let done = restore::restore(pg, &plan).await;
    hold.let_go(pg, run).await?;
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_migration_is_undone_with_rows_schema_settings_and_rights_and_the_failed_state_is_kept()
 {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let name = pg.db.name.clone();
    let plate = format!(
        "CREATE ROLE \"r{name}\"; ALTER DATABASE {name} SET search_path = \"$user\", public, \"odd,Name\"; ALTER DATABASE {name} SET TimeZone = 'Europe/Berlin'; \
         ALTER DATABASE {name} SET default_transaction_read_only = on; ALTER ROLE \"r{name}\" IN DATABASE {name} SET work_mem = '5MB'; \
         ALTER DATABASE {name} SET \"app.settings.x\" = 'it''s'; ALTER DATABASE {name} CONNECTION LIMIT 33; REVOKE ALL ON DATABASE {name} FROM PUBLIC; \
         GRANT CONNECT ON DATABASE {name} TO \"r{name}\"; COMMENT ON DATABASE {name} IS 'the shop';"
    );
    pg.maintenance().query(&plate).await.unwrap();
    let look = format!(
        "SELECT d.datconnlimit, shobj_description(d.oid, 'pg_database'), (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(d.datacl) a), \
         (SELECT string_agg(s.setrole::regrole::text || c, ';' ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) c \
          WHERE s.setdatabase = d.oid AND c NOT LIKE 'default_transaction%') FROM pg_database d WHERE datname = '{name}';"
    );
    let plate = value(&pg, &look).await;
    assert!(
        plate.contains("\"odd,Name\"") && plate.contains("work_mem"),
        "{plate}"
    );
    let backup = take(&pg, folder, "r-bad/b").await.unwrap();
    pg.query(&format!("SET default_transaction_read_only = off; {BAD}"))
        .await
        .unwrap();
    // A session of the application that would hold the name.
    let mut busy = pg.session().await.unwrap();
    busy.ask("SELECT 1;").await.unwrap();
    let report = undo(&pg, &backup, folder, "r-bad").await.unwrap();
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
    assert_eq!(backup.state.shape_digest, now.shape_digest);
    assert_eq!(value(&pg, &look).await, plate);
    assert_eq!(
        value(&pg, "SHOW default_transaction_read_only;").await,
        "off"
    );
    let failed = pg.on(&failed_name(&name, "r-bad"));
    assert_eq!(
        value(&failed, "SELECT count(*) FROM public.\"Invoice\";").await,
        "1"
    );
    assert!(
        report.contains("4 rows exist only there, 19 updated and 41 deleted there")
            && report.contains("public.Customer: 2 inserted, 19 updated")
            && report.contains("public.Order: 31 deleted"),
        "{report}"
    );
    assert!(
        files(dir.path())
            .iter()
            .any(|f| f.starts_with("baseline-failed-") && f.contains(".zst"))
    );
    // Undone twice is undone once; nothing new appears, and the application goes on writing.
    pg.query("INSERT INTO public.\"Customer\" (name) VALUES ('after the rollback');")
        .await
        .unwrap();
    assert_eq!(undo(&pg, &backup, folder, "r-bad").await.unwrap(), report);
    assert_eq!(
        value(&pg, "SELECT count(*) FROM public.\"Customer\";").await,
        "1001"
    );
    assert_eq!(databases(&pg, "r_bad").await, [failed_name(&name, "r-bad")]);
}

/// What differs between two states, but for expressions, which a restore writes in other words.
fn other(before: &DbState, now: &DbState) -> Vec<String> {
    let changes = before.shape.changes(&now.shape).into_iter();
    let is = |thing: &Option<Thing>| thing.as_ref().map(|thing| thing.is.clone());
    let other = changes.filter(|change| is(&change.was) != is(&change.now));
    other.map(|change| change.in_words()).collect()
}

/// Changes that leave every row, every table and every expression as they were.
const BESIDE_THE_ROWS: [&str; 6] = [
    "SELECT setval('public.\"Customer_id_seq\"', 1);",
    "REVOKE EXECUTE ON FUNCTION public.touch() FROM PUBLIC;",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;",
    "ALTER FUNCTION public.touch() SECURITY DEFINER;",
    "ALTER PUBLICATION events DROP TABLE public.\"Customer\";",
    "ALTER POLICY own ON public.\"Customer\" TO pg_monitor;",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_beside_the_rows_is_restored_and_so_are_the_databases_own_settings() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let name = ident(&pg.db.name);
    pg.query(&format!(
        "CREATE FUNCTION public.touch() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         CREATE PUBLICATION events FOR TABLE public.\"Customer\"; \
         CREATE POLICY own ON public.\"Customer\" USING (true); \
         ALTER DATABASE {name} SET shop.factor = 2;"
    ))
    .await
    .unwrap();
    let before = take(&pg, folder, "r-beside/0").await.unwrap().state;
    for (n, sql) in BESIDE_THE_ROWS.into_iter().enumerate() {
        let run = format!("r-beside{n}");
        let backup = take(&pg, folder, &format!("{run}/b")).await.unwrap();
        assert_eq!(other(&before, &backup.state), [] as [String; 0], "{sql}");
        assert_eq!(backup.state.sequences, before.sequences, "{sql}");
        pg.query(sql).await.unwrap();
        pg.query(&format!(
            "ALTER DATABASE {name} SET shop.factor = 3; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;"
        ))
        .await
        .unwrap();
        let report = undo(&pg, &backup, folder, &run).await.unwrap();
        assert!(
            report.ends_with("settings put back with it: TEMPORARY to PUBLIC, shop.factor"),
            "{sql}: {report}"
        );
        assert_eq!(value(&pg, "SHOW shop.factor;").await, "2", "{sql}");
    }
    let after = take(&pg, folder, "r-beside/9").await.unwrap().state;
    assert_eq!(other(&before, &after), [] as [String; 0]);
    assert_eq!(after.sequences, before.sequences);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_from_before_a_grant_or_a_number_taken_is_no_baseline_and_only_the_grant_is_restored()
 {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, dir.path().to_str().unwrap(), "r-grant/b")
        .await
        .unwrap();
    let now = async || capture::capture(&pg, Look::All).await.unwrap();
    assert!(restore::exactly(&backup.state, &now().await));
    pg.query("SELECT nextval('public.\"Customer_id_seq\"');")
        .await
        .unwrap();
    let ahead = now().await;
    assert!(!restore::exactly(&backup.state, &ahead));
    assert!(restore::same(&backup.state, &ahead));
    pg.query("GRANT SELECT ON public.\"Customer\" TO pg_monitor;")
        .await
        .unwrap();
    assert!(!restore::same(&backup.state, &now().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_database_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-same/b").await.unwrap();
    let report = undo(&pg, &backup, folder, "r-same").await.unwrap();
    assert!(report.starts_with("nothing to restore"), "{report}");
    assert!(databases(&pg, "r_same").await.is_empty());
    // A changed default is a changed schema although every row is the same.
    pg.query("ALTER TABLE public.\"Customer\" ALTER name SET DEFAULT 'x';")
        .await
        .unwrap();
    let report = undo(&pg, &backup, folder, "r-same").await.unwrap();
    assert!(report.contains("no row exists only there"), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_at_any_point_and_run_again_gives_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-kill/b").await.unwrap();
    pg.query(BAD).await.unwrap();
    let mut kills = 0;
    let mut patience = 30;
    let report = loop {
        // Longer every time, so that each stage is cut somewhere, and it ends in the end.
        let attempt = undo(&pg, &backup, folder, "r-kill");
        match tokio::time::timeout(Duration::from_millis(patience), attempt).await {
            Ok(report) => break report.unwrap(),
            Err(_) => kills += 1,
        }
        patience += 97;
        assert!(kills < 200, "it never ends");
    };
    assert!(kills > 3, "{kills} kills prove little");
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
    let failed = pg.on(&failed_name(&pg.db.name, "r-kill"));
    assert_eq!(
        value(&failed, "SELECT count(*) FROM public.\"Invoice\";").await,
        "1"
    );
    assert!(report.contains("4 rows exist only there"), "{report}");
    assert_eq!(databases(&pg, "r_kill").await.len(), 1);
}

/// Starts so many processes and then none any more, as if this program had been killed there.
struct Mortal {
    left: AtomicI64,
}

#[async_trait::async_trait]
impl Host for Mortal {
    fn name(&self) -> &'static str {
        "here"
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Local::new("here").spawn(command).await;
        }
        Err(HostError::Lost {
            host: "here".into(),
            program: command.program.clone(),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_killed_before_each_of_its_processes_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-each/b").await.unwrap();
    pg.query(BAD).await.unwrap();
    let fresh = scratch::name_for("restore", "r-each");
    let (mut lives, mut spawns, mut was_ready) = (0, 1, false);
    let (mut was_closed, mut told) = (false, 0);
    let report = loop {
        let left = AtomicI64::new(spawns);
        let mortal = Pg::new(Arc::new(Mortal { left }), pg.db.clone()).unwrap();
        match undo(&mortal, &backup, folder, "r-each").await {
            Ok(report) => break report,
            Err(e) => {
                assert!(e.is_transient(), "{e}");
                let live = scratch::find(&pg, &pg.db.name).await.unwrap();
                let closed = live.is_some_and(|live| !live.connectable);
                if closed && !was_closed {
                    let said = e.to_string();
                    assert!(said.contains("NOBODY CAN CONNECT"), "{said}");
                    told += 1;
                }
                was_closed = closed;
            }
        }
        let mark = scratch::find(&pg, &fresh)
            .await
            .unwrap()
            .and_then(|f| f.mark());
        let ready = mark.is_some_and(|m| m.stage == "ready");
        // Once the copy is proven, every single process of the rest is cut off in turn.
        spawns = if ready && !was_ready {
            1
        } else {
            spawns + if ready { 1 } else { 4 }
        };
        was_ready |= ready;
        lives += 1;
        assert!(lives < 100, "it never ends");
    };
    assert!(was_ready && lives > 15, "{lives} lives prove little");
    assert!(told > 0, "no life ended behind a closed door");
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
    assert!(report.contains("4 rows exist only there"), "{report}");
    assert_eq!(
        databases(&pg, "r_each").await,
        [failed_name(&pg.db.name, "r-each")]
    );
    let failed = pg.on(&failed_name(&pg.db.name, "r-each"));
    assert_eq!(
        value(&failed, "SELECT count(*) FROM public.\"Invoice\";").await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_closing_the_door_and_the_renames_is_healed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let name = pg.db.name.clone();
    let backup = take(&pg, folder, "r-door/b").await.unwrap();
    pg.query(BAD).await.unwrap();
    // A transaction that was prepared and never committed holds the database: the renames fail, the door opens again.
    pg.query("BEGIN; INSERT INTO public.\"AuditLog\" VALUES ('p'); PREPARE TRANSACTION 'held';")
        .await
        .unwrap();
    let error = undo(&pg, &backup, folder, "r-door").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("could not be renamed, it is as it was"),
        "{error}"
    );
    pg.query("ROLLBACK PREPARED 'held';").await.unwrap();
    pg.maintenance()
        .query(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false;"))
        .await
        .unwrap();
    undo(&pg, &backup, folder, "r-door").await.unwrap();
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_named_postgres_is_restored_from_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database("").await.on("postgres");
    pg.query(SHOP).await.unwrap();
    let backup = take(&pg, folder, "r-pg/b").await.unwrap();
    pg.query(BAD).await.unwrap();
    undo(&pg, &backup, folder, "r-pg").await.unwrap();
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
    assert_eq!(databases(&pg, "r_pg").await, ["postgres_failed_r_pg"]);
    let mut db = pg.db.clone();
    db.maintenance = "postgres".into();
    assert!(Pg::new(Arc::new(Local::new("here")), db).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-dmg/b").await.unwrap();
    pg.query(BAD).await.unwrap();
    let before = capture::capture(&pg, Look::All).await.unwrap();
    std::fs::write(&backup.path, "no backup").unwrap();
    assert!(undo(&pg, &backup, folder, "r-dmg").await.is_err());
    let after = capture::capture(&pg, Look::All).await.unwrap();
    assert!(before.differences(&after, true).is_empty());
    assert!(databases(&pg, "r_dmg").await.is_empty());
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('writers are let in again');")
        .await
        .unwrap();
}
