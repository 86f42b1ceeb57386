//! Sign-offs with real keys and the real ssh-keygen.

use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::driver::Stop;
use flow_engine::journal::BODY_MAX;
use flow_engine::record::{ParkReason, Record, Verdict};
use flow_engine::run::Status;

use super::fixture::*;
use super::*;

const DEV: &str = "signoff/developer";
const QA: &str = "signoff/qa";

fn yes(role: &str, signer: &str) -> Words {
    words(role, signer, Decision::Approve, "")
}

async fn judge(
    run: &flow_engine::run::Run,
    step: &str,
    team: &Team,
    answer: &SignedAnswer,
) -> Result<Accepted, SignOffRefusal> {
    verify_answer(run, step, &team.people(), answer, SystemClock.now()).await
}

async fn waiting(
    team: &Team,
) -> (
    flow_engine::driver::Engine,
    std::sync::Arc<flow_engine::run::Run>,
) {
    let engine = engine(Some(team.people()));
    let (run, stop) = start(&engine, "r-1", usual()).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    (engine, run)
}

#[tokio::test]
async fn a_run_waits_for_each_role_and_goes_on_when_both_signed() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let commands: Vec<_> = run.waiting().map(|(_, w)| w.command.clone()).collect();
    assert_eq!(
        commands,
        ["flow sign r-1 --role developer", "flow sign r-1 --role qa"]
    );
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let (run, stop) = answer(
        &engine,
        &run,
        vec![signal(DEV, &dev.signal_id(), dev.body())],
    )
    .await;
    assert_eq!(stop, Stop::WaitingForPeople, "one sign-off is not two");

    let qa = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    let (run, stop) = answer(&engine, &run, vec![signal(QA, &qa.signal_id(), qa.body())]).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let given = still_valid(&run, &team.people(), SystemClock.now())
        .await
        .expect("both hold");
    let roles: Vec<_> = given.iter().map(|g| g.role.as_str()).collect();
    assert_eq!(roles, ["developer", "qa"]);
    let late = SystemClock.now().plus(Duration::from_hours(13));
    let expired = still_valid(&run, &team.people(), late).await;
    assert!(
        matches!(expired, Err(sign_off::NotValid::Expired { .. })),
        "{expired:?}"
    );
}

#[tokio::test]
async fn answers_that_do_not_count_leave_the_run_waiting() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let foreign = signed(&run, DEV, yes("developer", "dev"), &team.nobody).await;
    let junk = signal(DEV, "junk", "{}".into());
    let (run, stop) = answer(&engine, &run, vec![signal(DEV, "1", foreign.body()), junk]).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    assert_eq!(run.steps[1].status, Status::Waiting);
}

