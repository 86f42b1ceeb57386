//! Rows that a restore would set aside, and who may say that it is to.

use super::super::cluster::{database, databases, value};
use super::*;
use crate::means::psql::Database;

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
    assert_asks(&stop, &run, "nobody has said so");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_ended_by_hand_counts_as_let_in_and_rows_of_new_tables_as_changed() {
    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let sql = format!(
        "CREATE TABLE public.\"Invoice\" (id int PRIMARY KEY); INSERT INTO public.\"Invoice\" VALUES (1); \
         ALTER DATABASE {} RESET default_transaction_read_only;",
        pg.db.name
    );
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), &sql);
    let mut node = plan.node("prod/deploy").unwrap().1.clone();
    node.key = "prod/broken".into();
    node.params["sql"] = "SELECT 1 / 0;".into();
    let integrity = plan.nodes.iter().position(|n| n.key == "prod/integrity");
    plan.nodes.insert(integrity.unwrap(), node);
    let (run, stop) = drive("r-byhand", plan).await;
    assert_asks(
        &stop,
        &run,
        "accepted writes again (public.Invoice, new, 1 row)",
    );
    pg.query("INSERT INTO public.\"AuditLog\" VALUES ('open, as before the question');")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_lease_stops_the_undo_and_an_order_before_the_question_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let leases = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let journal = Arc::default();
    let mut plan = fails_after_thaw(&pg.db, dir.path().to_str().unwrap());
    let at = plan.nodes.iter().position(|n| n.key == "prod/baseline");
    let lease = crate::means::lease::Lease {
        host: "here".into(),
        dir: leases.path().to_str().unwrap().into(),
        epoch: 1,
        machine_id: String::new(),
        hostname: String::new(),
    };
    plan.nodes[at.unwrap()].params["lease"] =
        serde_json::to_value(Some(Arg::Value(lease))).unwrap();
    let held = leases.path().join("held");
    let other = crate::means::lease::store::Held {
        run: "r-other".into(),
        holder: "another machine".into(),
        epoch: 1,
        since: flow_engine::clock::Timestamp(0),
    };
    std::fs::write(&held, serde_json::to_vec(&other).unwrap()).unwrap();
    let (mut run, _) = drive_on(&journal, "r-before", plan).await;
    assert!(told(&run).contains("held by run r-other"), "{}", told(&run));
    std::fs::remove_file(&held).unwrap();
    for (answer, expect) in [
        ("the lease is free", None),
        ("set them aside", Some(Verdict::RolledBack)),
    ] {
        let by = Actor {
            name: "devops".into(),
            from: "test".into(),
        };
        let mut parked = Run::clone(&run);
        let at = parked.updated;
        append_order(&*journal, &mut parked, Order::Retry, by, answer, at)
            .await
            .unwrap();
        let (driver, _handle) = engine(&journal).resume(&run.id).await.unwrap();
        let (next, stop) = driver.drive().await.unwrap();
        run = next;
        match expect {
            None => assert!(told(&run).contains("nobody has said so"), "{stop:?}"),
            Some(verdict) => assert_eq!(stop, Stop::Finished(verdict), "{}", told(&run)),
        }
    }
}
