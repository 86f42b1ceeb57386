//! A notice in words: subject and text.

use std::fmt::Write as _;

use flow_engine::event::without_passwords;
use flow_engine::id::Digest;
use flow_engine::record::Verdict;
use flow_engine::run::{Notice, Run, Status};
use flow_engine::signal::Order;

use crate::means::reports::people::SignedOff;
use crate::means::signature::roster::People;
use crate::means::signature::summary;
use crate::means::{kinds, plain};

mod parked;
mod text;
mod topics;

/// The longest subject and text, in characters.
const SUBJECT_MAX: usize = 160;
const BODY_MAX: usize = 24_000;

/// A mail, ready but for its addresses. Holds no line break outside the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The subject: one line of at most 160 characters.
    pub subject: String,
    /// The text: plain lines, 24,000 characters at most.
    pub body: String,
    /// The same for every delivery of one notice.
    pub message_id: String,
    /// The message id of the run's first mail, so that mail programs show a run as one conversation.
    pub thread: Option<String>,
}

/// The mail of a notice, as the run stands now. `head` is the number and hash of the run's last journal record.
pub fn render(
    run: &Run,
    notice: &Notice,
    people: &People,
    domain: &str,
    head: Option<(u64, Digest)>,
) -> Mail {
    let topic = topics::text_of(run, &notice.topic);
    let mut body = String::new();
    let _ = writeln!(body, "{}\n", topic.first);
    for block in [topic.detail, changes(run), signatures(run)] {
        push(&mut body, &block);
    }
    if topic.grave {
        push(&mut body, &contacts(people));
    }
    push(&mut body, &rollback(run));
    push(&mut body, &anchor(run, notice, head));
    let id = |notice: u64| format!("<{}.{notice}@flow.{domain}>", run.id);
    Mail {
        subject: one_line(
            &format!("[{}] {} {}", run.plan.environment, run.id, topic.subject),
            SUBJECT_MAX,
        ),
        body: text(&body),
        message_id: id(notice.id),
        thread: Some(id(0)),
    }
}

fn changes(run: &Run) -> String {
    let mut out = format!(
        "What: {} to {}, started by {}: {}\n",
        run.plan.workflow, run.plan.environment, run.by.name, run.reason
    );
    for (name, value) in &run.plan.facts {
        let value: String = value.replace('\n', ", ");
        let _ = writeln!(out, "{name}: {}", one_line(&value, 300));
    }
    let done = run.steps.iter().filter(|s| s.status == Status::Done);
    let _ = writeln!(out, "Done: {} of {} steps", done.count(), run.steps.len());
    for line in summary::reports(run, run.steps.len()) {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn signatures(run: &Run) -> String {
    let mut out = String::new();
    for node in run.plan.nodes.iter().filter(|n| n.kind == kinds::SIGN_OFF) {
        let given = run
            .output(&node.key)
            .and_then(|o| serde_json::from_str::<SignedOff>(o).ok());
        let role = node.answered_by.as_deref().unwrap_or(&node.key);
        let _ = match given {
            Some(g) => writeln!(
                out,
                "Signed: {} by {} ({}), until {}",
                g.role, g.signer, g.fingerprint, g.expires_at
            ),
            None => writeln!(out, "Not signed: {role}"),
        };
    }
    out
}

/// What a rollback would undo now: its cost, as far as the plan knows it.
fn rollback(run: &Run) -> String {
    let order = run.undo_order();
    if run.verdict().is_some_and(|v| v != Verdict::Completed) || order.is_empty() {
        return String::new();
    }
    let mut out = if run.unwinding().is_some() {
        "Still to be undone, in this order:\n".to_owned()
    } else {
        let id = &run.id;
        let (what, verb) = if run.accepts(&Order::Cancel).is_ok() {
            ("To cancel now", "cancel")
        } else {
            ("A rollback now", "rollback")
        };
        format!("{what} (flow {verb} {id} --reason …) would, in this order:\n")
    };
    for (place, step) in (1..).zip(order) {
        let node = &run.plan.nodes[step as usize];
        let _ = writeln!(
            out,
            "  {place}. {}: {}",
            node.key,
            node.undo.as_deref().unwrap_or_default()
        );
    }
    out
}

fn contacts(people: &People) -> String {
    if people.contacts.is_empty() {
        return "Emergency contacts: none in flow.people.toml\n".into();
    }
    let lines: Vec<String> = people.contacts.iter().map(|c| format!("  {c}\n")).collect();
    format!("Emergency contacts:\n{}", lines.concat())
}

fn anchor(run: &Run, notice: &Notice, head: Option<(u64, Digest)>) -> String {
    let mut out = format!("Plan digest: {}\n", run.plan_digest);
    if let Some((seq, hash)) = head {
        let _ = writeln!(out, "Journal: record {seq} has hash {hash}");
    }
    let _ = writeln!(out, "Notice {} of {}, {}", notice.id, run.id, notice.at);
    out
}

fn push(body: &mut String, block: &str) {
    if !block.is_empty() {
        let _ = writeln!(body, "{block}");
    }
}

/// Text in which nothing ends the line, acts on a terminal, hides or turns other text, or lets somebody in.
fn one_line(text: &str, max: usize) -> String {
    let text = without_passwords(text);
    let mut line: String = plain::one_line(&text).chars().take(max + 1).collect();
    if line.chars().count() > max {
        line = line.chars().take(max - 1).collect();
        line.push('…');
    }
    line
}

fn text(body: &str) -> String {
    let body = without_passwords(body);
    let shown = body.chars().filter(|c| *c == '\n' || plain::is_plain(*c));
    shown.take(BODY_MAX).collect()
}
