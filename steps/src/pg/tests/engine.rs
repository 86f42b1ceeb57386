//! The steps as a run drives them.

use std::sync::Arc;

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{Effect, OnFailure};
use flow_engine::planner::{Arg, Planner};
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::run::{Run, append_order};
use flow_engine::signal::{Actor, Order};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use super::super::*;
use super::cluster::{database, databases, value};
use super::*;
use crate::host::{Hosts, Local};

/// Stands for the release's own script: runs statements, and then fails or not.
#[derive(Serialize, Deserialize)]
struct Deploy {
    db: Database,
    sql: String,
}

#[async_trait::async_trait]
impl Step for Deploy {
    const KIND: &'static str = "test.deploy";
    type Output = ();

    fn summary(&self) -> String {
        "deploy".into()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let sql = format!("SET default_transaction_read_only = off; {}", self.sql);
        self.db.open(cx)?.query(&sql).await?;
        Ok(())
    }
}

/// Undoes last: what the application writes after its restart.
#[derive(Serialize, Deserialize)]
struct Restart {
    db: Database,
}

#[async_trait::async_trait]
impl Step for Restart {
    const KIND: &'static str = "test.restart";
    type Output = ();

    fn summary(&self) -> String {
        "restart".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("restart".into())
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        // Between the recorded state and the freeze the application goes on.
        let sql =
            "UPDATE public.\"Customer\" SET name = 'renamed by the application' WHERE id = 1;";
        self.db.open(cx)?.query(sql).await?;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, _: Option<()>) -> Result<String, StepError> {
        let sql = "INSERT INTO public.\"Customer\" (name) VALUES ('after the restart'); \
                   UPDATE public.\"Order\" SET amount = amount + 1 WHERE id = 5;";
        self.db.open(cx)?.query(sql).await?;
        Ok("running".into())
    }
}

fn plan(db: &Database, dir: &str, sql: &str) -> flow_engine::plan::Plan {
    let mut p = Planner::new("release", "1", "prod", "test");
    let mut backup = None;
    p.phase("prepare", "Prepare", OnFailure::Park, |p| {
        let state = RecordState {
            db: db.clone(),
            tables: vec!["Customer".into(), "AuditLog".into(), "Order".into()],
            only_if_started: Some("prod/deploy".into()),
            baseline: Some("prod/baseline".into()),
        };
        p.step("prod/state", state);
        p.step("prod/restart", Restart { db: db.clone() });
        let taken = p.step(
            "prod/backup",
            TakeBackup {
                db: db.clone(),
                dir: dir.into(),
                prefix: "prod".into(),
                critical: vec!["Customer".into()],
                compression: Compression::Zstd,
                min_free_bytes: 1,
            },
        );
        let proof = RestoreProof {
            db: db.clone(),
            backup: Arg::from(&taken),
        };
        p.step("prod/backup-verified", proof);
        backup = Some(taken);
    });
    let backup = backup.unwrap();
    p.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/freeze", Freeze { db: db.clone() });
        let baseline = p.step(
            "prod/baseline",
            Baseline {
                db: db.clone(),
                dir: dir.into(),
                earlier: Arg::from(&backup),
                restore_if_started: "prod/deploy".into(),
                ask_if_started: Some("prod/thaw".into()),
                lease: None,
            },
        );
        let sql = sql.to_owned();
        p.step(
            "prod/deploy",
            Deploy {
                db: db.clone(),
                sql,
            },
        );
        p.step(
            "prod/migrations",
            MigrationsApplied {
                db: db.clone(),
                expected: Vec::new(),
            },
        );
        let integrity = Integrity {
            db: db.clone(),
            before: Arg::from(&baseline),
            allowed: vec!["Customer.name".into()],
        };
        p.step("prod/integrity", integrity);
        p.step("prod/thaw", Thaw { db: db.clone() });
    });
    p.finish().unwrap()
}

