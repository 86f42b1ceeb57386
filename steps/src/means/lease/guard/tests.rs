use std::sync::Mutex;
use std::time::Duration;

use flow_engine::clock::Timestamp;

use super::*;
use crate::means::host::testing::Sshd;
use crate::means::host::{HostExt as _, Local, Stdin};
use crate::means::lease::store::lock_state;

mod steps;

fn held(run: &str, epoch: u64) -> Held {
    Held {
        run: run.into(),
        holder: format!("process {epoch} on \"a\\box\",\"epoch\":9"),
        epoch,
        since: Timestamp(1000),
    }
}

struct Rig {
    dir: tempfile::TempDir,
}

impl Rig {
    /// A lease folder in which this run holds the lease.
    fn held_by(run: &str, epoch: u64) -> Self {
        let rig = Rig {
            dir: tempfile::tempdir().unwrap(),
        };
        rig.write(&json(&held(run, epoch)));
        rig
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path("held"), text).unwrap();
    }

    fn guard(&self, inner: impl Host, run: &str, epoch: u64) -> Guard {
        let lease = Lease {
            host: "here".into(),
            dir: self.path(""),
            epoch: 1,
            machine_id: machine(),
            hostname: "here".into(),
        };
        Guard::holding(Arc::new(inner), lease, &held(run, epoch))
    }

    fn ours(&self) -> Guard {
        self.guard(Local::new("here"), "r-one", 3)
    }

    /// A command that leaves a trace when it is started.
    fn act(&self) -> Command {
        Command::script("echo acted >> \"$1\"").args(["sh", &self.path("ledger")])
    }

    fn acted(&self) -> usize {
        let text = std::fs::read_to_string(self.path("ledger")).unwrap_or_default();
        text.lines().count()
    }
}

fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap();
    id.trim().to_owned()
}

async fn passes_everything_on(host: &dyn Host) {
    let command =
        Command::script("printf '%s|%s|%s|' \"$1\" \"$A\" \"$B\"; pwd; cat; echo loud >&2; exit 7")
            .args(["sh", "it's $one"])
            .env("A", "a \"b\"")
            .secret_env("B", "s3cret 'value'")
            .cwd("/usr")
            .stdin(Stdin::Bytes(Bytes::from_static(b"first\nsecond")));
    let output = host.output(&command).await.unwrap();
    assert_eq!(output.exit, Exit::Code(7));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "it's $one|a \"b\"|s3cret 'value'|/usr\nfirst\nsecond");
    assert_eq!(output.stderr, b"loud\n");

    let killed = host.output(&Command::script("kill -KILL $$")).await;
    assert_eq!(killed.unwrap().exit, Exit::Signal("KILL".into()));

    let echo = Command::new("cat").stdin(Stdin::Piped);
    let mut process = host.spawn(&echo).await.unwrap();
    let stdin = process.stdin.take().unwrap();
    for word in ["one", "two"] {
        stdin.send(Bytes::from(word)).await.unwrap();
        let back = process.stdout.recv().await.unwrap();
        assert_eq!(back, word, "each piece comes back before the next is sent");
    }
    drop(stdin);
    assert!(process.wait().await.unwrap().success());

    let slow = Command::new("sleep")
        .arg("600")
        .deadline(Duration::from_secs(1));
    let late = host.output(&slow).await.unwrap_err();
    assert!(
        matches!(&late, HostError::Deadline { program, .. } if program == "sleep"),
        "{late}"
    );
}

#[tokio::test]
async fn input_variables_folder_output_status_signal_and_deadline_pass_through() {
    let rig = Rig::held_by("r-one", 3);
    passes_everything_on(&rig.ours()).await;
}

#[tokio::test]
async fn over_ssh_they_pass_through_as_well_and_the_refusal_comes_back() {
    let rig = Rig::held_by("r-one", 3);
    let sshd = Sshd::start();
    let guard = rig.guard(sshd.host(), "r-one", 3);
    passes_everything_on(&guard).await;
    rig.write(&json(&held("r-two", 1)));
    let refused = guard.run(&rig.act()).await.unwrap_err();
    let taken = Lapse::Other("r-two".into());
    assert!(
        matches!(&refused, HostError::NotLeased { lapse, .. } if *lapse == taken),
        "{refused}"
    );
    assert_eq!(rig.acted(), 0);
}

