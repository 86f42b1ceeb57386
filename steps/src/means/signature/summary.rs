//! The few lines a signer is shown, made from what the steps reported. Bounded, because they are signed and stored.

use flow_engine::run::{Run, Status};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::means::checklist::ChecklistResult;
use crate::means::plain::is_plain;
use crate::means::reports::migrations::Checked;
use crate::means::reports::people::{KeysFound, Signer, Waiver};
use crate::means::{facts, kinds};

/// The longest line, the most lines, and the most bytes in all; see [`crate::means::signature::statement::NOTE_MAX`].
const LINE_MAX: usize = 150;
const LINES_MAX: usize = 18;
const BYTES_MAX: usize = 900;
/// How the line of a waiver begins.
const WAIVED: &str = "WAIVED";

/// Steps whose report a signer must see, by what follows the environment in their key, and what it is called; `{}` is the
/// environment. The most decisive come first: when there is no room for all, the last are left out and that is said.
pub const NOTABLE: [(&str, &str); 6] = [
    ("backup", "backup"),
    ("backup-verified", "backup restored"),
    ("rollback-rehearsal", "rollback rehearsed"),
    ("state", "production now"),
    ("counts", "{} counts"),
    ("counts-after", "{} counts"),
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
    if cut == 0 {
        return bounded(run, &at_the_start(run));
    }
    let done = run
        .steps
        .iter()
        .take(cut)
        .filter(|s| s.status == Status::Done);
    let mut all = vec![
        headline(run, cut),
        format!("{} of {cut} steps before this are done", done.count()),
    ];
    all.extend(reports(run, cut));
    bounded(run, &all)
}

/// What there is to say before the first step: what is asked for, by whom, why.
fn at_the_start(run: &Run) -> Vec<String> {
    let plan = &run.plan;
    let commit = short(plan.fact(facts::COMMIT));
    let reason = Some(&run.reason).filter(|reason| !reason.is_empty());
    let mut lines = vec![
        format!(
            "start {} of {commit} to {}, run {}",
            plan.workflow, plan.environment, run.id
        ),
        format!("as {} from {}", run.by.name, run.by.from),
    ];
    lines.extend(reason.map(|reason| format!("reason: {reason}")));
    lines
}

/// What the first `cut` steps found. What decides most comes first, and is cut last: who started it, what was not checked,
/// waived or skipped, how many keys changed, what is pending, which keys, checklists, and the reports of the most decisive steps.
pub fn reports(run: &Run, cut: usize) -> Vec<String> {
    let starter = output::<Signer>(run, cut, kinds::STARTER);
    let mut all: Vec<String> = starter
        .map(|s| format!("started by {s}"))
        .into_iter()
        .collect();
    all.extend(exceptions(run, cut));
    let keys = output::<KeysFound>(run, cut, kinds::KEYS).map(|found| found.lines());
    let mut keys = keys.unwrap_or_default().into_iter();
    all.extend(keys.next());
    all.extend(migrations(run, cut));
    all.extend(keys);
    all.extend(checklists(run, cut));
    for (step, label) in NOTABLE {
        // The last environment is the nearest to production.
        let mut found: Vec<_> = outputs(run, cut).collect();
        found.reverse();
        for (key, _, output) in found {
            let Some((environment, _)) = key.split_once('/').filter(|(_, last)| *last == step)
            else {
                continue;
            };
            let report = serde_json::from_str(output).ok();
            if let Some(report) = report.as_ref().and_then(in_brief) {
                all.push(format!("{}: {report}", label.replace("{}", environment)));
            }
        }
    }
    all.iter().map(|line| plain(line)).collect()
}

/// What was not checked as usual by the first `cut` steps: code without its types, findings that were waived, steps that were
/// skipped.
pub fn exceptions(run: &Run, cut: usize) -> Vec<String> {
    let mut all = not_typed(run, cut);
    all.extend(waivers(run, cut));
    all.extend(skipped(run, cut));
    all
}

/// The outputs of the first `cut` steps, each with its step's key and kind.
fn outputs(run: &Run, cut: usize) -> impl Iterator<Item = (&str, &str, &str)> {
    let nodes = run.plan.nodes.iter().zip(&run.steps).take(cut);
    nodes.filter_map(|(node, state)| {
        Some((
            node.key.as_str(),
            node.kind.as_str(),
            state.output.as_deref()?,
        ))
    })
}

