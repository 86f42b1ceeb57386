//! The steps as a run drives them.

mod asking;
mod counting;
mod guarding;
mod looking;
mod owning;
mod pending;
mod rehearsing;
mod releasing;
mod stopping;
mod unattended;

use crate::means::psql::Database;
use crate::means::read_only::freeze::Freeze;
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
use super::*;
use crate::means::host::{Hosts, Local};

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
            except: Vec::new(),
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
        p.step(
            "prod/freeze",
            Freeze {
                db: db.clone(),
                ended_by: None,
                watchdog: None,
            },
        );
        let baseline = p.step(
            "prod/baseline",
            Baseline {
                db: db.clone(),
                dir: dir.into(),
                earlier: Arg::from(&backup),
                restore_if_started: "prod/deploy".into(),
                ask_if_started: Some("prod/thaw".into()),
                lease: None,
                watchdog: None,
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
                schema: "public".into(),
            },
        );
        let integrity = Integrity {
            db: db.clone(),
            before: Arg::from(&baseline),
            allowed: vec!["Customer.name".into()],
            expected: None,
            shape_allowed: Vec::new(),
        };
        p.step("prod/integrity", integrity);
        let thaw = Thaw {
            db: db.clone(),
            look: None,
            watchdog: None,
        };
        p.step("prod/thaw", thaw);
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
        .with::<counting::Reopened>()
        .with::<ExpectedShape>()
        .with::<DataPolicy>()
        .with::<RestoreRehearsal>()
        .with::<Deploy>()
        .with::<crate::deploy::Deploy>()
        .with::<Restart>()
        .with::<guarding::Harm>()
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

/// Gives a parked run an order and drives it on.
async fn give(
    journal: &Arc<MemoryJournal>,
    run: &Run,
    order: Order,
    reason: &str,
) -> (Arc<Run>, Stop) {
    let by = Actor {
        name: "devops".into(),
        from: "test".into(),
    };
    let mut parked = Run::clone(run);
    let at = parked.updated;
    append_order(&**journal, &mut parked, order, by, reason, at)
        .await
        .unwrap();
    let (driver, _handle) = engine(journal).resume(&run.id).await.unwrap();
    driver.drive().await.unwrap()
}

/// Runs statements as a step of its own, before the step with that key.
fn insert_sql(plan: &mut flow_engine::plan::Plan, before: &str, key: &str, sql: &str) {
    let at = plan.nodes.iter().position(|n| n.key == before);
    let mut node = plan.node("prod/deploy").unwrap().1.clone();
    node.key = key.into();
    node.params["sql"] = sql.into();
    plan.nodes.insert(at.unwrap_or(plan.nodes.len()), node);
}

/// The run stopped in its way back, services and rows as they were, and what it tells holds these words.
fn assert_asks(stop: &Stop, run: &Run, words: &str) {
    let text = told(run);
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?} {text}"
    );
    assert!(text.contains(words), "{text}");
}

fn told(run: &Run) -> String {
    format!("{:#?}", run.steps)
}

fn out<T: serde::de::DeserializeOwned>(run: &Run, key: &str) -> T {
    serde_json::from_str(run.output(key).unwrap()).unwrap()
}
