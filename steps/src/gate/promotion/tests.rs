use std::sync::Arc;

use flow_engine::clock::Timestamp;
use flow_engine::driver::Stop;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::run::{Run, Undo};
use flow_engine::signal::Order;

use super::*;
use crate::means::reach::testing::{Bench, Change, Say, failure};

const HOUR: i64 = 3_600_000;

fn commit(c: char) -> String {
    c.to_string().repeat(40)
}

fn rule() -> PromotionRule {
    PromotionRule {
        commit: commit('a'),
        phases: vec!["test".into(), "stage".into()],
        max_age_hours: 24,
    }
}

/// A run of this commit in which these phases are planned; the phase `fails` fails.
fn plan_of(commit: &str, environment: &str, phases: &[&str], fails: &str) -> Plan {
    let mut p = Planner::new("release", "1.0.0", environment, "test");
    p.fact("commit", commit);
    for phase in phases {
        p.phase(phase, phase, OnFailure::Park, |p| {
            let key = format!("{phase}/deploy");
            if *phase == fails {
                p.step(&key, Say::failing());
            } else {
                p.step(&key, Change);
            }
        });
    }
    p.finish().unwrap()
}

async fn run_of(commit: &str, environment: &str, phases: &[&str], fails: &str) -> Arc<Run> {
    let bench = Bench::new(Registry::default);
    bench
        .start("r-earlier", plan_of(commit, environment, phases, fails))
        .await
        .0
}

/// A name, earlier runs, the moment, and the words of the refusal.
type Case<'a> = (&'a str, Vec<&'a Arc<Run>>, Timestamp, Option<&'a str>);

async fn this() -> Arc<Run> {
    run_of(&commit('a'), "prod", &["prod"], "prod").await
}

#[tokio::test]
async fn production_needs_test_and_stage_for_this_very_commit_and_not_long_ago() {
    let this = this().await;
    let both = ["test", "stage"];
    let good = run_of(&commit('a'), "prod", &both, "").await;
    let soon = good.updated.plus(std::time::Duration::from_mins(1));
    let late = Timestamp(good.updated.0 + 25 * HOUR);
    let other_commit = run_of(&commit('b'), "prod", &both, "").await;
    let stage_failed = run_of(&commit('a'), "prod", &both, "stage").await;
    let only_test = run_of(&commit('a'), "prod", &["test"], "").await;
    let elsewhere = run_of(&commit('a'), "stage", &both, "").await;
    let cases: [Case<'_>; 8] = [
        ("both passed", vec![&good], soon, None),
        ("nothing", vec![], soon, Some("phase `test` has not passed")),
        (
            "another commit",
            vec![&other_commit],
            soon,
            Some("phase `test` has not passed"),
        ),
        (
            "stage failed",
            vec![&stage_failed],
            soon,
            Some("phase `stage` has not passed"),
        ),
        (
            "no stage at all",
            vec![&only_test],
            soon,
            Some("phase `stage` has not passed"),
        ),
        ("a run that ended with stage", vec![&elsewhere], soon, None),
        ("too old", vec![&good], late, Some("more than 24 h ago")),
        (
            "from the future",
            vec![&good],
            Timestamp(1),
            Some("clock is wrong"),
        ),
    ];
    for (name, others, now, no) in cases {
        let others: Vec<Run> = others.into_iter().map(|r| (**r).clone()).collect();
        match (rule().judge(&this, &others, now), no) {
            (Ok(passed), None) => assert_eq!(passed.len(), 2, "{name}"),
            (Err(failure), Some(no)) => {
                assert!(failure.message.contains(no), "{name}: {failure:?}");
            }
            (judged, _) => panic!("{name}: {judged:?}"),
        }
    }
}

