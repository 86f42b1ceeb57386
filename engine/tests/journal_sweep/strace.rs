//! A child under strace, which kills it or makes its calls fail at the k-th one.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workload::{DIR, GOAL, Session};

/// Whether strace is there and may trace. Says so when not: a skipped proof is no proof.
pub(crate) fn usable() -> bool {
    let works = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !works {
        crate::say("SKIPPED: strace is missing or may not trace here; `.dev/deps` installs it");
        assert!(
            !crate::full(),
            "the full sweep was asked for and cannot run without strace"
        );
    }
    works
}

/// Calls to look at, and what becomes of the k-th of them that a thread makes.
#[derive(Clone)]
pub(crate) struct Injection {
    /// Names of system calls, separated by commas.
    pub(crate) calls: &'static str,
    /// Only those on these files; any when empty.
    pub(crate) paths: Vec<String>,
    /// `signal=SIGKILL:when=3` and the like.
    pub(crate) what: String,
}

/// How long a child may take. It needs less than a second.
const PATIENCE: Duration = Duration::from_secs(90);

fn command(dir: &Path, goal: u64) -> Vec<(String, String)> {
    vec![
        (DIR.to_owned(), dir.display().to_string()),
        (GOAL.to_owned(), goal.to_string()),
    ]
}

/// Runs the workload with a fault injected; `log` takes strace's output.
pub(crate) fn injected(dir: &Path, goal: u64, fault: &Injection, log: &Path) -> Session {
    let mut args = vec![
        format!("-etrace={}", fault.calls),
        format!("-einject={}:{}", fault.calls, fault.what),
    ];
    for path in &fault.paths {
        args.push("-P".into());
        args.push(path.clone());
    }
    run(dir, goal, &args, log)
}

/// Runs the workload with strace's options; the child's output is collected in a file, so that nothing can block.
pub(crate) fn run(dir: &Path, goal: u64, options: &[String], log: &Path) -> Session {
    let out = log.with_extension("out");
    let child = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(log)
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_works", "--nocapture"])
        .envs(command(dir, goal))
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(log.with_extension("err")).unwrap())
        .spawn()
        .unwrap();
    let (hung, killed) = wait(child, log);
    let mut session = Session::heard(&String::from_utf8_lossy(&std::fs::read(&out).unwrap()));
    (session.hung, session.killed) = (hung, killed);
    session
}

/// Waits, but not for ever. Returns whether it hung and whether it was killed.
fn wait(mut child: Child, log: &Path) -> (bool, bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            // strace ends as its child did: by the same signal.
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            return (false, signal == Some(9));
        }
        if Instant::now() > until {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let traced = text.split_whitespace().next().unwrap_or_default();
            let _ = child.kill();
            let _ = child.wait();
            if !traced.is_empty() {
                let _ = Command::new("kill").args(["-9", traced]).status();
            }
            return (true, false);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
