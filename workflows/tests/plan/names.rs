//! What steps look for in a run by its name is there in a planned release: kinds, facts, keys.

use std::collections::BTreeSet;

use flow_steps::means::signature::summary;
use flow_steps::means::{facts, kinds};
use serde_json::Value;

use super::*;

/// A release whose start is signed, by a roster that a reviewed ref may take keys out of: all that can be planned.
fn whole() -> Plan {
    let dir = project();
    let at = dir.path();
    let people = format!("forbid_starter = true\n{}", people());
    std::fs::write(at.join("flow.people.toml"), people).expect("a file");
    git(at, &["commit", "-q", "-a", "-m", "Second"]);
    let text = format!("{}\n[signoff]\nroster_ref = \"main\"\n", config());
    std::fs::write(at.join("flow.toml"), text).expect("a file");
    let setup = setup(&dir);
    let commit = setup.commit("HEAD").expect("a commit");
    setup.plan("release", &commit).expect("a plan")
}

#[test]
fn every_kind_that_is_looked_for_is_planned_and_can_be_run() {
    let plan = whole();
    let planned: BTreeSet<&str> = plan.nodes.iter().map(|node| node.kind.as_str()).collect();
    let registry = registry();
    for kind in kinds::ALL {
        assert!(planned.contains(kind), "no step of a release is a `{kind}`");
        assert!(
            registry.kinds().any(|one| one == kind),
            "nothing runs a `{kind}`"
        );
    }
}

#[test]
fn every_fact_that_is_read_is_planned() {
    let plan = whole();
    for fact in facts::ALL {
        assert!(!plan.fact(fact).is_empty(), "no fact `{fact}`");
    }
}

#[test]
fn every_step_whose_report_a_signer_is_shown_is_planned() {
    let plan = whole();
    for (last, _) in summary::NOTABLE {
        let ends = format!("/{last}");
        let found = plan.nodes.iter().any(|node| node.key.ends_with(&ends));
        assert!(found, "no step `…/{last}`, which the summary looks for");
    }
}

/// Each text in a parameter that names a step of an environment.
fn keys<'a>(value: &'a Value, environments: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => {
            let named = |env: &str| {
                let rest = text
                    .strip_prefix(env)
                    .and_then(|rest| rest.strip_prefix('/'));
                rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(' '))
            };
            if environments.iter().any(|env| named(env)) {
                found.push(text);
            }
        }
        Value::Array(all) => all.iter().for_each(|one| keys(one, environments, found)),
        Value::Object(fields) => fields
            .values()
            .for_each(|one| keys(one, environments, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn every_step_that_a_parameter_names_is_planned() {
    let plan = whole();
    let mut named = 0;
    for node in &plan.nodes {
        let mut found = Vec::new();
        keys(&node.params, &["test", "stage", "prod"], &mut found);
        for key in found {
            assert!(
                plan.node(key).is_some(),
                "`{}` names the step `{key}`, which is not planned",
                node.key
            );
            named += 1;
        }
    }
    assert!(named > 20, "only {named} names were found");
}
