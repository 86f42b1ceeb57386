//! What each mail says, and that the step which announces a window does so once.

use std::collections::BTreeMap;

use flow_engine::answer::Answer;
use flow_engine::clock::Timestamp;
use flow_engine::id::Digest;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{
    Entry, Failure, FailureKind, ParkReason, Payload, Record, Verdict, Wait,
};
use flow_engine::run::{Notice, Run, Topic};
use flow_engine::signal::{Actor, Order};

use super::super::notify::{DEPLOYING, ROLLED_BACK};
use super::*;
use crate::means::reach::testing::Change;
use crate::means::signature::roster::{Contact, People};
use crate::means::signature::sign_off::SignOff;

fn window() -> Notify {
    Notify {
        environment: "prod".into(),
        window: "today 18:00 to 19:00".into(),
        downtime: "5 minutes read-only".into(),
        contact: "the tech lead, +00 1".into(),
        changes: vec!["20260205_add_notes".into()],
        checked: None,
    }
}

fn plan() -> Plan {
    let mut planner = Planner::new("release", "1.0.0", "prod", "flow test");
    planner.fact("commit", "c0ffee".repeat(7).get(..40).expect("long enough"));
    planner.fact("migrations", "20260205_add_notes");
    planner.phase("signoff", "Sign-off", OnFailure::Park, |p| {
        p.step(
            "signoff/qa",
            SignOff {
                role: "qa".into(),
                valid_hours: 24,
            },
        );
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/notify", window());
        p.step("prod/change", Change);
    });
    planner.finish().expect("a plan")
}

fn by() -> Actor {
    Actor {
        name: "starter".into(),
        from: "here".into(),
    }
}

/// A run made of these records, one a second.
fn run(records: Vec<Record>) -> Run {
    let created = Record::Created {
        plan: Payload::Inline(plan().to_json()),
        by: by(),
        reason: "notes on tasks".into(),
        request: None,
    };
    let at = |second: i64| Timestamp(1_795_000_000_000 + 1000 * second);
    let entry = Entry {
        at: at(0),
        record: created,
    };
    let id = "r-20261122-k7f3".parse().expect("an id");
    let mut run = Run::create(&id, 1, &entry).expect("creates");
    for (second, record) in (1..).zip(records) {
        run.apply(
            1,
            &Entry {
                at: at(second),
                record,
            },
        )
        .expect("applies");
    }
    run
}

fn started(step: u32) -> Record {
    Record::Started { step, attempt: 1 }
}

fn signed() -> Vec<Record> {
    let output = serde_json::json!({
        "role": "qa", "signer": "The Tester", "fingerprint": "SHA256:abc", "statement_sha256": "00",
        "evidence_digest": "00", "signed_at": 1_795_000_000_000_i64, "expires_at": 1_795_000_900_000_i64,
    });
    vec![
        started(0),
        Record::Done {
            step: 0,
            output: Payload::Inline(output.to_string().into_bytes()),
        },
    ]
}

fn queued(topic: &str) -> Record {
    let body = serde_json::to_vec(&window()).expect("JSON");
    Record::Queued {
        topic: topic.into(),
        body: Payload::Inline(body),
    }
}

fn failed(step: u32, kind: FailureKind) -> Record {
    let io = std::io::Error::other("connection reset");
    let failure = Failure::new("the health check answered 500")
        .because(&io)
        .hint("look at the logs");
    Record::Failed {
        step,
        kind,
        failure,
        retry_at: None,
    }
}

fn signed_and(more: Vec<Record>) -> Run {
    run(signed().into_iter().chain(more).collect())
}

/// A run that changed production, failed there, and was undone.
fn unwound(verdict: Verdict) -> Run {
    let mut records = vec![started(1), queued(DEPLOYING), started(2)];
    records.extend(undoing());
    records.extend([
        Record::UndoStarted {
            step: 2,
            attempt: 1,
        },
        Record::Undone {
            step: 2,
            report: "changed back".into(),
        },
        Record::Finished { verdict },
    ]);
    signed_and(records)
}

/// The step that failed, and that everything is undone for it.
fn undoing() -> Vec<Record> {
    let why = "step `prod/notify` failed: the health check answered 500".to_owned();
    vec![failed(1, FailureKind::Failed), Record::Unwinding { why }]
}

