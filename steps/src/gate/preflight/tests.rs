use flow_engine::driver::Stop;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;

use super::super::backup::{BackupFresh, Freshness};
use super::*;
use crate::lease::HostLease;
use crate::means::reach::testing::{Bench, Say, failure, output};
use crate::pg::Room;
use crate::pg::tests::cluster::{for_a_step, small_disk};

/// Answers like a sign-off.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sign {
    role: String,
    expires_at: i64,
}

#[async_trait]
impl Step for Sign {
    const KIND: &'static str = kinds::SIGN_OFF;
    type Output = SignedOff;

    fn summary(&self) -> String {
        "signs".into()
    }

    async fn run(&self, _: &Cx) -> Result<SignedOff, StepError> {
        Ok(SignedOff {
            role: self.role.clone(),
            signer: "x".into(),
            fingerprint: "SHA256:x".into(),
            statement_sha256: "0".repeat(64),
            evidence_digest: "0".repeat(64),
            signed_at: Timestamp(1),
            expires_at: Timestamp(self.expires_at),
        })
    }
}

fn registry() -> Registry {
    Registry::default()
        .with::<Sign>()
        .with::<HostLease>()
        .with::<Preflight>()
        .with::<BackupFresh>()
}

struct Rig {
    dir: tempfile::TempDir,
    bench: Bench,
}

/// What may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    Nothing,
    OldBackup,
    CutBackup,
    UnprovenBackup,
    NoRehearsal,
    Expired,
    Unsigned,
    Disk,
    Commit,
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

    fn rule() -> BackupRule {
        BackupRule {
            host: "here".into(),
            backup_step: "prep/backup".into(),
            proof_step: "prep/proof".into(),
            max_age_hours: 24,
            rehearsal_steps: vec!["prep/rehearsal".into()],
            rehearsal_max_age_days: 7,
        }
    }

    fn plan(&self, flaw: Flaw) -> Plan {
        let commit = "a".repeat(40);
        let mut p = Planner::new("release", "1.0.0", "prod", "test");
        p.fact(
            "commit",
            if flaw == Flaw::Commit {
                "b".repeat(40)
            } else {
                commit.clone()
            },
        );
        for phase in ["test", "stage"] {
            p.phase(phase, phase, OnFailure::Park, |p| {
                p.step(&format!("{phase}/say"), Say::new(1));
            });
        }
        let file = self.path("backup.zst");
        std::fs::write(&file, "1234").unwrap();
        if flaw == Flaw::OldBackup {
            let old = std::time::SystemTime::now() - std::time::Duration::from_hours(25);
            let handle = std::fs::File::options().append(true).open(&file).unwrap();
            handle.set_modified(old).unwrap();
        }
        let bytes = if flaw == Flaw::CutBackup { 5 } else { 4 };
        let proof = if flaw == Flaw::UnprovenBackup {
            "other"
        } else {
            "sum"
        };
        let expires_at = if flaw == Flaw::Expired { 1 } else { i64::MAX };
        let role = if flaw == Flaw::Unsigned {
            "qa"
        } else {
            "devops"
        };
        let need = if flaw == Flaw::Disk { u64::MAX } else { 1 };
        let preflight = |lease| Preflight {
            host: "here".into(),
            promotion: PromotionRule {
                commit,
                phases: vec!["test".into(), "stage".into()],
                max_age_hours: 1,
            },
            backup: Self::rule(),
            phases: vec!["test".into(), "stage".into(), "prep".into()],
            roles: vec!["devops".into()],
            lease,
            free: vec![Free {
                path: self.path(""),
                bytes: need,
            }],
            room: None,
            code: None,
            secrets: Vec::new(),
        };
        let mut lease = None;
        p.phase("prep", "", OnFailure::Park, |p| {
            lease = Some(p.step(
                "prep/lease",
                HostLease::in_folder("here", self.path("lease")),
            ));
            p.step(
                "prep/backup",
                Say::new(serde_json::json!({"path": file, "bytes": bytes, "sha256": "sum"})),
            );
            p.step(
                "prep/proof",
                Say::new(serde_json::json!({
                    "path": file, "sha256": proof, "seconds": 1, "tables": 1, "rows": 1,
                })),
            );
            if flaw != Flaw::NoRehearsal {
                p.step("prep/rehearsal", Say::new(1));
            }
            p.step(
                "prep/sign",
                Sign {
                    role: role.into(),
                    expires_at,
                },
            );
        });
        p.phase("prod", "", OnFailure::Rollback, |p| {
            p.step("prod/preflight", preflight((&lease.unwrap()).into()));
        });
        p.finish().unwrap()
    }
}

#[tokio::test]
async fn each_thing_that_no_longer_holds_stops_the_release_by_name() {
    let cases = [
        (Flaw::OldBackup, "is 25 h old by the clock of `here`"),
        (Flaw::CutBackup, "no proven backup lies on `here`"),
        (Flaw::UnprovenBackup, "no proven backup lies on `here`"),
        (Flaw::NoRehearsal, "no restore has ever been rehearsed"),
        (Flaw::Expired, "the sign-off of `devops` expired at 1970"),
        (Flaw::Unsigned, "`devops` has not signed"),
        (Flaw::Disk, "MiB free in"),
        (Flaw::Commit, "this run was planned for commit `bbb"),
    ];
    for (flaw, no) in cases {
        let rig = Rig::new();
        let (run, stop) = rig.bench.start("r-one", rig.plan(flaw)).await;
        assert!(
            matches!(stop, Stop::Parked(ParkReason::Refused { .. })),
            "{no}: {stop:?}"
        );
        let failure = failure(&run, "prod/preflight");
        assert!(failure.message.contains(no), "{no}: {failure:?}");
        // There is no such command; a way out that does not exist is none.
        assert!(!format!("{failure:?}").contains("flow drill"));
    }
}

