use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock;
use flow_engine::driver::Engine;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::run::Status;
use flow_steps::means::checklist::Item;
use flow_steps::means::signature::statement::{Decision, Words};
use flow_steps::means::signature::verify::SignedAnswer;
use flow_steps::means::signature::{sshsig, statement};

use super::*;
use crate::testing::{self, actor};

mod own_steps;

struct Project {
    dir: tempfile::TempDir,
    roster: People,
    run: Arc<Run>,
}

/// A run that waits for a sign-off by `qa` and for a checklist; a roster with one key for `qa` and one for `devops`.
async fn project() -> Project {
    let dir = tempfile::tempdir().expect("a folder");
    let mut text = String::new();
    for role in ["qa", "devops"] {
        let key = dir.path().join(role);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
            .arg(&key)
            .status();
        assert!(made.expect("ssh-keygen starts").success());
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("reads");
        let _infallible = write!(
            text,
            "[[roles.{role}]]\nname = \"{role} person\"\nkey = \"{}\"\n",
            public.trim()
        );
    }
    let roster: People = toml::from_str(&text).expect("a roster");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef0123456789abcdef01234567");
    planner.phase("sign", "Sign-off", OnFailure::Park, |p| {
        p.parallel("people", |p| {
            p.step(
                "sign/qa",
                SignOff {
                    role: "qa".into(),
                    valid_hours: 24,
                },
            );
            let item = Item {
                key: "login".into(),
                text: "Login works".into(),
                required: true,
            };
            let list = Checklist {
                title: "Features".into(),
                items: vec![item],
                who: "qa".into(),
                deadline_minutes: None,
            };
            p.step("sign/features", list);
        });
    });
    let engine = Engine {
        resources: Resources::default().with(roster.clone()),
        ..testing::engine(Arc::new(MemoryJournal::default()), registry())
    };
    let new = testing::new_of("r-sign", planner.finish().expect("plans"));
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (run, _) = driver.drive().await.expect("drives");
    Project { dir, roster, run }
}

fn registry() -> Registry {
    Registry::default()
        .with::<SignOff>()
        .with::<Checklist>()
        .with::<testing::Question>()
        .with::<own_steps::Unmoved>()
}

impl Project {
    fn key(&self, role: &str) -> PathBuf {
        self.dir.path().join(role)
    }

    /// What `flow sign --role qa --key` would hand in, signed with the key of `with`.
    async fn signed(&self, with: &str) -> Signal {
        self.answered(with, Decision::Approve).await
    }

    async fn answered(&self, with: &str, decision: Decision) -> Signal {
        let (step, asked) = sign_off_of(&self.run, "qa").expect("it asks qa");
        let now = clock::system().now();
        let words = Words {
            subject: Subject::Signoff,
            role: asked.role,
            signer: "qa person".into(),
            decision,
            note: "looked at it".into(),
            finding: None,
            after: None,
            issued_at: now,
            expires_at: now.plus(Duration::from_hours(1)),
        };
        let text = statement::build(&self.run, step, words)
            .expect("builds")
            .text();
        let signature = sshsig::sign(text.as_bytes(), &self.key(with), None)
            .await
            .expect("signs");
        let answer = SignedAnswer {
            statement: text,
            signature,
        };
        Project::signal(step, &answer.body())
    }

    fn signal(step: &str, body: &str) -> Signal {
        Signal {
            step: step.into(),
            id: "a-1".into(),
            by: actor(),
            body: body.into(),
            at: clock::system().now(),
        }
    }

    fn judge(&self) -> Judge {
        let rosters = Rosters(Arc::new(self.roster.clone()));
        Judge {
            registry: Arc::new(registry()),
            resources: Resources::default().with(rosters),
            clock: clock::system(),
        }
    }

    async fn verdict(&self, signal: &Signal) -> Result<(), Exit> {
        self.judge()
            .verify(&self.run, signal)
            .await
            .map_err(|d| d.exit)
    }
}

