//! Who decided what, in the report: signatures with their keys, and every item of every checklist.

use std::fmt::Write as _;

use flow_engine::run::Run;
use flow_engine::step::Step as _;
use flow_steps::means::checklist::{Checklist, ItemResult};
use flow_steps::means::kinds;

use super::cell;
use crate::view::line;

/// Every signed answer in the order of the journal: who, with which key, what, why, and whether a step took it.
pub(super) fn signatures(run: &Run) -> String {
    let mut rows = String::new();
    for signal in &run.signals {
        let Some(signed) = line::signed(&signal.body) else {
            continue;
        };
        let taken = run
            .output(&signal.step)
            .is_some_and(|output| output.contains(&signed.sha256));
        let said = &signed.statement;
        let cells = [
            signal.step.clone(),
            signed.decision().to_owned(),
            said.signer.clone(),
            said.role.clone(),
            signed.fingerprint.clone(),
            said.note.clone(),
            said.issued_at.to_string(),
            said.expires_at.to_string(),
            if taken { "yes" } else { "-" }.to_owned(),
            format!("{} from {}, {}", signal.by.name, signal.by.from, signal.at),
        ];
        let cells: Vec<String> = cells.iter().map(|c| cell(c)).collect();
        let _infallible = writeln!(rows, "| {} |", cells.join(" | "));
    }
    if rows.is_empty() {
        return "\n## Signatures\n\nNobody signed anything.\n".into();
    }
    format!(
        "\n## Signatures\n\n\
         | step | decision | signer | role | key | note | signed | holds until | taken | handed in by |\n\
         |---|---|---|---|---|---|---|---|---|---|\n{rows}"
    )
}

/// Every item of every checklist that was begun, with the answer that counts.
pub(super) fn checklists(run: &Run) -> String {
    let mut text = String::new();
    for (node, state) in run.plan.nodes.iter().zip(&run.steps) {
        if node.kind != kinds::CHECKLIST || state.started.is_none() {
            continue;
        }
        let Ok(list) = Checklist::decode(node.version, &node.params) else {
            continue;
        };
        let (answered, _) = list.tally(run.signals_for(&node.key), state.started);
        let _infallible = write!(
            text,
            "\n## {}: {}\n\n| item | text | result | note | by | at |\n|---|---|---|---|---|---|\n",
            cell(&node.key),
            cell(&list.title)
        );
        for item in &list.items {
            let answer = answered.get(&item.key);
            let result = answer.map_or("not answered", |a| match a.result {
                ItemResult::Pass => "pass",
                ItemResult::Fail => "FAIL",
                ItemResult::Na => "does not apply",
            });
            let cells = [
                item.key.clone(),
                item.text.clone(),
                result.to_owned(),
                answer.map(|a| a.note.clone()).unwrap_or_default(),
                answer.map(|a| a.sent_by.clone()).unwrap_or_default(),
                answer.map(|a| a.at.to_string()).unwrap_or_default(),
            ];
            let cells: Vec<String> = cells.iter().map(|c| cell(c)).collect();
            let _infallible = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text
}