#[tokio::test]
async fn the_wrong_key_is_refused_with_whose_it_is() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let foreign = signed(&run, DEV, yes("developer", "dev"), &team.nobody).await;
    let error = judge(&run, DEV, &team, &foreign)
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("is in no role of the roster"), "{error}");
    let qa = signed(&run, DEV, yes("developer", "dev"), &team.qa).await;
    let error = judge(&run, DEV, &team, &qa)
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("is qa's, of role `qa`; this needs a key of role `developer`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_signature_for_another_run_role_or_step_is_refused() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let (other, _) = start(&engine, "r-2", usual()).await;
    let replayed = signed(&other, DEV, yes("developer", "dev"), &team.dev).await;
    let error = judge(&run, DEV, &team, &replayed)
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "it was signed for run `r-2`, and this is `r-1`"
    );
    let role = signed(&run, DEV, yes("qa", "dev"), &team.dev).await;
    let error = judge(&run, DEV, &team, &role).await.expect_err("refused");
    assert!(
        matches!(error, SignOffRefusal::Other { what: "role", .. }),
        "{error}"
    );
    let step = signed(&run, QA, yes("developer", "dev"), &team.dev).await;
    let error = judge(&run, DEV, &team, &step).await.expect_err("refused");
    assert!(
        matches!(error, SignOffRefusal::Other { what: "step", .. }),
        "{error}"
    );
    let name = signed(&run, DEV, yes("developer", "somebody"), &team.dev).await;
    let error = judge(&run, DEV, &team, &name).await.expect_err("refused");
    assert!(
        matches!(error, SignOffRefusal::Other { what: "signer", .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_signature_for_another_namespace_is_refused() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut answer = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    answer.signature = other_namespace(&answer.statement, &team.dev);
    let error = judge(&run, DEV, &team, &answer).await.expect_err("refused");
    assert_eq!(error, SignOffRefusal::Namespace("file".into()));
    let now = SystemClock.now();
    let people = team.people();
    let stock = sshsig::verify(
        answer.statement.as_bytes(),
        &answer.signature,
        &people.allowed_signers(),
        "developer:dev@example.org",
        now,
    )
    .await;
    assert!(
        matches!(stock, Err(sshsig::SshSigError::Invalid(_))),
        "{stock:?}"
    );
}

#[tokio::test]
async fn a_tampered_text_is_refused() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut answer = signed(
        &run,
        DEV,
        words("developer", "dev", Decision::Reject, "no"),
        &team.dev,
    )
    .await;
    answer.statement = answer.statement.replace("\"reject\"", "\"approve\"");
    let error = judge(&run, DEV, &team, &answer).await.expect_err("refused");
    assert!(matches!(error, SignOffRefusal::Signature(_)), "{error}");
}

#[tokio::test]
async fn a_summary_other_than_the_one_flow_shows_is_refused_though_well_signed() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut statement = statement::build(&run, DEV, yes("developer", "dev")).expect("a statement");
    statement.summary = vec!["nothing changes".into()];
    let answer = seal(statement.text(), &team.dev).await;
    let error = judge(&run, DEV, &team, &answer).await.expect_err("refused");
    assert_eq!(
        error,
        SignOffRefusal::Changed {
            what: "the summary that is shown"
        }
    );
    let spaced = statement.text().replace("  \"run\"", "   \"run\"");
    let answer = seal(spaced, &team.dev).await;
    let error = judge(&run, DEV, &team, &answer).await.expect_err("refused");
    assert!(matches!(error, SignOffRefusal::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn what_the_statement_names_must_not_have_changed() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let answer = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let mut changed = (*run).clone();
    changed.steps[0].output = Some("{\"path\":\"/b/other\"}".into());
    let error = judge(&changed, DEV, &team, &answer)
        .await
        .expect_err("refused");
    assert_eq!(
        error,
        SignOffRefusal::Changed {
            what: "the evidence"
        }
    );
    let mut changed = (*run).clone();
    changed.plan_digest = flow_engine::id::Digest::of(b"another plan");
    let error = judge(&changed, DEV, &team, &answer)
        .await
        .expect_err("refused");
    assert_eq!(error, SignOffRefusal::Changed { what: "the plan" });
    let mut early = (*run).clone();
    early.steps[0].status = Status::Running;
    let error = judge(&early, DEV, &team, &answer)
        .await
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "step `prod/backup` is not finished, so the evidence is not complete; sign when it is"
    );
}

#[tokio::test]
async fn expired_overlong_and_future_statements_are_refused() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let now = SystemClock.now();
    let mut said = yes("developer", "dev");
    said.expires_at = now;
    let error = judge(
        &run,
        DEV,
        &team,
        &signed(&run, DEV, said.clone(), &team.dev).await,
    )
    .await;
    assert_eq!(error, Err(SignOffRefusal::Expired(now)));
    said.expires_at = said.issued_at.plus(Duration::from_hours(25));
    let error = judge(
        &run,
        DEV,
        &team,
        &signed(&run, DEV, said.clone(), &team.dev).await,
    )
    .await;
    assert!(
        matches!(error, Err(SignOffRefusal::TooLong { hours: 24, .. })),
        "{error:?}"
    );
    said.issued_at = now.plus(Duration::from_mins(10));
    let error = judge(&run, DEV, &team, &signed(&run, DEV, said, &team.dev).await).await;
    assert!(
        matches!(error, Err(SignOffRefusal::Ahead { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn one_key_does_not_sign_two_roles_even_when_the_roster_changed_in_between() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let (run, _) = answer(&engine, &run, vec![signal(DEV, "1", dev.body())]).await;
    let moved = People::checked(
        [("qa".into(), vec![person("dev", &team.dev)])].into(),
        Vec::new(),
        false,
    )
    .expect("a roster");
    let again = signed(&run, QA, yes("qa", "dev"), &team.dev).await;
    let error = verify_answer(&run, QA, &moved, &again, SystemClock.now())
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, SignOffRefusal::TwoRoles { role, .. } if role == "developer"),
        "{error}"
    );
    let gone = still_valid(&run, &moved, SystemClock.now()).await;
    assert!(
        matches!(gone, Err(sign_off::NotValid::Removed { .. })),
        "{gone:?}"
    );
}

#[tokio::test]
async fn a_rejection_refuses_the_release_with_its_note_and_an_older_yes_cannot_be_replayed() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let old = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let no = signed(
        &run,
        DEV,
        words("developer", "dev", Decision::Reject, "counts look wrong"),
        &team.dev,
    )
    .await;
    let both = vec![signal(DEV, "1", no.body()), signal(DEV, "2", old.body())];
    let (run, stop) = answer(&engine, &run, both).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 1 }));
    let failure = &run.steps[1].failure.as_ref().expect("refused").1;
    assert_eq!(
        failure.message,
        "dev (developer) rejected the release: counts look wrong"
    );
    assert!(
        statement::build(&run, DEV, words("developer", "dev", Decision::Reject, " ")).is_err(),
        "a no needs a reason"
    );
}

