//! An ordinary role that owns the database and what is in it, and is no superuser.

use super::super::freeze::{freeze, thaw};
use super::super::proof::prove;
use super::super::swap::end_sessions;
use super::cluster::{as_superuser, database, ordinary, value};
use super::*;

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
    let left = end_sessions(&pg, &name).await.unwrap().join("; ");
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
