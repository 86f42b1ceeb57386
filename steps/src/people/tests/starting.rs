//! Whose key started a run, and what that key and the others of that person may not do in it.

use std::sync::Arc;

use flow_engine::driver::Engine;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::ParkReason;
use flow_engine::run::Run;

use super::*;
use crate::means::signature::roster::{People, Person};
use crate::means::signature::sign_off::{SignOff, still_valid, verify_answer};
use crate::means::signature::starter::Starter;
use crate::means::signature::statement::{Decision, Subject, Words};
use crate::means::signature::verify::{SignOffRefusal, SignedAnswer};
use crate::means::signature::waiver::verify_waiver;
use crate::means::signature::{sign_off, starter};

/// `dev` stands twice in this roster: as developer, and with another key as one who starts releases.
fn strict(team: &Team) -> People {
    let roles = [
        ("developer".into(), vec![person("dev", &team.dev)]),
        ("qa".into(), vec![person("qa", &team.qa)]),
        ("starter".into(), vec![person("dev", &team.nobody)]),
    ];
    People::checked(roles.into(), Vec::new(), true).expect("a roster")
}

/// A plan whose start is signed, with a finding to waive and both sign-offs.
fn asking() -> Plan {
    let mut planner = Planner::new("release", "1.0.0", "prod", "test");
    planner.fact("commit", &"c0ffee".repeat(7)[..40]);
    planner.phase("rules", "Rules", OnFailure::Park, |p| {
        p.step("gate/starter", Starter {});
        p.step("prod/backup", Report(serde_json::json!({"bytes": 7})));
    });
    planner.phase("signoff", "Sign-off", OnFailure::Park, |p| {
        p.parallel("signoff", |p| {
            for role in ["developer", "qa"] {
                let role = role.to_owned();
                let asked = SignOff {
                    role: role.clone(),
                    valid_hours: 24,
                };
                p.step(&format!("signoff/{role}"), asked);
            }
        });
    });
    planner.finish().expect("a plan")
}

fn start_words(role: &str, name: &str) -> Words {
    let mut said = words(role, name, Decision::Approve, "");
    said.subject = Subject::Start;
    said
}

/// The signature of a start, made before there is a run.
async fn signature(id: &str, (role, name): (&str, &str), key: &std::path::Path) -> SignedAnswer {
    let preview = new_run(id, asking())
        .preview(SystemClock.now())
        .expect("a run");
    signed(&preview, "gate/starter", start_words(role, name), key).await
}

async fn started(engine: &Engine, id: &str, with: Option<&SignedAnswer>) -> (Arc<Run>, Stop) {
    let answers = with.map(|answer| signal("gate/starter", "start", answer.body()));
    let new = new_run(id, asking());
    let started = engine
        .clone()
        .start_with(new, answers.into_iter().collect())
        .await;
    drive(started.expect("starts").0).await
}

#[tokio::test]
async fn the_key_that_signed_the_start_and_every_other_key_of_that_person_is_barred() {
    let team = Team::new();
    let people = strict(&team);
    let engine = engine(Some(people.clone()));
    let start = signature("r-1", ("starter", "dev"), &team.nobody).await;
    let (run, stop) = started(&engine, "r-1", Some(&start)).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let signer = starter::of(&run).expect("known");
    let key = people.of_role("starter")[0].public_key().expect("a key");
    assert_eq!(
        (
            signer.signer.as_str(),
            signer.role.as_str(),
            signer.fingerprint.as_str()
        ),
        ("dev", "starter", key.fingerprint())
    );
    let now = SystemClock.now();
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let barred = verify_answer(&run, DEV, &people, &dev, now).await;
    assert_eq!(
        barred,
        Err(SignOffRefusal::Starter("dev".into())),
        "the other key"
    );
    let finding = "f1".repeat(32);
    for (role, key) in [("starter", &team.nobody), ("developer", &team.dev)] {
        let mut said = yes(role, "dev");
        said.subject = Subject::Waiver;
        said.finding = Some(finding.clone());
        said.note = "fine".into();
        let waiver = signed(&run, "prod/backup", said, key).await;
        let about = (Subject::Waiver, finding.as_str());
        let barred = verify_waiver(&run, "prod/backup", &people, about, &waiver, now).await;
        assert_eq!(barred, Err(SignOffRefusal::Starter("dev".into())), "{role}");
    }
    let qa = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    assert!(
        verify_answer(&run, QA, &people, &qa, now).await.is_ok(),
        "somebody else"
    );
    let shown = qa.statement.contains(&format!(
        "started by dev (starter), key {}",
        signer.fingerprint
    ));
    assert!(shown, "{}", qa.statement);
}