/// The undo of the step that announced, which does not go on.
fn stuck() -> Vec<Record> {
    let begun = Record::UndoStarted {
        step: 1,
        attempt: 1,
    };
    let failed = Record::UndoFailed {
        step: 1,
        kind: FailureKind::Failed,
        failure: Failure::new("the server does not answer"),
        retry_at: None,
    };
    let why = ParkReason::UndoFailed { step: 1 };
    vec![begun, failed, Record::Parked { why }]
}

fn people() -> People {
    let contact = Contact {
        name: "The Operator".into(),
        role: "database".into(),
        phone: Some("+00 2".into()),
        email: None,
    };
    People::checked(BTreeMap::new(), vec![contact], false).expect("a roster")
}

/// The mail of the newest notice.
fn mail(run: &Run) -> String {
    let notice = run.notices.last().expect("a notice");
    let mail = render(
        run,
        notice,
        &people(),
        "example.org",
        Some((7, Digest::of(b"head"))),
    );
    assert!(!mail.subject.contains(char::is_control));
    // The digest of the plan changes with every field a plan gets.
    let digest = run.plan_digest.to_string();
    format!(
        "{}\nSubject: {}\n\n{}",
        mail.message_id, mail.subject, mail.body
    )
    .replace(&digest, "(plan digest)")
}

#[test]
fn each_topic_has_its_mail() {
    insta::assert_snapshot!("started", mail(&run(vec![])));
    let wait = Wait {
        who: "qa".into(),
        what: "sign-off by qa".into(),
        answer: Some(Answer::Signature {
            role: "qa".into(),
            subject: flow_engine::answer::Subject::Signoff,
            about: None,
        }),
        until: Some(Timestamp(1_795_003_600_000)),
    };
    insta::assert_snapshot!(
        "waiting",
        mail(&run(vec![
            started(0),
            Record::Waiting {
                step: 0,
                wait,
                seen: 0
            }
        ]))
    );
    let parked = |kind, why| {
        mail(&run(vec![
            started(0),
            failed(0, kind),
            Record::Parked { why },
        ]))
    };
    insta::assert_snapshot!(
        "stopped",
        parked(FailureKind::Failed, ParkReason::StepFailed { step: 0 })
    );
    insta::assert_snapshot!(
        "refused",
        parked(FailureKind::Refused, ParkReason::Refused { step: 0 })
    );
    insta::assert_snapshot!(
        "unknown",
        parked(FailureKind::Unknown, ParkReason::Unknown { step: 0 })
    );
    insta::assert_snapshot!(
        "deploying",
        mail(&signed_and(vec![started(1), queued(DEPLOYING)]))
    );
    insta::assert_snapshot!(
        "taken_back",
        mail(&signed_and(vec![started(1), queued(ROLLED_BACK)]))
    );
}

#[test]
fn each_rollback_has_its_mail() {
    let begun = [vec![started(1), started(2)], undoing()].concat();
    insta::assert_snapshot!("rollback_started", mail(&signed_and(begun.clone())));
    let stuck = [begun, stuck()].concat();
    insta::assert_snapshot!("rollback_incomplete", mail(&signed_and(stuck)));
    insta::assert_snapshot!("rolled_back", mail(&unwound(Verdict::RolledBack)));
    insta::assert_snapshot!(
        "rolled_back_in_part",
        mail(&unwound(Verdict::RolledBackInPart))
    );
    insta::assert_snapshot!("cancelled", mail(&unwound(Verdict::Cancelled)));
    let done = Record::Done {
        step: 1,
        output: Payload::Inline(b"{\"at\":0}".to_vec()),
    };
    let completed = vec![
        started(1),
        done,
        Record::Finished {
            verdict: Verdict::Completed,
        },
    ];
    insta::assert_snapshot!("completed", mail(&signed_and(completed)));
}

