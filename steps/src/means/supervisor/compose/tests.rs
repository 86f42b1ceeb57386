//! Against a real docker daemon, in namespaces of its own. Compose is not on every machine: containers get its labels by
//! hand, and the one command of compose that a rollback needs is played by a script.

use std::path::Path;
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

/// A docker daemon of its own. It ends with the namespaces, and they with this.
struct Daemon {
    home: tempfile::TempDir,
    shell: Child,
    program: Vec<String>,
    group: String,
}

/// Becomes the first process of the namespaces, starts the daemon, packs a shell as an image, and waits.
const START: &str = r#"set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
cat > "$1/daemon.json" << JSON
{"iptables":false,"ip6tables":false,"ip-forward":false,"ip-masq":false,"bridge":"none",
 "cgroup-parent":"/$2","data-root":"$1/data","exec-root":"/run/docker"}
JSON
dockerd --config-file "$1/daemon.json" > "$1/dockerd.log" 2>&1 &
for i in $(seq 600); do docker version > /dev/null 2>&1 && break; sleep 0.05; done
mkdir -p "$1/image/proc" "$1/image/dev" "$1/image/tmp"
for name in sh sleep cat; do
  path=$(readlink -f "$(type -P "$name")")
  mkdir -p "$1/image/bin"
  cp "$path" "$1/image/bin/$name"
  for lib in $(ldd "$path" | grep -oE '/[^ ]+'); do
    mkdir -p "$1/image$(dirname "$lib")"
    cp -L "$lib" "$1/image$lib"
  done
done
tar -C "$1/image" -c . | docker import - shop:1 > /dev/null
tar -C "$1/image" -c . | docker import --message other - shop:2 > /dev/null
echo ready > "$1/ready"
wait"#;

/// Plays `docker compose up` for one service of the project `shop`: the container is made anew with what its tag means
/// now.
const COMPOSE: &str = r#"#!/bin/bash
if [ "$1" = docker-cli-plugin-metadata ]; then
  echo '{"SchemaVersion":"0.1.0","Vendor":"test","Version":"0","ShortDescription":"plays compose"}'; exit 0
