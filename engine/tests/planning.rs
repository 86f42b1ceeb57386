//! What workflow code may say, what it means, and mistakes that are found while planning or when a plan is read.

use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::plan::OnFailure;
use flow_engine::planner::{Arg, PlanError, Planner};
use flow_engine::registry::Registry;
use flow_engine::run::Status;
use flow_engine::sim::{Behaviour, SimStep};
use flow_engine::step::{Cx, DecodeError, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

mod support;

/// Answers with what it is given.
#[derive(Serialize, Deserialize)]
struct Echo<T> {
    value: T,
}

#[async_trait]
impl Step for Echo<bool> {
    const KIND: &'static str = "test.flag";
    type Output = bool;
    fn summary(&self) -> String {
        "answer".into()
    }
    async fn run(&self, _cx: &Cx) -> Result<bool, StepError> {
        Ok(self.value)
    }
}

#[async_trait]
impl Step for Echo<Arg<bool>> {
    const KIND: &'static str = "test.not";
    type Output = bool;
    fn summary(&self) -> String {
        "answer the opposite".into()
    }
    async fn run(&self, cx: &Cx) -> Result<bool, StepError> {
        Ok(!cx.arg(&self.value)?)
    }
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_false_skips_and_says_why() {
    let plan = support::plan(OnFailure::Park, |p| {
        let flag = p.step("a/flag", Echo { value: true });
        let not = p.step(
            "a/not",
            Echo {
                value: Arg::from(&flag),
            },
        );
        p.only_if(&not, |p| {
            p.step("a/rare", Echo { value: true });
        });
        p.only_if(&flag, |p| {
            p.step("a/usual", Echo { value: true });
        });
    });
    let registry = Registry::default()
        .with::<Echo<bool>>()
        .with::<Echo<Arg<bool>>>();
    let engine = support::engine(&Arc::default(), registry, Resources::default());
    let (_handle, drive) = support::drive(engine, plan).await;
    let (run, _) = drive.await.expect("no panic").expect("drives");
    assert_eq!(
        run.steps[2].skipped.as_deref(),
        Some("`a/not` did not ask for it")
    );
    assert_eq!(run.steps[3].status, Status::Done);
    assert!(run.phase_passed("a"));
}

#[test]
fn a_reserved_key_serves_steps_before_it_and_must_be_planned_once() {
    let plan = |body: fn(&mut Planner)| {
        let mut p = Planner::new("t", "1", "prod", "t");
        p.phase("p", "p", OnFailure::Park, body);
        p.finish()
    };
    let planned = plan(|p| {
        let later = p.reserve("p/later");
        assert_eq!(later.as_str(), "p/later");
        p.step("p/first", SimStep::new(Behaviour::Works));
        p.step(later.as_str(), SimStep::new(Behaviour::Works));
    });
    let keys: Vec<String> = planned.unwrap().nodes.into_iter().map(|n| n.key).collect();
    assert_eq!(keys, ["p/first", "p/later"], "reserving plans nothing");
    let never = plan(|p| {
        p.reserve("p/later");
        p.step("p/first", SimStep::new(Behaviour::Works));
    });
    assert_eq!(never, Err(PlanError::NeverPlanned("p/later".into())));
    let doubled: [fn(&mut Planner); 3] = [
        |p| {
            p.reserve("p/later");
            p.reserve("p/later");
        },
        |p| {
            p.step("p/later", SimStep::new(Behaviour::Works));
            p.reserve("p/later");
        },
        |p| {
            let later = p.reserve("p/later");
            p.step(later.as_str(), SimStep::new(Behaviour::Works));
            p.step(later.as_str(), SimStep::new(Behaviour::Works));
        },
    ];
    for body in doubled {
        assert_eq!(plan(body), Err(PlanError::DuplicateKey("p/later".into())));
    }
    let mut empty = Planner::new("t", "1", "prod", "t");
    empty.reserve("p/later");
    assert_eq!(empty.finish(), Err(PlanError::Empty));
}

#[test]
fn workflow_mistakes_are_plan_errors() {
    let worker = || SimStep::new(Behaviour::Works);
    let mut twice = Planner::new("t", "1", "prod", "t");
    twice.phase("p", "p", OnFailure::Park, |p| {
        p.step("p/a", worker());
        p.step("p/a", worker());
    });
    assert_eq!(twice.finish(), Err(PlanError::DuplicateKey("p/a".into())));
    let mut outside = Planner::new("t", "1", "prod", "t");
    outside.step("p/a", worker());
    assert_eq!(outside.finish(), Err(PlanError::OutsidePhase("p/a".into())));
    for key in ["../a", "a", "a/b/c/d", "a//b", "a/b/", "A/b", "a/b_c"] {
        let mut bad = Planner::new("t", "1", "prod", "t");
        bad.phase("p", "p", OnFailure::Park, |p| {
            p.step(key, worker());
        });
        assert_eq!(bad.finish(), Err(PlanError::BadKey(key.into())));
    }
    let mut on_host = Planner::new("t", "1", "prod", "t");
    on_host.phase("p", "p", OnFailure::Park, |p| {
        p.step("prod/web-2/deploy", worker());
    });
    assert!(on_host.finish().is_ok(), "a step on a further host");
    assert_eq!(
        Planner::new("t", "1", "prod", "t").finish(),
        Err(PlanError::Empty)
    );
}

#[test]
fn a_kind_this_binary_lacks_is_named() {
    let mut p = Planner::new("t", "1", "prod", "t");
    p.phase("p", "p", OnFailure::Park, |p| {
        p.step("p/a", SimStep::new(Behaviour::Works));
    });
    let plan = p.finish().expect("a plan");
    let Err(error) = Registry::default().load(&plan.nodes[0]) else {
        panic!("it has no such step")
    };
    assert_eq!(error, DecodeError::Unknown("sim.step".into()));
}
