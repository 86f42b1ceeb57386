use std::sync::Arc;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::driver::Stop;
use flow_engine::record::ParkReason;
use flow_engine::run::{Run, Status};

use super::*;
use crate::means::reach::testing::{Bench, Say, failure, output, plan};
use crate::means::signature::review::verify_review;
use crate::means::signature::roster::People;
use crate::means::signature::statement;
use crate::means::signature::statement::{Decision, Statement, Subject, Words};
use crate::means::signature::verify::SignedAnswer;
use crate::people::fixture::{Team, other_namespace, seal, signal, words};
use crate::schema::tests::{Rig, registry};

const REVIEW: &str = "prep/review";

/// A run whose review waits for the role `developer`.
struct Asking {
    /// The repository, which is looked at again whenever the run goes on.
    _rig: Rig,
    team: Team,
    bench: Bench,
    run: Arc<Run>,
    stop: Stop,
}

fn release(rig: &Rig) -> flow_engine::plan::Plan {
    let safety = rig.step();
    let (repo, commit) = (safety.repo.clone(), safety.commit.clone());
    plan(
        |p| {
            let checked = p.step("prep/safety", safety);
            p.step(
                REVIEW,
                MigrationReview {
                    repo,
                    commit,
                    migrations: "backend/prisma/migrations".into(),
                    checked: (&checked).into(),
                    role: "developer".into(),
                },
            );
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    )
}

async fn ask(rig: Rig) -> Asking {
    let team = Team::new();
    let mut bench = Bench::new(registry);
    bench.people = Some(team.people());
    let (run, stop) = bench.start("r-one", release(&rig)).await;
    Asking {
        _rig: rig,
        team,
        bench,
        run,
        stop,
    }
}

fn with_a_note() -> Rig {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_notes",
        "-- for the form\nALTER TABLE \"Task\" ADD COLUMN \"notes\" TEXT;\n",
    );
    rig
}

fn said(digest: &str, decision: Decision, note: &str) -> Words {
    Words {
        subject: Subject::Review,
        finding: Some(digest.to_owned()),
        ..words("developer", "dev", decision, note)
    }
}

impl Asking {
    fn asked(&self) -> Asked {
        asked(&self.run, REVIEW).expect("something to review")
    }

    fn statement(&self, words: Words) -> Statement {
        statement::build(&self.run, REVIEW, words).expect("a statement")
    }

    fn yes(&self) -> Statement {
        self.statement(said(&self.asked().digest, Decision::Approve, ""))
    }

