//! Copies that are not begun.

use super::super::cluster::small_disk;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_would_not_fit_writes_not_even_its_backup() {
    let (prod, mut stage) = two().await;
    let dir = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir().unwrap();
    let free = small_disk(&mut stage.db, disk.path());
    std::fs::write(free, "1").unwrap();
    let order = Order {
        dir: dir.path().to_str().unwrap(),
        prefix: "before-copy",
        compression: Compression::Zstd,
        min_free_bytes: 0,
        critical: &[],
        made_by: "r-small/copy",
        progress: &|_| {},
    };
    let policy = policy(Some("email"));
    let refused = copy_all(&prod, &stage, &policy, &order, "r-small").await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("and 1024 are free"), "{error}");
    assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_is_not_copied_onto_itself() {
    let (prod, _) = two().await;
    let policy = policy(Some("email"));
    let refused = copy(&prod, &prod, &policy, "r-self").await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("are the same database"), "{error}");
}
