//! For scripts: a list of findings.

use flow_lint::migration::Finding;
use serde_json::{Value, json};

use super::{SourceReport, file, fix};

pub(super) fn list(judged: &[SourceReport], shown: &dyn Fn(&Finding) -> bool) -> Value {
    let mut all = Vec::new();
    for (source, linted) in judged {
        for finding in linted.report.findings.iter().filter(|each| shown(each)) {
            all.push(json!({
                "file": file(source, finding),
                "line": finding.line,
                "column": finding.column,
                "rule": finding.rule,
                "level": finding.level,
                "message": finding.message,
                "statement": finding.statement,
                "object": finding.object,
                "fix": fix(finding),
                "query": finding.query,
                "digest": finding.digest,
            }));
        }
    }
    Value::Array(all)
}
