//! A log that could be read in part only is not called fine.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_became_shorter_is_for_a_person_to_judge() {
    let rig = Rig::new();
    let log = rig.path("jobs/r-one/prep_deploy.1/log");
    let script = format!(
        "echo Error: this was said; echo and more, and more than is left; sleep 4; : > {log}; echo fine"
    );
    let (run, stop) = rig.bench.start("r-one", only(rig.deploy(&script))).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Unknown { .. })),
        "{stop:?}"
    );
    let message = failure(&run, "prep/deploy").message;
    assert!(
        message.contains("of which 5 could be searched for errors: it has become shorter"),
        "{message}"
    );
    let (_, stop) = rig.settle(true).await;
    assert_eq!(stop, DONE);
}
