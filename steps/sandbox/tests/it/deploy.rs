use serde_json::Value;

use crate::shared::{alone_on, eventually, http, sandbox, ssh, ssh_ok};
use flow_sandbox::{Sandbox, SandboxError};

fn deploy(sandbox: &Sandbox, host: &str, commit: &str, env: &str) -> std::process::Output {
    let app = sandbox
        .host(host)
        .expect("a host")
        .app
        .display()
        .to_string();
    let sha = sandbox.commit(commit).expect("a commit").to_owned();
    ssh(
        sandbox,
        host,
        &format!("{env} {app}/deploy/scripts/release.sh deploy {sha}"),
    )
}

fn deployed(sandbox: &Sandbox, host: &str, commit: &str) {
    let output = deploy(sandbox, host, commit, "DEPLOY_PAUSE=0.1");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn health(sandbox: &Sandbox, host: &str) -> (u16, String) {
    let (code, body) = http(
        &sandbox.host(host).expect("a host").base_url,
        "/health",
        None,
    );
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    (code, body["commit"].as_str().unwrap_or_default().to_owned())
}

fn customers(sandbox: &Sandbox, host: &str) -> i64 {
    sandbox
        .sql(host, "select count(*) from \"Customer\"")
        .expect("SQL")
        .parse()
        .expect("a number")
}

#[test]
fn a_deploy_migrates_restarts_and_is_in_the_ledger_once() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("test");
    let s = &shared.sandbox;
    let before = s.ledger("test").expect("a ledger").len();
    let good = s.commit("good").expect("a commit").to_owned();
    let output = deploy(
        s,
        "test",
        "good",
        "FLOW_RUN=r7 FLOW_STEP=test/deploy FLOW_ATTEMPT=2",
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let ledger = s.ledger("test").expect("a ledger").split_off(before);
    let told: Vec<_> = ledger
        .iter()
        .map(|line| {
            (
                &*line.event,
                &*line.run,
                &*line.step,
                &*line.attempt,
                &*line.commit,
                line.status,
            )
        })
        .collect();
    let step = "test/deploy";
    assert_eq!(
        told,
        [
            ("begin", "r7", step, "2", &*good, None),
            ("end", "r7", step, "2", &*good, Some(0))
        ]
    );
    let column =
        "select is_nullable from information_schema.columns where column_name = 'statusNotes'";
    assert_eq!(s.sql("test", column).expect("SQL"), "YES");
    let done = "select count(*) from _prisma_migrations where migration_name like '%status_notes' and finished_at is not null";
    assert_eq!(s.sql("test", done).expect("SQL"), "1");
    eventually("the new version answers", || {
        health(s, "test") == (200, good.clone())
    });
    let query = r#"{"query":"{ customerTasks(limit: 1) { statusNotes } }"}"#;
    let answer = http(
        &s.host("test").expect("a host").base_url,
        "/graphql",
        Some(query),
    )
    .1;
    assert!(answer.contains(r#"{"statusNotes":null}"#), "{answer}");
}

#[test]
fn the_clean_up_of_lost_rows_deletes_three_customers_on_prod_only() {
    let Some(shared) = sandbox() else {
        return;
    };
    let s = &shared.sandbox;
    for (host, lost) in [("test", 0), ("prod", 3)] {
        let _alone = alone_on(host);
        let before = customers(s, host);
        deployed(s, host, "lost-rows");
        assert_eq!(before - customers(s, host), lost, "{host}");
    }
}

#[test]
fn in_a_frozen_database_only_the_migration_may_write() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("stage");
    let s = &shared.sandbox;
    s.sql(
        "stage",
        "alter database postgres set default_transaction_read_only = on",
    )
    .expect("SQL");
    let refused = deploy(s, "stage", "good", "DEPLOY_PAUSE=0");
    let allowed = deploy(
        s,
        "stage",
        "good",
        "DEPLOY_PAUSE=0 FLOW_MIGRATE_PGOPTIONS='-c default_transaction_read_only=off'",
    );
    eventually("the application answers", || health(s, "stage").0 == 200);
    let task = r#"{"query":"mutation { updateTask(id: \"tsk000110\", notes: \"x\") { id } }"}"#;
    let answer = http(
        &s.host("stage").expect("a host").base_url,
        "/graphql",
        Some(task),
    )
    .1;
    let thaw =
        "begin read write; alter database postgres reset default_transaction_read_only; commit";
    s.sql("stage", thaw).expect("SQL");
    assert!(
        !refused.status.success(),
        "a deploy without the exception must fail"
    );
    assert!(
        allowed.status.success(),
        "{}",
        String::from_utf8_lossy(&allowed.stderr)
    );
    assert!(
        answer.contains("read-only transaction"),
        "the application must not inherit the exception: {answer}"
    );
    let failed = s.ledger("stage").expect("a ledger");
    assert!(
        failed
            .iter()
            .any(|line| line.status.is_some_and(|status| status != 0)),
        "{failed:?}"
    );
}

#[test]
fn the_health_commit_is_down_on_prod_and_well_on_test() {
    let Some(shared) = sandbox() else {
        return;
    };
    let s = &shared.sandbox;
    let sha = s.commit("health").expect("a commit").to_owned();
    for (host, code) in [("test", 200), ("prod", 503)] {
        let _alone = alone_on(host);
        deployed(s, host, "health");
        eventually(&format!("{host} answers {code}"), || {
            health(s, host) == (code, sha.clone())
        });
        deployed(s, host, "good");
    }
}

#[test]
fn the_bad_migration_drops_a_column() {
    let Some(shared) = sandbox() else {
        return;
    };
    let s = &shared.sandbox;
    let range = format!(
        "{}..{}",
        s.commit("good").expect("a commit"),
        s.commit("bad-migration").expect("a commit")
    );
    let mut git = std::process::Command::new("git");
    git.args(["-c", "safe.directory=*", "-C"])
        .arg(s.origin())
        .args(["diff", &range, "--", "prisma/migrations"]);
    let diff = String::from_utf8(git.output().expect("git runs").stdout).expect("UTF-8");
    assert!(diff.contains("DROP COLUMN \"phone\""), "{diff}");
    assert!(matches!(
        s.commit("no-such"),
        Err(SandboxError::Unknown { .. })
    ));
}

#[test]
fn an_unknown_commit_is_refused_before_anything_changes() {
    let Some(shared) = sandbox() else {
        return;
    };
    let _alone = alone_on("test");
    let s = &shared.sandbox;
    let app = s.host("test").expect("a host").app.display().to_string();
    let (before, lines) = (
        ssh_ok(s, "test", &format!("git -C {app} rev-parse HEAD")),
        s.ledger("test").expect("lines").len(),
    );
    assert_eq!(
        ssh(
            s,
            "test",
            &format!("{app}/deploy/scripts/release.sh deploy no-such")
        )
        .status
        .code(),
        Some(3)
    );
    assert_eq!(
        ssh_ok(s, "test", &format!("git -C {app} rev-parse HEAD")),
        before
    );
    assert_eq!(s.ledger("test").expect("lines").len(), lines);
}
