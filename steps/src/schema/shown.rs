//! SQL for the eyes of a reviewer. It is hostile text: what a terminal obeys, or what makes a line read as another one,
//! is written out instead of left out, because a reviewer must see that it is there.

use std::fmt::Write as _;

use serde::Serialize;

use flow_lint::migration::{Finding, Migration};

/// Lines shown of one file, and of all files together. The longest migration of five public histories has 1,100.
const LINES_MAX: usize = 2_000;
const ALL_LINES_MAX: usize = 6_000;
/// Characters shown of one line.
const LINE_MAX: usize = 500;
/// Findings shown beside one file; a file that has more is bad enough.
const FINDINGS_MAX: usize = 100;

/// One pending file beside what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownFile {
    /// The folder name of the migration.
    pub name: String,
    /// The sha256 of the whole file.
    pub sha256: String,
    /// Its text, line by line, with what steers a terminal or turns text written out as `<U+001B>`.
    pub sql: Vec<String>,
    /// How many more lines the file has, or how many lines were cut; nothing when all of it is here.
    pub left_out: Option<String>,
    /// What was found, in the order of its lines.
    pub findings: Vec<ShownFinding>,
}

/// A finding, made safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownFinding {
    /// In which line, from 1.
    pub line: usize,
    /// `note`, `warning` or `error`.
    pub level: &'static str,
    /// The id of the rule, such as `drop-column`.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// The finding's fingerprint, hex: what a waiver names.
    pub digest: String,
}

/// The files, each beside its findings, within the bounds above.
pub(super) fn files(files: &[&Migration], findings: &[Finding]) -> Vec<ShownFile> {
    let mut room = ALL_LINES_MAX;
    files
        .iter()
        .map(|file| {
            let shown = one(file, findings, room);
            room = room.saturating_sub(shown.sql.len());
            shown
        })
        .collect()
}

fn one(file: &Migration, findings: &[Finding], room: usize) -> ShownFile {
    let all = file.sql.lines().count();
    let sql: Vec<String> = file
        .sql
        .lines()
        .take(LINES_MAX.min(room))
        .map(|line| bounded(line, LINE_MAX))
        .collect();
    let long = file
        .sql
        .lines()
        .take(sql.len())
        .filter(|line| line.chars().nth(LINE_MAX).is_some())
        .count();
    let mut missing = Vec::new();
    if all > sql.len() {
        missing.push(format!("{} more lines", all - sql.len()));
    }
    if long > 0 {
        missing.push(format!("the ends of {long} long lines"));
    }
    let of_file = findings.iter().filter(|f| f.migration == file.name);
    let more = of_file.clone().count().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        missing.push(format!("{more} more findings, which `flow lint` shows"));
    }
    let mut found: Vec<ShownFinding> = of_file.take(FINDINGS_MAX).map(ShownFinding::from).collect();
    found.sort_by_key(|f| f.line);
    ShownFile {
        name: visible(&file.name),
        sha256: file.sha256(),
        sql,
        left_out: (!missing.is_empty()).then(|| missing.join(" and ")),
        findings: found,
    }
}

impl From<&Finding> for ShownFinding {
    fn from(finding: &Finding) -> Self {
        ShownFinding {
            line: finding.line,
            level: finding.level.as_str(),
            rule: finding.rule.to_string(),
            message: bounded(&finding.message, LINE_MAX),
            digest: finding.digest.clone(),
        }
    }
}

impl ShownFile {
    /// For a terminal: numbered lines, each finding beneath the line it is about.
    pub fn lines(&self) -> Vec<String> {
        let mut text = vec![format!("== {} sha256 {}", self.name, self.sha256)];
        let mut findings = self.findings.iter().peekable();
        for (number, line) in (1..).zip(&self.sql) {
            text.push(format!("{number:>5} | {line}"));
            while let Some(finding) = findings.next_if(|f| f.line <= number) {
                text.push(finding.in_a_line());
            }
        }
        if let Some(left_out) = &self.left_out {
            text.push(format!(
                "      ! NOT SHOWN: {left_out}; read the file itself"
            ));
        }
        text.extend(findings.map(ShownFinding::in_a_line));
        if self.findings.is_empty() {
            text.push("      = nothing was found in it".to_owned());
        }
        text
    }
}

