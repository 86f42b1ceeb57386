//! Against a real `systemd --user` and a real journal, in namespaces of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_engine::driver::Stop;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;
use flow_engine::signal::Order;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::means::host::Local;
use crate::means::reach::{self, testing};
use crate::means::supervisor::{self, Application, Kind, ProcessList};
use crate::pm2::Processes;

/// A systemd of its own. It ends with the namespaces, and they with this.
struct Manager {
    home: tempfile::TempDir,
    shell: Child,
    program: Vec<String>,
    slice: String,
}

/// Becomes the first process of the namespaces, starts the journal and the manager, and waits.
const START: &str = r#"set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/$2/user@0.service
mkdir -p "$group" /run/systemd/system /run/systemd/journal /run/log/journal
mkdir -m 700 -p /run/user/0
export HOME=$1 XDG_RUNTIME_DIR=/run/user/0
unset XDG_CONFIG_HOME DBUS_SESSION_BUS_ADDRESS
/lib/systemd/systemd-journald &
( echo $BASHPID > "$group/cgroup.procs"; exec /lib/systemd/systemd --user --log-target=journal ) &
until [ -S /run/user/0/systemd/private ] && [ -S /run/systemd/journal/stdout ]; do sleep 0.05; done
echo ready > "$1/ready"
wait"#;

