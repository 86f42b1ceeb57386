//! What the plan of a run froze and the files say otherwise by now.
//!
//! A plan never changes: what is signed names its digest. So a step that is tried again goes on with the parameters it
//! was planned with, and a correction of `flow.toml` reaches it only in a new run. Saying that is worth more than the
//! same failure once more.

use std::fmt::Write as _;

use flow_engine::plan::Plan;
use flow_engine::run::Run;
use flow_engine::step::Step as _;
use flow_steps::pg::CopySafe;
use serde_json::Value;

use crate::session::Session;
use crate::view::{self, next};

/// So many differences are named, each value cut at so many characters.
const NAMED: usize = 5;
const VALUE: usize = 80;

/// Says what differs for the step that a parked run stopped at, if anything does.
pub(super) fn say(session: &Session, run: &Run) {
    // What cannot be planned today is not compared.
    if let Ok(workflow) = session.workflows().named(&run.plan.workflow)
        && let Ok(project) = session.project()
        && let Ok(Some(today)) = workflow.plan_again(project, &run.plan.facts)
        && let Some(words) = in_words(run, &today)
    {
        view::note(&words);
    }
}

fn in_words(run: &Run, today: &Plan) -> Option<String> {
    let (key, _) = next::culprit(run)?;
    let (_, planned) = run.plan.node(key)?;
    let id = &run.id;
    let Some((_, now)) = today.node(key) else {
        return Some(format!(
            "step `{key}` is not in a plan of today's configuration any more; run {id} goes on with its own plan\n"
        ));
    };
    // The one file that is read anew at each try.
    let anew = |name: &str| planned.kind == CopySafe::KIND && name == "policy";
    let mut differ = Vec::new();
    differences("", &planned.params, &now.params, &mut differ);
    differ.retain(|line| !anew(line.split(['.', ':']).next().unwrap_or_default()));
    if differ.is_empty() {
        return None;
    }
    let more = differ.len().saturating_sub(NAMED);
    differ.truncate(NAMED);
    let mut text = format!(
        "step `{key}` goes on with what the plan of run {id} froze; the configuration says otherwise by now:\n"
    );
    for line in &differ {
        let _infallible = writeln!(text, "  {}", view::clean(line));
    }
    if more > 0 {
        let _infallible = writeln!(text, "  and {more} more");
    }
    let commit = match run.plan.fact("commit") {
        "" => String::new(),
        commit => format!(" --commit {commit}"),
    };
    let again = if tested(run) {
        format!("flow start promote{commit}")
    } else {
        format!("flow start {}{commit}", run.plan.workflow)
    };
    let end = if run.production_changed() {
        "rollback"
    } else {
        "cancel"
    };
    let _infallible = write!(
        text,
        "Only a new run takes that:\n  flow {end} {id} --reason …\n  {again}\n\n"
    );
    Some(text)
}

/// Each value that differs, by its path.
fn differences(at: &str, planned: &Value, now: &Value, found: &mut Vec<String>) {
    if planned == now {
        return;
    }
    match (planned, now) {
        (Value::Object(planned), Value::Object(now)) => {
            let names: std::collections::BTreeSet<&String> =
                planned.keys().chain(now.keys()).collect();
            for name in names {
                let path = if at.is_empty() {
                    name.clone()
                } else {
                    format!("{at}.{name}")
                };
                let value = |map: &serde_json::Map<String, Value>| {
                    map.get(name).cloned().unwrap_or_default()
                };
                differences(&path, &value(planned), &value(now), found);
            }
        }
        (planned, now) => {
            let short = |value: &Value| view::cut(&value.to_string(), VALUE);
            found.push(format!(
                "{at}: {} in the plan, {} now",
                short(planned),
                short(now)
            ));
        }
    }
}

/// Whether this run passed every environment before production, so that another may go on from there.
fn tested(run: &Run) -> bool {
    let phases = run.plan.phases.iter().map(|phase| phase.key.as_str());
    let before: Vec<&str> = phases
        .skip_while(|key| *key != "schema")
        .skip(1)
        .take_while(|key| *key != "prepare")
        .collect();
    let passed = before.iter().all(|phase| run.phase_passed(phase));
    run.plan.workflow == "release" && !before.is_empty() && passed
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flow_engine::journal::memory::MemoryJournal;

    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn what_a_plan_froze_and_the_files_say_otherwise_is_named_with_what_takes_it() {
        let journal = Arc::new(MemoryJournal::default());
        let (run, _) = testing::driven(&journal, vec![], true).await;
        let same = testing::plan(true);
        assert_eq!(in_words(&run, &same), None);
        let words = in_words(&run, &testing::plan(false)).expect("`fails` differs");
        assert!(
            words.contains("step `prep/look` goes on with what the plan of run r-test froze"),
            "{words}"
        );
        assert!(
            words.contains("fails: true in the plan, false now"),
            "{words}"
        );
        assert!(words.contains("flow cancel r-test --reason …"), "{words}");
        assert!(
            words.contains("flow start release --commit 0123456789abcdef"),
            "{words}"
        );
    }

    #[test]
    fn only_what_differs_is_named_by_its_path() {
        let planned = serde_json::json!({"a": {"b": [1, 2], "c": "x"}, "d": 1});
        let now = serde_json::json!({"a": {"b": [1, 3], "c": "x"}, "d": 1, "e": true});
        let mut found = Vec::new();
        differences("", &planned, &now, &mut found);
        assert_eq!(
            found,
            [
                "a.b: [1,2] in the plan, [1,3] now",
                "e: null in the plan, true now"
            ]
        );
    }
}