#[tokio::test]
async fn a_run_whose_start_no_key_of_the_roster_signed_is_refused_at_its_first_step() {
    let team = Team::new();
    let engine = engine(Some(strict(&team)));
    let stranger = keygen(team.folder.path(), "stranger", &ED25519);
    let by_stranger = signature("r-stranger", ("developer", "dev"), &stranger).await;
    let of_another = signature("r-other", ("qa", "qa"), &team.qa).await;
    let as_another = signature("r-as", ("developer", "dev"), &team.qa).await;
    for (id, answer) in [
        ("r-none", None),
        ("r-stranger", Some(&by_stranger)),
        ("r-replayed", Some(&of_another)),
        ("r-as", Some(&as_another)),
    ] {
        let (run, stop) = started(&engine, id, answer).await;
        assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }), "{id}");
        assert_eq!(starter::of(&run), None, "{id}");
    }
}

#[tokio::test]
async fn the_signature_of_the_start_is_judged_again_before_production() {
    let team = Team::new();
    let people = strict(&team);
    let engine = engine(Some(people.clone()));
    let third = keygen(team.folder.path(), "third", &ED25519);
    let mut people = people;
    people
        .roles
        .insert("starter".into(), vec![person("third", &third)]);
    let engine = Engine {
        resources: flow_engine::step::Resources::default().with(people.clone()),
        ..engine
    };
    let start = signature("r-1", ("starter", "third"), &third).await;
    let (run, _) = started(&engine, "r-1", Some(&start)).await;
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let qa = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    let both = vec![signal(DEV, "1", dev.body()), signal(QA, "1", qa.body())];
    let (run, stop) = answer(&engine, &run, both).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let days = SystemClock.now().plus(Duration::from_hours(11));
    assert!(
        still_valid(&run, &people, days).await.is_ok(),
        "a start does not expire"
    );
    let mut without = people.clone();
    without.roles.remove("starter");
    let gone = still_valid(&run, &without, SystemClock.now()).await;
    assert!(
        matches!(gone, Err(sign_off::NotValid::Start(_))),
        "{gone:?}"
    );
    let mut forged = (*run).clone();
    let other = signature("r-2", ("starter", "third"), &third).await;
    forged.signals[0].body = other.body();
    let gone = still_valid(&forged, &people, SystemClock.now()).await;
    assert!(
        matches!(gone, Err(sign_off::NotValid::Start(_))),
        "{gone:?}"
    );
    // Whose sign-off was taken although the roster now says that they are the starter.
    let mut same = people.clone();
    same.roles.get_mut("starter").expect("there")[0].login = Some("qa".into());
    let gone = still_valid(&run, &same, SystemClock.now()).await;
    assert_eq!(gone, Err(sign_off::NotValid::Starter("qa".into())));
}

#[test]
fn entries_that_share_a_name_an_address_or_a_login_are_one_person() {
    let of = |name: &str, email: Option<&str>, login: Option<&str>| Person {
        name: name.into(),
        email: email.map(str::to_owned),
        key: String::new(),
        login: login.map(str::to_owned),
    };
    let anna = of("Anna Li", Some("anna@example.org"), None);
    for same in [
        of("anna li", None, None),
        of("A. Li", Some("Anna@example.org"), None),
        of("A. Li", None, Some("anna")),
    ] {
        assert!(anna.is_also(&same) && same.is_also(&anna), "{same:?}");
    }
    let other = of("Ben", Some("ben@example.org"), Some("ben"));
    assert!(!anna.is_also(&other) && !other.is_also(&anna));
}

#[tokio::test]
async fn the_login_that_started_a_run_is_barred_as_well() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    run.by = by("DEV");
    assert!(!starter::is_nameless(&run.by));
    let answer = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    assert!(judge(&run, DEV, &team, &answer).await.is_ok());
    let strict = People {
        forbid_starter: true,
        ..team.people()
    };
    let error = verify_answer(&run, DEV, &strict, &answer, SystemClock.now()).await;
    assert_eq!(error, Err(SignOffRefusal::Starter("dev".into())));
    let mut said = yes("developer", "dev");
    said.subject = Subject::Waiver;
    said.finding = Some("f1".repeat(32));
    said.note = "fine".into();
    let waiver = signed(&run, "prod/backup", said, &team.dev).await;
    let (about, now) = ((Subject::Waiver, "f1".repeat(32)), SystemClock.now());
    let about = (about.0, about.1.as_str());
    let error = verify_waiver(&run, "prod/backup", &strict, about, &waiver, now).await;
    assert_eq!(error, Err(SignOffRefusal::Starter("dev".into())));
}

#[tokio::test]
async fn where_starters_are_barred_nobody_answers_for_a_starter_without_a_login_name() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    run.by = by(&starter::nameless(1234));
    let answer = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    assert!(judge(&run, DEV, &team, &answer).await.is_ok());
    let strict = People {
        forbid_starter: true,
        ..team.people()
    };
    let error = verify_answer(&run, DEV, &strict, &answer, SystemClock.now()).await;
    let refused = SignOffRefusal::NamelessStarter("uid 1234".into());
    assert_eq!(error, Err(refused));
}
