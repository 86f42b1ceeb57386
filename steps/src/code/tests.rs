use std::path::Path;
use std::process::Command;

use flow_engine::driver::Stop;
use flow_engine::record::{ParkReason, Verdict};
use flow_engine::registry::Registry;
use flow_engine::signal::Order;

use super::*;
use crate::means::reach::testing::{Bench, Change, failure, output, plan, undone};

fn registry() -> Registry {
    Registry::default().with::<CodeSnapshot>()
}

pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=developer",
            "-c",
            "user.email=developer@example.org",
        ])
        .args(["-c", "init.defaultBranch=main"])
        .arg("-C")
        .arg(dir)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

struct Rig {
    dir: tempfile::TempDir,
    bench: Bench,
    before: String,
    install: Option<Vec<String>>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        std::fs::create_dir(&app).unwrap();
        git(&app, &["init", "--quiet"]);
        std::fs::write(app.join("package.json"), r#"{"version":"1.4.0"}"#).unwrap();
        std::fs::write(app.join("package-lock.json"), "{}").unwrap();
        git(&app, &["add", "."]);
        git(&app, &["commit", "-qm", "one"]);
        Rig {
            before: git(&app, &["rev-parse", "HEAD"]),
            bench: Bench::new(registry),
            install: Some(vec![
                "sh".into(),
                "-c".into(),
                "cp package-lock.json installed".into(),
            ]),
            dir,
        }
    }

    fn app(&self) -> std::path::PathBuf {
        self.dir.path().join("app")
    }

    fn step(&self) -> CodeSnapshot {
        let text = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        CodeSnapshot {
            host: "here".into(),
            dir: text("app"),
            backups: text("backups"),
            untracked: vec!["uploads".into()],
            revert_if_started: "prod/deploy".into(),
            install: self.install.clone(),
        }
    }

    async fn snapshot(&self) -> (std::sync::Arc<flow_engine::run::Run>, Stop) {
        let step = self.step();
        let plan = plan(
            |p| {
                p.step("prep/code", step);
            },
            |p| {
                p.step("prod/deploy", Change);
            },
        );
        self.bench.start("r-one", plan).await
    }

    async fn roll_back(&self) -> String {
        self.bench.order("r-one", Order::Rollback).await;
        let (run, stop) = self.bench.resume("r-one").await;
        assert_eq!(
            stop,
            Stop::Finished(Verdict::RolledBack),
            "{:?}",
            run.steps[0].undo_failure
        );
        undone(&run, "prep/code")
    }

    fn release(&self, lock: &str) {
        std::fs::write(self.app().join("package-lock.json"), lock).unwrap();
        std::fs::write(self.app().join("new.js"), "new").unwrap();
        git(&self.app(), &["add", "package-lock.json", "new.js"]);
        git(&self.app(), &["commit", "-qm", "two"]);
    }
}

#[tokio::test]
async fn a_release_is_reverted_to_the_very_commit_and_branch_with_its_packages() {
    let rig = Rig::new();
    std::fs::create_dir(rig.app().join("uploads")).unwrap();
    std::fs::write(rig.app().join("uploads/a"), "a").unwrap();
    std::fs::write(rig.app().join("left over.txt"), "a").unwrap();
    let (run, _) = rig.snapshot().await;
    let snapshot: Snapshot = output(&run, "prep/code");
    assert_eq!(snapshot.commit, rig.before);
    assert_eq!(snapshot.version.as_deref(), Some("1.4.0"));
    assert_eq!(snapshot.untracked, ["left over.txt"]);
    assert_eq!(
        std::fs::metadata(&snapshot.bundle).unwrap().len(),
        snapshot.bytes
    );
    // A release that switches to a branch of its own, and dies while git holds its lock.
    git(&rig.app(), &["checkout", "-qb", "release"]);
    rig.release("{\"changed\":1}");
    let released = git(&rig.app(), &["rev-parse", "HEAD"]);
    std::fs::write(rig.app().join(".git/index.lock"), "").unwrap();
    let report = rig.roll_back().await;
    assert!(report.contains("installed and built again"), "{report}");
    assert_eq!(git(&rig.app(), &["rev-parse", "HEAD"]), rig.before);
    assert_eq!(
        git(&rig.app(), &["symbolic-ref", "HEAD"]),
        "refs/heads/main"
    );
    assert_eq!(git(&rig.app(), &["rev-parse", "release"]), released);
    assert!(!rig.app().join("new.js").exists());
    assert!(rig.app().join("uploads/a").exists() && rig.app().join("left over.txt").exists());
    assert_eq!(
        std::fs::read_to_string(rig.app().join("installed")).unwrap(),
        "{}"
    );
}

#[tokio::test]
async fn a_commit_that_is_gone_comes_back_from_the_bundle() {
    let rig = Rig::new();
    rig.snapshot().await;
    std::fs::remove_dir_all(rig.app().join(".git")).unwrap();
    git(&rig.app(), &["init", "--quiet"]);
    rig.release("{}");
    let report = rig.roll_back().await;
    assert!(
        report.starts_with("commit taken from the bundle"),
        "{report}"
    );
    // The lock file is the same, the build output need not be.
    assert!(report.contains("installed and built again"), "{report}");
    assert!(rig.app().join("installed").exists());
    assert_eq!(git(&rig.app(), &["rev-parse", "HEAD"]), rig.before);
}

#[tokio::test]
async fn code_that_cannot_be_built_again_is_warned_about() {
    let mut rig = Rig::new();
    rig.install = None;
    rig.snapshot().await;
    rig.release("{}");
    let report = rig.roll_back().await;
    assert!(
        report.ends_with(
            "WARNING: build output and generated clients were not rebuilt: configure `install`"
        ),
        "{report}"
    );
}

#[tokio::test]
async fn changed_tracked_files_are_refused_by_name() {
    let rig = Rig::new();
    std::fs::write(rig.app().join("package.json"), "{}").unwrap();
    let (run, stop) = rig.snapshot().await;
    assert_eq!(stop, Stop::Parked(ParkReason::Refused { step: 0 }));
    assert!(failure(&run, "prep/code").message.ends_with("package.json"));
}

#[tokio::test]
async fn code_is_left_alone_while_the_deploy_never_started() {
    let rig = Rig::new();
    let step = rig.step();
    let plan = plan(
        |p| {
            p.step("prep/code", step);
            p.step("prep/fail", crate::means::reach::testing::Say::failing());
        },
        |p| {
            p.step("prod/deploy", Change);
        },
    );
    rig.bench.start("r-one", plan).await;
    rig.release("{}");
    let head = git(&rig.app(), &["rev-parse", "HEAD"]);
    rig.bench.order("r-one", Order::Cancel).await;
    rig.bench.resume("r-one").await;
    assert_eq!(git(&rig.app(), &["rev-parse", "HEAD"]), head);
}
