//! Who else is at the database while it is restored: writers, and logical replication.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::capture::{self, Look};
use super::super::restore::failed_name;
use super::cluster::{database, value};
use super::restoring::undo;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_written_before_the_swap_is_in_the_dump_and_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let backup = take(&pg, folder, "r-late/b").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicU64::new(0));
    let writer = tokio::spawn({
        let (pg, stop, written) = (pg.clone(), Arc::clone(&stop), Arc::clone(&written));
        async move {
            while !stop.load(Ordering::SeqCst) {
                let sql = "INSERT INTO public.\"Customer\" (name, status) VALUES ('late', 'new');";
                if pg.query(sql).await.is_ok() {
                    written.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    while written.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let report = undo(&pg, &backup, folder, "r-late").await.unwrap();
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let failed = pg.on(&failed_name(&pg.db.name, "r-late"));
    let late = "SELECT count(*) FROM public.\"Customer\" WHERE name = 'late';";
    let kept = value(&failed, late).await;
    let words = format!(
        "{kept} rows exist only there, none was updated or deleted there (public.Customer: {kept} inserted)"
    );
    assert!(report.contains(&words), "{kept}: {report}");
    let dump = report.rsplit_once("dump of it: ").unwrap().1;
    let manifest = std::fs::read(format!("{dump}.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let dumped = &manifest["backup"]["state"]["tables"]["public.Customer"]["rows"];
    assert_eq!(dumped.as_u64(), Some(1000 + kept.parse::<u64>().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logical_replication_that_comes_again_does_not_hold_up_a_restore() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(SHOP).await;
    let name = pg.db.name.clone();
    let backup = take(&pg, folder, "r-slot/b").await.unwrap();
    pg.query(
        "INSERT INTO public.\"Customer\" (name) VALUES ('a'); CREATE PUBLICATION p FOR ALL TABLES;",
    )
    .await
    .unwrap();
    let slot = format!("s{name}");
    let receive = |words: &[&str]| {
        pg.tool("pg_recvlogical")
            .args(["-U", "postgres", "-d", &name, "--slot", &slot])
            .args(words.iter().copied())
            .deadline(Duration::from_mins(2))
    };
    let create = receive(&["--create-slot", "-P", "pgoutput"]);
    pg.start(&create).await.unwrap().end().await.unwrap();
    // Without `--no-loop`: ended, it connects again.
    let words = [
        "--start",
        "-o",
        "proto_version=1",
        "-o",
        "publication_names=p",
        "-f",
        "-",
    ];
    let feed = pg.start(&receive(&words)).await.unwrap();
    let seen = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'walsender';"
    );
    let mut tries = 0;
    while value(&pg, &seen).await != "1" {
        tries += 1;
        assert!(tries < 200, "the replication does not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    undo(&pg, &backup, folder, "r-slot").await.unwrap();
    let now = capture::capture(&pg, Look::All).await.unwrap();
    assert!(backup.state.differences(&now, true).is_empty());
    let of = format!("SELECT database FROM pg_replication_slots WHERE slot_name = '{slot}';");
    assert_eq!(value(&pg, &of).await, failed_name(&name, "r-slot"));
    drop(feed);
}
