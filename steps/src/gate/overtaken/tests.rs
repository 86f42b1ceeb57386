use std::sync::Arc;

use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::signal::Order;

use super::*;
use crate::means::reach::testing::{Bench, Change, Say};

/// A run to an environment that changes it, when it does not fail before.
async fn run(bench: &Bench, id: &str, environment: &str, fails: bool) -> Arc<Run> {
    let mut p = Planner::new("release", "1.0.0", environment, "test");
    p.fact("commit", "a".repeat(40));
    p.phase("prepare", "", OnFailure::Park, |p| {
        if fails {
            p.step("prod/state", Say::failing());
        }
    });
    p.phase("deploy", "", OnFailure::Rollback, |p| {
        p.step("prod/deploy", Change);
    });
    let plan = p.finish().expect("the plan is sound");
    // Moments are counted in milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(3));
    bench.start(id, plan).await.0
}

#[tokio::test]
async fn a_run_is_not_carried_out_over_what_a_later_one_made_of_production() {
    let bench = Bench::new(Registry::default);
    let earlier = run(&bench, "r-earlier", "prod", false).await;
    let this = run(&bench, "r-this", "prod", true).await;
    judge(&this, &[(*earlier).clone()]).expect("what was before was looked at by this run");

    let hotfix = run(&bench, "r-hotfix", "prod", false).await;
    let no = judge(&this, &[(*hotfix).clone(), (*earlier).clone()]).expect_err("overtaken");
    assert!(
        no.message.starts_with("run r-hotfix changed prod at "),
        "{}",
        no.message
    );
    assert!(
        no.hints[1].contains("flow start promote --commit aaaa"),
        "{:?}",
        no.hints
    );

    let elsewhere = run(&bench, "r-elsewhere", "other", false).await;
    let untouched = run(&bench, "r-untouched", "prod", true).await;
    judge(&this, &[(*elsewhere).clone(), (*untouched).clone()]).expect("production is as it was");
}

#[tokio::test]
async fn a_later_run_that_was_undone_whole_is_in_nobodys_way() {
    let bench = Bench::new(Registry::default);
    let this = run(&bench, "r-this", "prod", true).await;
    run(&bench, "r-later", "prod", false).await;
    bench.order("r-later", Order::Rollback).await;
    let (undone, _) = bench.resume("r-later").await;
    judge(&this, &[(*undone).clone()]).expect("production is as it was");
}
