//! Questions of steps that nothing here has heard of.

use flow_engine::answer::{Reply, Subject};
use flow_engine::record::Wait;
use flow_engine::step::{Cx, Step, StepError};

use super::*;

/// Waits for a signature and judges none.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Unmoved;

#[async_trait]
impl Step for Unmoved {
    const KIND: &'static str = "test.unmoved";
    type Output = ();

    fn summary(&self) -> String {
        "waits".into()
    }

    async fn run(&self, _: &Cx) -> Result<(), StepError> {
        Err(StepError::Wait(Wait {
            who: "qa".into(),
            what: "a signature".into(),
            answer: Some(Answer::Signature {
                role: "qa".into(),
                subject: Subject::Waiver,
                about: Some("ab".into()),
            }),
            until: None,
        }))
    }
}

/// A run that waits for an own step's choice, and for a signature that its step does not judge.
async fn asking() -> Arc<Run> {
    let mut planner = Planner::new("mine", "test-1", "prod", "flow test");
    planner.phase("ask", "Questions", OnFailure::Park, |p| {
        p.parallel("both", |p| {
            p.step("ask/choice", testing::Question);
            p.step("ask/signature", Unmoved);
        });
    });
    let engine = testing::engine(Arc::new(MemoryJournal::default()), registry());
    let new = testing::new_of("r-mine", planner.finish().expect("plans"));
    let (driver, _handle) = engine.start(new).await.expect("starts");
    driver.drive().await.expect("drives").0
}

#[tokio::test]
async fn a_question_of_a_step_that_is_not_known_here_is_judged_by_that_step_and_never_as_a_waiver()
{
    let project = project().await;
    let run = asking().await;
    let judge = project.judge();
    let say = |step: &str, body: String| {
        let signal = Project::signal(step, &body);
        let (judge, run) = (&judge, &run);
        async move { judge.verify(run, &signal).await.map_err(|d| d.message) }
    };
    assert_eq!(
        say("ask/choice", Reply::Choice("yes".into()).body()).await,
        Ok(())
    );
    let said = say("ask/choice", Reply::Choice("maybe".into()).body()).await;
    assert_eq!(
        said,
        Err("the answer does not count: `ask/choice` takes one of yes, no".into())
    );
    let signed = project.signed("qa").await;
    for step in ["ask/choice", "ask/signature"] {
        let said = say(step, signed.body.clone())
            .await
            .expect_err("is refused");
        assert!(!said.contains("waiver"), "{said}");
    }
    let none = Judge {
        registry: Arc::new(Registry::default()),
        resources: Resources::default(),
        clock: clock::system(),
    };
    let signal = Project::signal("ask/choice", "{}");
    let said = none.verify(&run, &signal).await.expect_err("not known");
    assert_eq!(said.exit, Exit::Usage);
    assert!(
        said.message.contains("no step `test.question`"),
        "{}",
        said.message
    );
}
