//! `flow doctor`: whether a release could run from here, and what is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flow_engine::run::Run;
use flow_engine::signal::Order;
use flow_workflows::doctor::Finding;

use crate::args::Doctor;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::state::State;
use crate::store::{LOOK, Past, Store};
use crate::view;

/// Looks at everything a run will need and says what to do about what is not right.
pub(crate) async fn run(session: &Session, args: &Doctor) -> Result<Exit, Diagnostic> {
    let state = session.state()?;
    let unanswered = flow_workflows::doctor::unanswered(&session.config_path()?);
    let setup = match session.setup() {
        Ok(setup) => setup,
        Err(unusable) => {
            // What waits for an answer is named all the same: it may be why.
            print(args, &unanswered);
            return Err(unusable);
        }
    };
    let (own, ways) = journal(state).await;
    let mut findings = vec![own];
    findings.extend(unanswered);
    let known = |run: &str| ways.get(run).cloned();
    findings.extend(setup.doctor(args.env.as_deref(), &known).await);
    print(args, &findings);
    let well = findings.iter().all(|finding| finding.ok);
    Ok(if well { Exit::Done } else { Exit::Failed })
}

fn print(args: &Doctor, findings: &[Finding]) {
    if args.json {
        view::out_json(&findings);
    } else {
        view::out(&findings.iter().map(in_words).collect::<String>());
    }
}

fn in_words(finding: &Finding) -> String {
    let sign = if finding.ok { "✔" } else { "✘" };
    let (place, what) = (&finding.place, &finding.what);
    let mut text = format!(
        "{sign} {place:<6} {what:<26} {}\n",
        view::clean(&finding.found)
    );
    if !finding.ok {
        let _infallible = writeln!(text, "{:36}{}", "", view::clean(&finding.fix));
    }
    text
}

/// What to do about each run that is not over.
type WaysOut = BTreeMap<String, String>;

async fn journal(state: &State) -> (Finding, WaysOut) {
    let mut finding = Finding {
        place: "here".into(),
        what: "journal".into(),
        ok: true,
        found: "there is none yet; the first run makes it".into(),
        fix: String::new(),
    };
    let mut ways = WaysOut::new();
    if !state.journal().exists() {
        return (finding, ways);
    }
    match read(state, &mut ways).await {
        Ok(found) => finding.found = found,
        Err(diagnostic) => {
            finding.ok = false;
            finding.found = diagnostic.message;
            finding.fix = diagnostic.hints.first().cloned().unwrap_or_default();
        }
    }
    (finding, ways)
}

async fn read(state: &State, ways: &mut WaysOut) -> Result<String, Diagnostic> {
    let store = Store::open(state).await?;
    let past = store.past().await?;
    let open = past.runs.iter().filter(|run| !run.is_finished());
    ways.extend(open.map(|run| (run.id.to_string(), way_out(run, store.driven()))));
    match &store {
        Store::Remote(client) => Ok(format!("in use by {}, who answers", client.server.holder)),
        Store::Held(_) | Store::Closed(_) | Store::Lying { .. } => whole(&past),
    }
}

/// How a run goes on that is not over: unlocking what it holds would take that away in the middle.
fn way_out(run: &Run, driven: Option<&str>) -> String {
    let id = &run.id;
    if driven == Some(id.as_str()) {
        return format!("flow status {id}     it is being driven here, and gives the lease back");
    }
    let undo = if run.accepts(&Order::Cancel).is_ok() {
        format!("; or flow cancel {id} --reason …")
    } else if run.accepts(&Order::Rollback).is_ok() {
        format!("; or flow rollback {id} --reason …")
    } else {
        String::new()
    };
    format!("go on with it: flow resume {id}{undo}")
}

fn whole(past: &Past) -> Result<String, Diagnostic> {
    let Some(damaged) = past.damaged.first() else {
        return Ok(format!("whole; {} runs", past.runs.len()));
    };
    let count = past.damaged.len();
    let message = format!("{count} damaged, such as {}: {}", damaged.id, damaged.why);
    Err(Diagnostic::usage(message).hint(LOOK))
}

#[cfg(test)]
mod tests {
    use flow_engine::plan::OnFailure;
    use flow_engine::planner::Planner;
    use flow_engine::record::Record;

    use super::*;
    use crate::testing::{self, Change};

    #[test]
    fn a_run_that_is_not_over_is_resumed_or_undone_and_one_that_is_driven_is_left_alone() {
        let mut planner = Planner::new("release", "test-1", "prod", "flow test");
        planner.phase("prepare", "prepare", OnFailure::Park, |p| {
            p.step("prod/lease", Change);
        });
        planner.phase("deploy", "deploy", OnFailure::Rollback, |p| {
            p.step("prod/deploy", Change);
        });
        let plan = planner.finish().expect("the plan is sound");
        let begun = |over: u32| {
            let mut records: Vec<Record> = (0..over).flat_map(testing::done).collect();
            records.push(Record::Started {
                step: over,
                attempt: 1,
            });
            testing::run_of("r-held", &plan, &records)
        };
        for over in [0, 1] {
            let said = way_out(&begun(over), None);
            assert!(said.contains("flow resume r-held; or flow "), "{said}");
            assert!(!said.contains("unlock"), "{said}");
        }
        assert!(way_out(&begun(1), None).contains("flow rollback r-held"));
        let driven = way_out(&begun(1), Some("r-held"));
        assert!(driven.starts_with("flow status r-held"), "{driven}");
    }
}
