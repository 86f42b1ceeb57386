//! What is looked at again: the commit in place, a person's statement, a script nobody undid.

use super::*;
use crate::code::tests::git;

#[tokio::test]
async fn a_script_that_ends_well_but_leaves_another_commit_in_place_has_failed() {
    let rig = Rig::new();
    let app = rig.dir.path().join("app");
    std::fs::create_dir(&app).unwrap();
    let mut deploy = Deploy {
        cwd: rig.path("app"),
        verify: None,
        ..rig.deploy("echo all good")
    };
    let (run, stop) = rig.bench.start("r-none", only(deploy.clone())).await;
    assert_eq!(stop, FAILED);
    let message = failure(&run, "prep/deploy").message;
    assert!(message.contains("is no git checkout"), "{message}");
    git(&app, &["init", "--quiet"]);
    git(&app, &["commit", "--allow-empty", "-qm", "one"]);
    let head = git(&app, &["rev-parse", "HEAD"]);
    let (run, stop) = rig.bench.start("r-other", only(deploy.clone())).await;
    assert_eq!(stop, FAILED);
    let message = failure(&run, "prep/deploy").message;
    let wanted = format!(
        "the script ended well but HEAD is {head}, not {}",
        "c".repeat(40)
    );
    assert_eq!(message, wanted);
    deploy.commit = head;
    assert_eq!(rig.bench.start("r-same", only(deploy)).await.1, DONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_says_it_was_done_is_not_believed_while_it_runs() {
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo $FLOW_ATTEMPT >> $ledger; sleep 5; echo ended >> $ledger");
    deploy.timeout_minutes = 0;
    assert_eq!(rig.bench.start("r-one", only(deploy)).await.1, UNKNOWN);
    let (run, stop) = rig.settle(true).await;
    assert_eq!(stop, UNKNOWN);
    let asked = failure(&run, "prep/deploy").message;
    assert!(asked.contains("still runs: wait for it"), "{asked}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(rig.ledger(), ["1", "ended"]);
    let (run, stop) = rig.settle(true).await;
    assert_eq!(stop, DONE);
    assert!(output::<Deployed>(&run, "prep/deploy").settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_in_mid_script_a_test_deploy_ends_its_script_too() {
    let rig = Rig::new();
    let deploy = rig.deploy("echo begun >> $ledger; sleep 4; echo ended >> $ledger");
    let after = Duration::from_secs(2);
    rig.bench.crash_after("r-one", only(deploy), after).await;
    rig.bench.order("r-one", Order::Cancel).await;
    let (run, _) = rig.bench.resume("r-one").await;
    assert_eq!(
        undone(&run, "prep/deploy"),
        "attempt 1: the script was ended"
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.ledger(), ["begun"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_run_does_not_undo_over_the_release_that_holds_the_lease_now() {
    let rig = Rig::new();
    let pm2 = Pm2::start();
    pm2.app("api", "setInterval(() => {}, 1000)");
    let lease = HostLease::in_folder("here", rig.path("lease"));
    let script = rig.deploy("echo begun >> $ledger");
    let whole = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            let lease = p.step("prod/lease", lease);
            p.step(
                "prod/deploy",
                Deploy {
                    lease: Some((&lease).into()),
                    stop_on_undo: Some(StopSpec {
                        pm2: pm2.prefix.clone(),
                        application: crate::pm2::Application::default(),
                        look: None,
                    }),
                    ..script
                },
            );
        },
    );
    assert_eq!(rig.bench.start("r-one", whole).await.1, DONE);
    let held = Path::new(&rig.path("lease")).join("held");
    let text = std::fs::read_to_string(&held).unwrap();
    std::fs::write(&held, text.replace("r-one", "r-two")).unwrap();
    rig.bench.order("r-one", Order::Rollback).await;
    let (run, stop) = rig.bench.resume("r-one").await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?}"
    );
    let (index, _) = run.plan.node("prod/deploy").unwrap();
    let why = run.steps[index as usize].undo_failure.clone().unwrap().1;
    assert!(why.message.contains("is held by run r-two"), "{why:?}");
    let list = pm2.all().await;
    assert_eq!(list.apps[0].status, "online");
}

/// A sign-off that was given, and has expired since.
#[derive(Debug, Serialize, Deserialize)]
struct Expired;

#[async_trait]
impl Step for Expired {
    const KIND: &'static str = crate::means::kinds::SIGN_OFF;
    type Output = crate::means::reports::people::SignedOff;

    fn summary(&self) -> String {
        "signs".into()
    }

    async fn run(&self, cx: &Cx) -> Result<Self::Output, StepError> {
        Ok(crate::means::reports::people::SignedOff {
            role: "qa".into(),
            signer: "qa".into(),
            fingerprint: "SHA256:x".into(),
            statement_sha256: String::new(),
            evidence_digest: String::new(),
            signed_at: cx.now(),
            expires_at: cx.now(),
        })
    }
}

#[tokio::test]
async fn a_sign_off_that_expired_before_the_script_is_launched_stops_it() {
    let rig = Rig::new();
    let mut bench = Bench::new(|| registry().with::<Expired>());
    bench.people = Some(crate::means::signature::roster::People::default());
    let deploy = rig.deploy("echo begun >> $ledger");
    // Test is deployed before anybody signs.
    let whole = plan(
        |p| {
            p.step("prep/deploy", deploy.clone());
            p.step("prep/qa", Expired);
            p.step("prep/again", deploy.clone());
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    );
    let (run, stop) = bench.start("r-one", whole).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 2 }));
    let message = failure(&run, "prep/again").message;
    assert!(
        message.contains("expired") && message.ends_with("nothing was started"),
        "{message}"
    );
    assert_eq!(rig.ledger(), ["begun"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_whose_folder_vanished_is_looked_for_before_anything_is_restored() {
    let rig = Rig::new();
    let go = rig.path("go");
    let script = format!("echo begun >> $ledger; until [ -e {go} ]; do sleep 0.2; done");
    let deploy = rig.deploy(&script);
    let in_prod = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/deploy", deploy);
        },
    );
    let a_moment = Duration::from_secs(3);
    rig.bench.crash_after("r-one", in_prod, a_moment).await;
    assert_eq!(rig.ledger(), ["begun"]);
    std::fs::remove_dir_all(rig.path("jobs/r-one")).unwrap();
    rig.bench.order("r-one", Order::Rollback).await;
    let (run, stop) = rig.bench.resume("r-one").await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::UndoFailed { .. })),
        "{stop:?}"
    );
    let (index, _) = run.plan.node("prod/deploy").unwrap();
    let why = run.steps[index as usize].undo_failure.clone().unwrap().1;
    assert!(why.message.contains("and it still runs"), "{why:?}");
    std::fs::write(go, "").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (run, stop) = rig.retry().await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{run:?}");
    let said = undone(&run, "prod/deploy");
    assert!(said.contains("no process of it was found"), "{said}");
}
