//! What the freeze and the baseline notice before production is touched.

use super::super::cluster::{database, value};
use super::*;
use crate::means::read_only::freeze::Freeze;

/// Cuts the backup's file, as a full disk or a person would.
#[derive(Serialize, Deserialize)]
pub(super) struct Harm {
    dir: String,
}

#[async_trait::async_trait]
impl Step for Harm {
    const KIND: &'static str = "test.harm";
    type Output = ();

    fn summary(&self) -> String {
        "harm".into()
    }

    async fn run(&self, _: &Cx) -> Result<(), StepError> {
        let dir = std::path::Path::new(&self.dir);
        let backup = files(dir).into_iter().find(|f| f.contains(".sql"));
        std::fs::write(dir.join(backup.unwrap()), "cut").unwrap();
        Ok(())
    }
}

/// Puts a step in front of the baseline.
fn insert(plan: &mut flow_engine::plan::Plan, kind: &str, params: serde_json::Value) {
    let at = plan.nodes.iter().position(|n| n.key == "prod/baseline");
    let mut node = plan.node("prod/deploy").unwrap().1.clone();
    node.key = "prod/inserted".into();
    node.kind = kind.into();
    node.params = params;
    plan.nodes.insert(at.unwrap(), node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_damaged_after_its_proof_is_not_the_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let mut plan = plan(&pg.db, folder, "");
    insert(&mut plan, Harm::KIND, serde_json::json!({ "dir": folder }));
    let (run, stop) = drive("r-cut", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let (backup, baseline): (Backup, Backup) =
        (out(&run, "prod/backup"), out(&run, "prod/baseline"));
    assert_ne!(backup.path, baseline.path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_ended_by_hand_before_the_baseline_is_asked_about_and_a_retry_freezes_again() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let frozen = "INSERT INTO public.\"AuditLog\" SELECT 'frozen' FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
                  WHERE d.datname = current_database() AND s.setconfig::text LIKE '%default_transaction_read_only=on%';";
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), frozen);
    let reset = format!(
        "ALTER DATABASE {} RESET default_transaction_read_only;",
        pg.db.name
    );
    let params = serde_json::json!({ "db": pg.db, "sql": reset });
    insert(&mut plan, Deploy::KIND, params);
    let journal = Arc::default();
    let (run, stop) = drive_on(&journal, "r-reset", plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?} {}",
        told(&run)
    );
    assert!(told(&run).contains("writers were let in"), "{}", told(&run));
    assert!(!run.has_started("prod/deploy"));
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('written meanwhile');")
        .await
        .expect("production serves");
    let (run, stop) = give(&journal, &run, Order::Retry, "it was our admin").await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let count = |text: &str| {
        format!("SELECT count(*) FROM public.\"AuditLog\" a WHERE a::text LIKE '%{text}%';")
    };
    assert_eq!(value(&pg, &count("frozen")).await, "1", "not frozen again");
    let (backup, baseline): (Backup, Backup) =
        (out(&run, "prod/backup"), out(&run, "prod/baseline"));
    assert_ne!(backup.path, baseline.path, "the new row is in no baseline");
    assert_eq!(value(&pg, &count("written meanwhile")).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_read_only_before_the_release_is_so_after_its_rollback() {
    let pg = database(SHOP).await;
    let name = pg.db.name.clone();
    for (id, was, write) in [("r-wason", "'true'", false), ("r-wasoff", "off", true)] {
        pg.maintenance()
            .query(&format!(
                "ALTER DATABASE {name} SET default_transaction_read_only = {was};"
            ))
            .await
            .unwrap();
        let look = "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database();";
        let before = value(&pg, look).await;
        let mut p = Planner::new("release", "1", "prod", "test");
        p.phase("prod", "Production", OnFailure::Rollback, |p| {
            p.step(
                "prod/freeze",
                Freeze {
                    db: pg.db.clone(),
                    ended_by: None,
                    watchdog: None,
                },
            );
            let sql = "SELECT 1 / 0;".to_owned();
            let db = pg.db.clone();
            p.step("prod/deploy", Deploy { db, sql });
        });
        let (run, stop) = drive(id, p.finish().unwrap()).await;
        assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
        assert_eq!(value(&pg, look).await, before);
        let write_sql = "INSERT INTO public.\"AuditLog\" VALUES ('new');";
        assert_eq!(pg.query(write_sql).await.is_ok(), write);
    }
}