#[tokio::test]
async fn a_pass_in_this_run_ages_as_one_in_an_earlier_run_does() {
    let run = run_of(&commit('a'), "prod", &["test", "stage"], "").await;
    let soon = Timestamp(run.updated.0 + 23 * HOUR);
    assert_eq!(rule().judge(&run, &[], soon).unwrap()[1].run, "r-earlier");
    let late = Timestamp(run.updated.0 + 25 * HOUR);
    let no = rule().judge(&run, &[], late).unwrap_err();
    assert!(no.message.ends_with("more than 24 h ago"), "{no:?}");
    assert!(no.hints[0].contains("flow cancel r-earlier"), "{no:?}");
    // A younger pass of another run vouches for it.
    let again = run_of(&commit('a'), "prod", &["test", "stage"], "").await;
    let mut again = (*again).clone();
    for state in &mut again.steps {
        state.ended = state.ended.map(|at| Timestamp(at.0 + 20 * HOUR));
    }
    assert!(rule().judge(&run, &[again], late).is_ok());
}

#[tokio::test]
async fn a_run_that_was_rolled_back_vouches_for_nothing() {
    let bench = Bench::new(Registry::default);
    bench
        .start(
            "r-earlier",
            plan_of(&commit('a'), "prod", &["test", "stage"], ""),
        )
        .await;
    bench.order("r-earlier", Order::Rollback).await;
    let (rolled, _) = bench.resume("r-earlier").await;
    let no = rule()
        .judge(&*this().await, &[(*rolled).clone()], rolled.updated)
        .unwrap_err();
    assert!(no.message.contains("`test` has not passed"));
}

#[tokio::test]
async fn a_branch_name_or_an_empty_rule_never_passes() {
    let run = run_of(&commit('a'), "prod", &["test", "stage"], "").await;
    let branch = PromotionRule {
        commit: "main".into(),
        ..rule()
    };
    let empty = PromotionRule {
        phases: vec![],
        ..rule()
    };
    let wrong = PromotionRule {
        commit: commit('c'),
        ..rule()
    };
    for bad in [branch, empty, wrong] {
        assert!(bad.judge(&run, &[], run.updated).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn the_step_refuses_until_another_run_has_passed_the_phases() {
    let bench = Bench::new(|| Registry::default().with::<Promotion>());
    let plan = || {
        let mut p = Planner::new("release", "1.0.0", "prod", "test");
        p.fact("commit", commit('a'));
        p.phase("gate", "", OnFailure::Park, |p| {
            p.step("gate/promotion", Promotion { rule: rule() });
        });
        p.finish().unwrap()
    };
    let (run, stop) = bench.start("r-one", plan()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    assert!(failure(&run, "gate/promotion").hints[0].contains("for exactly this commit"));
    bench
        .start(
            "r-two",
            plan_of(&commit('a'), "prod", &["test", "stage"], ""),
        )
        .await;
    bench.order("r-one", Order::Retry).await;
    assert!(
        bench
            .resume("r-one")
            .await
            .0
            .output("gate/promotion")
            .unwrap()
            .contains("r-two")
    );
}

#[tokio::test]
async fn what_passed_in_a_run_that_is_parked_or_was_cancelled_later_counts() {
    let bench = Bench::new(Registry::default);
    let both = ["test", "stage", "prepare"];
    let plan = plan_of(&commit('a'), "prod", &both, "prepare");
    let (parked, _) = bench.start("r-earlier", plan).await;
    let this = this().await;
    let judged = |run: &Run| rule().judge(&this, std::slice::from_ref(run), run.updated);
    assert_eq!(
        judged(&parked).expect("parked behind staging")[1].run,
        "r-earlier"
    );
    bench.order("r-earlier", Order::Cancel).await;
    let (cancelled, _) = bench.resume("r-earlier").await;
    assert_eq!(cancelled.verdict(), Some(Verdict::Cancelled));
    assert_eq!(
        cancelled.steps[1].undo,
        Undo::Undone,
        "it was undone, and was seen to pass"
    );
    assert_eq!(
        judged(&cancelled).expect("cancelled behind staging")[1].run,
        "r-earlier"
    );

    let plan = plan_of(&commit('a'), "prod", &both, "stage");
    bench.start("r-failed", plan).await;
    bench.order("r-failed", Order::Cancel).await;
    let (failed, _) = bench.resume("r-failed").await;
    let no = judged(&failed).expect_err("staging did not pass");
    assert!(
        no.message.contains("`stage` has not passed"),
        "{}",
        no.message
    );
}
