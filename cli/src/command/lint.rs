//! `flow lint`.

use std::collections::BTreeSet;

use flow_lint::migration::history::Fault;
use flow_lint::migration::{self, Level, Linted, RuleId};

use crate::args::{FailOn, Lint, LintFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

mod database;
mod drift;
mod replay;
mod settings;
mod since;
mod source;

use settings::File;
pub(crate) use source::Source;

/// The migration check on its own, for CI and pre-commit. Reads files only (and, when asked, which migrations a database has
/// applied, or what a replay in a throw-away database shows); needs no configuration when a folder is named.
pub(crate) async fn run(session: &Session, args: &Lint) -> Result<Exit, Diagnostic> {
    if let Some(rule) = &args.explain {
        return explain(rule);
    }
    let file = settings::read(session)?;
    let mut judged = Vec::new();
    for source in source::all(&file, &args.paths)? {
        let linted = judge(&source, args, &file).await?;
        judged.push((source, linted));
    }
    view::lint::show(&judged, args);
    let least = match args.fail_on {
        FailOn::Note => Level::Note,
        FailOn::Warning => Level::Warning,
        FailOn::Error => Level::Error,
    };
    let mut findings = judged
        .iter()
        .flat_map(|(_, linted)| &linted.report.findings);
    Ok(if findings.any(|finding| finding.level >= least) {
        Exit::Failed
    } else {
        Exit::Done
    })
}

async fn judge(source: &Source, args: &Lint, file: &File) -> Result<Linted, Diagnostic> {
    let settings = &file.lint;
    let mut compared = match (&args.since, &args.database) {
        (Some(revision), _) => since::compare(source, revision)?,
        (None, Some(url)) => database::compare(source, url)?,
        (None, None) => Compared {
            new: source.names(),
            ..Compared::default()
        },
    };
    if let Some(only) = &source.only {
        compared.new.retain(|name| only.contains(name));
    }
    let mut linted = migration::lint(&source.migrations, &compared.new, settings);
    let own = compared.schema.as_deref().unwrap_or("public");
    let said = drift::add(&mut linted, source, own, file).await?;
    if matches!(args.format, LintFormat::Text) {
        view::note(&said);
    }
    replay::add(&mut linted, source, &compared.new, (args, settings))?;
    let faults = compared.faults.into_iter().map(migration::historical);
    let twice = migration::already_there(&source.migrations, &compared.new, &compared.tables);
    linted.report.findings.splice(0..0, faults.chain(twice));
    Ok(linted)
}

/// What is new, and what is no longer what it was.
#[derive(Default)]
struct Compared {
    new: BTreeSet<String>,
    faults: Vec<Fault>,
    /// Tables that the database has, when one was asked.
    tables: BTreeSet<String>,
    /// The application's own schema, when a database was asked.
    schema: Option<String>,
}

fn explain(rule: &str) -> Result<Exit, Diagnostic> {
    if rule.is_empty() {
        for &rule in RuleId::ALL {
            view::out(&format!("{rule:<28} {}\n", migration::explain(rule).title));
        }
        return Ok(Exit::Done);
    }
    let rule: RuleId = rule.parse().map_err(|e: migration::UnknownRule| {
        Diagnostic::usage(e.to_string()).hint("flow lint --explain     lists the rules")
    })?;
    let words = migration::explain(rule);
    view::out(&format!(
        "{rule}: {}\n\n{}\n\nInstead: {}\n\nFound:\n{}\n\nNot found:\n{}\n\nSource: {}\n",
        words.title, words.why, words.fix, words.bad, words.good, words.source
    ));
    Ok(Exit::Done)
}
