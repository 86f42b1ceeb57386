//! Everything on record about a run.
//!
//! The export is deterministic: the same journal gives the same bytes, whenever and wherever it is made.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flow_engine::audit::{self, AuditRow};
use flow_engine::id::Digest;
use flow_engine::journal::Stored;
use flow_engine::plan::Plan;
use flow_engine::record::{Entry, Record};
use flow_engine::run::Run;
use flow_engine::signal::{Actor, Signal};
use flow_steps::means::reports::people::Signer;
use flow_steps::means::signature::{starter, summary};
use serde::Serialize;

use super::{json, line};

mod people;
use crate::driver::Driver;

/// The shape of the export; raised when it changes.
const FORMAT: &str = "flow-export/1";

/// One run with everything on record about it.
#[derive(Debug, Serialize)]
pub(crate) struct Export<'a> {
    format: &'static str,
    #[serde(flatten)]
    summary: json::Summary,
    request: Option<&'a str>,
    plan_digest: String,
    starter: Option<Signer>,
    facts: &'a BTreeMap<String, String>,
    plan: &'a Plan,
    steps: Vec<AuditRow>,
    orders: Vec<OrderRow<'a>>,
    signals: &'a [Signal],
    notices: Vec<json::NoticeRow>,
    records: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct OrderRow<'a> {
    order: &'static str,
    step: Option<&'a str>,
    by: &'a Actor,
    reason: &'a str,
    at: String,
}

/// A record with its place in the chain. `body` are the hashed bytes.
#[derive(Debug, Serialize)]
struct Row<'a> {
    seq: u64,
    at: String,
    epoch: u64,
    hash: String,
    body: String,
    says: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    record: &'a Record,
}

impl<'a> Export<'a> {
    /// The export of a run and its records.
    pub(crate) fn of(run: &'a Run, entries: &'a [(Stored, Entry)]) -> Export<'a> {
        let records = entries.iter().map(|(stored, entry)| Row {
            seq: stored.seq,
            at: entry.at.to_string(),
            epoch: stored.epoch,
            hash: stored.hash.to_string(),
            body: hex::encode(&stored.body),
            says: line::of(run, &entry.record),
            payload: payload(&entry.record),
            record: &entry.record,
        });
        Export {
            format: FORMAT,
            summary: json::Summary::of(run, &Driver::Unasked),
            request: run.request.as_deref(),
            plan_digest: run.plan_digest.to_string(),
            starter: starter::of(run),
            facts: &run.plan.facts,
            plan: &run.plan,
            steps: audit::rows(run),
            orders: orders(run),
            signals: &run.signals,
            notices: json::notices(run),
            records: records.collect(),
        }
    }
}

fn payload(record: &Record) -> Option<String> {
    let payload = record.payload()?.inline()?;
    String::from_utf8(payload.to_vec()).ok()
}

fn orders(run: &Run) -> Vec<OrderRow<'_>> {
    use flow_engine::signal::Order;
    let orders = run.orders.iter().map(|given| OrderRow {
        order: given.order.verb(),
        step: match &given.order {
            Order::Skip { step } | Order::Settle { step, .. } => Some(step),
            _ => None,
        },
        by: &given.by,
        reason: &given.reason,
        at: given.at.to_string(),
    });
    orders.collect()
}

/// A report for people.
pub(crate) fn markdown(run: &Run, entries: &[(Stored, Entry)]) -> String {
    let plan = &run.plan;
    let mut text = format!(
        "# Run {}: {} to {}\n\n",
        run.id,
        super::what(plan),
        plan.environment
    );
    let head = entries
        .last()
        .map(|(stored, _)| stored.hash.to_string())
        .unwrap_or_default();
    let signed = starter::of(run).map_or_else(String::new, |by| format!(", signed by {by}"));
    let by = format!("{} from {}{signed}", run.by.name, run.by.from);
    for (name, value) in [
        ("State", super::doing(run, &Driver::Unasked)),
        ("Started", format!("{} by {by}", run.created)),
        ("Last change", run.updated.to_string()),
        ("Duration", super::age(run.updated.since(run.created))),
        ("Reason", run.reason.clone()),
        ("Protocol", plan.protocol.clone()),
        ("Plan", run.plan_digest.to_string()),
        ("Head of the hash chain", head),
    ] {
        let _infallible = writeln!(text, "- {name}: {}", cell(&value));
    }
    text += &found(run);
    text += &people::signatures(run);
    text += &people::checklists(run);
    text += "\n## Steps\n\n| step | what | state | attempts | started | ended | reason | undo |\n|---|---|---|---|---|---|---|---|\n";
    for row in audit::rows(run) {
        let cells = [
            row.key,
            row.summary,
            row.state.into(),
            row.attempts.to_string(),
            row.started.unwrap_or_default(),
            row.ended.unwrap_or_default(),
            row.reason.unwrap_or_default(),
            [
                row.undo.unwrap_or_default(),
                row.undo_report.as_deref().unwrap_or_default(),
            ]
            .join(" "),
        ];
        let cells: Vec<String> = cells.iter().map(|c| cell(c)).collect();
        let _infallible = writeln!(text, "| {} |", cells.join(" | "));
    }
    text += "\n## Records\n\n";
    for (_, entry) in entries {
        if let Some(line) = line::stamped(run, entry) {
            let _infallible = writeln!(text, "- {}", cell(&line));
        }
    }
    text
}

/// What a signer was shown.
fn found(run: &Run) -> String {
    let lines = summary::reports(run, run.steps.len());
    let lines = lines.iter().map(|line| format!("- {}\n", cell(line)));
    format!("\n## Found\n\n{}", lines.collect::<String>())
}

fn cell(text: &str) -> String {
    super::clean(&text.replace('\n', " "))
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .trim()
        .to_owned()
}

/// What a person compares two exports by.
pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}
