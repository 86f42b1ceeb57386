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

/// The name of a secret that a program prints, which counts how often it is asked.
fn printed(rig: &Rig) -> String {
    let value = secret(rig, "s3cret value's\n");
    let file = value.strip_prefix("file:").expect("a file").to_owned();
    let count = rig.path("asked");
    let script = format!("echo asked >> {count}; echo s3cret-aside >&2; cat {file}");
    format!("command:{}", serde_json::json!(["/bin/sh", "-c", script]))
}

#[tokio::test]
async fn what_a_program_prints_reaches_the_script_masked_and_is_asked_for_when_it_is_used() {
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo \"$TOKEN\" >> $ledger; echo \"token $TOKEN\"; exit 3");
    deploy.env.insert("TOKEN".into(), printed(&rig));
    assert!(!std::path::Path::new(&rig.path("asked")).exists());
    let (run, _) = rig.bench.start("r-one", only(deploy)).await;
    assert_eq!(rig.ledger(), ["s3cret value's"]);
    let asked = std::fs::read_to_string(rig.path("asked")).expect("it was asked");
    assert_eq!(asked.lines().count(), 1, "{asked}");
    let shown = rig.bench.shown();
    assert!(shown.contains("token ••••"), "{shown}");
    for said in [shown, format!("{:?}", run.steps)] {
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_may_print_anew_each_time_masks_no_script_of_an_earlier_driver() {
    let rig = Rig::new();
    let mut deploy = rig.deploy(LATER);
    deploy.env.insert("TOKEN".into(), printed(&rig));
    rig.bench
        .crash_after("r-one", only(deploy), Duration::from_secs(3))
        .await;
    rig.bench.resume("r-one").await;
    let shown = rig.bench.shown();
    assert!(
        shown.contains("may print another value each time"),
        "{shown}"
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_program_that_gives_no_secret_parks_the_run_before_the_script() {
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo begun >> $ledger");
    let failing = "command:[\"/bin/sh\", \"-c\", \"echo s3cret >&2; exit 7\"]";
    deploy.env.insert("TOKEN".into(), failing.into());
    let (run, _) = rig.bench.start("r-one", only(deploy)).await;
    let said = failure(&run, "prep/deploy").message;
    assert!(
        said.contains("`TOKEN`: `/bin/sh` gave no secret: exit status: 7"),
        "{said}"
    );
    assert!(said.ends_with("nothing was started"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    assert!(rig.ledger().is_empty());
}
