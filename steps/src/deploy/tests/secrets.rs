//! What the script says of its secrets, and who may see it.

use super::contract::secret;
use super::*;

const LATER: &str = "echo begun >> $ledger; sleep 6; echo \"token $TOKEN\"; exit 3";

/// A run whose driver died while its script ran with a secret.
async fn left(rig: &Rig) {
    let mut deploy = rig.deploy(LATER);
    let token = secret(rig, "s3cret value's\n");
    deploy.env.insert("TOKEN".into(), token);
    rig.bench
        .crash_after("r-one", only(deploy), Duration::from_secs(3))
        .await;
    assert_eq!(rig.ledger(), ["begun"]);
}

#[tokio::test]
async fn a_value_that_nobody_knew_before_the_launch_is_masked_in_every_spelling() {
    let rig = Rig::new();
    let mut deploy =
        rig.deploy("set -x; : \"login $TOKEN failed\"; set +x; echo \"token $TOKEN\"; exit 3");
    let token = secret(&rig, "s3cret value's\n");
    deploy.env.insert("TOKEN".into(), token);
    let (run, _) = rig.bench.start("r-one", only(deploy)).await;
    let shown = rig.bench.shown();
    assert!(shown.contains("token ••••"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let failure = failure(&run, "prep/deploy");
    assert!(failure.message.contains("token ••••"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_has_the_secret_at_hand_shows_the_rest_of_a_job_masked() {
    let rig = Rig::new();
    left(&rig).await;
    rig.bench.resume("r-one").await;
    let shown = rig.bench.shown();
    assert!(shown.contains("token ••••"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_could_not_be_masked_is_counted_with_the_reason_and_shown_nowhere() {
    for rotated in [false, true] {
        let rig = Rig::new();
        left(&rig).await;
        let why = if rotated {
            secret(&rig, "another one\n");
            "was changed after the script was started"
        } else {
            std::fs::remove_file(rig.path("secret")).unwrap();
            "cannot be read"
        };
        let (run, _) = rig.bench.resume("r-one").await;
        let shown = rig.bench.shown();
        assert!(shown.contains("bytes of output are not shown"), "{shown}");
        assert!(shown.contains(why), "{shown}");
        let failure = failure(&run, "prep/deploy");
        assert!(failure.message.contains("(not shown: "), "{failure:?}");
        let hints = failure.hints.join("\n");
        assert!(hints.contains("/log"), "{hints}");
        for said in [shown, format!("{run:?}")] {
            assert!(
                !said.contains("s3cret") && !said.contains("token "),
                "{said}"
            );
        }
    }
}