    async fn judge(&self, answer: &SignedAnswer) -> Result<(), String> {
        let (people, now) = (self.team.people(), SystemClock.now());
        verify_review(&self.run, REVIEW, &people, &self.asked(), answer, now)
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// Hands an answer in behind the command's back, and goes on.
    async fn hand_in(&mut self, id: &str, answer: &SignedAnswer) {
        let mut run = (*self.run).clone();
        flow_engine::run::append_signal(
            &*self.bench.journal,
            &mut run,
            signal(REVIEW, id, answer.body()),
        )
        .await
        .unwrap();
        (self.run, self.stop) = self.bench.resume("r-one").await;
    }

    fn status(&self) -> Status {
        let (at, _) = self.run.plan.node(REVIEW).unwrap();
        self.run.steps[at as usize].status
    }
}

#[tokio::test]
async fn nothing_pending_passes_and_asks_nobody() {
    let asking = ask(Rig::new()).await;
    let reviewed: Reviewed = output(&asking.run, REVIEW);
    assert_eq!(reviewed.verdict, "no migration is pending");
    assert_eq!(
        (reviewed.digest.as_str(), reviewed.approval),
        ("", None),
        "nobody approved anything"
    );
    assert_eq!(asked(&asking.run, REVIEW), None);
}

#[tokio::test]
async fn a_pending_file_is_shown_once_and_waits_until_the_role_approves_exactly_that() {
    let mut asking = ask(with_a_note()).await;
    assert_eq!(asking.stop, Stop::WaitingForPeople);
    let (step, wait) = asking.run.waiting().next().unwrap();
    assert_eq!(wait.who, "developer");
    assert_eq!(
        crate::means::commands::of_wait(&asking.run, step, wait),
        "flow sign r-one --role developer --step prep/review"
    );
    let digest = asking.asked().digest;
    assert!(
        wait.what.contains("20250201000000_notes") && wait.what.contains(&digest[..12]),
        "{}",
        wait.what
    );
    let yes = seal(asking.yes().text(), &asking.team.dev).await;
    assert_eq!(asking.judge(&yes).await, Ok(()));
    asking.hand_in("1", &yes).await;
    let reviewed: Reviewed = output(&asking.run, REVIEW);
    assert_eq!(reviewed.verdict, "dev approved 1 pending migration");
    let approval = reviewed.approval.unwrap();
    assert_eq!((&approval.finding, &reviewed.digest), (&digest, &digest));
    assert_eq!(approval.role, "developer");
    let shown = asking.bench.shown();
    let line = "    2 | ALTER TABLE \"Task\" ADD COLUMN \"notes\" TEXT;";
    assert_eq!(shown.matches(line).count(), 1, "{shown}");
    assert!(shown.contains("^ line 2: note lock-timeout: "), "{shown}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_reason_and_the_run_goes_on_waiting() {
    let mut asking = ask(with_a_note()).await;
    let yes = asking.yes();
    let digest = asking.asked().digest;
    let dev = asking.team.dev.clone();
    let foreign = seal(yes.text(), &asking.team.nobody).await;
    let role = seal(yes.text(), &asking.team.qa).await;
    let mut space = seal(yes.text(), &dev).await;
    space.signature = other_namespace(&space.statement, &dev);
    let other = asking.statement(said(&"ab".repeat(32), Decision::Approve, ""));
    let other = seal(other.text(), &dev).await;
    let none = Words {
        finding: None,
        ..said("", Decision::Approve, "")
    };
    let none = seal(asking.statement(none).text(), &dev).await;
    let waiver = Words {
        subject: Subject::Waiver,
        ..said(&digest, Decision::Approve, "fine")
    };
    let waiver = seal(asking.statement(waiver).text(), &dev).await;
    let mut tampered = seal(
        asking
            .statement(said(&digest, Decision::Reject, "no"))
            .text(),
        &dev,
    )
    .await;
    tampered.statement = tampered.statement.replace("\"reject\"", "\"approve\"");
    let elsewhere = with_a_note();
    let (second, _) = asking.bench.start("r-two", release(&elsewhere)).await;
    let theirs = asked(&second, REVIEW).unwrap().digest;
    assert_eq!(theirs, digest, "the same files in another run");
    let replayed = statement::build(&second, REVIEW, said(&theirs, Decision::Approve, ""));
    let replayed = seal(replayed.unwrap().text(), &dev).await;
    let table = [
        (foreign, "is in no role of the roster"),
        (role, "of role `qa`; this needs a key of role `developer`"),
        (space, "the signature is for the namespace `file`"),
        (other, "it was signed for finding `abab"),
        (none, "it was signed for finding ``"),
        (waiver, "it was signed for subject `waiver`"),
        (tampered, "the signature does not fit the text"),
        (
            replayed,
            "it was signed for run `r-two`, and this is `r-one`",
        ),
    ];
    for (n, (answer, why)) in table.iter().enumerate() {
        let error = asking.judge(answer).await.expect_err(why);
        assert!(error.contains(why), "{error}");
        asking.hand_in(&n.to_string(), answer).await;
        assert_eq!(asking.stop, Stop::WaitingForPeople, "{why}");
        assert_eq!(asking.status(), Status::Waiting, "{why}");
    }
    let yes = seal(yes.text(), &dev).await;
    asking.hand_in("yes", &yes).await;
    assert_eq!(asking.status(), Status::Done);
}

#[tokio::test]
async fn an_approval_is_void_when_a_file_the_set_the_order_or_a_finding_changes() {
    let rig = with_a_note();
    rig.migration(
        "20250301000000_unique",
        "CREATE TABLE \"Tag\" (\"id\" INT PRIMARY KEY);\n",
    );
    let asking = ask(rig).await;
    let yes = seal(asking.yes().text(), &asking.team.dev).await;
    let before: Checked = output(&asking.run, "prep/safety");
    assert_eq!(before.pending.len(), 2);
    let changes: [fn(&mut Checked); 5] = [
        |c| c.pending[0].sha256 = "0".repeat(64),
        |c| c.pending[0].name.push('x'),
        |c| drop(c.pending.pop()),
        |c| c.pending.reverse(),
        |c| {
            let context = flow_lint::migration::Migration {
                name: "1_t".into(),
                sql: "DROP TABLE \"Tag\";".into(),
                unreadable: None,
            };
            c.report = flow_lint::migration::check(&[context], &["1_t".to_owned()].into());
            assert!(!c.report.findings.is_empty());
        },
    ];
    for change in changes {
        let mut after = before.clone();
        change(&mut after);
        assert_ne!(digest(&after), digest(&before));
        let mut run = (*asking.run).clone();
        run.steps[0].output = Some(serde_json::to_string(&after).unwrap());
        let asked = asked(&run, REVIEW).unwrap();
        let people = asking.team.people();
        let error = verify_review(&run, REVIEW, &people, &asked, &yes, SystemClock.now())
            .await
            .expect_err("void")
            .to_string();
        assert!(error.contains("it was signed for finding"), "{error}");
    }
    let mut waived = before.clone();
    waived.script_passed = true;
    assert_eq!(digest(&waived), digest(&before), "nothing that is shown");
}

#[tokio::test]
async fn a_rejection_refuses_the_release_and_the_starter_may_be_barred() {
    let mut asking = ask(with_a_note()).await;
    let digest = asking.asked().digest;
    let yes = seal(asking.yes().text(), &asking.team.dev).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let no = asking.statement(said(&digest, Decision::Reject, "notes need a limit"));
    let no = seal(no.text(), &asking.team.dev).await;
    let strict = People {
        forbid_starter: true,
        ..asking.team.people()
    };
    let mut run = (*asking.run).clone();
    run.by.name = "dev".into();
    let (asked, now) = (asking.asked(), SystemClock.now());
    let barred = verify_review(&run, REVIEW, &strict, &asked, &yes, now).await;
    assert_eq!(barred, Err(SignOffRefusal::Starter("dev".into())));
    let mut run = (*asking.run).clone();
    // An older yes that is handed in later does not take the no back.
    for (id, answer) in [("1", &no), ("2", &yes)] {
        let one = signal(REVIEW, id, answer.body());
        flow_engine::run::append_signal(&*asking.bench.journal, &mut run, one)
            .await
            .unwrap();
    }
    (asking.run, asking.stop) = asking.bench.resume("r-one").await;
    assert_eq!(asking.stop, Stop::Parked(ParkReason::Refused { step: 1 }));
    assert_eq!(
        failure(&asking.run, REVIEW).message,
        "dev (developer) rejected the migrations: notes need a limit"
    );
    let again = crate::means::again::on_record(&asking.run)
        .again
        .into_iter();
    let again: Vec<_> = again
        .map(|asked| crate::means::commands::answering(&asking.run, &asked))
        .collect();
    let command = format!("flow sign r-one --role developer --step {REVIEW}");
    assert_eq!(again, [command]);
}

#[tokio::test]
async fn hostile_text_is_written_out_for_the_reviewer_and_a_role_nobody_holds_is_named() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_odd",
        "-- \u{1b}[2J\u{202e}desrever\nALTER TABLE \"Task\" ADD COLUMN \"a\" TEXT;\n",
    );
    let mut bench = Bench::new(registry);
    bench.people = Some(People::default());
    let (run, stop) = bench.start("r-one", release(&rig)).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 1 }));
    assert!(
        failure(&run, REVIEW)
            .message
            .contains("nobody in the roster has the role `developer`")
    );
    let shown = bench.shown();
    assert!(
        shown.contains("    1 | -- <U+001B>[2J<U+202E>desrever"),
        "{shown}"
    );
    assert!(!shown.contains(['\u{1b}', '\u{202e}']));
}
