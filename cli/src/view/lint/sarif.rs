//! For code scanning: SARIF 2.1.0 (OASIS).

use std::fmt::Write as _;

use flow_lint::migration::{Finding, RuleId, explain};
use serde_json::{Value, json};

use super::{SourceReport, file, fix};

pub(super) fn log(judged: &[SourceReport], shown: &dyn Fn(&Finding) -> bool) -> Value {
    let mut results = Vec::new();
    for (source, linted) in judged {
        for finding in linted.report.findings.iter().filter(|each| shown(each)) {
            results.push(result(&file(source, finding), finding));
        }
        for each in &linted.suppressed {
            let mut result = result(&file(source, &each.finding), &each.finding);
            result["suppressions"] = json!([{"kind": "inSource", "justification": each.reason}]);
            results.push(result);
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "flow lint",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": RuleId::ALL.iter().map(|rule| describe(*rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn describe(rule: RuleId) -> Value {
    let words = explain(rule);
    json!({
        "id": rule,
        "shortDescription": {"text": words.title},
        "fullDescription": {"text": words.why},
        "help": {"text": format!("Instead: {}\n\nFound:\n{}\n\nNot found:\n{}", words.fix, words.bad, words.good)},
        "defaultConfiguration": {"level": rule.levels()[0]},
    })
}

fn result(file: &str, finding: &Finding) -> Value {
    let index = RuleId::ALL.iter().position(|each| *each == finding.rule);
    let mut message = format!("{}\n\nInstead: {}", finding.message, fix(finding));
    if let Some(query) = &finding.query {
        let _infallible = write!(message, "\n\nAsk the data: {query}");
    }
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(file)},
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endColumn": finding.column + finding.length.max(1),
                "snippet": {"text": finding.statement},
            },
        }}],
        "partialFingerprints": {"flowFinding/v1": finding.digest},
    })
}

/// A relative reference (RFC 3986): what is neither unreserved nor a slash is escaped.
fn uri(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
        text
    })
}
