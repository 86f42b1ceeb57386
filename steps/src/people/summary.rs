//! The few lines a signer is shown, made from what the steps reported. Bounded, because they are signed and stored.

use flow_engine::run::{Run, Status};
use serde_json::Value;

use super::checklist::{self, ChecklistResult};

/// The longest line, the most lines, and the most bytes in all; see [`super::statement::NOTE_MAX`].
const LINE_MAX: usize = 150;
const LINES_MAX: usize = 14;
const BYTES_MAX: usize = 900;

/// Steps whose report a signer must see, and what it is called. The most decisive come first: when there is no room
/// for all, the last are left out and that is said.
const NOTABLE: [(&str, &str); 10] = [
    ("schema/migration-safety", "migrations"),
    ("prod/backup", "backup"),
    ("prod/backup-verified", "backup restored"),
    ("stage/rollback-rehearsal", "rollback rehearsed"),
    ("prod/state", "production now"),
    ("stage/counts", "stage counts"),
    ("test/counts-after", "test counts"),
    ("gate/stage-mirrors-prod", "stage mirrors prod"),
    ("schema/unique-safe", "unique"),
    ("stage/graphql", "graphql"),
];
/// Which fields of a report are named first.
const FIRST: [&str; 14] = [
    "verdict",
    "path",
    "file",
    "sha256",
    "bytes",
    "restore_seconds",
    "seconds",
    "tables",
    "rows",
    "pending",
    "errors",
    "warnings",
    "waived",
    "at",
];
const FIELDS_MAX: usize = 6;

/// What is released, and what the first `cut` steps found, for a signer.
pub fn lines(run: &Run, cut: usize) -> Vec<String> {
    let done = run
        .steps
        .iter()
        .take(cut)
        .filter(|s| s.status == Status::Done);
    let mut all = vec![headline(run)];
    all.extend(migrations(run));
    all.push(format!(
        "{} of {cut} steps before this are done",
        done.count()
    ));
    all.extend(reports(run, cut));
    bounded(all)
}

/// What the first `cut` steps found: skipped steps, checklists, and the reports of the most decisive steps.
pub fn reports(run: &Run, cut: usize) -> Vec<String> {
    let mut all = skipped(run, cut);
    all.extend(checklists(run, cut));
    for (key, label) in NOTABLE {
        let within = run.plan.node(key).is_some_and(|(i, _)| (i as usize) < cut);
        let report = run.output(key).and_then(|o| serde_json::from_str(o).ok());
        if let Some(report) = report.as_ref().filter(|_| within).and_then(in_brief) {
            all.push(plain(&format!("{label}: {report}")));
        }
    }
    all
}

fn headline(run: &Run) -> String {
    let plan = &run.plan;
    let commit = short(plan.fact("commit"));
    let from = ["previous", "previous_commit"]
        .iter()
        .map(|name| short(plan.fact(name)))
        .find(|c| !c.is_empty());
    let from = from.map(|c| format!(" (now {c})")).unwrap_or_default();
    format!(
        "{} of {commit}{from} to {}, run {}",
        plan.workflow, plan.environment, run.id
    )
}

fn migrations(run: &Run) -> Option<String> {
    let names = run.plan.fact("migrations");
    (!names.is_empty()).then(|| format!("changes the schema by: {}", names.replace('\n', ", ")))
}

fn skipped(run: &Run, cut: usize) -> Vec<String> {
    let nodes = run.plan.nodes.iter().zip(&run.steps).take(cut);
    nodes
        .filter_map(|(node, state)| Some((node, state.skipped.as_ref()?)))
        .map(|(node, why)| plain(&format!("skipped {}: {why}", node.key)))
        .collect()
}

fn checklists(run: &Run, cut: usize) -> Vec<String> {
    let nodes = run.plan.nodes.iter().zip(&run.steps).take(cut);
    let lists = nodes.filter(|(n, _)| n.kind == checklist::KIND);
    let read = |(_, state): (_, &flow_engine::run::StepState)| {
        let result: ChecklistResult = serde_json::from_str(state.output.as_deref()?).ok()?;
        Some(result.in_a_line())
    };
    lists.filter_map(read).collect()
}

/// The plain fields of a report, the telling ones first; lists by their length.
fn in_brief(report: &Value) -> Option<String> {
    let Value::Object(fields) = report else {
        return scalar(report);
    };
    let rank = |name: &str| FIRST.iter().position(|f| *f == name).unwrap_or(FIRST.len());
    let mut named: Vec<(usize, &String, String)> = fields
        .iter()
        .filter_map(|(name, value)| Some((rank(name), name, scalar(value)?)))
        .collect();
    named.sort();
    let words: Vec<String> = named
        .into_iter()
        .take(FIELDS_MAX)
        .map(|(_, name, value)| format!("{} {value}", name.replace('_', " ")))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if is_hex(text) => Some(text.chars().take(16).collect()),
        Value::String(text) if text.chars().count() > 70 => {
            Some(text.chars().take(69).chain(['…']).collect())
        }
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.into()),
        Value::Array(items) => Some(items.len().to_string()),
        Value::Null | Value::Object(_) => None,
    }
}

fn is_hex(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn short(commit: &str) -> String {
    commit.chars().take(12).collect()
}

fn bounded(all: Vec<String>) -> Vec<String> {
    let count = all.len();
    let mut lines = Vec::new();
    let mut bytes = 0;
    for line in all {
        let line = plain(&line);
        bytes += line.len();
        if lines.len() + 1 >= LINES_MAX || bytes > BYTES_MAX {
            lines.push(format!(
                "and {} more lines, see `flow status`",
                count - lines.len()
            ));
            break;
        }
        lines.push(line);
    }
    lines
}

/// One line, without characters that would make it read as something else, cut at [`LINE_MAX`] bytes.
fn plain(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| {
            if super::roster::is_plain(c) && !matches!(c, '"' | '\\') {
                c
            } else {
                ' '
            }
        })
        .collect();
    if line.len() > LINE_MAX {
        let end = (0..=LINE_MAX).rev().find(|i| line.is_char_boundary(*i));
        line.truncate(end.unwrap_or(0));
        line.push('…');
    }
    line
}
