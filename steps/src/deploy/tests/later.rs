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
