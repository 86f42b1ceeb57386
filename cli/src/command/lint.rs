//! `flow lint`: what pending migrations do, and whether code and schema fit.

use flow_lint::baseline::Baseline;
use flow_lint::migration::{self, Finding, Level, LintReport, RuleId, Weighing};
use flow_lint::settings::{File, FileError};
use flow_lint::since::SinceError;
use flow_lint::source::{Source, SourceError};
use flow_lint::{database, since, source};

use crate::args::{FailOn, Lint, LintFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

mod code;
mod drift;
mod replay;

/// The migration check on its own, for CI and pre-commit. Reads files only (and, when asked, which migrations a database has
/// applied, or what a replay in a throw-away database shows); needs no configuration when a folder is named. With `--code`
/// it is the check of code against a changed schema.
pub(crate) async fn run(session: &Session, args: &Lint) -> Result<Exit, Diagnostic> {
    if args.code {
        return code::run(session, args).await;
    }
    if let Some(rule) = &args.explain {
        return explain(rule);
    }
    let file = configured(session)?;
    let sources = if args.paths.is_empty() {
        source::all(&[file.migrations()?])?
    } else {
        source::all(&args.paths)?
    };
    let mut weighing = Weighing::new(&file.lint);
    let mut judged = Vec::new();
    for source in sources {
        let linted = judge(&source, args, &file, &mut weighing).await?;
        judged.push((source, linted));
    }
    for finding in weighing.unused() {
        blame(&mut judged, finding);
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

/// Without a file the defaults; a file that cannot be read or does not say what it should is refused.
fn configured(session: &Session) -> Result<File, Diagnostic> {
    match session.config_path() {
        Ok(path) => Ok(File::read(path)?),
        Err(_) if session.named_config().is_none() => Ok(File::default()),
        Err(error) => Err(error.into()),
    }
}

/// A finding about the configuration belongs to the folder with the migration it names, else to the first.
fn blame(judged: &mut [(Source, LintReport)], finding: Finding) {
    let names = |source: &Source| source.names().contains(&finding.migration);
    let at = judged.iter().position(|(source, _)| names(source));
    if let Some((_, linted)) = judged.get_mut(at.unwrap_or(0)) {
        linted.report.findings.push(finding);
    }
}

async fn judge(
    source: &Source,
    args: &Lint,
    file: &File,
    weighing: &mut Weighing<'_>,
) -> Result<LintReport, Diagnostic> {
    let mut compared = match (&args.since, &args.database) {
        (Some(revision), _) => since::compare(source, revision)?,
        (None, Some(text)) => database::compare(source, &url(text)?).map_err(|e| unasked(&e))?,
        (None, None) => Baseline {
            new: source.names(),
            ..Baseline::default()
        },
    };
    if let Some(only) = &source.only {
        compared.new.retain(|name| only.contains(name));
    }
    let mut linted = migration::lint(&source.migrations, &compared.new, weighing);
    let own = compared.schema.as_deref().unwrap_or("public");
    let said = drift::add(&mut linted, source, own, (file, weighing)).await?;
    if matches!(args.format, LintFormat::Text) {
        view::note(&said);
    }
    replay::add(&mut linted, source, &compared.new, (args, weighing))?;
    let faults = compared.faults.into_iter().map(migration::historical);
    let twice = migration::already_there(&source.migrations, &compared.new, &compared.tables);
    linted.report.findings.splice(0..0, faults.chain(twice));
    Ok(linted)
}

/// A URL, or the environment variable that holds one.
fn url(text: &str) -> Result<String, Diagnostic> {
    match text.strip_prefix("env:") {
        None => Ok(text.to_owned()),
        Some(name) => std::env::var(name)
            .map_err(|_| Diagnostic::usage(format!("the environment variable {name} is not set"))),
    }
}

fn unasked(error: &database::DatabaseError) -> Diagnostic {
    use database::DatabaseError as E;
    match error {
        E::Url(_) => Diagnostic::usage("--database is no URL of PostgreSQL")
            .because(error)
            .hint("postgresql://user@host:5432/database?schema=public"),
        _ => Diagnostic::usage("the database cannot be asked what it has applied").because(error),
    }
}

impl From<SourceError> for Diagnostic {
    fn from(error: SourceError) -> Self {
        Diagnostic::of(&error)
    }
}

impl From<SinceError> for Diagnostic {
    fn from(error: SinceError) -> Self {
        let diagnostic = Diagnostic::of(&error);
        match error {
            SinceError::NoRevision(_) => diagnostic,
            _ => diagnostic.hint("in CI the history must be there: fetch-depth: 0"),
        }
    }
}

impl From<FileError> for Diagnostic {
    fn from(error: FileError) -> Self {
        let diagnostic = Diagnostic::of(&error);
        match error {
            FileError::NoMigrations(_) => diagnostic.hint("flow lint prisma/migrations"),
            _ => diagnostic,
        }
    }
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
