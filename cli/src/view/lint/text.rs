//! For people: the source, underlined, and what to do.

use std::fmt::Write as _;

use flow_lint::migration::{Finding, Level};

use super::{SourceReport, file, line};
use crate::view::{clean, cut};

/// Characters of a source line that are shown.
const WIDTH: usize = 160;

pub(super) fn page(judged: &[SourceReport], shown: &dyn Fn(&Finding) -> bool) -> String {
    let mut page = String::new();
    for (source, linted) in judged {
        for finding in linted.report.findings.iter().filter(|each| shown(each)) {
            one(
                &mut page,
                &file(source, finding),
                line(source, finding).as_deref(),
                finding,
            );
        }
    }
    page + &summary(judged, shown)
}

fn one(page: &mut String, file: &str, source: Option<&str>, finding: &Finding) {
    let Finding { line, column, .. } = finding;
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let _infallible = writeln!(
        page,
        "{}[{}]: {}\n{margin}--> {}:{line}:{column}",
        finding.level.as_str(),
        finding.rule,
        clean(&finding.message),
        clean(file),
    );
    if let Some(source) = source {
        let source = clean(&source.replace('\t', " "));
        let before = column.saturating_sub(1).min(WIDTH);
        let length = finding.length.clamp(1, WIDTH.saturating_sub(before).max(1));
        let _infallible = writeln!(
            page,
            "{margin} |\n{number} | {}\n{margin} | {}{}",
            cut(&source, WIDTH),
            " ".repeat(before),
            "^".repeat(length)
        );
    }
    let mut say = |what: &str, text: &str| {
        for (at, each) in text.lines().enumerate() {
            let what = if at == 0 { what } else { "" };
            let _infallible = writeln!(page, "{margin} = {what:<8}{}", clean(each));
        }
    };
    say("instead:", &format!(" {}", finding.fix));
    if let Some(sql) = &finding.sql {
        say("", sql);
    }
    if let Some(query) = &finding.query {
        say("ask:", query);
    }
    page.push('\n');
}

fn summary(judged: &[SourceReport], shown: &dyn Fn(&Finding) -> bool) -> String {
    let sum = |number: &dyn Fn(&SourceReport) -> usize| judged.iter().map(number).sum::<usize>();
    let level = |level: Level| {
        sum(&|(_, linted)| {
            linted
                .report
                .findings
                .iter()
                .filter(|each| each.level == level)
                .count()
        })
    };
    let hidden = sum(&|(_, linted)| {
        linted
            .report
            .findings
            .iter()
            .filter(|each| !shown(each))
            .count()
    });
    let suppressed = sum(&|(_, linted)| linted.suppressed.len());
    let mut text = format!(
        "{} migrations judged, {} as context: {} errors, {} warnings",
        sum(&|(_, linted)| linted.report.pending),
        sum(&|(_, linted)| linted.report.applied),
        level(Level::Error),
        level(Level::Warning),
    );
    if hidden > 0 {
        let _infallible = write!(text, "; {hidden} notes not shown (--notes)");
    }
    if suppressed > 0 {
        let _infallible = write!(text, "; {suppressed} suppressed with a reason");
    }
    text.push('\n');
    text
}
