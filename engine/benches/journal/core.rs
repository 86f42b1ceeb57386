//! What the pure part costs a step: deciding what is next, and taking in its records.

use std::collections::BTreeSet;
use std::time::Instant;

use flow_engine::clock::Timestamp;
use flow_engine::decide::{Next, next};
use flow_engine::record::{Entry, Payload, Record};
use flow_engine::run::Run;

use crate::common;

/// A plan of so many steps, each of which depends on the one before, done to its end and undone again.
pub(crate) fn run(steps: u32) -> String {
    let mut plan = common::plan(u64::from(steps));
    for n in 1..plan.nodes.len() {
        plan.nodes[n].only_if = Some(plan.nodes[n - 1].key.clone());
    }
    for node in &mut plan.nodes {
        node.undo = Some("undo it".into());
    }
    let created = Record::Created {
        plan: Payload::Inline(plan.to_json()),
        by: common::by(),
        reason: "bench".into(),
        request: None,
    };
    let mut run = Run::create(&common::id(0), 1, &entry(created)).expect("a plan");
    let start = Instant::now();
    forward(&mut run);
    let there = start.elapsed();
    take(&mut run, Record::Unwinding { why: "back".into() });
    let start = Instant::now();
    backward(&mut run);
    let back = start.elapsed();
    let each = f64::from(steps) / 1e6;
    format!(
        "core steps={steps} forward_us={:.1} back_us={:.1}",
        there.as_secs_f64() / each,
        back.as_secs_f64() / each
    )
}

fn entry(record: Record) -> Entry {
    let at = Timestamp(0);
    Entry { at, record }
}

fn take(run: &mut Run, record: Record) {
    run.apply(1, &entry(record)).expect("it follows");
}

fn forward(run: &mut Run) {
    while let Next::Run(steps) = next(run, Timestamp(0), &BTreeSet::new()) {
        let [step] = steps[..] else {
            panic!("one after the other");
        };
        take(run, Record::Started { step, attempt: 1 });
        let output = Payload::Inline(b"true".to_vec());
        take(run, Record::Done { step, output });
    }
    assert_eq!(run.undo_order().len(), run.steps.len());
}

fn backward(run: &mut Run) {
    while let Next::Undo(step) = next(run, Timestamp(0), &BTreeSet::new()) {
        take(run, Record::UndoStarted { step, attempt: 1 });
        let report = String::new();
        take(run, Record::Undone { step, report });
    }
    assert!(run.undo_order().is_empty());
}