#[tokio::test]
async fn only_a_signature_by_the_role_over_what_is_asked_is_let_through() {
    let project = project().await;
    let good = project.signed("qa").await;
    assert_eq!(project.verdict(&good).await, Ok(()));

    let other_key = project.signed("devops").await;
    assert_eq!(project.verdict(&other_key).await, Err(Exit::Refused));

    let mut forged: SignedAnswer = serde_json::from_str(&good.body).expect("an answer");
    forged.statement = forged.statement.replace("approve", "reject");
    let forged = Project::signal("sign/qa", &forged.body());
    assert_eq!(project.verdict(&forged).await, Err(Exit::Refused));

    let unsigned = Project::signal("sign/qa", "\"I approve\"");
    assert_eq!(project.verdict(&unsigned).await, Err(Exit::Refused));
}

#[tokio::test]
async fn a_checklist_answer_that_the_step_would_pass_over_is_refused_at_once() {
    let project = project().await;
    let answer = |item: &str, result: &str| {
        let body = format!("{{\"item\":\"{item}\",\"result\":\"{result}\",\"by\":\"anna\"}}");
        Project::signal("sign/features", &body)
    };
    assert_eq!(project.verdict(&answer("login", "pass")).await, Ok(()));
    assert_eq!(
        project.verdict(&answer("logout", "pass")).await,
        Err(Exit::Refused)
    );
    let without_a_note = answer("login", "fail");
    assert_eq!(project.verdict(&without_a_note).await, Err(Exit::Refused));
}

#[tokio::test]
async fn answers_that_nobody_asks_for_now_are_refused_at_once() {
    let project = project().await;
    let good = project.signed("qa").await;
    let mut run = Run::clone(&project.run);
    let verifier = project.judge();
    let judge = |run: Run, signal: Signal| {
        let verifier = &verifier;
        async move { verifier.verify(&run, &signal).await.map_err(|d| d.exit) }
    };
    let pass = r#"{"item":"login","result":"pass","by":"anna"}"#;
    let pass = Project::signal("sign/features", pass);
    assert_eq!(judge(run.clone(), pass.clone()).await, Ok(()));
    let other = r#"{"item":"login","result":"pass","by":"Director"}"#;
    let other = Project::signal("sign/features", other);
    assert_eq!(
        judge(run.clone(), other).await,
        Err(Exit::Refused),
        "by somebody else"
    );
    let nowhere = Signal {
        step: "sign/none".into(),
        ..good.clone()
    };
    assert_eq!(judge(run.clone(), nowhere).await, Err(Exit::Refused));
    run.steps[1].started = None;
    assert_eq!(
        judge(run.clone(), pass.clone()).await,
        Err(Exit::Refused),
        "not begun"
    );
    run.steps[1].status = Status::Done;
    assert_eq!(judge(run, pass).await, Err(Exit::Refused), "over");
}

#[tokio::test]
async fn the_report_names_who_signed_with_which_key_and_why() {
    let project = project().await;
    let mut run = Run::clone(&project.run);
    run.signals.push(project.signed("qa").await);
    let fail = r#"{"item":"login","result":"fail","note":"blank page","by":"anna"}"#;
    run.signals.push(Project::signal("sign/features", fail));
    let key = PublicKey::parse(&project.roster.of_role("qa")[0].key).expect("a key");
    let key = key.fingerprint();
    let report = crate::view::export::markdown(&run, &[]);
    let row = format!("| sign/qa | approved | qa person | qa | {key} |");
    assert!(report.contains(&row), "{report}");
    assert!(
        report.contains("| login | Login works | FAIL | blank page | anna from box |"),
        "{report}"
    );
    let said = crate::view::line::of(
        &run,
        &flow_engine::record::Record::Signalled(run.signals[0].clone()),
    );
    let said = said.expect("a line");
    let start = format!("sign/qa approved by qa person as qa, key {key}");
    assert!(said.starts_with(&start), "{said}");
}

#[tokio::test]
async fn the_signer_is_the_holder_of_the_key_that_is_named() {
    let project = project().await;
    let named = |role: Option<&str>, key: Option<&str>| {
        let key = key.map(|role| project.key(role));
        signer(&project.roster, role, key.as_deref(), "nobody").map(|(role, _)| role.to_owned())
    };
    assert_eq!(named(None, Some("devops")).as_deref(), Ok("devops"));
    assert_eq!(named(Some("qa"), None).as_deref(), Ok("qa"), "the only one");
    assert_eq!(
        named(None, None).map_err(|d| d.exit),
        Err(Exit::Usage),
        "who is it?"
    );
    assert_eq!(
        named(Some("ceo"), None).map_err(|d| d.exit),
        Err(Exit::Usage)
    );
}

