//! Against real shells, here and behind a real sshd.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::*;
use crate::means::host::testing::{Sshd, signal};
use crate::means::host::{Host, HostExt as _, Local};

mod refused;
mod woken;

struct Rig {
    dir: tempfile::TempDir,
    host: Arc<dyn Host>,
}

impl Rig {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            host: Arc::new(Local::new("here")),
        }
    }

    fn spec(&self, step: &str, script: &str) -> JobSpec {
        let mut spec = JobSpec::new(self.base(), "run-1", step, script);
        spec.epoch = 3;
        spec
    }

    fn base(&self) -> String {
        self.dir.path().join("flow").to_str().unwrap().to_owned()
    }

    async fn probe(&self, spec: &JobSpec) -> Probe {
        probe(&*self.host, spec).await.unwrap()
    }

    async fn until(&self, spec: &JobSpec, wanted: impl Fn(&Probe) -> bool) -> Probe {
        let begun = Instant::now();
        loop {
            let now = self.probe(spec).await;
            if wanted(&now) {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{now:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn start(spec: &JobSpec) -> u32 {
        let text = std::fs::read_to_string(format!("{}/start", spec.folder())).unwrap();
        text.split_once(' ').unwrap().0.parse().unwrap()
    }
}

fn fast() -> Follow {
    Follow {
        interval: Duration::from_millis(50),
        deadline: Duration::from_secs(40),
        patience: Duration::from_secs(3),
    }
}

fn done(probe: &Probe) -> bool {
    matches!(probe, Probe::Done { .. })
}

#[tokio::test]
async fn a_job_runs_detached_and_its_status_and_output_are_kept() {
    let rig = Rig::new();
    let mut spec = rig.spec("build", "echo \"$A\"; pwd; cat; echo err >&2; exit 7");
    spec.env = vec![("A".into(), "it's\ntwo".into())];
    spec.cwd = Some("/".into());
    assert_eq!(rig.probe(&spec).await, Probe::Absent);
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Started);
    assert_eq!(launch(&*rig.host, &spec).await.unwrap(), Launch::Exists);
    let want = "it's\ntwo\n/\nerr\n";
    assert_eq!(
        rig.until(&spec, done).await,
        Probe::Done {
            code: 7,
            log_len: want.len() as u64
        }
    );
    assert_eq!(
        read_log(&*rig.host, &spec, 0, 1000).await.unwrap(),
        want.as_bytes()
    );
    assert_eq!(
        read_log(&*rig.host, &spec, 5, 3).await.unwrap(),
        &want.as_bytes()[5..8]
    );
    let folder = std::path::PathBuf::from(spec.folder());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&folder).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert!(
        !folder.join("env").exists(),
        "variables are deleted before the script starts"
    );
    let mut beside: Vec<String> = std::fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("epoch"))
        .collect();
    beside.sort();
    assert_eq!(
        beside,
        [folder.file_name().unwrap().to_str().unwrap()],
        "nothing is left of the upload"
    );
}

#[tokio::test]
async fn bash_runs_bash() {
    let rig = Rig::new();
    let mut spec = rig.spec("bash", "a=(1 2 3); echo ${#a[@]}");
    spec.interpreter = Interpreter::Bash;
    launch(&*rig.host, &spec).await.unwrap();
    assert_eq!(
        rig.until(&spec, done).await,
        Probe::Done {
            code: 0,
            log_len: 2
        }
    );
}

