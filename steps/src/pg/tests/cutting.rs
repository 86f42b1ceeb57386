//! Answers that were cut off by a program in between which says that all is well.

use std::os::unix::fs::PermissionsExt as _;

use flow_engine::step::StepError;

use super::super::scratch;
use super::cluster::{database, value};
use super::*;
use crate::means::psql::sessions::{Whom, end};
use crate::means::read_only::freeze;

/// The same database behind a `psql` that stands for the client of `docker exec`: told to terminate, it ends with 0,
/// whatever it has passed on by then. `{psql}` is the real one with its arguments.
fn through(pg: &Pg, dir: &std::path::Path, script: &str) -> Pg {
    let real = format!("{}/psql \"$@\"", pg.db.bin.as_deref().unwrap());
    let path = dir.join("psql");
    let text = script.replace("{psql}", &real);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\nexit 0\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut odd = pg.clone();
    odd.db.bin = Some(dir.to_str().unwrap().to_owned());
    odd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_its_end_is_no_answer_although_the_program_ended_well() {
    let (pg, dir) = (database(SHOP).await, tempfile::tempdir().unwrap());
    for script in ["cat >/dev/null", "{psql} | head -c 8", "{psql} | head -c 0"] {
        let cut = through(&pg, dir.path(), script);
        let error = cut.query("SELECT 'one'; SELECT 'two';").await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("outcome is unknown"), "{error}");
        // Where nothing means "fine".
        assert!(scratch::find(&cut, &pg.db.name).await.is_err(), "{script}");
        assert!(end(&cut, &pg.db.name, Whom::All).await.is_err(), "{script}");
        assert!(freeze(&cut).await.is_err(), "{script}");
        let mut feed = cut
            .stream("COPY (SELECT g FROM generate_series(1, 9) g) TO STDOUT;")
            .await
            .unwrap();
        while feed.next().await.is_some() {}
        assert!(feed.end().await.unwrap_err().is_transient(), "{script}");
    }
    let gone = through(&pg, dir.path(), "head -c 10 >/dev/null");
    let mut session = gone.session().await.unwrap();
    assert!(session.ask("SELECT 1;").await.unwrap_err().is_transient());
    let cut = through(&pg, dir.path(), "cat >/dev/null");
    let changed = cut.query("CREATE TABLE public.made (i int);").await;
    assert!(changed.is_err(), "nothing ran");
    assert_eq!(
        value(&pg, "SELECT to_regclass('public.made') IS NULL;").await,
        "t"
    );
    // None of it is evidence against a release.
    let lost = pg.sql_error("connection to server on socket failed");
    let closed = PgError::Cut(Box::new(changed.unwrap_err()), pg.db.name.clone());
    for silent in [lost, closed] {
        let silent = StepError::from(silent);
        assert!(matches!(silent, StepError::Unreached(_)), "{silent:?}");
    }
    let whole = through(&pg, dir.path(), "{psql}");
    assert_eq!(value(&whole, "SELECT 'one'; SELECT 2").await, "one|2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_docker_exec_says_on_standard_output_is_told() {
    let (pg, dir) = (database("").await, tempfile::tempdir().unwrap());
    let says = "printf 'OCI runtime exec failed: exec: \"psql\": executable file not found in $PATH\\r\\n'; exit 127";
    let missing = through(&pg, dir.path(), says);
    let error = missing.query("SELECT 1;").await.unwrap_err().to_string();
    assert!(
        error.ends_with("executable file not found in $PATH (the program exited with 127)"),
        "{error:?}"
    );
    let stream = missing.stream("SELECT 1;").await.unwrap();
    let error = stream.end().await.unwrap_err().to_string();
    assert!(error.contains("executable file not found"), "{error:?}");
    let mut session = missing.session().await.unwrap();
    let error = session.ask("SELECT 1;").await.unwrap_err().to_string();
    assert!(error.contains("executable file not found"), "{error:?}");
    // A program that ran has its rows there, and they are not repeated.
    let ran = through(&pg, dir.path(), "echo anna; exit 3");
    let error = ran.query("SELECT 1;").await.unwrap_err().to_string();
    assert!(!error.contains("anna"), "{error}");
}