/// What the first step of a kind reported.
fn output<T: DeserializeOwned>(run: &Run, cut: usize, wanted: &str) -> Option<T> {
    let (_, _, output) = outputs(run, cut).find(|(_, kind, _)| *kind == wanted)?;
    serde_json::from_str(output).ok()
}

/// The commit that production runs, as far as a step asked.
pub fn deployed(run: &Run, cut: usize) -> Option<String> {
    let kept = output::<Value>(run, cut, kinds::CODE);
    let kept = kept.and_then(|code| Some(code.get("commit")?.as_str()?.to_owned()));
    kept.or_else(|| output::<KeysFound>(run, cut, kinds::KEYS)?.deployed)
}

fn headline(run: &Run, cut: usize) -> String {
    let plan = &run.plan;
    let commit = short(plan.fact(facts::COMMIT));
    let now = deployed(run, cut).map_or_else(
        || " (what runs now is not known)".to_owned(),
        |now| format!(" (now {})", short(&now)),
    );
    format!(
        "{} of {commit}{now} to {}, run {}",
        plan.workflow, plan.environment, run.id
    )
}

/// The pending migrations by name, as many to a line as it holds.
fn migrations(run: &Run, cut: usize) -> Vec<String> {
    let Some(checked) = output::<Checked>(run, cut, kinds::MIGRATION_SAFETY) else {
        return Vec::new();
    };
    let count = checked.pending.len();
    let own = if checked.script_passed {
        "passed"
    } else {
        "none was run"
    };
    let mut lines = vec![format!(
        "migrations: {count} pending, {} findings; the team's own check: {own}",
        checked.report.findings.len()
    )];
    let mut line = String::new();
    for pending in checked.pending {
        if !line.is_empty() && line.len() + pending.name.len() + 2 > LINE_MAX {
            lines.push(std::mem::take(&mut line));
        }
        line += if line.is_empty() { "pending: " } else { ", " };
        line += &pending.name;
    }
    lines.extend(Some(line).filter(|line| !line.is_empty()));
    lines
}

/// Whether code was not type-checked, and why.
fn not_typed(run: &Run, cut: usize) -> Vec<String> {
    let all = outputs(run, cut).filter_map(|(key, _, output)| {
        let report: Value = serde_json::from_str(output).ok()?;
        let why = report.get("not_typed")?.as_str()?;
        Some(format!("{key}: THE CODE WAS NOT TYPE-CHECKED: {why}"))
    });
    all.collect()
}

/// Every waiver that was given, whichever step asked.
fn waivers(run: &Run, cut: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, _, output) in outputs(run, cut) {
        let report: Value = serde_json::from_str(output).unwrap_or_default();
        let given = [report.get("waiver"), report.get("waivers")];
        let given = given.into_iter().flatten().flat_map(|value| match value {
            Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        });
        for waiver in given.filter_map(|w| serde_json::from_value::<Waiver>(w).ok()) {
            lines.push(format!(
                "{WAIVED} {key} {} by {} ({}): {}",
                short(&waiver.finding),
                waiver.signer,
                waiver.role,
                waiver.reason
            ));
        }
    }
    lines
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
    let lists = nodes.filter(|(n, _)| n.kind == kinds::CHECKLIST);
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

/// As many of the lines as fit. Where some do not, the last one says how many, how many of them are waivers, and where all are.
fn bounded(run: &Run, all: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    for (at, line) in all.iter().enumerate() {
        let line = plain(line);
        bytes += line.len();
        if lines.len() + 1 >= LINES_MAX || bytes > BYTES_MAX {
            let rest = &all[at..];
            let waived = rest.iter().filter(|line| line.starts_with(WAIVED)).count();
            let waived = match waived {
                0 => String::new(),
                some => format!(" ({some} of them {WAIVED})"),
            };
            let more = rest.len();
            lines.push(format!(
                "and {more} more lines{waived}; all of them: flow export {}",
                run.id
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
            if is_plain(c) && !matches!(c, '"' | '\\') {
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