#[tokio::test]
async fn a_command_is_not_started_once_the_lease_is_not_ours_any_more() {
    let rig = Rig::held_by("r-one", 3);
    let guard = rig.ours();
    guard.run(&rig.act()).await.unwrap();
    let at = rig.path("");
    for (file, lapse) in [
        (Some(json(&held("r-two", 1))), Lapse::Other("r-two".into())),
        (Some(json(&held("r-on", 1))), Lapse::Other("r-on".into())),
        (Some(json(&held("r-one", 4))), Lapse::Newer(4)),
        (Some("{".into()), Lapse::Unreadable(at.clone())),
        (Some(String::new()), Lapse::Unreadable(at.clone())),
        (
            Some("{\"run\":\"r-one\",\"holder\":\"x\"}".into()),
            Lapse::Unreadable(at.clone()),
        ),
        (None, Lapse::Nobody),
    ] {
        match &file {
            Some(text) => rig.write(text),
            None => std::fs::remove_file(rig.path("held")).unwrap(),
        }
        match guard.run(&rig.act()).await {
            Err(HostError::NotLeased {
                host,
                program,
                run,
                lapse: found,
            }) => {
                assert_eq!((found, program.as_str()), (lapse, "sh"), "{file:?}");
                assert_eq!((host.as_str(), run.as_str()), ("here", "r-one"));
            }
            other => panic!("{file:?}: {other:?}"),
        }
    }
    assert_eq!(rig.acted(), 1);
}

#[tokio::test]
async fn a_machine_that_is_another_one_is_not_touched() {
    let rig = Rig::held_by("r-one", 3);
    let mut guard = rig.ours();
    guard.lease.machine_id = "0".repeat(32);
    let refused = guard.run(&rig.act()).await.unwrap_err();
    assert!(refused.to_string().contains(&machine()), "{refused}");
    assert_eq!(rig.acted(), 0);
}

#[tokio::test]
async fn a_newer_process_of_the_run_raises_the_lease_and_shuts_the_older_one_out() {
    let rig = Rig::held_by("r-one", 3);
    let older = rig.ours();
    older.run(&rig.act()).await.unwrap();
    let newer = rig.guard(Local::new("here"), "r-one", 5);
    newer.run(&rig.act()).await.unwrap();
    let state = lock_state(&Local::new("here"), &rig.path(""))
        .await
        .unwrap();
    assert_eq!(state.held, Some(held("r-one", 5)));
    let refused = older.run(&rig.act()).await.unwrap_err();
    assert!(
        matches!(&refused, HostError::NotLeased { lapse, .. } if *lapse == Lapse::Newer(5)),
        "{refused}"
    );
    assert_eq!(rig.acted(), 2);
    let files: Vec<_> = std::fs::read_dir(rig.dir.path()).unwrap().collect();
    assert_eq!(files.len(), 3, "held, guard, ledger: {files:?}");
}

#[tokio::test]
async fn a_command_that_ends_with_the_same_status_or_quotes_the_mark_is_itself() {
    let rig = Rig::held_by("r-one", 3);
    for text in ["exit 94", "echo flow-lease: nobody >&2; exit 1"] {
        let output = rig.ours().output(&Command::script(text)).await.unwrap();
        assert!(!output.exit.success(), "{text}");
    }
}

#[tokio::test]
async fn a_process_that_is_given_up_is_ended() {
    let rig = Rig::held_by("r-one", 3);
    let mark = format!("{}.5", 600 + u64::from(std::process::id()));
    let process = rig.ours().spawn(&Command::new("sleep").arg(&mark)).await;
    drop(process.unwrap());
    let gone = || {
        let listed = std::process::Command::new("pgrep")
            .args(["-f", &format!("sleep {mark}")])
            .output();
        listed.unwrap().stdout.is_empty()
    };
    for _ in 0..600 {
        if gone() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it still runs after a minute");
}

/// A host that keeps what was started on it.
pub(super) struct Recorder {
    inner: Local,
    started: Arc<Mutex<Vec<Command>>>,
}

#[async_trait]
impl Host for Recorder {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        self.started.lock().unwrap().push(command.clone());
        self.inner.spawn(command).await
    }
}