#[tokio::test]
async fn a_folder_that_is_missing_is_a_status_and_a_line_in_the_log() {
    let rig = Rig::new();
    let mut spec = rig.spec("cwd", "echo never");
    spec.cwd = Some("/no/such".into());
    launch(&*rig.host, &spec).await.unwrap();
    assert!(matches!(
        rig.until(&spec, done).await,
        Probe::Done { code: 126, .. }
    ));
    let log = read_log(&*rig.host, &spec, 0, 1000).await.unwrap();
    assert!(String::from_utf8_lossy(&log).contains("/no/such"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_racing_launches_execute_once() {
    let sshd = Sshd::start();
    let rig = Rig {
        dir: tempfile::tempdir().unwrap(),
        host: Arc::new(sshd.host()),
    };
    let ledger = rig.dir.path().join("ledger");
    let spec = rig.spec("race", &format!("echo ran >>'{}'", ledger.display()));
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (host, spec) = (Arc::clone(&rig.host), spec.clone());
            tokio::spawn(async move { launch(&*host, &spec).await.unwrap() })
        })
        .collect();
    let mut started = 0;
    for task in tasks {
        started += usize::from(task.await.unwrap() == Launch::Started);
    }
    rig.until(&spec, done).await;
    assert_eq!(started, 1);
    assert_eq!(std::fs::read_to_string(ledger).unwrap(), "ran\n");
}

#[tokio::test]
async fn a_daemon_the_script_leaves_behind_does_not_keep_the_job_running() {
    let rig = Rig::new();
    let spec = rig.spec("daemon", "setsid sleep 30 & echo $!; echo end");
    launch(&*rig.host, &spec).await.unwrap();
    let Probe::Done { code: 0, log_len } = rig.until(&spec, done).await else {
        panic!()
    };
    let log = read_log(&*rig.host, &spec, 0, log_len).await.unwrap();
    let pid = String::from_utf8_lossy(&log)
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    signal(pid, Signal::KILL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_survives_cut_connections_without_a_gap_or_a_repetition() {
    let sshd = Arc::new(Sshd::start());
    let rig = Rig {
        dir: tempfile::tempdir().unwrap(),
        host: Arc::new(sshd.host()),
    };
    let script = "i=0; while [ $i -lt 400 ]; do echo \"line $i $(head -c 2000 /dev/zero | tr '\\0' x)\"; \
                  i=$((i+1)); [ $((i % 20)) -eq 0 ] && sleep 0.2; done; exit 5";
    let spec = rig.spec("long", script);
    launch(&*rig.host, &spec).await.unwrap();
    let cutter = {
        let sshd = Arc::clone(&sshd);
        tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(430)).await;
                sshd.cut();
            }
        })
    };
    let (mut seen, mut last) = (Vec::new(), 0);
    let end = follow(&*rig.host, &spec, 0, fast(), |bytes, offset| {
        seen.extend_from_slice(bytes);
        assert_eq!(offset, seen.len() as u64);
        last = offset;
    })
    .await
    .unwrap();
    cutter.await.unwrap();
    let log = std::fs::read(format!("{}/log", spec.folder())).unwrap();
    assert_eq!(
        end,
        Probe::Done {
            code: 5,
            log_len: log.len() as u64
        }
    );
    assert!(
        seen == log,
        "{} bytes seen, {} written",
        seen.len(),
        log.len()
    );
    assert!(
        sshd.log().matches("Accepted publickey").count() >= 4,
        "the connection was really cut"
    );
    // Another process goes on from a stored offset.
    let mut tail = Vec::new();
    follow(&*rig.host, &spec, last - 10, fast(), |bytes, _| {
        tail.extend_from_slice(bytes);
    })
    .await
    .unwrap();
    assert_eq!(tail, &log[log.len() - 10..]);
}

#[tokio::test]
async fn following_has_a_deadline_and_the_job_goes_on() {
    let rig = Rig::new();
    let spec = rig.spec("slow", "echo one; sleep 30");
    launch(&*rig.host, &spec).await.unwrap();
    let how = Follow {
        deadline: Duration::from_millis(600),
        ..fast()
    };
    let error = follow(&*rig.host, &spec, 0, how, |_, _| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, JobError::Deadline { offset: 4, .. }),
        "{error}"
    );
    assert_eq!(rig.probe(&spec).await, Probe::Running { log_len: 4 });
    kill(&*rig.host, &spec, Duration::from_secs(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn names_cannot_leave_the_folder() {
    let rig = Rig::new();
    for name in ["", "..", "a/b", "-x", ".a", "a b", "a\n", "ä"] {
        let mut spec = rig.spec(name, "true");
        assert!(
            matches!(
                launch(&*rig.host, &spec).await,
                Err(JobError::Invalid { .. })
            ),
            "{name:?}"
        );
        (spec.step, spec.run) = ("a".into(), name.into());
        assert!(
            matches!(
                probe(&*rig.host, &spec).await,
                Err(JobError::Invalid { .. })
            ),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn half_a_script_never_runs() {
    let rig = Rig::new();
    let spec = rig.spec("half", "echo 1\necho 2\n");
    // The sizes of the whole script, the bytes of half of it: what a cut in the upload looks like to the host.
    let error = call::upload(&*rig.host, &spec, "echo 1\n")
        .await
        .unwrap_err();
    assert!(matches!(error, JobError::Refused { .. }), "{error}");
    assert_eq!(rig.probe(&spec).await, Probe::Absent);
}
