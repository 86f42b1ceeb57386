//! A driver that slept through its replacement: neither its journal nor its host lets it act.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use async_trait::async_trait;
use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun, Stop};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::run::LoadError;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};
use serde::{Deserialize, Serialize};

use super::*;
use crate::means::host::{Command, SshConfig, SshHost};

/// Where the other process works; set for it alone.
const PLACE: &str = "FLOW_TEST_WOKEN_PLACE";

/// Waits until it may, then starts a job that adds a line to the ledger.
#[derive(Serialize, Deserialize)]
struct Act {
    place: PathBuf,
}

#[async_trait]
impl Step for Act {
    const KIND: &'static str = "test.act";
    type Output = String;

    fn summary(&self) -> String {
        "acts".into()
    }

    async fn run(&self, cx: &Cx) -> Result<String, StepError> {
        let host = host(&self.place);
        // Over ssh: the connection is there, and is authenticated, before the process is stopped.
        host.run(&Command::script("true")).await.unwrap();
        let begun = format!("begun.{}", cx.epoch());
        std::fs::write(self.place.join(begun), "").unwrap();
        let go = self.place.join(format!("go.{}", cx.epoch()));
        for _ in 0..3000 {
            if go.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ledger = self.place.join("ledger");
        let script = format!("echo epoch {} >>'{}'", cx.epoch(), ledger.display());
        let base = self.place.join("jobs");
        let mut spec = JobSpec::new(base.to_str().unwrap(), cx.run_id().as_str(), "act", script);
        spec.epoch = cx.epoch();
        // A folder of its own for each epoch: only the fence can keep the second one from acting.
        spec.attempt = u16::try_from(cx.epoch()).unwrap();
        let launched = launch(&*host, &spec).await;
        let said = match &launched {
            Ok(how) => format!("{how:?}"),
            Err(e) => e.to_string(),
        };
        std::fs::write(self.place.join(format!("host.{}", cx.epoch())), said).unwrap();
        launched.map_err(|e| StepError::refuse(e.to_string()))?;
        follow(&*host, &spec, 0, fast(), |_, _| ())
            .await
            .map_err(|e| StepError::ask(e.to_string()))?;
        Ok("acted".into())
    }
}

/// This machine, by way of the sshd whose configuration lies in the folder when there is one.
fn host(place: &Path) -> Arc<dyn Host> {
    let file = place.join("ssh_config");
    if !file.exists() {
        return Arc::new(Local::new("here"));
    }
    let mut config = SshConfig::new("box", "box");
    config.config_file = Some(file);
    config.connect_timeout = Duration::from_secs(15);
    Arc::new(SshHost::new(config))
}

fn engine(journal: SledJournal) -> Engine {
    Engine {
        journal: Arc::new(journal),
        registry: Arc::new(Registry::default().with::<Act>()),
        resources: Resources::default(),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    }
}

fn open(place: &Path) -> SledJournal {
    SledJournal::open(&place.join("journal"), &OpenOptions::default())
        .unwrap()
        .0
}

/// Not a test of its own: the driver that will be overtaken.
#[tokio::test]
#[ignore = "started by the other tests, in a process of its own"]
async fn the_overtaken_driver() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let place = PathBuf::from(place);
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    let act = Act {
        place: place.clone(),
    };
    planner.phase("prod", "Production", OnFailure::Park, |p| {
        p.step("prod/act", act);
    });
    let new = NewRun {
        id: "r-one".parse().unwrap(),
        plan: planner.finish().unwrap(),
        by: Actor {
            name: "anna".into(),
            from: "box".into(),
        },
        reason: "a test".into(),
        request: None,
    };
    let (driver, _handle) = engine(open(&place)).start(new).await.unwrap();
    let ended = driver.drive().await;
    let said = match ended {
        Ok((_, stop)) => format!("{stop:?}"),
        Err(e) => e.to_string(),
    };
    std::fs::write(place.join("said.new"), said).unwrap();
    std::fs::rename(place.join("said.new"), place.join("said")).unwrap();
}

struct Sleeper {
    dir: tempfile::TempDir,
    child: Child,
}

