//! What a signer reads.

use super::*;
use crate::means::kinds;
use crate::means::signature::sign_off::SignOff;
use crate::means::signature::statement::{Decision, Statement};
use crate::means::signature::{statement, summary};

fn roster(added: &[String]) -> serde_json::Value {
    serde_json::json!({
        "sha256": "5e".repeat(32), "commit": "c0ffee".repeat(7)[..40], "deployed": "01d0".repeat(10),
        "added": added, "removed": ["qa Anna SHA256:123456"], "elsewhere": [], "unknown": [],
    })
}

/// A run up to its last sign-off, in which these keys were found.
async fn run_with(keys: serde_json::Value) -> flow_engine::run::Run {
    let backup = serde_json::json!({
        "tool": "pg_dump 15", "bytes": 7_340_032, "sha256": "ab".repeat(32), "path": "/data/backups/pre.sql.zst",
    });
    let waiver = |finding: &str, reason: &str| {
        serde_json::json!({
            "finding": finding.repeat(32), "reason": reason, "role": "tech-lead", "signer": "Tim", "fingerprint": "SHA256:t",
            "statement_sha256": "0".repeat(64), "signed_at": 0, "expires_at": 1,
        })
    };
    let checked = serde_json::json!({
        "pending": [{"name": "20260205_add_notes", "sha256": "a"}, {"name": "20260206_add_index", "sha256": "b"}],
        "report": flow_lint::migration::check(&[], &std::collections::BTreeSet::new()),
        "waivers": [waiver("f1", "the table is empty")], "script_passed": false,
    });
    let typed = serde_json::json!({
        "deployed": null, "changes": {}, "found": [], "omitted": 0,
        "not_typed": "there is no node_modules", "waiver": waiver("f2", "read by hand"),
    });
    let plan = plan(&"c0ffee".repeat(7)[..40], &backup, |p| {
        p.phase("more", "More", flow_engine::plan::OnFailure::Park, |p| {
            let asked = SignOff { role: "qa".into(), valid_hours: 24 };
            p.step("gate/roster", Report(keys));
            p.step("schema/migration-safety", Report(checked));
            p.step("schema/nullable-access", Report(typed));
            p.step("prod/backup-verified", Report(serde_json::json!({"restore_seconds": 41, "tables": ["a", "b"], "verdict": "equal"})));
            p.step("test/features", Report(serde_json::Value::Null));
            p.step("more/qa", asked);
        });
    });
    let team = Team::new();
    let mut run = (*start(&engine(Some(team.people())), "r-1", plan).await.0).clone();
    for (node, state) in std::sync::Arc::make_mut(&mut run.plan)
        .nodes
        .iter_mut()
        .zip(&mut run.steps)
    {
        match node.key.as_str() {
            "prod/backup-verified" | "schema/nullable-access" => {
                state.output = Some(node.params.to_string());
            }
            "gate/roster" => {
                node.kind = <Keys as flow_engine::step::Step>::KIND.into();
                state.output = Some(node.params.to_string());
            }
            "schema/migration-safety" => {
                node.kind =
                    <crate::schema::MigrationSafety as flow_engine::step::Step>::KIND.into();
                state.output = Some(node.params.to_string());
            }
            "test/features" => {
                node.kind = kinds::CHECKLIST.into();
                let answered = serde_json::json!({"result": "pass", "note": "", "by": "a tester", "sent_by": "x", "at": 0});
                let result = serde_json::json!({
                    "title": "Test features", "testers": ["a tester"], "results": {"login": answered}, "unanswered": [],
                });
                state.output = Some(result.to_string());
            }
            "signoff/developer" => {
                state.status = Status::Skipped;
                state.skipped = Some("on leave".into());
                continue;
            }
            _ => {}
        }
        state.status = Status::Done;
    }
    run
}

#[tokio::test]
async fn what_was_not_checked_or_waived_and_what_is_pending_is_signed_however_many_keys_changed() {
    let many: Vec<String> = (0..20)
        .map(|n| format!("developer person {n} SHA256:{}", "k".repeat(43)))
        .collect();
    let run = run_with(roster(&many)).await;
    let cut = statement::cut(&run.plan, "more/qa").expect("it is there");
    let shown = summary::lines(&run, cut).join("\n");
    for line in [
        "THE CODE WAS NOT TYPE-CHECKED",
        "WAIVED schema/migration-safety",
        "WAIVED schema/nullable-access",
        "skipped signoff/developer",
        "20 added and 1 taken out",
        "20260206_add_index",
        "more lines; all of them: flow export r-1",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(
        !shown.contains("person 19"),
        "there is no room for all: {shown}"
    );
    let all = summary::reports(&run, run.steps.len()).join("\n");
    assert!(all.contains("person 19"), "the export has them: {all}");
}

#[tokio::test]
async fn the_signed_text_reads_as_what_was_shown() {
    let run = run_with(roster(&["qa Eve SHA256:abcdef".to_owned()])).await;
    let mut said = words("qa", "qa", Decision::Approve, "looked at everything");
    said.issued_at = flow_engine::clock::Timestamp(1_795_000_000_000);
    said.expires_at = said.issued_at.plus(Duration::from_hours(24));
    let statement = statement::build(&run, "more/qa", said).expect("a statement");
    let digest = statement.plan_digest.clone();
    insta::assert_snapshot!(statement.text().replace(&digest, "(plan digest)"));
    assert_eq!(Statement::parse(&statement.text()), Some(statement));
}
