//! Findings that a person took responsibility for: by a comment in the file, or by an entry in the configuration. Both name
//! the rule and the reason, and both are reported when they suppress nothing.

use super::draft::Draft;
use super::lines::Lines;
use super::op::{Content, Site};
use super::rule::RuleId;

/// What a comment for this check begins with.
pub(super) const MARK: &str = "flow:ignore";
const MARK_FILE: &str = "flow:ignore-file";

/// One `-- flow:ignore RULE reason`.
#[derive(Debug)]
pub(super) struct Directive {
    rule: RuleId,
    pub(super) reason: String,
    /// Bytes it covers.
    from: usize,
    to: usize,
    at: usize,
    used: bool,
}

/// The comments of one file.
#[derive(Debug, Default)]
pub(super) struct Directives {
    all: Vec<Directive>,
    /// What is wrong with comments that cannot be followed.
    wrong: Vec<Draft>,
}

impl Directives {
    pub(super) fn read(parsed: &Content, lines: &Lines<'_>) -> Self {
        let mut found = Self::default();
        for (at, comment) in &parsed.directives {
            for (offset, line) in line_offsets(comment) {
                if line.contains(MARK) {
                    found.line(parsed, lines, at + offset, line);
                }
            }
        }
        found
    }

    fn line(&mut self, parsed: &Content, lines: &Lines<'_>, at: usize, line: &str) {
        let whole = line.contains(MARK_FILE);
        let mark = if whole { MARK_FILE } else { MARK };
        let text = line.split_once(mark).map_or("", |(_, rest)| rest);
        let text = text.trim().trim_end_matches("*/").trim();
        let (rule, reason) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let reason = reason.trim();
        let wrong = match rule.parse::<RuleId>() {
            Err(unknown) => unknown.to_string(),
            Ok(_) if reason.is_empty() => {
                format!("it gives no reason: write `-- {mark} {rule} why this is safe here`")
            }
            Ok(rule) => {
                let (from, to) = if whole {
                    (0, usize::MAX)
                } else {
                    covered(parsed, lines, at)
                };
                self.all.push(Directive {
                    rule,
                    reason: reason.to_owned(),
                    from,
                    to,
                    at,
                    used: false,
                });
                return;
            }
        };
        let message = format!("this suppresses nothing: {wrong}");
        self.wrong.push(Draft::warning(
            RuleId::Suppression,
            &place(at),
            String::new(),
            message,
        ));
    }

    /// The reason for which this finding is suppressed.
    pub(super) fn covers(&mut self, draft: &Draft) -> Option<String> {
        let start = draft.site.start;
        let mut reason = None;
        for each in &mut self.all {
            if each.rule == draft.rule && each.from <= start && start < each.to {
                each.used = true;
                reason.get_or_insert_with(|| each.reason.clone());
            }
        }
        reason
    }

    /// Comments that cannot be followed, and those that suppressed nothing.
    pub(super) fn complaints(self) -> Vec<Draft> {
        let unused = self.all.into_iter().filter(|each| !each.used).map(|each| {
            let message = format!(
                "nothing here is found by {}: remove the suppression (its reason was: {})",
                each.rule, each.reason
            );
            Draft::warning(RuleId::Suppression, &place(each.at), String::new(), message)
        });
        self.wrong.into_iter().chain(unused).collect()
    }
}

fn place(at: usize) -> Site {
    Site {
        start: at,
        end: at,
        inside: None,
    }
}

fn line_offsets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

/// Inside a statement: that line and the next. Behind a statement on its line: that statement. Else: the next statement.
fn covered(parsed: &Content, lines: &Lines<'_>, at: usize) -> (usize, usize) {
    let (line, _) = lines.position(at);
    let inside = parsed
        .spans
        .iter()
        .find(|(start, end)| *start < at && at < *end);
    if inside.is_some() {
        return (lines.start_of(line), lines.start_of(line + 2));
    }
    let behind = parsed.spans.iter().rev().find(|(start, end)| {
        *end <= at && *start < at && lines.position(end.saturating_sub(1)).0 == line
    });
    let next = parsed.spans.iter().find(|(start, _)| *start >= at);
    behind
        .or(next)
        .map_or((at, at), |(start, end)| (*start, *end))
}
