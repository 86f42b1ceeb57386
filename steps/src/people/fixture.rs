//! Real keys, and runs driven by a real engine, for the tests of this module.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, Handle, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::{Actor, Signal};
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::checklist::Checklist;
use crate::means::signature::roster::{NAMESPACE, People, Person};
use crate::means::signature::sign_off::SignOff;
use crate::means::signature::starter::Starter;
use crate::means::signature::statement::{Decision, Subject, Words};
use crate::means::signature::verify::SignedAnswer;
use crate::means::signature::{sshsig, statement};

/// A step that reports what it was told to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report(pub(crate) serde_json::Value);

#[async_trait::async_trait]
impl Step for Report {
    const KIND: &'static str = "test.report";
    type Output = serde_json::Value;

    fn summary(&self) -> String {
        "reports".into()
    }

    async fn run(&self, _cx: &Cx) -> Result<serde_json::Value, StepError> {
        Ok(self.0.clone())
    }
}

pub(crate) fn keygen(folder: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", name, "-f"])
        .arg(&path)
        .args(kind)
        .status()
        .expect("ssh-keygen starts; install openssh-client");
    assert!(made.success());
    path
}

pub(crate) fn person(name: &str, key: &Path) -> Person {
    Person {
        name: name.into(),
        email: Some(format!("{name}@example.org")),
        key: std::fs::read_to_string(key.with_extension("pub"))
            .expect("a public key")
            .trim()
            .to_owned(),
        login: None,
    }
}

/// Two roles with a key each, and a key of nobody.
pub(crate) struct Team {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dev: PathBuf,
    pub(crate) qa: PathBuf,
    pub(crate) nobody: PathBuf,
}

pub(crate) const ED25519: [&str; 2] = ["-t", "ed25519"];

impl Team {
    pub(crate) fn new() -> Team {
        let folder = tempfile::tempdir().expect("a folder");
        let key = |name| keygen(folder.path(), name, &ED25519);
        let (dev, qa, nobody) = (key("dev"), key("qa"), key("nobody"));
        Team {
            folder,
            dev,
            qa,
            nobody,
        }
    }

    pub(crate) fn people(&self) -> People {
        let roles = [
            ("developer".into(), vec![person("dev", &self.dev)]),
            ("qa".into(), vec![person("qa", &self.qa)]),
        ];
        People::checked(roles.into(), Vec::new(), false).expect("a roster")
    }
}

pub(crate) fn by(name: &str) -> Actor {
    Actor {
        name: name.into(),
        from: "here".into(),
    }
}

pub(crate) fn signal(step: &str, id: &str, body: String) -> Signal {
    Signal {
        step: step.into(),
        id: id.into(),
        by: by("starter"),
        body,
        at: flow_engine::clock::Clock::now(&SystemClock),
    }
}

/// A plan with some evidence, two sign-offs side by side, and what `more` adds.
pub(crate) fn plan(
    commit: &str,
    backup: &serde_json::Value,
    more: impl FnOnce(&mut Planner),
) -> flow_engine::plan::Plan {
    let mut planner = Planner::new("release", "1.0.0", "prod", "test");
    planner.fact("commit", commit);
    planner.phase("prod", "Production", OnFailure::Park, |p| {
        p.step("prod/backup", Report(backup.clone()));
    });
    planner.phase("signoff", "Sign-off", OnFailure::Park, |p| {
        p.parallel("signoff", |p| {
            for role in ["developer", "qa"] {
                let asked = SignOff {
                    role: role.into(),
                    valid_hours: 24,
                };
                p.step(&format!("signoff/{role}"), asked);
            }
        });
    });
    more(&mut planner);
    planner.finish().expect("a plan")
}

pub(crate) fn usual() -> flow_engine::plan::Plan {
    let backup = serde_json::json!({"path": "/b/x.sql.zst", "sha256": "ab".repeat(32), "bytes": 7});
    plan(&"c0ffee".repeat(7)[..40], &backup, |_| {})
}

pub(crate) fn engine(people: Option<People>) -> Engine {
    let resources = people.map_or_else(Resources::default, |p| Resources::default().with(p));
    Engine {
        journal: Arc::new(MemoryJournal::default()),
        registry: Arc::new(
            Registry::default()
                .with::<SignOff>()
                .with::<Starter>()
                .with::<Checklist>()
                .with::<Report>(),
        ),
        resources,
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    }
}

pub(crate) fn new_run(id: &str, plan: flow_engine::plan::Plan) -> NewRun {
    NewRun {
        id: id.parse().expect("an id"),
        plan,
        by: by("starter"),
        reason: "test".into(),
        request: None,
    }
}

pub(crate) async fn drive(driver: flow_engine::driver::Driver) -> (Arc<Run>, Stop) {
    tokio::time::timeout(Duration::from_mins(1), driver.drive())
        .await
        .expect("in time")
        .expect("the journal works")
}

/// Starts a run and drives it until it waits or ends.
pub(crate) async fn start(
    engine: &Engine,
    id: &str,
    plan: flow_engine::plan::Plan,
) -> (Arc<Run>, Stop) {
    let (driver, _handle): (_, Handle) = engine
        .clone()
        .start(new_run(id, plan))
        .await
        .expect("starts");
    drive(driver).await
}

/// Hands answers in while nobody drives, then goes on.
pub(crate) async fn answer(engine: &Engine, run: &Run, signals: Vec<Signal>) -> (Arc<Run>, Stop) {
    let mut run = run.clone();
    for signal in signals {
        flow_engine::run::append_signal(&*engine.journal, &mut run, signal)
            .await
            .expect("stored");
    }
    let (driver, _handle) = engine.clone().resume(&run.id).await.expect("resumes");
    drive(driver).await
}

pub(crate) fn words(role: &str, signer: &str, decision: Decision, note: &str) -> Words {
    let now = flow_engine::clock::Clock::now(&SystemClock);
    Words {
        subject: Subject::Signoff,
        role: role.into(),
        signer: signer.into(),
        decision,
        note: note.into(),
        finding: None,
        after: None,
        issued_at: now,
        expires_at: now.plus(Duration::from_hours(12)),
    }
}

pub(crate) async fn signed(run: &Run, step: &str, words: Words, key: &Path) -> SignedAnswer {
    let text = statement::build(run, step, words)
        .expect("a statement")
        .text();
    seal(text, key).await
}

pub(crate) async fn seal(text: String, key: &Path) -> SignedAnswer {
    let signature = sshsig::sign(text.as_bytes(), key, None)
        .await
        .expect("signs");
    SignedAnswer {
        statement: text,
        signature,
    }
}

pub(crate) fn other_namespace(text: &str, key: &Path) -> String {
    let file = key.with_extension("text");
    std::fs::write(&file, text).expect("written");
    let status = std::process::Command::new("ssh-keygen")
        .args(["-Y", "sign", "-q", "-n", "file", "-f"])
        .args([key, &file])
        .status()
        .expect("ssh-keygen starts");
    assert!(status.success() && NAMESPACE != "file");
    std::fs::read_to_string(key.with_extension("text.sig")).expect("a signature")
}

/// An ssh-agent of our own, ended by its process id.
pub(crate) struct Agent {
    process: std::process::Child,
    pub(crate) socket: PathBuf,
}

impl Agent {
    pub(crate) fn start(folder: &Path) -> Agent {
        let socket = folder.join("agent.sock");
        let process = std::process::Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("ssh-agent starts; install openssh-client");
        for _ in 0..200 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Agent { process, socket }
    }

    pub(crate) fn add(&self, key: &Path) {
        let added = std::process::Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .status()
            .expect("ssh-add starts");
        assert!(added.success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
