//! `--replay`: the history run in a throw-away database, and what it shows beside what the text check says.

use std::collections::BTreeSet;
use std::path::Path;

use flow_lint::migration::{self, LintReport, MAX_FILE, Origin, Weighing};
use flow_lint::replay::{self, Options, Place, ReplayError};
use flow_lint::source::Source;

use crate::args::Lint;
use crate::diagnostic::Diagnostic;
use crate::view;

/// Adds the findings of a replay. Nothing that could not be replayed passes in silence: it is a finding, or ends the command.
pub(super) fn add(
    linted: &mut LintReport,
    source: &Source,
    pending: &BTreeSet<String>,
    (args, weighing): (&Lint, &mut Weighing<'_>),
) -> Result<(), Diagnostic> {
    let Some(place) = &args.replay else {
        return Ok(());
    };
    let options = Options {
        place: place_of(place)?,
        setup: args.replay_setup.as_deref().map(read).transpose()?,
        ..Options::default()
    };
    // Compared is what the check itself says, whatever a team makes of it afterwards.
    let report = migration::check(&source.migrations, pending);
    let done =
        replay::replay(&source.migrations, pending, &report, &options).map_err(|e| failed(&e))?;
    view::note(&format!(
        "{}: {}\n",
        source.folder.display(),
        done.in_words()
    ));
    // What lies behind a migration that failed, and that one itself, was compared with nothing.
    let names = source.migrations.iter().map(|each| &each.name);
    let in_order = names.filter(|name| pending.contains(*name));
    let compared = in_order.take(done.compared).cloned().collect();
    weighing.asked(Origin::Replay, &compared);
    weighing.add(linted, done.findings);
    Ok(())
}

fn place_of(text: &str) -> Result<Place, Diagnostic> {
    if text.is_empty() {
        return Ok(Place::Own { bin: None });
    }
    super::url(text).map(Place::Server)
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let wrong = |why: &str| {
        Diagnostic::usage(format!(
            "the file {} cannot set a replay up: {why}",
            path.display()
        ))
    };
    let size = std::fs::metadata(path)
        .map_err(|e| wrong(&e.to_string()))?
        .len();
    if size > MAX_FILE {
        return Err(wrong("it is too large"));
    }
    std::fs::read_to_string(path).map_err(|e| wrong(&e.to_string()))
}

fn failed(error: &ReplayError) -> Diagnostic {
    let diagnostic = Diagnostic::usage(error.to_string());
    match error {
        ReplayError::NoServer => diagnostic
            .hint("install PostgreSQL's server, or name one that is there: --replay=postgres://…"),
        ReplayError::Start(_) => {
            diagnostic.hint("--replay=postgres://… uses a server that is there")
        }
        ReplayError::Setup(_) => diagnostic
            .hint("it runs in an empty database, as the owner; correct the file of --replay-setup"),
        _ => diagnostic,
    }
}
