//! Which runs may exist side by side.

use flow_engine::clock::Timestamp;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::{Entry, Failure, FailureKind, ParkReason, Record, Verdict};

use super::*;
use crate::testing::{self, Change, Look};

/// A plan with the machines of the protocol: `test`, `stage`, preparation, `prod`.
fn release() -> Plan {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    for name in ["test", "stage"] {
        planner.phase(name, name, OnFailure::Park, |p| {
            p.step(&format!("{name}/deploy"), Change);
            p.step(&format!("{name}/features"), Look { fails: false });
        });
    }
    after_staging(planner)
}

fn promote() -> Plan {
    after_staging(Planner::new("promote", "test-1", "prod", "flow test"))
}

fn after_staging(mut planner: Planner) -> Plan {
    planner.phase("prepare", "prepare", OnFailure::Park, |p| {
        p.step("prod/lease", Change);
        p.step("stage/rollback-rehearsal", Change);
        p.step("signoff/qa", Look { fails: false });
    });
    planner.phase("deploy", "deploy", OnFailure::Rollback, |p| {
        p.step("prod/deploy", Change);
    });
    planner.finish().expect("the plan is sound")
}

/// A run of this plan whose first `over` steps are done and whose next one has begun.
fn run(id: &str, plan: &Plan, over: u32) -> Run {
    let mut records: Vec<Record> = (0..over).flat_map(testing::done).collect();
    records.push(Record::Started {
        step: over,
        attempt: 1,
    });
    testing::run_of(id, plan, &records)
}

#[test]
fn a_run_that_waits_for_signatures_keeps_no_other_from_test_and_staging() {
    let waits = run("r-waits", &release(), 6);
    assert_eq!(holds(&waits), BTreeSet::new());
    refuse_second(std::slice::from_ref(&waits), &release()).expect("a second release may begin");
    refuse_second(&[waits], &promote()).expect("and a promotion");
}

#[test]
fn a_run_that_has_staging_in_its_hands_keeps_others_from_it() {
    // Its script ran, its features are not answered yet: another deploy there would be answered for.
    let staging = run("r-staging", &release(), 3);
    let refused =
        refuse_second(std::slice::from_ref(&staging), &release()).expect_err("staging is in use");
    assert_eq!(refused.exit, Exit::Locked);
    assert!(
        refused.message.contains("has stage in its hands"),
        "{}",
        refused.message
    );
    assert!(
        refused.render().contains("flow cancel r-staging"),
        "{}",
        refused.render()
    );
    let refused = refuse_second(&[staging], &promote()).expect_err("a promotion rehearses there");
    assert!(
        refused.message.contains("has stage in its hands"),
        "{}",
        refused.message
    );
}

#[test]
fn a_run_that_acts_on_production_keeps_every_other_out_and_so_does_one_that_is_being_undone() {
    let rehearses = run("r-rehearses", &release(), 5);
    assert_eq!(
        holds(&rehearses),
        BTreeSet::from(["stage"]),
        "it restores there"
    );
    let acts = run("r-acts", &release(), 7);
    let refused = refuse_second(&[acts], &promote()).expect_err("it acts on production");
    assert!(
        refused.render().contains("flow rollback r-acts"),
        "{}",
        refused.render()
    );

    let mut undone = run("r-undone", &release(), 0);
    let failure = Failure::new("x");
    for record in [
        Record::Failed {
            step: 0,
            kind: FailureKind::Failed,
            failure,
            retry_at: None,
        },
        Record::Parked {
            why: ParkReason::StepFailed { step: 0 },
        },
        Record::Ordered {
            order: Order::Cancel,
            by: testing::actor(),
            reason: "x".into(),
        },
    ] {
        undone
            .apply(
                0,
                &Entry {
                    at: Timestamp(2),
                    record,
                },
            )
            .expect("follows");
    }
    let refused = refuse_second(&[undone.clone()], &promote()).expect_err("it is being undone");
    let said = refused.render();
    assert!(said.contains("flow resume r-undone"), "{said}");
    assert!(
        !said.contains("flow rollback") && !said.contains("flow cancel"),
        "{said}"
    );
    let over = Record::UndoStarted {
        step: 0,
        attempt: 1,
    };
    undone
        .apply(
            0,
            &Entry {
                at: Timestamp(3),
                record: over,
            },
        )
        .expect("follows");
    let over = Record::Undone {
        step: 0,
        report: String::new(),
    };
    undone
        .apply(
            0,
            &Entry {
                at: Timestamp(3),
                record: over,
            },
        )
        .expect("follows");
    let over = Record::Finished {
        verdict: Verdict::Cancelled,
    };
    undone
        .apply(
            0,
            &Entry {
                at: Timestamp(3),
                record: over,
            },
        )
        .expect("follows");
    refuse_second(&[undone], &release()).expect("it is over");
}

#[test]
fn a_run_does_not_go_on_over_what_another_one_has_in_its_hands_and_a_rollback_always_does() {
    let staging = run("r-staging", &release(), 3);
    let parked = run("r-parked", &release(), 1);
    let runs = [staging, parked.clone()];
    let refused = refuse_beside(&runs, &parked).expect_err("staging is in use");
    assert_eq!(refused.exit, Exit::Locked);
    assert!(
        refused.message.contains("run r-staging"),
        "{}",
        refused.message
    );
    let waits = run("r-waits", &release(), 6);
    refuse_beside(&[runs[0].clone(), waits.clone()], &waits).expect("it is done with staging");
    let mut undone = parked;
    undone.life = flow_engine::run::Life::Unwinding(flow_engine::run::Unwind {
        why: "x".into(),
        cancelled: true,
        since: Timestamp(2),
    });
    refuse_beside(&runs, &undone).expect("the way back is always open");
}
