//! A plan before it runs.

use std::fmt::Write as _;

use flow_engine::plan::{OnFailure, Plan};
use flow_workflows::local::local_paths;

use super::{clean, padded};

/// The plan as a list of steps by phase, with what undoes each.
pub(crate) fn text(plan: &Plan) -> String {
    let mut text = format!(
        "{} to {}   protocol {}, {} steps\nplan {}\n",
        super::what(plan),
        plan.environment,
        plan.protocol,
        plan.nodes.len(),
        plan.digest()
    );
    for (index, phase) in (0u32..).zip(&plan.phases) {
        let failure = match phase.on_failure {
            OnFailure::Park => "a failure stops the run; production is not touched",
            OnFailure::Rollback => "a failure undoes everything, newest first",
        };
        let _infallible = writeln!(text, "\n{}: {} ({failure})", phase.key, phase.title);
        for node in plan.nodes.iter().filter(|n| n.phase == index) {
            let _infallible =
                writeln!(text, "  {} {}", padded(&node.key, 28), clean(&node.summary));
            let pad = " ".repeat(31);
            if let Some(who) = &node.answered_by {
                let _infallible = writeln!(text, "{pad}answered by {}", clean(who));
            }
            if let Some(undo) = &node.undo {
                let _infallible = writeln!(text, "{pad}undo: {}", clean(undo));
            }
            if let Some(condition) = &node.only_if {
                let _infallible = writeln!(text, "{pad}only if `{condition}` asks for it");
            }
            if node.skippable {
                let _infallible = writeln!(text, "{pad}may be skipped with a reason");
            }
        }
    }
    for (name, value) in &plan.facts {
        if name.starts_with("contact") {
            let _infallible = write!(text, "\n{name}: {}", clean(value));
        }
    }
    text + &here(plan)
}

/// What has to be on the machine that carries the plan out: another one can only where it has the same at the same place.
fn here(plan: &Plan) -> String {
    let mut text = String::new();
    for (path, steps) in local_paths(plan) {
        let _infallible = writeln!(text, "  {:<28} {}", clean(&path), steps.join(", "));
    }
    if text.is_empty() {
        return text;
    }
    format!("\n\non the machine that carries it out, these are read:\n{text}")
}

/// A flow chart in mermaid's notation.
pub(crate) fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
    for (index, phase) in (0u32..).zip(&plan.phases) {
        let _infallible = writeln!(text, "  subgraph p{index}[\"{}\"]", label(&phase.title));
        for (step, node) in plan.nodes.iter().enumerate() {
            if node.phase == index {
                let (open, close) = match node.answered_by {
                    Some(_) => ("([", "])"),
                    None => ("[", "]"),
                };
                let words = format!("{}<br/>{}", label(&node.key), label(&node.summary));
                let _infallible = writeln!(text, "    s{step}{open}\"{words}\"{close}");
            }
        }
        text.push_str("  end\n");
    }
    for step in 1..plan.nodes.len() {
        let _infallible = writeln!(text, "  s{} --> s{step}", step - 1);
    }
    for (step, node) in plan.nodes.iter().enumerate() {
        if let Some(undo) = &node.undo {
            let _infallible = writeln!(text, "  s{step} -. \"undo: {}\" .-> s{step}", label(undo));
        }
    }
    text
}

fn label(text: &str) -> String {
    clean(text)
        .replace('&', "#amp;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
