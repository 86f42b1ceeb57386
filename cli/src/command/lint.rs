//! `flow lint`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use flow_steps::migration::{self, Level, Report, RuleId};

use crate::args::{FailOn, Global, Lint, LintFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::project;
use crate::view;

/// The migration check on its own, for CI and pre-commit. Reads files only; needs no configuration when a folder is named.
pub(crate) fn run(global: &Global, args: &Lint) -> Result<Exit, Diagnostic> {
    if let Some(rule) = &args.explain {
        return explain(rule);
    }
    let folder = if let Some(path) = &args.path {
        path.clone()
    } else {
        let config = project::setup(global)?.config;
        config
            .path(&config.app.repository)
            .join(&config.app.migrations)
    };
    let migrations = migration::read_folder(&folder).map_err(|e| {
        Diagnostic::usage(format!(
            "the migrations in {} cannot be read",
            folder.display()
        ))
        .because(&e)
    })?;
    let all: BTreeSet<String> = migrations.iter().map(|m| m.name.clone()).collect();
    let pending = match &args.since {
        None => all,
        Some(revision) => changed(&folder, revision)?
            .intersection(&all)
            .cloned()
            .collect(),
    };
    let report = migration::check(&migrations, &pending);
    match args.format {
        LintFormat::Json => view::out_json(&report),
        LintFormat::Text => view::out(&in_words(&report)),
    }
    let fails = |level: Level| level == Level::Error || args.fail_on == FailOn::Warning;
    let found = report.findings.iter().any(|finding| fails(finding.level));
    Ok(if found { Exit::Failed } else { Exit::Done })
}

fn in_words(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let level = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let _infallible = write!(
            text,
            "{}/migration.sql:{}:{}: {level}: {} [{}]\n    {}\n    {}\n",
            finding.migration,
            finding.line,
            finding.column,
            view::clean(&finding.message),
            finding.rule,
            view::clean(&finding.statement),
            view::clean(&finding.fix),
        );
    }
    let (judged, found) = (report.pending, report.findings.len());
    text + &format!(
        "{judged} migrations judged, {} as context, {found} findings\n",
        report.applied
    )
}

fn explain(rule: &str) -> Result<Exit, Diagnostic> {
    let rule: RuleId = rule.parse().map_err(|e: migration::UnknownRule| {
        let known: Vec<String> = RuleId::ALL.iter().map(ToString::to_string).collect();
        Diagnostic::usage(e.to_string()).hint(format!("there are: {}", known.join(", ")))
    })?;
    let words = migration::explain(rule);
    view::out(&format!(
        "{rule}: {}\n\n{}\n\nInstead: {}\n\nBad:\n{}\n\nGood:\n{}\n\nSource: {}\n",
        words.title, words.why, words.fix, words.bad, words.good, words.source
    ));
    Ok(Exit::Done)
}

/// Names of the migrations whose files differ from a revision, new ones that git does not know yet included.
fn changed(folder: &Path, revision: &str) -> Result<BTreeSet<String>, Diagnostic> {
    if revision.starts_with('-') {
        return Err(Diagnostic::usage(format!("`{revision}` is no revision")));
    }
    let mut names = BTreeSet::new();
    for args in [
        &[
            "diff",
            "--name-only",
            "--relative",
            "-z",
            revision,
            "--",
            ".",
        ][..],
        &[
            "ls-files",
            "--others",
            "--exclude-standard",
            "-z",
            "--",
            ".",
        ],
    ] {
        let failed = |why: String| {
            Diagnostic::usage(format!(
                "git cannot compare with `{revision}`: {}",
                why.trim()
            ))
        };
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .output();
        let output = output.map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths = text.split('\0').filter_map(|path| path.split_once('/'));
        names.extend(paths.map(|(name, _)| name.to_owned()));
    }
    Ok(names)
}
