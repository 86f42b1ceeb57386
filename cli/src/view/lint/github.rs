//! For GitHub Actions: workflow commands that become annotations of the changed lines.

use std::fmt::Write as _;

use flow_lint::migration::{Finding, Level};

use super::{SourceReport, file, fix};

pub(super) fn annotations(judged: &[SourceReport], shown: &dyn Fn(&Finding) -> bool) -> String {
    let mut text = String::new();
    for (source, linted) in judged {
        for finding in linted.report.findings.iter().filter(|each| shown(each)) {
            let command = match finding.level {
                Level::Note => "notice",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let mut message = format!("{}\n\nInstead: {}", finding.message, fix(finding));
            if let Some(query) = &finding.query {
                let _infallible = write!(message, "\n\nAsk the data: {query}");
            }
            let _infallible = writeln!(
                text,
                "::{command} file={},line={},col={},title={}::{}",
                property(&file(source, finding)),
                finding.line,
                finding.column,
                property(finding.rule.as_str()),
                data(&message)
            );
        }
    }
    text
}

/// The escapes of the runner (actions/toolkit, `command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("100%\nof\r"), "100%25%0Aof%0D");
        assert_eq!(property("a:b,c"), "a%3Ab%2Cc");
    }
}
