//! What may come between a sign-off and the deployment: another key, a rejection, a very large answer.

use flow_engine::journal::BODY_MAX;
use flow_engine::record::{ParkReason, Record};

use super::*;
use crate::means::signature::roster::People;
use crate::means::signature::sign_off::{SignOff, still_valid, verify_answer};
use crate::means::signature::statement::{Decision, Words};
use crate::means::signature::verify::SignOffRefusal;
use crate::means::signature::{sign_off, sshsig, statement};

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

    let (people, now) = (team.people(), SystemClock.now());
    let standing = sign_off::standing(&run, DEV, &people, now).await;
    let mut cleared = yes("developer", "dev");
    cleared.after = standing.expect("judged").0.rejection();
    let cleared = signed(&run, DEV, cleared, &team.dev).await;
    let mut run = (*run).clone();
    let order = flow_engine::signal::Order::Retry;
    let now = SystemClock.now();
    flow_engine::run::append_order(
        &*engine.journal,
        &mut run,
        order,
        by("dev"),
        "cleared up",
        now,
    )
    .await
    .expect("stored");
    let (run, stop) = answer(&engine, &run, vec![signal(DEV, "3", cleared.body())]).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    assert_eq!(
        (run.steps[1].status, run.steps[2].status),
        (Status::Done, Status::Waiting)
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

/// An answer by a clock that is four and a half minutes ahead, which is within what is allowed.
fn ahead(mut words: Words) -> Words {
    let by = Duration::from_secs(270);
    words.issued_at = words.issued_at.plus(by);
    words.expires_at = words.expires_at.plus(by);
    words
}

#[tokio::test]
async fn a_rejection_after_an_approval_from_a_clock_that_is_ahead_stands() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let early = signed(&run, DEV, ahead(yes("developer", "dev")), &team.dev).await;
    let said = words("developer", "dev", Decision::Reject, "counts look wrong");
    let no = signed(&run, DEV, said, &team.dev).await;
    let both = vec![signal(DEV, "1", early.body()), signal(DEV, "2", no.body())];
    let (run, stop) = answer(&engine, &run, both).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 1 }));

    // Handed in again under another name, it takes nothing back; nor does one made just before the rejection was seen.
    let unseen = signed(&run, DEV, ahead(yes("developer", "dev")), &team.dev).await;
    let (people, now) = (team.people(), SystemClock.now());
    for stale in [&early, &unseen] {
        let why = sign_off::hand_in(&run, DEV, &people, stale, now).await;
        assert!(
            matches!(&why, Err(SignOffRefusal::Overtaken { note, .. }) if note == "counts look wrong"),
            "{why:?}"
        );
    }
}

#[tokio::test]
async fn a_rejection_does_not_expire() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    let no = words("developer", "dev", Decision::Reject, "never");
    let no = signed(&run, DEV, no, &team.dev).await;
    run.signals.push(signal(DEV, "1", no.body()));
    let days = SystemClock.now().plus(Duration::from_hours(72));
    let (standing, ignored) = sign_off::standing(&run, DEV, &team.people(), days)
        .await
        .expect("judged");
    assert!(standing.rejection().is_some(), "{ignored:?}");
}

#[tokio::test]
async fn approvals_do_not_push_a_rejection_out() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    let no = words("developer", "dev", Decision::Reject, "never");
    let no = signed(&run, DEV, no, &team.dev).await;
    run.signals.push(signal(DEV, "no", no.body()));
    let yes = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    for n in 0..41 {
        let id = format!("yes-{n}");
        run.signals.push(signal(DEV, &id, yes.body()));
    }
    let (standing, _) = sign_off::standing(&run, DEV, &team.people(), SystemClock.now())
        .await
        .expect("judged");
    assert!(standing.rejection().is_some());
}

#[tokio::test]
async fn an_approval_that_names_the_rejection_takes_it_back_and_the_next_rejection_needs_another() {
    let team = Team::new();
    let (_, run) = waiting(&team).await;
    let mut run = (*run).clone();
    let (people, now) = (team.people(), SystemClock.now());
    let mut after = None;
    for round in ["first", "second"] {
        let no = words("developer", "dev", Decision::Reject, round);
        let no = signed(&run, DEV, no, &team.dev).await;
        run.signals.push(signal(DEV, round, no.body()));
        let mut stale = yes("developer", "dev");
        stale.after.clone_from(&after);
        let stale = signed(&run, DEV, stale, &team.dev).await;
        let why = sign_off::hand_in(&run, DEV, &people, &stale, now).await;
        assert!(
            matches!(why, Err(SignOffRefusal::Overtaken { .. })),
            "{round}"
        );
        let standing = sign_off::standing(&run, DEV, &people, now).await;
        after = standing.expect("judged").0.rejection();
        let mut seen = yes("developer", "dev");
        seen.after.clone_from(&after);
        let seen = signed(&run, DEV, seen, &team.dev).await;
        assert_eq!(
            sign_off::hand_in(&run, DEV, &people, &seen, now).await,
            Ok(())
        );
        run.signals
            .push(signal(DEV, &format!("{round} yes"), seen.body()));
    }
    let again = run.signals[0].body.clone();
    let again = serde_json::from_str(&again).expect("an answer");
    let why = sign_off::hand_in(&run, DEV, &people, &again, now).await;
    assert_eq!(why, Err(SignOffRefusal::Repeated));
}

#[tokio::test]
async fn a_sign_off_that_expired_is_renewed_by_signing_again() {
    let team = Team::new();
    let (engine, run) = waiting(&team).await;
    let dev = signed(&run, DEV, yes("developer", "dev"), &team.dev).await;
    let mut brief = yes("qa", "qa");
    brief.expires_at = brief.issued_at.plus(Duration::from_hours(1));
    let qa = signed(&run, QA, brief, &team.qa).await;
    let both = vec![signal(DEV, "1", dev.body()), signal(QA, "1", qa.body())];
    let (run, _) = answer(&engine, &run, both).await;
    let late = SystemClock.now().plus(Duration::from_hours(2));
    let people = team.people();
    let expired = still_valid(&run, &people, late).await;
    assert!(matches!(expired, Err(sign_off::NotValid::Expired { .. })));
    let mut run = (*run).clone();
    let again = signed(&run, QA, yes("qa", "qa"), &team.qa).await;
    run.signals.push(signal(QA, "2", again.body()));
    let held = still_valid(&run, &people, late).await.expect("renewed");
    assert!(held.iter().all(|one| one.expires_at > late));
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
