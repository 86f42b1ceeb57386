//! Shipped steps that need no server, asked for the contract: with real files, a real git, real keys and real processes,
//! behind a line that breaks.

use std::path::{Path, PathBuf};

use flow_engine::plan::Effect;
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use super::*;
use crate::code::CodeSnapshot;
use crate::deploy::{Deploy, InPlace};
use crate::gate::Promotion;
use crate::health::Health;
use crate::identity::Identity;
use crate::lease::HostLease;
use crate::mail::Notify;
use crate::means::checklist::{Checklist, Item};
use crate::means::facts;
use crate::means::host::{HostExt as _, Local};
use crate::means::lease::store::lock_state;
use crate::means::probes::probe::{self, Probe};
use crate::means::promotion::PromotionRule;
use crate::means::reach;
use crate::means::reach::testing::Say;
use crate::means::signature::sign_off::SignOff;
use crate::means::signature::statement::Decision;
use crate::people::fixture::{self, Team};

mod servers;

/// As [`conforms`], of a kind that the list of those that are asked names.
async fn asked<S: Step, W: World>(step: S, world: &W) -> Result<Conformance, Breaches> {
    assert!(ASKED.contains(&S::KIND), "`{}` is not in ASKED", S::KIND);
    conforms(step, world).await
}

/// A folder on this machine, which is the host `here`.
struct Ground {
    dir: tempfile::TempDir,
    /// Lays the folder out, which is empty.
    lay: fn(&Path),
    in_production: bool,
    restores: bool,
    cuts: usize,
}

impl Ground {
    fn new() -> Ground {
        Ground {
            dir: tempfile::tempdir().unwrap(),
            lay: |_| {},
            in_production: true,
            restores: true,
            cuts: 16,
        }
    }

    /// The kept files. A command that outlives the life that began it is waited for, up to ten seconds.
    async fn kept(&self) -> Vec<PathBuf> {
        let mut kept = Vec::new();
        for _ in 0..100 {
            kept.clear();
            files(&self.dir.path().join("kept"), &mut kept);
            let is_written = |path: &PathBuf| path.extension().is_some_and(|end| end == "part");
            if !kept.iter().any(is_written) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        kept.sort();
        kept
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

fn files(folder: &Path, below: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, below);
        } else {
            below.push(path);
        }
    }
}

#[async_trait]
impl World for Ground {
    async fn reset(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
        (self.lay)(self.dir.path());
    }

    /// The ledger to the letter, the lease without its epoch, the commit that is checked out, the names of kept files.
    async fn state(&self) -> String {
        let at = self.dir.path();
        let ledger = std::fs::read_to_string(at.join("ledger")).unwrap_or_default();
        let here = Local::new("here");
        let lease = lock_state(&here, &self.path("lease")).await.unwrap();
        let held = lease.held.map(|held| held.run);
        let locked = lease.locked.map(|locked| locked.reason);
        let commit = git(at, &["rev-parse", "HEAD"]);
        let kept = self.kept().await;
        format!(
            "ledger {ledger:?}, held by {held:?}, locked {locked:?}, at {commit:?}, kept {kept:?}"
        )
    }

    fn resources(&self, line: &Line) -> Resources {
        Resources::default().with(over(&Hosts::new().with(Local::new("here")), line))
    }

    fn in_production(&self) -> bool {
        self.in_production
    }

    fn restores(&self) -> bool {
        self.restores
    }

    fn cuts(&self) -> usize {
        self.cuts
    }
}

/// What git says; nothing where there is no repository.
fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let me = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
    let output = std::process::Command::new("git")
        .env("GIT_CEILING_DIRECTORIES", dir.parent()?)
        // The same commit each time.
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .arg("-C")
        .arg(dir)
        .args(me)
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

