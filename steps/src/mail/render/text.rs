//! The parts that the mails of several topics are made of.

use std::fmt::Write as _;

use flow_engine::plan::Node;
use flow_engine::record::Failure;
use flow_engine::run::{Run, Status, Undo};

/// What is particular to a topic.
pub(super) struct TopicText {
    pub(super) subject: String,
    pub(super) first: String,
    pub(super) detail: String,
    /// Whether people may have to be called.
    pub(super) grave: bool,
}

impl TopicText {
    pub(super) fn new(subject: impl Into<String>, first: impl Into<String>) -> TopicText {
        TopicText {
            subject: subject.into(),
            first: first.into(),
            detail: String::new(),
            grave: false,
        }
    }

    pub(super) fn with(mut self, detail: String) -> TopicText {
        self.detail = detail;
        self
    }

    pub(super) fn grave(mut self) -> TopicText {
        self.grave = true;
        self
    }
}

pub(super) fn failures(run: &Run) -> String {
    let mut out = String::new();
    for (node, state) in run.plan.nodes.iter().zip(&run.steps) {
        if let Some((_, failure)) = state
            .failure
            .as_ref()
            .filter(|_| state.status == Status::Failed)
        {
            failure_in_words(&mut out, "Failed", node, failure);
        }
        if let Some((_, failure)) = state
            .undo_failure
            .as_ref()
            .filter(|_| state.undo != Undo::Undone)
        {
            failure_in_words(&mut out, "Not undone", node, failure);
        }
    }
    out
}

fn failure_in_words(out: &mut String, label: &str, node: &Node, failure: &Failure) {
    let _ = writeln!(out, "{label}: {}: {}", node.key, failure.message);
    for cause in &failure.causes {
        let _ = writeln!(out, "  because: {cause}");
    }
    for hint in &failure.hints {
        let _ = writeln!(out, "  hint: {hint}");
    }
}
