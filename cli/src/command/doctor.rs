//! `flow doctor`.

use std::fmt::Write as _;

use flow_workflows::doctor::Finding;

use crate::args::{Doctor, Global};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::state::State;
use crate::store::{LOOK, Past, Store};
use crate::view;

/// Looks at everything a run will need and says what to do about what is not right.
pub(crate) async fn run(global: &Global, args: &Doctor) -> Result<Exit, Diagnostic> {
    let (state, setup) = project::open(global)?;
    let mut findings = vec![journal(&state).await];
    findings.extend(setup.doctor(args.env.as_deref()).await);
    if args.json {
        view::out_json(&findings);
    } else {
        view::out(&findings.iter().map(in_words).collect::<String>());
    }
    let well = findings.iter().all(|finding| finding.ok);
    Ok(if well { Exit::Done } else { Exit::Failed })
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
        Ok(Store::Open(journal) | Store::Lying { journal, .. }) => {
            match Past::of(&*journal).await {
                Ok(past) => whole(&past),
                Err(diagnostic) => Err(diagnostic),
            }
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

fn whole(past: &Past) -> Result<String, Diagnostic> {
    let Some(damaged) = past.damaged.first() else {
        return Ok(format!("whole; {} runs", past.runs.len()));
    };
    let count = past.damaged.len();
    let message = format!("{count} damaged, such as {}: {}", damaged.id, damaged.why);
    Err(Diagnostic::usage(message).hint(LOOK))
}
