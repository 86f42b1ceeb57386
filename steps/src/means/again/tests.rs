use std::sync::Arc;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::driver::Stop;
use flow_engine::plan::OnFailure;
use flow_engine::run::Notice;

use super::*;
use crate::mail::render;
use crate::means::checklist::{Checklist, Item};
use crate::people::fixture::{self, Team, answer, signal, signed, words};

const DEV: &str = "signoff/developer";
const SIGN: &str = "flow sign r-one --role developer";
const CHECK: &str = "flow check r-one try/features";

fn commands(run: &Run) -> Vec<String> {
    answers(run)
        .iter()
        .map(|asked| crate::means::commands::answering(run, asked))
        .collect()
}

/// The mail that tells that the run is parked.
fn mail(run: &Run, team: &Team) -> String {
    let parked = |n: &&Notice| n.topic == flow_engine::run::Topic::Parked;
    let notice = run.notices.iter().find(parked).expect("it is told");
    render(run, notice, &team.people(), "example.org", None).body
}

#[tokio::test]
async fn who_rejected_a_release_is_named_with_the_command_until_they_answered_again() {
    let team = Team::new();
    let engine = fixture::engine(Some(team.people()));
    let (run, _) = fixture::start(&engine, "r-one", fixture::usual()).await;
    assert_eq!(commands(&run), [""; 0], "nobody said no");
    let said = |decision, note| words("developer", "dev", decision, note);
    let old = signed(&run, DEV, said(Decision::Approve, ""), &team.dev).await;
    let no = signed(
        &run,
        DEV,
        said(Decision::Reject, "counts look wrong"),
        &team.dev,
    )
    .await;
    let both = vec![signal(DEV, "1", no.body()), signal(DEV, "2", old.body())];
    let (run, stop) = answer(&engine, &run, both).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 1 }));
    assert_eq!(commands(&run), [SIGN], "an older yes takes nothing back");
    let told = mail(&run, &team);
    assert!(
        told.contains(&format!("  {SIGN}     developer answers again")),
        "{told}"
    );

    let standing = sign_off::standing(&run, DEV, &team.people(), SystemClock.now()).await;
    let mut yes = said(Decision::Approve, "");
    yes.after = standing.expect("judged").0.rejection();
    let mut run = Run::clone(&run);
    let yes = signed(&run, DEV, yes, &team.dev).await;
    run.signals.push(signal(DEV, "3", yes.body()));
    assert_eq!(commands(&run), [""; 0], "a retry leads on now");

    // A sign-off that was taken and is rejected afterwards stops a later gate.
    run.steps[1].status = Status::Done;
    run.steps[1].failure = None;
    let no = signed(&run, DEV, said(Decision::Reject, "and again"), &team.dev).await;
    run.signals.push(signal(DEV, "4", no.body()));
    run.life = Life::Parked {
        why: ParkReason::Refused { step: 0 },
        unwinding: None,
        since: SystemClock.now(),
    };
    assert_eq!(commands(&run), [SIGN]);
}

#[tokio::test]
async fn whoever_tried_a_feature_that_failed_is_named_in_the_mail_too() {
    let team = Team::new();
    let engine = fixture::engine(Some(team.people()));
    let plan = fixture::plan(&"c0ffee".repeat(7)[..40], &serde_json::json!({}), |p| {
        p.phase("try", "Features", OnFailure::Park, |p| {
            let item = Item {
                key: "login".into(),
                text: "log in".into(),
                required: true,
            };
            let list = Checklist {
                who: "qa".into(),
                title: "Features".into(),
                items: vec![item],
                deadline_minutes: None,
            };
            p.step("try/features", list);
        });
    });
    let (run, _) = fixture::start(&engine, "r-one", plan).await;
    let mut run: Run = Arc::unwrap_or_clone(run);
    let step = 3;
    let why = ParkReason::StepFailed { step };
    let record = flow_engine::record::Record::Parked { why };
    let at = SystemClock.now();
    let entry = flow_engine::record::Entry { at, record };
    run.apply(run.epoch, &entry).expect("follows");
    assert_eq!(commands(&run), [CHECK]);
    let told = mail(&run, &team);
    assert!(
        told.contains(&format!("  {CHECK}     answer again what did not pass")),
        "{told}"
    );
}
