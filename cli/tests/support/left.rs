//! A journal that an earlier `flow` left behind, and the real binary.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::clock::{Clock, SystemClock, Timestamp};
use flow_engine::driver::{Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::run::{Run, append_order};
use flow_engine::signal::{Actor, Order};
use flow_engine::step::{Cx, Resources, Step, StepError};
use flow_steps::means::checklist::{Checklist, Item};

#[derive(Serialize, Deserialize)]
pub(crate) struct Look(pub(crate) bool);

#[async_trait]
impl Step for Look {
    const KIND: &'static str = "test.look";
    type Output = u32;

    fn summary(&self) -> String {
        "looks".into()
    }

    async fn run(&self, _: &Cx) -> Result<u32, StepError> {
        if self.0 {
            Ok(1)
        } else {
            Err(StepError::fail("it is dark").hint("make light"))
        }
    }
}

/// A clock that stands still, so many days ago.
pub(crate) struct Ago(pub(crate) u64);

#[async_trait]
impl Clock for Ago {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 - i64::try_from(self.0).expect("small") * 86_400_000)
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

/// Leaves a run in the journal under `dir/.flow`, completed or parked.
pub(crate) fn leave(dir: &Path, id: &str, well: bool) {
    leave_at(dir, id, well, Arc::new(SystemClock));
}

pub(crate) fn leave_at(dir: &Path, id: &str, well: bool, clock: Arc<dyn Clock>) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look(well));
    });
    leave_run(dir, id, planner, clock);
}

fn engine(dir: &Path, clock: Arc<dyn Clock>) -> Engine {
    let state = dir.join(".flow");
    std::fs::create_dir_all(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    let (journal, _) =
        SledJournal::open(&state.join("journal"), &OpenOptions::default()).expect("opens");
    Engine {
        journal: Arc::new(journal),
        registry: Arc::new(Registry::default().with::<Look>().with::<Checklist>()),
        resources: Resources::default(),
        clock,
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    }
}

fn anna() -> Actor {
    Actor {
        name: "anna".into(),
        from: "box".into(),
    }
}

/// Leaves a run in the journal under `dir/.flow`, driven until it stops.
pub(crate) fn leave_run(dir: &Path, id: &str, planner: Planner, clock: Arc<dyn Clock>) {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let engine = engine(dir, clock);
    let plan = planner.finish().expect("plans");
    let new = NewRun {
        id: id.parse().expect("an id"),
        plan,
        by: anna(),
        reason: "a test".into(),
        request: Some(format!("key-of-{id}")),
    };
    runtime.block_on(async {
        let (driver, _handle) = engine.start(new).await.expect("starts");
        driver.drive().await.expect("drives");
    });
}

/// Leaves a run that waits for these items of a checklist.
pub(crate) fn leave_waiting(dir: &Path, id: &str, items: &[&str]) {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        let items = items.iter().map(|key| Item {
            key: (*key).to_owned(),
            text: format!("try {key}"),
            required: true,
        });
        let list = Checklist {
            title: "Features".into(),
            items: items.collect(),
            who: "qa".into(),
            deadline_minutes: None,
        };
        p.step("prep/features", list);
    });
    leave_run(dir, id, planner, Arc::new(SystemClock));
}

/// Leaves a run that failed and was cancelled.
pub(crate) fn leave_cancelled(dir: &Path, id: &str, clock: &Arc<dyn Clock>) {
    leave_at(dir, id, false, Arc::clone(clock));
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let engine = engine(dir, Arc::clone(clock));
    runtime.block_on(async {
        let journal = Arc::clone(&engine.journal);
        let id = id.parse().expect("an id");
        let mut run = Run::load(&*journal, &id).await.expect("reads");
        let cancel = append_order(&*journal, &mut run, Order::Cancel, anna(), "x", clock.now());
        cancel.await.expect("accepted");
        let (driver, _handle) = engine.resume(&id).await.expect("resumes");
        driver.drive().await.expect("drives");
    });
}

pub(crate) fn flow(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("flow starts")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration that `flow start` accepts, with one person who may sign.
pub(crate) fn configure(dir: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(dir.join("qa"))
        .status();
    assert!(made.expect("ssh-keygen starts").success());
    let public = std::fs::read_to_string(dir.join("qa.pub")).expect("reads");
    let people = format!("[[roles.qa]]\nname = \"qa\"\nkey = \"{}\"\n", public.trim());
    let mut config =
        String::from("[app]\nname = \"demo\"\nmigrations = \"m\"\n[signoff]\nroles = [\"qa\"]\n");
    for name in ["test", "stage", "prod"] {
        config += &[
            &format!("[env.{name}]\nssh = \"{name}\"\n"),
            "app_dir = \"/srv/app\"\nbackup_dir = \"/srv/backups\"\nflow_dir = \"/srv/flow\"\n",
            "deploy = [\"./deploy.sh\"]\nhealth = \"https://app.example.org/\"\n",
            "database = { user = \"postgres\", name = \"postgres\" }\n",
        ]
        .concat();
    }
    for (file, text) in [
        ("flow.toml", config),
        ("flow.people.toml", people),
        ("flow.data.toml", "[tables]\n".into()),
    ] {
        std::fs::write(dir.join(file), text).expect("writes");
    }
}

/// A repository with one migration in it.
pub(crate) fn commit(dir: &Path) {
    let git = |args: &[&str]| {
        let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut git = Command::new("git");
        let done = git.args(me).args(args).current_dir(dir).output();
        assert!(done.expect("git starts").status.success(), "git {args:?}");
    };
    std::fs::create_dir_all(dir.join("m/1_init")).expect("creates");
    std::fs::write(dir.join("m/1_init/migration.sql"), "SELECT 1;").expect("writes");
    git(&["init", "-q", "."]);
    if dir.join("flow.people.toml").exists() {
        git(&["add", "flow.people.toml"]);
    }
    git(&["add", "m"]);
    git(&["commit", "-q", "-m", "x"]);
}