#[tokio::test]
async fn a_sign_off_that_nobody_in_the_roster_signed_is_found_out() {
    let mut rig = Rig::new();
    rig.bench.people = Some(crate::means::signature::roster::People::default());
    let (run, stop) = rig.bench.start("r-one", rig.plan(Flaw::Nothing)).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Refused { .. })),
        "{stop:?}"
    );
    let message = failure(&run, "prod/preflight").message;
    assert!(
        message.contains("no longer in the role `devops`"),
        "{message}"
    );
}

#[tokio::test]
async fn what_holds_is_confirmed_line_by_line() {
    let rig = Rig::new();
    let (run, stop) = rig.bench.start("r-one", rig.plan(Flaw::Nothing)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let ready: Ready = output(&run, "prod/preflight");
    assert_eq!(ready.confirmed.len(), 10, "{ready:?}");
}

#[tokio::test]
async fn code_that_was_deployed_since_it_was_kept_and_a_secret_that_is_gone_are_named() {
    let rig = Rig::new();
    let app = rig.dir.path().join("app");
    std::fs::create_dir(&app).unwrap();
    let git = |args: &[&str]| crate::code::tests::git(&app, args);
    git(&["init", "--quiet"]);
    git(&["commit", "-qm", "one", "--allow-empty"]);
    let kept = git(&["rev-parse", "HEAD"]);
    let snapshot = Snapshot {
        commit: kept.clone(),
        branch: None,
        version: None,
        bundle: String::new(),
        sha256: String::new(),
        bytes: 0,
        untracked: Vec::new(),
    };
    let with = |secret: &str| {
        let mut plan = rig.plan(Flaw::Nothing);
        let node = plan.nodes.iter_mut().find(|n| n.key == "prod/preflight");
        let mut preflight: Preflight =
            serde_json::from_value(node.as_ref().unwrap().params.clone()).unwrap();
        preflight.code = Some(CodeBefore {
            dir: app.to_str().unwrap().into(),
            snapshot: snapshot.clone().into(),
        });
        preflight.secrets = vec![secret.into()];
        node.unwrap().params = serde_json::to_value(preflight).unwrap();
        plan
    };
    let (run, stop) = rig.bench.start("r-one", with("env:PATH")).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{run:?}");
    git(&["commit", "-qm", "two", "--allow-empty"]);
    std::fs::remove_file(rig.path("lease/held")).unwrap();
    let plan = with("env:FLOW_TEST_NO_SUCH_SECRET");
    let (run, stop) = rig.bench.start("r-two", plan).await;
    assert!(
        matches!(stop, Stop::Parked(ParkReason::Refused { .. })),
        "{stop:?}"
    );
    let message = failure(&run, "prod/preflight").message;
    for word in [
        &format!("is deployed now, not {kept} as when everything was backed up"),
        "no variable `FLOW_TEST_NO_SUCH_SECRET`",
    ] {
        assert!(message.contains(word), "{message}");
    }
}

#[tokio::test]
async fn a_first_release_may_begin_without_a_backup_and_a_second_may_not() {
    let rig = Rig::new();
    let gate = |bootstrap| {
        let mut p = Planner::new("release", "1.0.0", "prod", "test");
        let rule = Rig::rule();
        p.phase("gate", "", OnFailure::Park, |p| {
            p.step("gate/backup", BackupFresh { rule, bootstrap });
        });
        p.finish().unwrap()
    };
    let (_, stop) = rig.bench.start("r-strict", gate(false)).await;
    assert!(matches!(stop, Stop::Parked(_)));
    let (run, _) = rig.bench.start("r-first", gate(true)).await;
    assert_eq!(output::<Freshness>(&run, "gate/backup").backup, None);
    rig.bench.start("r-release", rig.plan(Flaw::Nothing)).await;
    let (run, _) = rig.bench.start("r-second", gate(false)).await;
    assert_eq!(
        output::<Freshness>(&run, "gate/backup")
            .backup
            .unwrap()
            .sha256,
        "sum"
    );
    std::fs::remove_file(rig.path("backup.zst")).unwrap();
    let (_, stop) = rig.bench.start("r-third", gate(true)).await;
    assert!(
        matches!(stop, Stop::Parked(_)),
        "history, but no backup any more"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_could_not_take_the_dumps_and_a_copy_stops_the_release() {
    let (_pg, mut db) = for_a_step("CREATE TABLE public.a (id int);").await;
    let dir = tempfile::tempdir().unwrap();
    let free = small_disk(&mut db, dir.path());
    for (kib, fits) in [("7000000", true), ("1", false)] {
        std::fs::write(&free, kib).unwrap();
        let rig = Rig::new();
        let room = Room {
            db: db.clone(),
            dir: rig.path(""),
            prefix: "pre-deploy".into(),
        };
        let mut plan = rig.plan(Flaw::Nothing);
        let preflight = plan.nodes.last_mut().unwrap();
        preflight.params["room"] = serde_json::to_value(&room).unwrap();
        let (run, stop) = rig.bench.start("r-one", plan).await;
        if fits {
            assert_eq!(stop, Stop::Finished(Verdict::Completed), "{run:?}");
            continue;
        }
        assert!(
            matches!(stop, Stop::Parked(ParkReason::Refused { .. })),
            "{stop:?}"
        );
        let message = failure(&run, "prod/preflight").message;
        assert!(message.contains("and 1024 are free"), "{message}");
    }
}
