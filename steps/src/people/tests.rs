//! Sign-offs with real keys and the real ssh-keygen.

use std::path::Path;
use std::time::Duration;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::driver::Stop;
use flow_engine::record::Verdict;
use flow_engine::run::Status;

use super::fixture::*;
use super::*;
use crate::means::signature::sign_off::{still_valid, verify_answer};
use crate::means::signature::statement::{Decision, Words};
use crate::means::signature::verify::{Accepted, SignOffRefusal, SignedAnswer};
use crate::means::signature::{sign_off, sshsig, statement};

mod later;
mod starting;
mod taken_out;
mod text;
mod waiving;

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
    let waiting = run.waiting();
    let commands: Vec<_> = waiting
        .map(|(step, wait)| crate::means::commands::of_wait(&run, step, wait))
        .collect();
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
async fn a_plan_without_a_commit_is_signed_and_its_digest_binds_it_all_the_same() {
    let team = Team::new();
    let engine = engine(Some(team.people()));
    let mut plan = usual();
    plan.facts.remove("commit");
    let (run, stop) = start(&engine, "r-1", plan).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let now = SystemClock.now();
    let judged = verify_answer(&run, DEV, &team.people(), &dev, now).await;
    assert!(judged.is_ok(), "{judged:?}");
    let (_, other) = waiting(&team).await;
    let other = signed(&other, DEV, yes("developer", "dev"), &team.dev).await;
    let judged = verify_answer(&run, DEV, &team.people(), &other, now).await;
    let changed = SignOffRefusal::Changed { what: "the plan" };
    assert_eq!(judged, Err(changed), "signed for another plan");
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
async fn a_signature_whose_line_ends_a_mail_program_changed_is_taken_and_a_changed_text_is_not() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let good = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let lines = good.signature.trim_end();
    for changed in [
        lines.replace('\n', "\r\n"),
        format!("\n\n{lines}\n\n"),
        format!("\u{feff}{}", lines.replace('\n', " \r\n")),
    ] {
        let answer = SignedAnswer {
            signature: changed,
            ..good.clone()
        };
        let judged = judge(&run, DEV, &team, &answer).await;
        assert!(judged.is_ok(), "{:?}: {judged:?}", answer.signature);
    }
    let changed = SignedAnswer {
        statement: good.statement.replace('\n', "\r\n"),
        ..good
    };
    let judged = judge(&run, DEV, &team, &changed).await;
    assert!(
        matches!(judged, Err(SignOffRefusal::Signature(_))),
        "{judged:?}"
    );
}