#[tokio::test]
async fn a_rejection_after_the_sign_off_was_taken_withdraws_it() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let qa = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    let (run, _) = answer(
        &engine,
        &run,
        vec![signal(DEV, "1", dev.body()), signal(QA, "1", qa.body())],
    )
    .await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let no = signed(
        &run,
        QA,
        words("qa", "qa", Decision::Reject, "found something"),
        &team.qa,
    )
    .await;
    let mut run = (*run).clone();
    run.signals.push(signal(QA, "2", no.body()));
    let gone = still_valid(&run, &team.people(), SystemClock.now())
        .await
        .expect_err("withdrawn");
    assert_eq!(
        gone.to_string(),
        "qa (qa) has since rejected the release: found something"
    );
}

#[tokio::test]
async fn the_starter_is_barred_when_the_roster_says_so() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    run.by = by("DEV");
    let answer = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    assert!(judge(&run, DEV, &team, &answer).await.is_ok());
    let strict = People {
        forbid_starter: true,
        ..team.people()
    };
    let error = verify_answer(&run, DEV, &strict, &answer, SystemClock.now()).await;
    assert_eq!(error, Err(SignOffRefusal::Starter("dev".into())));
}

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
            waived(run, "prod/backup", people, (subject, &finding), now)
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
async fn the_largest_answer_of_a_4096_bit_rsa_key_fits_a_record() {
    let team = Team::new();
    let rsa = keygen(team.folder.path(), "rsa", &["-t", "rsa", "-b", "4096"]);
    let name = "n".repeat(80);
    let mut signer = person("rsa", &rsa);
    signer.name.clone_from(&name);
    let role = "r".repeat(32);
    let people = People::checked([(role.clone(), vec![signer])].into(), Vec::new(), false)
        .expect("a roster");
    let key = format!("signoff/{}", "k".repeat(56));
    let long = serde_json::json!({"verdict": "\"".repeat(200), "path": "ü".repeat(200)});
    let plan = plan(&"c".repeat(40), &long, |p| {
        p.fact("migrations", "m\"".repeat(400));
        p.phase("more", "More", flow_engine::plan::OnFailure::Park, |p| {
            p.step(
                &key,
                SignOff {
                    role: role.clone(),
                    valid_hours: 24,
                },
            );
        });
    });
    let mut run = (*start(
        &engine(Some(people.clone())),
        &format!("r-{}", "x".repeat(62)),
        plan,
    )
    .await
    .0)
        .clone();
    for state in &mut run.steps[..3] {
        state.status = Status::Skipped;
        state.skipped = Some("why ".repeat(100));
    }
    let said = words(&role, &name, Decision::Reject, &"ü".repeat(120));
    let answer = signed(&run, &key, said, &rsa).await;
    verify_answer(&run, &key, &people, &answer, SystemClock.now())
        .await
        .expect("counts");
    let mut handed_in = signal(&key, &answer.signal_id(), answer.body());
    handed_in.by = flow_engine::signal::Actor {
        name: "n".repeat(64),
        from: "f".repeat(64),
    };
    let entry = flow_engine::record::Entry {
        at: SystemClock.now(),
        record: Record::Signalled(handed_in),
    };
    let size = flow_engine::codec::encode(&entry).expect("encodes").len();
    assert!(size <= BODY_MAX, "{size}");
}

#[tokio::test]
async fn an_agent_signs_with_only_the_public_half_on_disk() {
    let team = Team::new();
    let agent = Agent::start(team.folder.path());
    agent.add(&team.dev);
    std::fs::remove_file(&team.dev).expect("removed");
    let public = team.dev.with_extension("pub");
    let socket = Some(agent.socket.as_path());
    let signature = sshsig::sign(b"text\n", &public, socket)
        .await
        .expect("the agent signs");
    let people = team.people();
    sshsig::verify(
        b"text\n",
        &signature,
        &people.allowed_signers(),
        "developer:dev@example.org",
        SystemClock.now(),
    )
    .await
    .expect("verifies");
    let other = team.nobody.with_extension("pub");
    std::fs::remove_file(&team.nobody).expect("removed");
    let error = sshsig::sign(b"text\n", &other, socket)
        .await
        .expect_err("not in the agent");
    assert!(matches!(error, sshsig::SshSigError::Agent(_)), "{error}");
    let error = sshsig::sign(b"text\n", &team.dev, socket)
        .await
        .expect_err("no file");
    assert!(matches!(error, sshsig::SshSigError::Key(_)), "{error}");
}