#[tokio::test]
async fn what_is_answered_and_undriven_asks_for_a_driver_and_not_for_the_answer_again() {
    use crate::driver::{Driver, Process};
    use crate::view::{json, next, text};
    use flow_engine::record::{Entry, Record};

    let project = project().await;
    let mut run = Run::clone(&project.run);
    let driver = Driver::Gone(Process {
        pid: 7,
        host: "box".into(),
    });
    let take = |run: &mut Run, signal: Signal| {
        let entry = Entry {
            at: signal.at,
            record: Record::Signalled(signal),
        };
        run.apply(run.epoch, &entry).expect("is taken");
    };
    let commands = |run: &Run| -> Vec<String> {
        let commands = next::commands_for(run, &driver).into_iter();
        commands.map(|next| next.command).collect()
    };
    let check = "flow check r-sign sign/features";
    assert!(commands(&run)[0].starts_with("flow sign r-sign"));

    let signed = project.signed("qa").await;
    take(&mut run, signed);
    let now = commands(&run);
    assert_eq!(now, ["flow resume r-sign", check]);
    let shown = text::status(&run, &driver, clock::system().now());
    assert!(shown.contains("answered by qa, to be taken in"), "{shown}");
    assert!(!shown.contains("flow sign"), "{shown}");

    let answer = r#"{"item":"login","result":"pass","by":"qa"}"#;
    take(&mut run, Project::signal("sign/features", answer));
    assert_eq!(commands(&run), ["flow resume r-sign"]);
    let shown = text::status(&run, &driver, clock::system().now());
    assert!(
        shown.contains("It is answered; nobody drives it: process 7 on box is gone"),
        "{shown}"
    );
    let status = json::Status::of(&run, &driver, clock::system().now());
    let status = serde_json::to_value(status).expect("JSON");
    assert_eq!(status["state"], "interrupted");
    assert_eq!(status["waiting"][0]["answered"], true, "{status:#}");
    assert_eq!(status["next"][0]["command"], "flow resume r-sign");
}

#[tokio::test]
async fn after_a_rejection_the_role_is_offered_to_sign_again_on_the_screen_and_in_json() {
    use crate::driver::Driver;
    use crate::view::{json, text};
    use flow_engine::record::{Entry, Failure, FailureKind, ParkReason, Record};

    let mut project = project().await;
    let no = project.answered("qa", Decision::Reject).await;
    let mut run = Run::clone(&project.run);
    let step = 0;
    let failure = Failure::new("qa rejected the release");
    for record in [
        Record::Signalled(no),
        Record::Failed {
            step,
            kind: FailureKind::Refused,
            failure,
            retry_at: None,
        },
        Record::Parked {
            why: ParkReason::Refused { step },
        },
    ] {
        let at = clock::system().now();
        run.apply(run.epoch, &Entry { at, record })
            .expect("follows");
    }
    project.run = Arc::new(run);
    let run = &project.run;
    let sign = "flow sign r-sign --role qa";
    let status = json::Status::of(run, &Driver::Unasked, clock::system().now());
    let status = serde_json::to_value(status).expect("JSON");
    assert_eq!(status["next"][0]["command"], sign, "{status:#}");
    assert_eq!(status["next"][1]["command"], "flow retry r-sign");
    let shown = text::status(run, &Driver::Unasked, clock::system().now());
    assert!(shown.contains(&format!("  {sign} ")), "{shown}");
    let stopped = crate::drive::parked(run, Exit::Refused).render();
    assert!(stopped.contains(&format!("  {sign} ")), "{stopped}");
}

#[tokio::test]
async fn who_finds_a_mistake_after_the_step_is_over_hears_how_the_run_is_stopped() {
    let project = project().await;
    let mut run = Run::clone(&project.run);
    run.steps[1].status = Status::Done;
    let fail = r#"{"item":"login","result":"fail","note":"blank","by":"anna"}"#;
    let fail = Project::signal("sign/features", fail);
    let verifier = project.judge();
    let said = verifier
        .verify(&run, &fail)
        .await
        .expect_err("over")
        .render();
    for words in [
        "the step is over",
        "flow sign r-sign --role qa --reject --note …",
        "flow cancel r-sign --reason …",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
}