/// A repository with one commit.
fn repository(dir: &Path) {
    std::fs::write(dir.join("app.js"), "1").unwrap();
    for args in [
        &["init", "-q"][..],
        &["add", "app.js"],
        &["commit", "-q", "-m", "First"],
    ] {
        git(dir, args).expect("git works");
    }
}

fn lease_of(dir: &Path) -> HostLease {
    HostLease::in_folder("here", dir.join("lease").to_str().unwrap())
}

#[tokio::test]
async fn the_identity_of_hosts_conforms() {
    let ground = Ground::new();
    let step = Identity {
        hosts: [("here".to_owned(), None)].into(),
        distinct: true,
    };
    let found = asked(step, &ground).await.unwrap();
    assert!(found.exchanges > 0, "nothing went over the line: {found:?}");
}

#[tokio::test]
async fn taking_the_lease_conforms() {
    let ground = Ground {
        in_production: false,
        ..Ground::new()
    };
    let found = asked(lease_of(ground.dir.path()), &ground).await.unwrap();
    assert!(found.exchanges > 0 && found.undo_exchanges > 0, "{found:?}");
}

#[tokio::test]
async fn telling_the_team_conforms() {
    let ground = Ground {
        restores: false,
        ..Ground::new()
    };
    let notify = Notify {
        environment: "prod".into(),
        window: "now".into(),
        downtime: "5 min".into(),
        contact: "lead".into(),
        changes: vec!["a".into()],
        checked: None,
    };
    asked(notify, &ground).await.unwrap();
}

#[tokio::test]
async fn the_commit_in_place_conforms() {
    let ground = Ground {
        lay: repository,
        ..Ground::new()
    };
    ground.reset().await;
    let in_place = InPlace {
        host: "here".into(),
        cwd: ground.path(""),
        commit: git(ground.dir.path(), &["rev-parse", "HEAD"]).unwrap(),
        verify: None,
    };
    asked(in_place, &ground).await.unwrap();
}

