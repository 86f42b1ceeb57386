//! For what a waiver holds.

use super::*;
use crate::means::signature::statement;
use crate::means::signature::statement::Subject;
use crate::means::signature::waiver::waived;

#[tokio::test]
async fn a_waiver_holds_for_its_finding_step_and_run_only() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let finding = "f1".repeat(32);
    let mut said = yes("developer", "dev");
    said.subject = Subject::Waiver;
    said.finding = Some(finding.clone());
    assert!(
        statement::build(&run, "prod/backup", said.clone()).is_err(),
        "a waiver needs a reason"
    );
    said.note = "the table is empty".into();
    let answer = signed(&run, "prod/backup", said, &team.dev).await;
    let mut run = (*run).clone();
    run.signals.push(signal("prod/backup", "1", answer.body()));
    let now = SystemClock.now();
    let people = team.people();
    let look = |subject, finding: String, now| {
        let (run, people) = (&run, &people);
        async move {
            waived(
                run,
                "prod/backup",
                people,
                (subject, &finding),
                "developer",
                now,
            )
            .await
            .expect("judged")
        }
    };
    let waiver = look(Subject::Waiver, finding.clone(), now)
        .await
        .expect("waived");
    assert_eq!(
        (waiver.reason.as_str(), waiver.role.as_str()),
        ("the table is empty", "developer")
    );
    assert_eq!(look(Subject::Waiver, "f2".repeat(32), now).await, None);
    assert_eq!(look(Subject::Review, finding.clone(), now).await, None);
    assert_eq!(
        look(Subject::Waiver, finding, now.plus(Duration::from_hours(13))).await,
        None
    );
}

#[tokio::test]
async fn a_waiver_is_hidden_neither_by_other_findings_nor_by_another_roles_waiver() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let finding = "f1".repeat(32);
    let waiver = |role: &str, name: &str| {
        let mut said = yes(role, name);
        said.subject = Subject::Waiver;
        said.finding = Some(finding.clone());
        said.note = "read".into();
        said
    };
    let step = "prod/backup";
    let first = signed(&run, step, waiver("developer", "dev"), &team.dev).await;
    let later = signed(&run, step, waiver("qa", "qa"), &team.qa).await;
    let mut run = (*run).clone();
    run.signals.push(signal(step, "first", first.body()));
    let others = (0..60).map(|n| signal(step, &format!("other-{n}"), format!("\"f2 {n}\"")));
    run.signals.extend(others);
    run.signals.push(signal(step, "later", later.body()));
    let people = team.people();
    for role in ["developer", "qa"] {
        let subject = (Subject::Waiver, finding.as_str());
        let found = waived(&run, step, &people, subject, role, SystemClock.now()).await;
        let found = found.expect("judged").expect("waived");
        assert_eq!(found.role, role);
    }
}
