use async_trait::async_trait;
use flow_engine::driver::Stop;
use flow_engine::plan::Effect;
use flow_engine::record::ParkReason;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::Order;
use flow_engine::step::Step;

use super::*;
use crate::means::reach::testing::{Bench, failure, output, plan, run_id};
use crate::means::signature::roster::People;

/// A policy of `table`, `column`, `class`.
fn policy(lines: &[[&str; 3]]) -> Policy {
    let mut policy = Policy::default();
    for [table, column, class] in lines {
        let columns = policy.tables.entry((*table).into()).or_default();
        columns.insert((*column).into(), (*class).into());
    }
    policy
}

/// Does with its policy what a copy does first: it refuses what the policy does not name.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Judge {
    policy: Policy,
    role: String,
}

#[async_trait]
impl Step for Judge {
    const KIND: &'static str = "test.judge";
    type Output = Option<Corrected>;

    fn summary(&self) -> String {
        "judges".into()
    }

    fn effect(&self) -> Effect {
        Effect::Reads
    }

    async fn run(&self, cx: &Cx) -> Result<Self::Output, StepError> {
        let (policy, corrected) = in_force(cx, &self.policy, &self.role).await?;
        let named = policy
            .tables
            .get("Task")
            .is_some_and(|t| t.contains_key("note"));
        if named {
            Ok(corrected)
        } else {
            Err(StepError::fail("column public.Task.note"))
        }
    }
}

type Lines<'a> = &'a [[&'a str; 3]];

const INCOMPLETE: Lines<'_> = &[["Task", "id", "keep"], ["Task", "title", "personal"]];
const NAMED: Lines<'_> = &[
    ["Task", "id", "keep"],
    ["Task", "title", "personal"],
    ["Task", "note", "keep"],
];
/// The table is spelled in another way, which makes it no other table.
const LOOSENED: Lines<'_> = &[["public.Task", "title", "keep"], ["Task", "note", "keep"]];

fn bench() -> Bench {
    let mut bench = Bench::new(|| Registry::default().with::<Judge>());
    bench.people = Some(People::default());
    bench
}

/// A run that was planned with an incomplete policy and stopped at it.
async fn parked(bench: &Bench, role: &str) {
    let judge = Judge {
        policy: policy(INCOMPLETE),
        role: role.into(),
    };
    let plan = plan(|p| drop(p.step("stage/copy-prod", judge)), |_| {});
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    assert!(
        failure(&run, "stage/copy-prod")
            .message
            .contains("Task.note")
    );
}

/// Tries again, with this file beside the configuration.
async fn again(bench: &Bench, today: Lines<'_>) -> (std::sync::Arc<Run>, Stop) {
    bench.order("r-one", Order::Retry).await;
    let mut engine = bench.engine();
    engine.resources = engine.resources.with(policy(today));
    let (driver, _handle) = engine.resume(&run_id("r-one")).await.expect("resumes");
    driver.drive().await.expect("drives")
}

#[tokio::test]
async fn a_retry_after_a_corrected_policy_goes_on_with_it_and_records_both_digests() {
    let bench = bench();
    parked(&bench, "tech-lead").await;
    let (run, _) = again(&bench, NAMED).await;
    let corrected: Option<Corrected> = output(&run, "stage/copy-prod");
    let corrected = corrected.expect("another policy than the plan's");
    assert_eq!(corrected.planned, digest(&policy(INCOMPLETE)));
    assert_eq!(corrected.used, digest(&policy(NAMED)));
    assert_eq!((corrected.released, corrected.waiver), (vec![], None));
}

#[tokio::test]
async fn what_the_plan_called_personal_leaves_production_only_by_signature() {
    let bench = bench();
    parked(&bench, "tech-lead").await;
    let (run, stop) = again(&bench, LOOSENED).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let (index, wait) = run.waiting().next().expect("somebody is asked");
    let command = crate::means::commands::of_wait(&run, index, wait);
    assert_eq!(wait.who, "tech-lead");
    assert!(wait.what.contains("public.Task.title"), "{}", wait.what);
    assert!(
        command.starts_with("flow waive r-one stage/copy-prod "),
        "{command}"
    );
}

#[tokio::test]
async fn a_plan_of_before_that_names_nobody_who_may_accept_it_refuses_and_says_what_to_do() {
    let bench = bench();
    parked(&bench, "").await;
    let (run, stop) = again(&bench, LOOSENED).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    let said = failure(&run, "stage/copy-prod");
    assert!(
        said.hints[0].contains("cancel this run and start a new one"),
        "{said:?}"
    );
}

#[tokio::test]
async fn without_a_file_at_hand_the_plans_own_policy_counts() {
    let bench = bench();
    parked(&bench, "tech-lead").await;
    bench.order("r-one", Order::Retry).await;
    let (_, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
}