fn registry() -> Registry {
    Registry::default()
        .with::<RecordState>()
        .with::<TakeBackup>()
        .with::<RestoreProof>()
        .with::<Freeze>()
        .with::<Thaw>()
        .with::<Baseline>()
        .with::<MigrationsApplied>()
        .with::<Integrity>()
        .with::<CountsMatch>()
        .with::<RestoreRehearsal>()
        .with::<Deploy>()
        .with::<Restart>()
}

fn engine(journal: &Arc<MemoryJournal>) -> Engine {
    Engine {
        journal: Arc::clone(journal) as _,
        registry: Arc::new(registry()),
        resources: Resources::default().with(Hosts::new().with(Local::new("here"))),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    }
}

async fn drive(run: &str, plan: flow_engine::plan::Plan) -> (Arc<Run>, Stop) {
    drive_on(&Arc::default(), run, plan).await
}

async fn drive_on(
    journal: &Arc<MemoryJournal>,
    run: &str,
    plan: flow_engine::plan::Plan,
) -> (Arc<Run>, Stop) {
    let by = Actor {
        name: "developer".into(),
        from: "test".into(),
    };
    let new = NewRun {
        id: run.parse().unwrap(),
        plan,
        by,
        reason: "a test".into(),
        request: None,
    };
    let (driver, _handle) = engine(journal).start(new).await.unwrap();
    driver.drive().await.unwrap()
}