impl ShownFinding {
    fn in_a_line(&self) -> String {
        let digest: String = self.digest.chars().take(12).collect();
        format!(
            "      ^ line {}: {} {}: {} [{digest}]",
            self.line, self.level, self.rule, self.message
        )
    }
}

/// At most `max` characters of a line, then [`visible`]; an end that is missing is named.
fn bounded(line: &str, max: usize) -> String {
    let kept: String = line.chars().take(max).collect();
    let mut text = visible(&kept);
    let more = line.chars().count().saturating_sub(max);
    if more > 0 {
        let _infallible = write!(text, " <{more} more characters>");
    }
    text
}

/// Text with everything that a reader would not see, or see elsewhere, written out.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _infallible = write!(shown, "<U+{:04X}>", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters but the tab, spaces that are none in SQL, and what Unicode calls format characters, fillers,
/// variation selectors and private use: they are invisible, or turn the direction of what follows.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\t')
        || (c.is_whitespace() && !c.is_ascii())
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(sql: &str) -> Migration {
        Migration {
            name: "1_x".into(),
            sql: sql.into(),
            unreadable: None,
        }
    }

    #[test]
    fn what_a_terminal_obeys_and_what_hides_or_turns_text_is_written_out() {
        let table = [
            ("a\u{1b}[2Jb", "a<U+001B>[2Jb"),
            ("DROP\u{202e}x\u{2066}y", "DROP<U+202E>x<U+2066>y"),
            (
                "a\u{200b}b\u{feff}\u{a0}c\rd",
                "a<U+200B>b<U+FEFF><U+00A0>c<U+000D>d",
            ),
            ("\u{9b}2J\u{7f}\u{e0041}", "<U+009B>2J<U+007F><U+E0041>"),
            ("\ttabs, ü and ✔ stay", "\ttabs, ü and ✔ stay"),
        ];
        for (raw, shown) in table {
            assert_eq!(visible(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_it_is_said_how_much_is_missing() {
        let far = format!("SELECT 1;{}DROP TABLE \"Task\";", " ".repeat(LINE_MAX));
        let long = format!("{far}\n{}", "SELECT 2;\n".repeat(LINES_MAX));
        let file = migration(&long);
        let shown = files(&[&file, &file, &file, &file], &[]);
        assert_eq!(shown[0].sql.len(), LINES_MAX);
        assert_eq!(
            shown[0].left_out.as_deref(),
            Some("1 more lines and the ends of 1 long lines")
        );
        assert!(
            shown[0].sql[0].ends_with(" <27 more characters>"),
            "{}",
            shown[0].sql[0]
        );
        assert!(shown[0].lines().iter().any(|l| l.contains("NOT SHOWN")));
        let all: usize = shown.iter().map(|f| f.sql.len()).sum();
        assert_eq!(all, ALL_LINES_MAX, "all files together are bounded too");
        assert_eq!(shown[3].left_out.as_deref(), Some("2001 more lines"));
    }

    #[test]
    fn a_finding_stands_beneath_its_line() {
        let file = migration("SELECT 1;\nALTER TABLE \"T\" DROP COLUMN \"a\";\nSELECT 2;\n");
        let context = migration("CREATE TABLE \"T\" (\"id\" INT PRIMARY KEY, \"a\" INT);");
        let context = Migration {
            name: "0_init".into(),
            ..context
        };
        let report =
            flow_lint::migration::check(&[context, file.clone()], &["1_x".to_owned()].into());
        let shown = files(&[&file], &report.findings);
        let lines = shown[0].lines();
        let at = lines.iter().position(|l| l.starts_with("    2 |")).unwrap();
        assert!(
            lines[at + 1].starts_with("      ^ line 2: error drop-column: "),
            "{lines:?}"
        );
        assert!(lines[at + 3].starts_with("    3 |"), "{lines:?}");
    }
}