#[tokio::test]
async fn keeping_the_code_conforms() {
    let ground = Ground {
        lay: repository,
        // The bundle is kept; the deploy of this run never began, so the code stays.
        restores: false,
        cuts: 8,
        ..Ground::new()
    };
    let snapshot = CodeSnapshot {
        host: "here".into(),
        dir: ground.path(""),
        backups: ground.path("kept"),
        untracked: vec!["kept/".into()],
        revert_if_started: "prod/deploy".into(),
        install: None,
    };
    asked(snapshot, &ground).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_script_conforms() {
    let ground = Ground {
        lay: |dir| {
            let script = format!("echo released >> {}/ledger\n", dir.display());
            std::fs::write(dir.join("release.sh"), script).unwrap();
        },
        // Its undo ends what still runs and takes nothing back.
        restores: false,
        cuts: 6,
        ..Ground::new()
    };
    let words = vec!["sh".into(), ground.path("release.sh")];
    let deploy: Deploy = crate::deploy::fixture::deploy(ground.dir.path(), words);
    let found = asked(deploy, &ground).await.unwrap();
    assert!(found.exchanges > 0 && found.undo_exchanges > 0, "{found:?}");
}

/// A question that `qa` answers with a real key.
struct Desk(Team);

#[async_trait]
impl World for Desk {
    async fn reset(&self) {}

    async fn state(&self) -> String {
        String::new()
    }

    fn resources(&self, _: &Line) -> Resources {
        Resources::default().with(self.0.people())
    }

    fn before(&self, planner: &mut Planner) {
        planner.fact("commit", "c".repeat(40));
    }

    async fn answers(&self, run: &Run) -> Vec<Signal> {
        let words = fixture::words("qa", "qa", Decision::Approve, "");
        let answer = fixture::signed(run, KEY, words, &self.0.qa).await;
        vec![fixture::signal(KEY, "1", answer.body())]
    }
}

#[tokio::test]
async fn a_sign_off_conforms() {
    let step = SignOff {
        role: "qa".into(),
        valid_hours: 24,
    };
    let desk = Desk(Team::new());
    let found = asked(step, &desk).await.unwrap();
    assert!(found.points > 0, "{found:?}");
}

/// A list that `starter` answers.
struct Testers;

#[async_trait]
impl World for Testers {
    async fn reset(&self) {}

    async fn state(&self) -> String {
        String::new()
    }

    fn resources(&self, _: &Line) -> Resources {
        Resources::default()
    }

    async fn answers(&self, _: &Run) -> Vec<Signal> {
        let body = r#"{"item":"login","result":"pass","note":"","by":"starter"}"#;
        vec![fixture::signal(KEY, "1", body.into())]
    }
}

#[tokio::test]
async fn a_checklist_conforms() {
    let list = Checklist {
        title: "Smoke test".into(),
        items: vec![Item {
            key: "login".into(),
            text: "Login with a real user account".into(),
            required: true,
        }],
        who: "qa".into(),
        deadline_minutes: None,
    };
    let found = asked(list, &Testers).await.unwrap();
    assert!(found.points > 0, "{found:?}");
}

#[tokio::test]
async fn asking_for_health_conforms() {
    let ground = Ground::new();
    let probe = Probe::Command(probe::Run {
        command: vec!["true".into()],
        via_host: Some("here".into()),
        says: None,
        timeout_seconds: 5,
    });
    let health = Health {
        check: [probe].into_iter().collect(),
        within_seconds: 20,
        stable_for_seconds: 0,
    };
    let found = asked(health, &ground).await.unwrap();
    assert!(found.exchanges > 0, "nothing went over the line: {found:?}");
}

/// A run whose phase before the step has passed.
struct History;

#[async_trait]
impl World for History {
    async fn reset(&self) {}

    async fn state(&self) -> String {
        String::new()
    }

    fn resources(&self, _: &Line) -> Resources {
        Resources::default()
    }

    fn before(&self, planner: &mut Planner) {
        planner.fact(facts::COMMIT, "c".repeat(40));
        planner.step("before/say", Say::new(1));
    }

    fn registry(&self) -> Registry {
        Registry::default().with::<Say>()
    }
}

#[tokio::test]
async fn the_rule_of_promotion_conforms() {
    let rule = PromotionRule {
        commit: "c".repeat(40),
        phases: vec!["before".into()],
        max_age_hours: 1,
    };
    asked(Promotion { rule }, &History).await.unwrap();
}

/// Writes a line on a host without looking: what a step must not do.
#[derive(Serialize, Deserialize)]
struct Careless {
    ledger: String,
    fails_on_silence: bool,
}

#[async_trait]
impl Step for Careless {
    const KIND: &'static str = "test.careless";
    type Output = ();

    fn summary(&self) -> String {
        "append a line".into()
    }

    fn effect(&self) -> Effect {
        Effect::Changes
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let host = reach::host(cx, "here")?;
        let append = Command::script("echo once >> \"$1\"").args(["sh", &self.ledger]);
        let done = host.run(&append).await.map(drop);
        done.map_err(|e| {
            if self.fails_on_silence {
                StepError::fail(e.to_string())
            } else {
                reach::error(&e)
            }
        })
    }
}

#[tokio::test]
async fn a_step_that_appends_without_looking_or_fails_on_silence_is_caught_on_a_host() {
    let ground = Ground::new();
    let careless = |fails_on_silence| Careless {
        ledger: ground.path("ledger"),
        fails_on_silence,
    };
    let breaches = conforms(careless(false), &ground).await.unwrap_err();
    for clause in [
        Clause::TwiceIsOnce,
        Clause::CutAndResumed,
        Clause::UnknownNeverGuessed,
    ] {
        assert!(breaches.of(clause), "no `{clause}` in: {breaches}");
    }
    let breaches = conforms(careless(true), &ground).await.unwrap_err();
    let guess = "answered Fail";
    assert!(breaches.to_string().contains(guess), "{breaches}");
}
