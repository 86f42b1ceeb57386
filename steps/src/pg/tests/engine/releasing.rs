//! Releases that pass, fail early, and lose rows.

use super::super::cluster::{database, databases, value};
use super::*;

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