impl Sleeper {
    /// A driver that has begun its step and was stopped in it.
    async fn asleep(by_way_of: Option<&Sshd>) -> Sleeper {
        let dir = tempfile::tempdir().unwrap();
        if let Some(sshd) = by_way_of {
            let block = sshd.block("box", " IdentitiesOnly yes\n IdentityAgent none");
            std::fs::write(dir.path().join("ssh_config"), block).unwrap();
        }
        let (_, here) = module_path!().split_once("::").unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("{here}::the_overtaken_driver"),
                "--ignored",
            ])
            .env(PLACE, dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sleeper = Sleeper { dir, child };
        sleeper.shows("begun.1").await;
        signal(sleeper.child.id(), Signal::STOP);
        let stat = format!("/proc/{}/stat", sleeper.child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sleeper
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn shows(&self, name: &str) -> String {
        let begun = Instant::now();
        while !self.at(name).exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no {name}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::read_to_string(self.at(name)).unwrap()
    }

    /// Goes on with the run in this process, to its end.
    async fn replace(&self) {
        std::fs::write(self.at("go.2"), "").unwrap();
        let id = "r-one".parse().unwrap();
        let (driver, _handle) = engine(open(self.dir.path())).resume(&id).await.unwrap();
        let (run, stop) = driver
            .drive()
            .await
            .map_err(|e: LoadError| e.to_string())
            .unwrap();
        assert_eq!(stop, Stop::Finished(Verdict::Completed));
        assert_eq!(run.epoch, 2);
    }

    fn ledger(&self) -> String {
        std::fs::read_to_string(self.at("ledger")).unwrap()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}

/// A driver is stopped, replaced, and woken; what its host then says to it.
async fn woken(sleeper: &Sleeper) -> String {
    // Its lock went with the folder it has open; what lies in its place now is free for another process.
    copy(&sleeper.at("journal"), &sleeper.at("copy"));
    std::fs::rename(sleeper.at("journal"), sleeper.at("old")).unwrap();
    std::fs::rename(sleeper.at("copy"), sleeper.at("journal")).unwrap();
    sleeper.replace().await;
    assert_eq!(sleeper.ledger(), "epoch 2\n");

    std::fs::write(sleeper.at("go.1"), "").unwrap();
    signal(sleeper.child.id(), Signal::CONT);
    let host = sleeper.shows("host.1").await;
    let journal = sleeper.shows("said").await;
    assert!(journal.contains("was taken over by pid"), "{journal}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sleeper.ledger(), "epoch 2\n", "there is no second effect");
    host
}

#[tokio::test]
async fn a_driver_that_wakes_up_replaced_is_refused_by_its_journal_and_by_its_host() {
    let sleeper = Sleeper::asleep(None).await;
    let host = woken(&sleeper).await;
    assert!(
        host.contains("has seen epoch 2") && host.contains("has 1"),
        "{host}"
    );
}

#[tokio::test]
async fn a_driver_that_wakes_up_replaced_is_refused_over_the_connection_it_had() {
    let sshd = Sshd::start();
    let sleeper = Sleeper::asleep(Some(&sshd)).await;
    let before = sshd.connections();
    assert!(!before.is_empty(), "it is connected");
    let logins = || sshd.log().matches("Accepted publickey").count();
    assert_eq!(logins(), 1, "{}", sshd.log());
    let host = woken(&sleeper).await;
    assert!(
        host.contains("has seen epoch 2") && host.contains("has 1"),
        "{host}"
    );
    assert_eq!(logins(), 2, "the second is the one that replaced it");
}

#[tokio::test]
async fn a_driver_that_wakes_up_replaced_and_cut_off_is_refused_over_a_new_connection() {
    let sshd = Sshd::start();
    let sleeper = Sleeper::asleep(Some(&sshd)).await;
    sshd.cut();
    let host = woken(&sleeper).await;
    assert!(
        host.contains("has seen epoch 2") && host.contains("has 1"),
        "{host}"
    );
}

#[tokio::test]
async fn a_stopped_driver_is_ended_and_its_step_done_once() {
    let mut sleeper = Sleeper::asleep(None).await;
    let path = sleeper.at("journal");
    SledJournal::take_over(&path, Duration::from_secs(20)).unwrap();
    sleeper.replace().await;
    std::fs::write(sleeper.at("go.1"), "").unwrap();
    signal(sleeper.child.id(), Signal::CONT);
    let end = sleeper.child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(9));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!sleeper.at("host.1").exists());
    assert_eq!(sleeper.ledger(), "epoch 2\n");
}
