//! `flow doctor`.

use flow_workflows::setup::{Finding, Setup, SetupError};
use std::fmt::Write as _;

use crate::args::{Doctor, Global};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people;
use crate::project;
use crate::state::State;
use crate::store::Store;
use crate::view;

/// Looks at everything a run will need and says what to do about what is not right.
pub(crate) async fn run(global: &Global, args: &Doctor) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    let mut findings = vec![journal(&state).await];
    findings.extend(examine(&setup));
    if args.json {
        view::out_json(&findings);
    } else {
        view::out(&findings.iter().map(in_words).collect::<String>());
    }
    let well = findings.iter().all(|finding| finding.ok);
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// Everything that can be looked at without a host: the files, and that somebody can sign for every role.
fn examine(setup: &Setup) -> Vec<Finding> {
    let roster = people::roster(setup);
    let mut findings = vec![
        finding("configuration", Ok("flow.toml can be used".to_owned())),
        finding(
            "hosts and secrets",
            setup.resources().map(|_| "named ones are there".to_owned()),
        ),
        finding(
            "mail",
            setup.notifier().map(|notifier| match notifier {
                Some(_) => "the team is told".to_owned(),
                None => "nobody is told: there is no [mail]".to_owned(),
            }),
        ),
    ];
    let roster = match roster {
        Ok(roster) => roster,
        Err(error) => {
            findings.push(finding("people", Err(error)));
            return findings;
        }
    };
    for role in &setup.config.signoff.roles {
        let count = roster.of_role(role).len();
        let found = match count {
            0 => Err(SetupError::Other("nobody may sign as this role".into())),
            _ => Ok(format!("{count} may sign")),
        };
        findings.push(finding(&format!("role {role}"), found));
    }
    findings
}

fn finding(what: &str, found: Result<String, SetupError>) -> Finding {
    let ok = found.is_ok();
    Finding {
        place: "here".into(),
        what: what.into(),
        ok,
        found: found.unwrap_or_else(|e| e.to_string()),
        fix: if ok {
            String::new()
        } else {
            "correct the file it names, or flow.people.toml for a role".into()
        },
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

async fn journal(state: &State) -> Finding {
    let mut finding = Finding {
        place: "here".into(),
        what: "journal".into(),
        ok: true,
        found: "there is none yet; the first run makes it".into(),
        fix: String::new(),
    };
    if !state.journal().exists() {
        return finding;
    }
    let opened = match Store::open(state).await {
        Ok(Store::Remote(client)) => Ok(format!("in use by {}, who answers", client.server.holder)),
        Ok(Store::Open(journal)) => {
            let runs = journal
                .runs()
                .await
                .map(|runs| runs.len())
                .unwrap_or_default();
            Ok(format!("whole; {runs} runs"))
        }
        Err(diagnostic) => Err(diagnostic),
    };
    match opened {
        Ok(found) => finding.found = found,
        Err(diagnostic) => {
            finding.ok = false;
            finding.found = diagnostic.message;
            finding.fix = diagnostic.hints.first().cloned().unwrap_or_default();
        }
    }
    finding
}