fn told(run: &Run) -> String {
    format!("{:#?}", run.steps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_loses_rows_is_rolled_back_to_the_frozen_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let sql = "DELETE FROM public.\"Order\" WHERE id = 77; ALTER TABLE public.\"Customer\" ADD COLUMN x int;";
    let (run, stop) = drive("r-lose", plan(&pg.db, dir.path().to_str().unwrap(), sql)).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let text = told(&run);
    assert!(
        text.contains("public.Order: 5000 rows before, 4999 now; 1 LOST: (77)"),
        "{text}"
    );
    assert!(
        text.contains("no row lost; changed since the restart: public.Order: 5000 rows before, 5000 now; 1 CHANGED"),
        "{text}"
    );
    assert_eq!(
        value(&pg, "SELECT count(*) FROM public.\"Order\";").await,
        "5000"
    );
    assert_eq!(
        value(&pg, "SELECT name FROM public.\"Customer\" WHERE id = 1;").await,
        "renamed by the application"
    );
    assert_eq!(
        databases(&pg, "r_lose").await.len(),
        1,
        "only the failed one is kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_passes_and_leaves_no_scratch_database() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let sql = "ALTER TABLE public.\"Customer\" ADD COLUMN x int; UPDATE public.\"Customer\" SET name = upper(name); \
               INSERT INTO public.\"AuditLog\" VALUES ('deployed');";
    let (run, stop) = drive("r-good", plan(&pg.db, dir.path().to_str().unwrap(), sql)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let (backup, baseline): (Backup, Backup) =
        (out(&run, "prod/backup"), out(&run, "prod/baseline"));
    assert_eq!(
        backup, baseline,
        "nothing was written after the backup, so it is the baseline"
    );
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('thawed');")
        .await
        .unwrap();
    assert!(databases(&pg, "r_good").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_deploy_restores_nothing_and_thaws() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), "");
    let at = plan
        .nodes
        .iter()
        .position(|n| n.key == "prod/deploy")
        .unwrap();
    let mut check = plan.nodes[at + 1].clone();
    check.key = "prod/check".into();
    check.params["expected"] = serde_json::json!(["20260101_missing"]);
    plan.nodes.insert(at, check);
    let (run, stop) = drive("r-early", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let text = told(&run);
    assert!(text.contains("20260101_missing is not applied"), "{text}");
    assert!(
        text.contains("production was not changed, nothing restored"),
        "{text}"
    );
    assert!(databases(&pg, "r_early").await.is_empty());
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('thawed');")
        .await
        .unwrap();
}

fn out<T: serde::de::DeserializeOwned>(run: &Run, key: &str) -> T {
    serde_json::from_str(run.output(key).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_swaps_and_drops_the_replaced_one_and_lost_counts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let mut p = Planner::new("rehearsal", "1", "stage", "test");
    p.phase("stage", "Stage", OnFailure::Park, |p| {
        let record = RecordState {
            db: pg.db.clone(),
            tables: Vec::new(),
            only_if_started: None,
            baseline: None,
        };
        let before = p.step("stage/before", record);
        let dir = dir.path().to_str().unwrap().to_owned();
        p.step(
            "stage/rehearsal",
            RestoreRehearsal {
                db: pg.db.clone(),
                dir,
            },
        );
        let counts = |db: &Database| CountsMatch {
            before: Arg::from(&before),
            db: db.clone(),
            allow_growth: false,
        };
        p.step("stage/counts", counts(&pg.db));
        let sql = "DELETE FROM public.\"Order\" WHERE id = 4711;".to_owned();
        p.step(
            "stage/deploy",
            Deploy {
                db: pg.db.clone(),
                sql,
            },
        );
        p.step("stage/counts-after", counts(&pg.db));
    });
    let oid = format!(
        "SELECT oid FROM pg_database WHERE datname = '{}';",
        pg.db.name
    );
    let before = value(&pg, &oid).await;
    let (run, stop) = drive("r-rehearse", p.finish().unwrap()).await;
    assert!(matches!(stop, Stop::Parked(_)), "{}", told(&run));
    let text = told(&run);
    assert!(
        text.contains("public.Order: 5000 rows before, 4999 now") && text.contains("4711"),
        "{text}"
    );
    let done: Rehearsal = out(&run, "stage/rehearsal");
    assert_eq!(done.rows, 9000);
    assert_ne!(
        value(&pg, &oid).await,
        before,
        "the live database is the restored one"
    );
    assert!(databases(&pg, "r_rehearse").await.is_empty());
}

/// A plan whose last steps are: writers let in, a customer writes, the application fails.
fn fails_after_thaw(db: &Database, dir: &str) -> flow_engine::plan::Plan {
    let add = "ALTER TABLE public.\"Customer\" ADD COLUMN x int;";
    let mut plan = plan(db, dir, add);
    let (_, deploy) = plan.node("prod/deploy").unwrap();
    let mut node = deploy.clone();
    for (key, sql) in [
        (
            "prod/customer",
            "INSERT INTO public.\"Customer\" (name) VALUES ('written after the thaw');",
        ),
        ("prod/watch", "SELECT 1 / 0;"),
    ] {
        node.key = key.into();
        node.params["sql"] = sql.into();
        plan.nodes.push(node.clone());
    }
    plan
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_after_the_thaw_are_set_aside_only_when_a_person_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let plan = fails_after_thaw(&pg.db, dir.path().to_str().unwrap());
    let (run, stop) = drive_on(&journal, "r-newer", plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?} {}",
        told(&run)
    );
    assert!(told(&run).contains("nobody has said so"), "{}", told(&run));
    let count = "SELECT count(*) FROM public.\"Customer\";";
    assert_eq!(
        value(&pg, count).await,
        "1001",
        "nothing was restored unasked"
    );

    let by = Actor {
        name: "devops".into(),
        from: "test".into(),
    };
    let mut parked = Run::clone(&run);
    let at = parked.updated;
    append_order(
        &*journal,
        &mut parked,
        Order::Retry,
        by,
        "we will add the row again",
        at,
    )
    .await
    .unwrap();
    let (driver, _handle) = engine(&journal).resume(&run.id).await.unwrap();
    let (run, stop) = driver.drive().await.unwrap();
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    let restarted =
        "SELECT count(*) FROM public.\"Customer\" WHERE name = 'written after the thaw';";
    assert_eq!(value(&pg, restarted).await, "0");
    assert!(
        told(&run).contains("1 row exists only there"),
        "{}",
        told(&run)
    );
    assert_eq!(
        databases(&pg, "r_newer").await.len(),
        1,
        "the replaced one is kept"
    );
}