impl Manager {
    /// Nothing where it cannot run: it needs root and systemd's programs.
    fn start() -> Option<Self> {
        let can = rustix::process::getuid().is_root() && Path::new("/lib/systemd/systemd").exists();
        if !can {
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let slice = format!(
            "flow-test-{}.slice",
            home.path().file_name()?.to_str()?.replace('.', "")
        );
        let shell = Program::new("unshare")
            .args([
                "--mount",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["bash", "-c", START, "bash"])
            .arg(home.path())
            .arg(&slice)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        while !home.path().join("ready").exists() {
            let errors = std::fs::read_to_string(home.path().join("errors")).unwrap();
            assert!(Instant::now() < until, "systemd does not start: {errors}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let children = format!("/proc/{0}/task/{0}/children", shell.id());
        let first = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let words = ["nsenter", "--mount", "--pid", "--target", &first, "env"];
        let more = ["XDG_RUNTIME_DIR=/run/user/0", "systemctl", "--user"];
        Some(Manager {
            program: [&words[..], &more]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            home,
            shell,
            slice,
        })
    }

    fn systemctl(&self, args: &[&str]) {
        let done = Program::new(&self.program[0])
            .args(&self.program[1..])
            .args(args)
            .output();
        let done = done.unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    }

    fn app(&self) -> PathBuf {
        let app = self.home.path().join("app");
        std::fs::create_dir_all(&app).unwrap();
        app
    }

    /// A service of this shell text, in this folder.
    fn service(&self, name: &str, folder: &Path, text: &str, more: &str) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{name}.sh")), text).unwrap();
        let units = self.home.path().join(".config/systemd/user");
        std::fs::create_dir_all(&units).unwrap();
        let script = folder.join(format!("{name}.sh"));
        let unit = format!(
            "[Service]\nWorkingDirectory={}\nExecStart=/bin/sh {}\n{more}\n",
            folder.display(),
            script.display()
        );
        std::fs::write(units.join(format!("{name}.service")), unit).unwrap();
    }

    fn timer(&self, name: &str) {
        let unit = "[Timer]\nOnActiveSec=1h\n";
        let file = format!(".config/systemd/user/{name}.timer");
        std::fs::write(self.home.path().join(file), unit).unwrap();
    }

    fn application(&self) -> Application {
        Application {
            folder: Some(self.app().to_str().unwrap().into()),
            supervisor: Kind::Systemd,
            ..Application::default()
        }
    }

    async fn list(&self) -> ProcessList {
        let (here, application) = (Local::new("here"), self.application());
        let list = supervisor::of(&here, &self.program, &application)
            .list()
            .await;
        list.unwrap()
    }

    fn processes(&self) -> Processes {
        Processes {
            host: "here".into(),
            pm2: self.program.clone(),
            application: self.application(),
            restart_if_started: Some("prod/halt".into()),
            settle_seconds: 2,
            health: None,
            keep_in: Some(self.home.path().join("kept").to_str().unwrap().into()),
            since: None,
            newer: None,
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.shell.kill().unwrap();
        self.shell.wait().unwrap();
        for root in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            let group = format!("{root}/{}", self.slice);
            let words = [&group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"];
            // The kernel takes a moment to notice that the last process has ended.
            let until = Instant::now() + Duration::from_secs(30);
            while Path::new(&group).exists() && Instant::now() < until {
                Program::new("find")
                    .args(words)
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
            }
        }
    }
}

/// Stops the application, as the rollback of a deploy does.
#[derive(Serialize, Deserialize)]
struct Halt {
    program: Vec<String>,
    application: Application,
}

#[async_trait]
impl Step for Halt {
    const KIND: &'static str = "test.halt";
    type Output = String;

    fn summary(&self) -> String {
        "stops the application".into()
    }

    fn effect(&self) -> flow_engine::plan::Effect {
        flow_engine::plan::Effect::Changes
    }

    async fn run(&self, cx: &Cx) -> Result<String, StepError> {
        let host = reach::host(cx, "here")?;
        supervisor::of(&*host, &self.program, &self.application)
            .stop(cx)
            .await
    }

    async fn undo(&self, _: &Cx, _: Option<String>) -> Result<String, StepError> {
        Ok("nothing".into())
    }
}

fn registry() -> Registry {
    Registry::default().with::<Processes>().with::<Halt>()
}

const STEADY: &str = "echo works\nwhile :; do sleep 1; done";

#[tokio::test(flavor = "multi_thread")]
async fn services_are_recorded_stopped_with_their_timers_and_brought_back_and_neighbours_are_left_alone()
 {
    let Some(manager) = Manager::start() else {
        return;
    };
    let app = manager.app();
    manager.service("api", &app, STEADY, "Restart=always");
    manager.service("idle", &app, STEADY, "");
    manager.service("report", &app, "exit 0", "Type=oneshot");
    manager.timer("report");
    manager.service("shop", &manager.home.path().join("shop"), STEADY, "");
    manager.systemctl(&["start", "api.service", "report.timer", "shop.service"]);
    let bench = testing::Bench::new(registry);
    let halt = Halt {
        program: manager.program.clone(),
        application: manager.application(),
    };
    let plan = testing::plan(
        |p| {
            p.step("prep/processes", manager.processes());
        },
        |p| {
            p.step("prod/halt", halt);
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let before: ProcessList = testing::output(&run, "prep/processes");
    let names: Vec<(&str, &str, bool)> = before
        .apps
        .iter()
        .map(|a| (a.name.as_str(), a.status.as_str(), a.by_clock))
        .collect();
    assert_eq!(
        names,
        [("api", "online", false), ("report", "stopped", true)]
    );
    let said: String = testing::output(&run, "prod/halt");
    assert_eq!(said, "stopped api, report");
    let down = manager.list().await;
    assert!(
        down.apps.iter().all(|a| !a.is_running() && !a.by_clock),
        "{down:?}"
    );
    manager.systemctl(&["is-active", "shop.service"]);

    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = testing::undone(&run, "prep/processes");
    let wanted = "restarted api; waiting for their clock again: report; no restart within 2 s";
    assert_eq!(report, wanted);
    let now = manager.list().await;
    assert!(
        now.apps[0].is_running() && now.apps[0].pid != before.apps[0].pid,
        "{now:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_crash_loops_after_the_rollback_or_is_defined_otherwise_is_said() {
    let Some(manager) = Manager::start() else {
        return;
    };
    let app = manager.app();
    manager.service("api", &app, STEADY, "Restart=always\nRestartSec=100ms");
    manager.systemctl(&["start", "api.service"]);
    let bench = testing::Bench::new(registry);
    let halt = Halt {
        program: manager.program.clone(),
        application: manager.application(),
    };
    let plan = testing::plan(
        |p| {
            p.step("prep/processes", manager.processes());
        },
        |p| {
            p.step("prod/halt", halt);
        },
    );
    bench.start("r-one", plan).await;
    manager.service(
        "api",
        &app,
        "sleep 0.3; exit 1",
        "Restart=always\nRestartSec=200ms",
    );
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let failed = run.steps[0].undo_failure.clone().unwrap().1.message;
    assert!(failed.contains("after the restart: "), "{failed}");
    assert!(failed.contains("others than before"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_writes_is_read_once_from_a_mark_on_and_no_other_services() {
    let Some(manager) = Manager::start() else {
        return;
    };
    let app = manager.app();
    let text = "echo before; while :; do if read -r line < say 2>/dev/null; then echo \"$line\" >&2; fi; sleep 0.1; done";
    manager.service("api", &app, text, "");
    let done = Program::new("mkfifo").arg(app.join("say")).status();
    assert!(done.unwrap().success());
    manager.service(
        "shop",
        &manager.home.path().join("shop"),
        "while :; do echo Error: shop; sleep 0.2; done",
        "",
    );
    manager.systemctl(&["start", "api.service", "shop.service"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (here, application) = (Local::new("here"), manager.application());
    let systemd = supervisor::of(&here, &manager.program, &application);
    let marked = systemd.marked().await.unwrap();
    let log = &marked.apps[0].logs[0];
    let mut place = systemd.log_end(log).await.unwrap();
    assert!(place.is_there());
    place.go_back_to(marked.log_sizes[log], marked.log_inodes.get(log).copied());
    std::fs::write(app.join("say"), "TypeError: x is undefined\n").unwrap();
    let mut lines = Vec::new();
    let until = Instant::now() + Duration::from_secs(20);
    while lines.is_empty() && Instant::now() < until {
        lines = systemd.log_news(log, &mut place).await.unwrap().lines;
    }
    let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["TypeError: x is undefined"]);
    assert!(
        systemd
            .log_news(log, &mut place)
            .await
            .unwrap()
            .lines
            .is_empty()
    );
    let silent = systemd.log_end("journal:no-such.service").await.unwrap();
    assert!(!silent.is_there());
}