#[test]
fn a_run_that_is_undone_before_it_changed_production_is_called_no_rollback_of_it() {
    let ordered = |order| {
        let (by, reason) = (by(), "another day".into());
        vec![Record::Ordered { order, by, reason }]
    };
    let over = |verdict| vec![Record::Finished { verdict }];
    let failed = || [vec![started(1)], undoing()].concat();
    let stuck = || [failed(), stuck()].concat();
    for records in [
        ordered(Order::Cancel),
        [ordered(Order::Cancel), over(Verdict::Cancelled)].concat(),
        ordered(Order::Rollback),
        [ordered(Order::Rollback), over(Verdict::RolledBack)].concat(),
        failed(),
        stuck(),
        [failed(), over(Verdict::RolledBackInPart)].concat(),
    ] {
        let run = signed_and(records);
        let is = |n: &&Notice| !matches!(n.topic, Topic::Started | Topic::Waiting { .. });
        for notice in run.notices.iter().filter(is) {
            let mail = render(&run, notice, &people(), "example.org", None);
            // The undo of the step that announced says by itself what it mails.
            let text = (mail.subject.clone() + &mail.body).to_lowercase();
            let text = text.replace("mails the team that it was rolled back", "");
            for word in ["rolling back", "rollback", "rolled back", "neither the old"] {
                let text = text
                    .replace("rollback contact", "")
                    .replace("flow rollback", "");
                assert!(!text.contains(word), "{word} in {text}");
            }
            assert!(
                mail.subject.contains("taken back") || mail.subject.contains("cancelled"),
                "{}",
                mail.subject
            );
        }
    }
}

#[test]
fn nothing_from_a_run_reaches_a_header_as_a_line_of_its_own() {
    let mut run = unwound(Verdict::RolledBack);
    run.orders.push(flow_engine::run::GivenOrder {
        order: Order::Rollback,
        by: by(),
        reason: format!("x\r\nBcc: all@example.org\u{1b}[2J{}", "y".repeat(400)),
        at: Timestamp(0),
    });
    let notice = run.notices.last().expect("a notice").clone();
    let mail = render(&run, &notice, &people(), "example.org", None);
    assert!(!mail.subject.contains(char::is_control) && mail.subject.chars().count() <= 160);
    assert!(!mail.body.contains(|c: char| c.is_control() && c != '\n'));
}

/// Words of this run, of its plan and of its hosts, each with a URL that lets somebody in.
fn telling(url: &str) -> Vec<Run> {
    let said = |text: &str| Failure::new(format!("{text} {url}")).hint(format!("ask {url}"));
    let failed = |kind| Record::Failed {
        step: 1,
        kind,
        failure: said("no answer from"),
        retry_at: None,
    };
    let why = format!("step `prod/notify` failed: {url}");
    let mut runs = vec![
        signed_and(vec![
            started(1),
            failed(FailureKind::Failed),
            Record::Unwinding { why },
        ]),
        run(vec![
            started(0),
            Record::Waiting {
                step: 0,
                wait: Wait {
                    who: "qa".into(),
                    what: format!("look at {url}"),
                    answer: Some(Answer::Command(format!("curl {url}"))),
                    until: None,
                },
                seen: 0,
            },
        ]),
        unwound(Verdict::RolledBack),
    ];
    for run in &mut runs {
        run.reason = format!("because of {url}");
        run.orders.push(flow_engine::run::GivenOrder {
            order: Order::Rollback,
            by: by(),
            reason: format!("see {url}"),
            at: Timestamp(0),
        });
        let plan = std::sync::Arc::make_mut(&mut run.plan);
        plan.facts
            .insert("window".into(), format!("{} {url}", "x".repeat(260)));
        plan.nodes[1].undo = Some(format!("call {url}"));
    }
    runs
}

#[test]
fn the_password_of_a_url_is_in_no_mail_wherever_it_comes_from_and_is_cut() {
    const SECRET: &str = "kvasir-7";
    for pad in 0..40 {
        let url = format!(
            "{}postgres://app:{SECRET}@db.example.org/app",
            "-".repeat(pad * 4)
        );
        for run in telling(&url) {
            for notice in &run.notices {
                let mail = render(&run, notice, &people(), "example.org", None);
                let all = format!("{}\n{}", mail.subject, mail.body);
                assert!(!all.contains("kva"), "{all}");
            }
        }
    }
}

mod driven;
