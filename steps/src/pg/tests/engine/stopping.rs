//! What is looked at before the undo of a deploy stops services, with a real pm2 and a real database.

use super::super::cluster::{database, value};
use super::*;
use crate::deploy::{Deploy as Script, StopSpec, fixture};
use crate::pm2::tests::Pm2;

/// The release's own script as a job on the host, with services that its undo stops.
fn with_services(plan: &mut flow_engine::plan::Plan, pg: &Pg, pm2: &Pm2, sql: &str) {
    let mut psql = pg.psql_words();
    for word in &mut psql {
        if word.starts_with("dbname=") {
            *word = format!("dbname='{}'", pg.db.name);
        }
    }
    let writable = "SET default_transaction_read_only = off";
    psql.extend(["-c", writable, "-c", sql].map(str::to_owned));
    let script = Script {
        stop_on_undo: Some(StopSpec {
            pm2: pm2.prefix.clone(),
            application: crate::pm2::Application::default(),
            look: Some(BeforeStop {
                db: pg.db.clone(),
                baseline: "prod/baseline".into(),
                opened_by: "prod/thaw".into(),
            }),
        }),
        ..fixture::deploy(pm2.home.path(), psql)
    };
    let node = plan.nodes.iter_mut().find(|n| n.key == "prod/deploy");
    let node = node.unwrap();
    node.kind = Script::KIND.into();
    node.version = Script::VERSION;
    node.params = serde_json::to_value(&script).unwrap();
    node.undo = script.undo_in_words();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_in_spite_of_the_freeze_are_asked_for_while_services_still_run() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let pm2 = Pm2::start();
    pm2.app("api", "setInterval(() => {}, 1000)");
    let before = pm2.all().await;
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), "");
    let write =
        "BEGIN READ WRITE; UPDATE public.\"Customer\" SET role = 'ADMIN' WHERE id = 1; COMMIT;";
    insert_sql(&mut plan, "prod/integrity", "prod/client", write);
    let add = "ALTER TABLE public.\"Customer\" ADD COLUMN x int";
    with_services(&mut plan, &pg, &pm2, add);
    let journal = Arc::default();
    let (run, stop) = drive_on(&journal, "r-lookstop", plan).await;
    assert_asks(
        &stop,
        &run,
        "a client overrides it (public.Customer: 1 row)",
    );
    let text = told(&run);
    assert!(text.contains("Nothing was stopped"), "{text}");
    let now = pm2.all().await;
    assert_eq!(
        now.counters(),
        before.counters(),
        "services were stopped before it was asked"
    );
    let (run, stop) = give(&journal, &run, Order::Retry, "known").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    assert!(pm2.all().await.apps.iter().all(|a| a.status == "stopped"));
    assert!(
        told(&run).contains("1 updated there (public.Customer: 1 updated)"),
        "{}",
        told(&run)
    );
    let role = "SELECT role FROM public.\"Customer\" WHERE id = 1;";
    assert_ne!(value(&pg, role).await, "ADMIN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_is_for_every_host_whose_services_the_rollback_stops() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let pm2 = Pm2::start();
    pm2.app("api", "setInterval(() => {}, 1000)");
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), "");
    let write =
        "BEGIN READ WRITE; UPDATE public.\"Customer\" SET role = 'ADMIN' WHERE id = 1; COMMIT;";
    insert_sql(&mut plan, "prod/integrity", "prod/client", write);
    let add = "ALTER TABLE public.\"Customer\" ADD COLUMN x int";
    with_services(&mut plan, &pg, &pm2, add);
    let own = plan.nodes.iter().position(|n| n.key == "prod/deploy");
    let own = own.unwrap();
    for name in ["web-2", "web-3"] {
        let mut further = plan.nodes[own].clone();
        further.key = format!("prod/{name}/deploy");
        further.params["script"] = serde_json::json!(["true"]);
        plan.nodes.insert(own + 1, further);
    }
    let journal = Arc::default();
    let (run, stop) = drive_on(&journal, "r-lookhosts", plan).await;
    assert_asks(&stop, &run, "Nothing was stopped: services go on");
    let (run, stop) = give(&journal, &run, Order::Retry, "known").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
}

#[test]
fn a_question_between_two_hosts_says_which_services_are_stopped_already() {
    let stopped = |elsewhere: &[&str]| {
        let elsewhere = elsewhere.iter().map(|host| (*host).to_owned()).collect();
        let here = "prod".to_owned();
        let stopped = crate::pg::Halt { here, elsewhere };
        format!(
            "nothing was stopped{}, they go on{}",
            stopped.not(),
            stopped.but()
        )
    };
    assert_eq!(stopped(&[]), "nothing was stopped, they go on");
    assert_eq!(
        stopped(&["prod/web-2", "prod/web-3"]),
        "nothing was stopped on `prod`, they go on there; they are STOPPED on `prod/web-2`, `prod/web-3`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_are_not_stopped_for_a_restore_that_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let pm2 = Pm2::start();
    pm2.app("api", "setInterval(() => {}, 1000)");
    let before = pm2.all().await;
    let mut plan = plan(&pg.db, folder, "");
    insert_sql(&mut plan, "prod/integrity", "prod/harm", "");
    let harm = plan.nodes.iter_mut().find(|n| n.key == "prod/harm");
    let harm = harm.unwrap();
    harm.kind = guarding::Harm::KIND.into();
    harm.params = serde_json::json!({ "dir": folder });
    insert_sql(&mut plan, "prod/integrity", "prod/broken", "SELECT 1 / 0;");
    let add = "ALTER TABLE public.\"Customer\" ADD COLUMN x int";
    with_services(&mut plan, &pg, &pm2, add);
    let (run, stop) = drive("r-lookharm", plan).await;
    assert_asks(&stop, &run, "could not be restored, so nothing was stopped");
    assert_eq!(pm2.all().await.counters(), before.counters());
}
