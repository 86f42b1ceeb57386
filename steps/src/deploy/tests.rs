use std::path::Path;
use std::sync::Arc;

use flow_engine::driver::Stop;
use flow_engine::plan::Plan;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::Order;

use super::*;
use crate::lease::HostLease;
use crate::means::host::Local;
use crate::means::reach::testing::{Bench, Say, failure, output, plan, undone};
use crate::pm2::tests::Pm2;

mod contract;
mod later;
mod log;
mod secrets;
mod silence;

fn registry() -> Registry {
    Registry::default().with::<Deploy>().with::<HostLease>()
}

struct Rig {
    dir: tempfile::TempDir,
    bench: Bench,
}

impl Rig {
    fn new() -> Self {
        Rig {
            dir: tempfile::tempdir().unwrap(),
            bench: Bench::new(registry),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A deploy of this shell text. `ledger` in it is a file that outlives everything.
    fn deploy(&self, text: &str) -> Deploy {
        let script = self.path("release.sh");
        std::fs::write(&script, format!("ledger={}\n{text}\n", self.path("ledger"))).unwrap();
        Deploy {
            env: BTreeMap::from([("PGOPTIONS".into(), "-c lock_timeout=5s".into())]),
            ..fixture::deploy(
                self.dir.path(),
                vec!["sh".into(), script, "it's one".into()],
            )
        }
    }

    fn ledger(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    async fn settle(&self, done: bool) -> (Arc<Run>, Stop) {
        let step = "prep/deploy".into();
        self.bench
            .order("r-one", Order::Settle { step, done })
            .await;
        self.bench.resume("r-one").await
    }

    async fn retry(&self) -> (Arc<Run>, Stop) {
        self.bench.order("r-one", Order::Retry).await;
        self.bench.resume("r-one").await
    }
}

fn only(deploy: Deploy) -> Plan {
    plan(
        |p| {
            p.step("prep/deploy", deploy);
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    )
}

const UNKNOWN: Stop = Stop::Parked(ParkReason::Unknown { step: 0 });
const FAILED: Stop = Stop::Parked(ParkReason::StepFailed { step: 0 });
const DONE: Stop = Stop::Finished(Verdict::Completed);

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_mid_script_is_resumed_with_one_execution_and_every_byte_shown_once() {
    let rig = Rig::new();
    let deploy = rig.deploy(
        "echo begun >> $ledger; for i in $(seq 1 30); do echo \"line $i ü\"; sleep 0.1; done; echo ended >> $ledger",
    );
    let after = Duration::from_millis(900);
    rig.bench.crash_after("r-one", only(deploy), after).await;
    for _ in 0..2 {
        let (driver, _handle) = rig
            .bench
            .engine()
            .resume(&"r-one".parse().unwrap())
            .await
            .unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(700), driver.drive()).await;
        assert!(ended.is_err(), "it ended before the crash");
    }
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, DONE, "{:?}", run.steps[0].failure);
    assert_eq!(rig.ledger(), ["begun", "ended"]);
    let shown: Vec<String> = rig
        .bench
        .shown()
        .lines()
        .filter(|l| l.starts_with("line"))
        .map(str::to_owned)
        .collect();
    let wanted: Vec<String> = (1..=30).map(|i| format!("line {i} ü")).collect();
    assert_eq!(shown, wanted);
    let deployed: Deployed = output(&run, "prep/deploy");
    assert_eq!((deployed.attempt, deployed.settled), (1, false));
}

#[tokio::test]
async fn the_script_gets_its_words_unread_by_a_shell_and_knows_its_run() {
    let rig = Rig::new();
    let deploy = rig.deploy(
        "echo \"$1|$FLOW_RUN|$FLOW_STEP|$FLOW_ATTEMPT|$FLOW_COMMIT|$PGOPTIONS|$PWD\" >> $ledger",
    );
    rig.bench.start("r-one", only(deploy)).await;
    let commit = "c".repeat(40);
    let cwd = rig.dir.path().canonicalize().unwrap();
    let wanted = format!(
        "it's one|r-one|prep/deploy|1|{commit}|-c lock_timeout=5s|{}",
        cwd.display()
    );
    assert_eq!(rig.ledger(), [wanted]);
}

#[tokio::test]
async fn a_failed_script_shows_its_end_and_a_retry_is_a_new_execution() {
    let rig = Rig::new();
    let deploy = rig
        .deploy("echo try >> $ledger; echo 'the disk is on fire'; [ $FLOW_ATTEMPT = 2 ] || exit 3");
    let (run, stop) = rig.bench.start("r-one", only(deploy)).await;
    assert_eq!(stop, FAILED);
    let message = failure(&run, "prep/deploy").message;
    assert!(
        message.contains("exited with 3") && message.ends_with("the disk is on fire"),
        "{message}"
    );
    let (run, stop) = rig.retry().await;
    assert_eq!(stop, DONE);
    assert_eq!(output::<Deployed>(&run, "prep/deploy").attempt, 2);
    assert_eq!(rig.ledger(), ["try", "try"]);
}

#[tokio::test]
async fn a_script_that_says_error_and_ends_with_0_has_failed_unless_the_line_is_allowed() {
    let rig = Rig::new();
    let text = "echo 'Error: P3009'; echo all good";
    let (run, stop) = rig.bench.start("r-one", only(rig.deploy(text))).await;
    assert_eq!(stop, FAILED);
    let message = failure(&run, "prep/deploy").message;
    assert!(
        message.contains("1 error patterns in the log:\nError: P3009"),
        "{message}"
    );
    let allowed = Deploy {
        allow: vec!["P3009".into()],
        ..rig.deploy(text)
    };
    assert_eq!(rig.bench.start("r-two", only(allowed)).await.1, DONE);
}

/// Kills a job with its keeper, as a power cut of only that much would.
fn annihilate(jobs: &str, run: &str, job: &str) {
    let start = std::fs::read_to_string(Path::new(jobs).join(run).join(job).join("start")).unwrap();
    let pid: i32 = start.split(' ').next().unwrap().parse().unwrap();
    let group = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_script_is_asked_about_and_only_a_statement_starts_it_again() {
    let rig = Rig::new();
    let deploy = rig.deploy("echo $FLOW_ATTEMPT >> $ledger; [ $FLOW_ATTEMPT != 1 ] || sleep 60");
    let after = Duration::from_secs(2);
    rig.bench.crash_after("r-one", only(deploy), after).await;
    annihilate(&rig.path("jobs"), "r-one", "prep_deploy.1");
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, UNKNOWN);
    let asked = failure(&run, "prep/deploy");
    assert!(
        asked.message.contains("is gone and left no result"),
        "{asked:?}"
    );
    assert!(asked.hints[0].contains("flow settle r-one prep/deploy --done"));
    assert!(asked.hints[1].contains("--not-done"));
    assert_eq!(
        rig.retry().await.1,
        UNKNOWN,
        "a retry alone is no statement"
    );
    assert_eq!(rig.ledger(), ["1"]);
    assert_eq!(rig.settle(false).await.1, DONE);
    assert_eq!(rig.ledger(), ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_says_it_was_done_is_believed_without_another_execution() {
    let rig = Rig::new();
    let deploy = rig.deploy("echo $FLOW_ATTEMPT >> $ledger; sleep 60");
    let after = Duration::from_secs(2);
    rig.bench.crash_after("r-one", only(deploy), after).await;
    annihilate(&rig.path("jobs"), "r-one", "prep_deploy.1");
    assert_eq!(rig.bench.resume("r-one").await.1, UNKNOWN);
    let (run, stop) = rig.settle(true).await;
    assert_eq!(stop, DONE);
    assert!(output::<Deployed>(&run, "prep/deploy").settled);
    assert_eq!(rig.ledger(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_follows_an_earlier_one_that_still_runs_and_takes_its_end() {
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo $FLOW_ATTEMPT >> $ledger; sleep 4; echo ended");
    deploy.timeout_minutes = 0;
    let (run, stop) = rig.bench.start("r-one", only(deploy)).await;
    assert_eq!(stop, UNKNOWN);
    assert!(failure(&run, "prep/deploy").message.contains("still runs"));
    assert_eq!(rig.retry().await.1, UNKNOWN);
    // Even stated as not done it is not started twice: it runs.
    assert_eq!(rig.settle(false).await.1, UNKNOWN);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut stop = UNKNOWN;
    let mut run = run;
    for _ in 0..4 {
        if stop == UNKNOWN {
            (run, stop) = rig.retry().await;
        }
    }
    assert_eq!(stop, DONE, "{:?}", run.steps[0].failure);
    assert_eq!(output::<Deployed>(&run, "prep/deploy").attempt, 1);
    assert_eq!(rig.ledger(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn undone_in_mid_script_it_ends_the_script_and_stops_every_service() {
    let rig = Rig::new();
    let pm2 = Pm2::start();
    pm2.app("api", "setInterval(() => {}, 1000)");
    let deploy = Deploy {
        stop_on_undo: Some(StopSpec {
            pm2: pm2.prefix.clone(),
            application: crate::pm2::Application::default(),
            look: None,
        }),
        ..rig.deploy("echo begun >> $ledger; sleep 60; echo ended >> $ledger")
    };
    let in_prod = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/deploy", deploy);
        },
    );
    rig.bench
        .crash_after("r-one", in_prod, Duration::from_secs(2))
        .await;
    rig.bench.order("r-one", Order::Rollback).await;
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert_eq!(
        undone(&run, "prod/deploy"),
        "attempt 1: the script was ended; stopped api"
    );
    assert_eq!(rig.ledger(), ["begun"]);
    let left = pm2.all().await;
    assert_eq!(left.apps[0].status, "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn undone_before_the_host_heard_of_it_the_script_can_never_start_any_more() {
    let rig = Rig::new();
    let pm2 = Pm2::start();
    let deploy = Deploy {
        stop_on_undo: Some(StopSpec {
            pm2: pm2.prefix.clone(),
            application: crate::pm2::Application::default(),
            look: None,
        }),
        gate: Some(PromotionRule {
            commit: "c".repeat(40),
            phases: vec!["test".into()],
            max_age_hours: 1,
        }),
        ..rig.deploy("echo begun >> $ledger")
    };
    let in_prod = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/deploy", deploy.clone());
        },
    );
    let (run, stop) = rig.bench.start("r-one", in_prod).await;
    // The gate's no came after the step was begun: the engine undoes it at once.
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert!(
        failure(&run, "prod/deploy")
            .message
            .contains("phase `test` has not passed")
    );
    assert!(undone(&run, "prod/deploy").contains("cannot be any more; no service was stopped"));
    // The launch of the dead process arrives late.
    let mut late = crate::means::host::job::JobSpec::new(
        &deploy.jobs_dir,
        "r-one",
        "prod_deploy",
        "echo late",
    );
    late.epoch = 99;
    let answer = crate::means::host::job::launch(&Local::new("here"), &late)
        .await
        .unwrap();
    assert_eq!(answer, crate::means::host::job::Launch::Exists);
    assert!(rig.ledger().is_empty());
}

#[tokio::test]
async fn without_the_lease_nothing_is_started() {
    let rig = Rig::new();
    let lease = crate::means::lease::Lease {
        host: "here".into(),
        dir: rig.path("lease"),
        epoch: 1,
        machine_id: std::fs::read_to_string("/etc/machine-id")
            .unwrap()
            .trim()
            .into(),
        hostname: "here".into(),
    };
    let elsewhere = crate::means::lease::Lease {
        machine_id: "0".repeat(32),
        ..lease.clone()
    };
    for (lease, no) in [
        (lease, "is held by nobody"),
        (elsewhere, "the machine has the id"),
    ] {
        let deploy = Deploy {
            lease: Some(Arg::Value(lease)),
            ..rig.deploy("echo begun >> $ledger")
        };
        let bench = Bench::new(registry);
        let (run, stop) = bench.start("r-one", only(deploy)).await;
        // Never a failure: undoing acts on the host as well.
        assert_eq!(stop, UNKNOWN);
        assert!(failure(&run, "prep/deploy").message.contains(no));
    }
    assert!(rig.ledger().is_empty());
}