fi
service=${!#}
docker rm -f "shop-$service-1" > /dev/null
exec "$(dirname "$0")/../run" "$service" shop:now
"#;
/// Makes a container as compose does: a service's name, an image, and shell text that is its program.
const RUN: &str = r#"#!/bin/bash
text=${3:-'echo works; while :; do sleep 1; done'}
exec docker run -d --network none --restart on-failure --name "shop-$1-1" --stop-timeout 1 \
  --label com.docker.compose.project=shop --label "com.docker.compose.service=$1" \
  --label "com.docker.compose.project.working_dir=$(dirname "$(readlink -f "$0")")" "$2" /bin/sh -c "$text"
"#;

impl Daemon {
    /// Nothing where it cannot run: it needs root and docker's programs.
    fn start() -> Option<Self> {
        let there = |name: &str| {
            let path = std::env::var_os("PATH")?;
            let mut dirs = std::env::split_paths(&path);
            dirs.any(|dir| dir.join(name).exists()).then_some(())
        };
        let root = rustix::process::getuid().is_root().then_some(());
        root.and(there("dockerd"))
            .and(there("docker"))
            .and(there("containerd"))?;
        let home = tempfile::tempdir().unwrap();
        let name = home.path().file_name()?.to_str()?.replace('.', "");
        let group = format!("flow-test-{name}");
        std::fs::create_dir_all(home.path().join("cli-plugins")).unwrap();
        for (file, text) in [("cli-plugins/docker-compose", COMPOSE), ("run", RUN)] {
            let file = home.path().join(file);
            std::fs::write(&file, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&file, mode).unwrap();
        }
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
            .arg(&group)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(home.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_mins(2);
        while !home.path().join("ready").exists() {
            let errors = std::fs::read_to_string(home.path().join("errors")).unwrap();
            assert!(Instant::now() < until, "docker does not start: {errors}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let children = format!("/proc/{0}/task/{0}/children", shell.id());
        let first = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let config = format!("DOCKER_CONFIG={}", home.path().display());
        let words = [
            "nsenter", "--mount", "--pid", "--target", &first, "env", &config,
        ];
        let program = [&words[..], &["docker", "compose", "-p", "shop"]].concat();
        Some(Daemon {
            program: program.into_iter().map(str::to_owned).collect(),
            home,
            shell,
            group,
        })
    }

    /// Runs a program where docker is.
    fn run(&self, words: &[&str]) {
        let before = &self.program[..self.program.len() - 4];
        let done = Program::new(&before[0])
            .args(&before[1..])
            .args(words)
            .output();
        let done = done.unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    }

    fn container(&self, service: &str, image: &str, text: &str) {
        let run = self.home.path().join("run");
        self.run(&[run.to_str().unwrap(), service, image, text]);
    }

    async fn list(&self) -> ProcessList {
        let (here, application) = (Local::new("here"), application());
        let list = supervisor::of(&here, &self.program, &application)
            .list()
            .await;
        list.unwrap()
    }

    fn processes(&self) -> Processes {
        Processes {
            host: "here".into(),
            pm2: self.program.clone(),
            application: application(),
            restart_if_started: Some("prod/halt".into()),
            settle_seconds: 2,
            health: None,
            keep_in: None,
            since: None,
            newer: None,
        }
    }
}

fn application() -> Application {
    Application {
        processes: vec!["api".into()],
        folder: Some("/srv/shop".into()),
        supervisor: Kind::Compose,
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.shell.kill().unwrap();
        self.shell.wait().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        for root in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let group = root.path().join(&self.group);
            // The kernel takes a moment to notice that the last process has ended.
            while group.exists() && Instant::now() < until {
                let mut find = Program::new("find");
                find.arg(&group)
                    .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
                find.stderr(Stdio::null()).status().unwrap();
            }
        }
        // Layers of images are no files of this process's user alone.
        let data = self.home.path().join("data");
        if Path::new(&data).exists() {
            Program::new("rm").arg("-rf").arg(data).status().unwrap();
        }
    }
}

/// Stops the application, as the rollback of a deploy does.
#[derive(Serialize, Deserialize)]
struct Halt {
    program: Vec<String>,
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
        let (host, application) = (reach::host(cx, "here")?, application());
        supervisor::of(&*host, &self.program, &application)
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

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_recorded_stopped_and_brought_back_with_the_image_they_had_and_others_are_left_alone()
 {
    let Some(docker) = Daemon::start() else {
        return;
    };
    docker.run(&["docker", "tag", "shop:1", "shop:now"]);
    docker.container("api", "shop:now", "");
    docker.container("billing", "shop:now", "");
    let bench = testing::Bench::new(registry);
    let halt = Halt {
        program: docker.program.clone(),
    };
    let plan = testing::plan(
        |p| {
            p.step("prep/processes", docker.processes());
        },
        |p| {
            p.step("prod/halt", halt);
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let before: ProcessList = testing::output(&run, "prep/processes");
    let names: Vec<(&str, bool)> = before
        .apps
        .iter()
        .map(|a| (a.name.as_str(), a.is_running()))
        .collect();
    assert_eq!(names, [("api", true)]);
    let said: String = testing::output(&run, "prod/halt");
    assert_eq!(said, "stopped shop-api-1");
    docker.run(&[
        "sh",
        "-c",
        "test \"$(docker inspect -f '{{.State.Running}}' shop-billing-1)\" = true",
    ]);

    // The release made its container anew, from another image of the same name.
    docker.run(&["docker", "rm", "-f", "shop-api-1"]);
    docker.run(&["docker", "tag", "shop:2", "shop:now"]);
    docker.container("api", "shop:now", "");
    assert_ne!(docker.list().await.apps[0].script, before.apps[0].script);
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    let report = testing::undone(&run, "prep/processes");
    assert_eq!(report, "restarted api; no restart within 2 s");
    let now = docker.list().await;
    assert_eq!(now.apps[0].script, before.apps[0].script);
    assert!(now.apps[0].is_running(), "{now:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_are_counted_and_what_a_container_writes_is_read_once_from_a_mark_on() {
    let Some(docker) = Daemon::start() else {
        return;
    };
    docker.container(
        "api",
        "shop:1",
        "echo before; sleep 2; echo Error: it broke >&2; sleep 1; exit 1",
    );
    let (here, application) = (Local::new("here"), application());
    let compose = supervisor::of(&here, &docker.program, &application);
    let marked = compose.marked().await.unwrap();
    let log = &marked.apps[0].logs[0];
    let mut place = compose.log_end(log).await.unwrap();
    assert!(place.is_there());
    place.go_back_to(marked.log_sizes[log], marked.log_inodes.get(log).copied());
    let mut texts = Vec::new();
    let until = Instant::now() + Duration::from_secs(30);
    while texts.is_empty() && Instant::now() < until {
        let news = compose.log_news(log, &mut place).await.unwrap();
        texts.extend(news.lines.into_iter().map(|l| l.text));
    }
    assert_eq!(texts[0], "Error: it broke");
    let until = Instant::now() + Duration::from_secs(30);
    let mut restarts = 0;
    while restarts == 0 && Instant::now() < until {
        restarts = docker.list().await.apps[0].restarts;
    }
    assert!(restarts > marked.apps[0].restarts, "{restarts}");
    assert!(!compose.log_end("docker:no-such").await.unwrap().is_there());
}
