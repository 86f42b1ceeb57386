//! The findings of the migration check, in the forms that people and machines read.

mod github;
mod json;
mod sarif;
mod text;

use flow_lint::migration::{Finding, Level, LintReport, RuleId};
use flow_lint::source::Source;

use crate::args::{Lint, LintFormat};

/// A folder, and what was found in it.
type SourceReport = (Source, LintReport);

/// Prints what was found, in the form that was asked for.
pub(crate) fn show(judged: &[SourceReport], args: &Lint) {
    let notes = args.notes || args.fail_on == crate::args::FailOn::Note;
    let shown = |finding: &Finding| notes || finding.level > Level::Note;
    match args.format {
        LintFormat::Text => super::out(&text::page(judged, &shown)),
        LintFormat::Json => super::out_json(&json::list(judged, &shown)),
        LintFormat::Sarif => super::out_json(&sarif::log(judged, &shown)),
        LintFormat::Github => super::out(&github::annotations(judged, &shown)),
    }
}

/// The file as somebody in the current folder names it.
fn file(source: &Source, finding: &Finding) -> String {
    let elsewhere = finding.rule == RuleId::Suppression && finding.file == "flow.toml";
    if finding.rule == RuleId::SchemaDrift || elsewhere {
        return finding.file.clone();
    }
    let path = source.folder.join(&finding.file);
    let text = path.to_string_lossy().into_owned();
    text.strip_prefix("./").map_or(text.clone(), str::to_owned)
}

/// The line a finding is about.
fn line(source: &Source, finding: &Finding) -> Option<String> {
    if finding.rule == RuleId::SchemaDrift {
        let indent = " ".repeat(finding.column.saturating_sub(1));
        return Some(format!("{indent}{}", finding.statement));
    }
    let migration = source
        .migrations
        .iter()
        .find(|each| each.name == finding.migration)?;
    let line = migration.sql.lines().nth(finding.line.checked_sub(1)?)?;
    Some(line.to_owned())
}

/// What to do instead, with the SQL of this case.
fn fix(finding: &Finding) -> String {
    match &finding.sql {
        Some(sql) => format!("{}\n{sql}", finding.fix),
        None => finding.fix.clone(),
    }
}
