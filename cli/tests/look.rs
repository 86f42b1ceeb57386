//! Looking works whenever there is something to read: on a disk that takes nothing, beside a process that stands still,
//! after one that was killed. And what is shown is true then.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flow_engine::journal::sled::{OpenOptions, SledJournal};

use left::{commit, configure, err, flow, leave, out};

#[path = "support/left.rs"]
mod left;

const WAIT: Duration = Duration::from_mins(2);

/// Every command that only looks at runs.
const LOOKS: [&[&str]; 6] = [
    &["status", "r-one"],
    &["status", "r-one", "--json"],
    &["list"],
    &["logs", "r-one"],
    &["export", "r-one"],
    &["journal", "verify"],
];

/// A state folder as a killed process leaves it: not closed, and nobody has it.
fn crashed(dir: &Path) {
    leave(dir, "r-one", true);
    let (state, kept) = (dir.join(".flow"), dir.join("kept"));
    let opened = SledJournal::open(&state.join("journal"), &OpenOptions::default());
    let copied = Command::new("cp").arg("-a").args([&state, &kept]).status();
    assert!(copied.expect("cp starts").success());
    drop(opened);
    std::fs::remove_dir_all(&state).expect("removes");
    std::fs::rename(&kept, &state).expect("renames");
}

/// Runs a script as if it had mounts of its own; nothing where this machine does not allow that.
#[expect(clippy::print_stdout, reason = "a test that shows nothing says so")]
fn with_mounts(dir: &Path, script: &str) -> Option<Output> {
    let may = Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("not shown here: this user may not mount anything");
        return None;
    }
    let mut shell = Command::new("unshare");
    shell
        .args(["-m", "sh", "-ec", script])
        .env("FLOW", env!("CARGO_BIN_EXE_flow"))
        .current_dir(dir)
        .stdin(Stdio::null());
    Some(shell.output().expect("sh starts"))
}

/// The looks, each with its exit code on a line of its own.
fn looks() -> String {
    let each = LOOKS.map(|args| {
        format!(
            "\"$FLOW\" --state .flow {} >>out 2>>err; echo $? >>codes\n",
            args.join(" ")
        )
    });
    format!("set +e\n{}", each.concat())
}

fn assert_looked(dir: &Path, said: &Output) {
    assert!(said.status.success(), "{}", err(said));
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    assert_eq!(
        read("codes"),
        "0\n".repeat(LOOKS.len()),
        "{}\n{}",
        read("out"),
        read("err")
    );
    for words in [
        "is completed",
        "\"state\": \"completed\"",
        "of 1 runs verified",
    ] {
        assert!(
            read("out").contains(words),
            "no `{words}` in: {}",
            read("out")
        );
    }
}

const READ_ONLY: &str =
    "mount --bind .flow .flow; mount -o remount,ro,bind .flow; ! touch .flow/x 2>/dev/null\n";

#[test]
fn a_state_folder_on_a_read_only_disk_can_be_looked_at_exported_and_verified() {
    for closed in [true, false] {
        let dir = tempfile::tempdir().expect("a folder");
        if closed {
            leave(dir.path(), "r-one", true);
        } else {
            crashed(dir.path());
        }
        let script = [READ_ONLY, &looks()].concat();
        let Some(said) = with_mounts(dir.path(), &script) else {
            return;
        };
        assert_looked(dir.path(), &said);
    }
}

#[test]
fn a_state_folder_on_a_full_disk_can_be_looked_at_and_a_resume_says_what_is_in_its_way() {
    let dir = tempfile::tempdir().expect("a folder");
    crashed(dir.path());
    let full = "cp -a .flow kept; mount -t tmpfs -o size=64m tmpfs .flow; cp -a kept/. .flow/\n\
                dd if=/dev/zero of=.flow/filler bs=4k 2>/dev/null || true\n";
    let resume = "\"$FLOW\" --state .flow journal seal >>sealed 2>&1; echo $? >>sealed\n";
    let script = [full, &looks(), resume].concat();
    let Some(said) = with_mounts(dir.path(), &script) else {
        return;
    };
    assert_looked(dir.path(), &said);
    let sealed = std::fs::read_to_string(dir.path().join("sealed")).expect("reads");
    assert!(
        sealed.contains("No space left") && !sealed.ends_with("\n0\n"),
        "{sealed}"
    );
}

/// A project whose hosts take connections and never say a word.
struct Silent {
    dir: tempfile::TempDir,
    _listener: std::net::TcpListener,
}

impl Silent {
    fn new() -> Silent {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("an address").port();
        configure(dir.path());
        commit(dir.path());
        let config = dir.path().join("flow.toml");
        let text = std::fs::read_to_string(&config).expect("reads");
        std::fs::write(&config, text + "[ssh]\nconfig = \"ssh_config\"\n").expect("writes");
        let hosts = format!("Host *\n  HostName 127.0.0.1\n  Port {port}\n");
        std::fs::write(dir.path().join("ssh_config"), hosts).expect("writes");
        Silent {
            dir,
            _listener: listener,
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A `flow start` that is in the middle of its first step.
    fn start(&self) -> Driving {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow"));
        let child = command
            .args([
                "--state", ".flow", "start", "--id", "key-one", "--yes", "--plain",
            ])
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let driving = Driving(child.expect("flow starts"));
        let begun = Instant::now();
        loop {
            let status = self.status();
            if status["steps_detail"][0]["state"] == "running" {
                return driving;
            }
            assert!(begun.elapsed() < WAIT, "it never begins: {status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn status(&self) -> serde_json::Value {
        let said = flow(self.path(), &["status", "--json"]);
        serde_json::from_slice(&said.stdout).unwrap_or_default()
    }
}

struct Driving(Child);

impl Drop for Driving {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone_already = self.0.wait();
    }
}

#[test]
fn a_run_is_under_way_only_while_somebody_drives_it_and_never_exits_with_0_before_it_is_done() {
    let project = Silent::new();
    let mut driving = project.start();
    let pid = driving.0.id();
    let status = project.status();
    assert_eq!(status["state"], "under-way", "{status:#}");
    assert_eq!(status["driver"]["pid"], pid);
    assert_eq!(status["driver"]["alive"], true);
    assert_eq!(status["exit"], 7);
    assert_eq!(status["standing"], serde_json::json!([]));
    for again in [&["resume"][..], &["start", "--id", "key-one", "--yes"]] {
        let said = flow(project.path(), again);
        assert_eq!(said.status.code(), Some(7), "{again:?}: {}", err(&said));
        assert!(
            out(&said).contains(&format!("driven by process {pid} on ")),
            "{}",
            out(&said)
        );
        assert!(
            !out(&said).contains("go on exactly there"),
            "{}",
            out(&said)
        );
    }

    driving.0.kill().expect("it is ours");
    driving.0.wait().expect("it ends");
    let status = project.status();
    assert_eq!(status["state"], "interrupted", "{status:#}");
    assert_eq!(status["driver"]["pid"], pid);
    assert_eq!(status["driver"]["alive"], false);
    assert_eq!(status["driven_by"], "");
    assert_eq!(status["exit"], 130);
    let text = out(&flow(project.path(), &["status"]));
    assert!(
        text.contains("is INTERRUPTED; nobody drives it: process"),
        "{text}"
    );
    assert!(!text.contains("under way"), "{text}");
    let list = out(&flow(project.path(), &["list", "--is", "interrupted"]));
    assert!(list.contains("interrupted"), "{list}");
}

#[test]
fn a_key_does_not_answer_for_another_commit_or_another_workflow() {
    let project = Silent::new();
    let driving = project.start();
    drop(driving);
    let first = project.status();
    std::fs::write(project.path().join("m/1_init/migration.sql"), "SELECT 2;").expect("writes");
    let mut git = Command::new("git");
    let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let done = git
        .args(me)
        .args(["commit", "-aqm", "other"])
        .current_dir(project.path())
        .status();
    assert!(done.expect("git starts").success());
    let commit = first["commit"].as_str().expect("a commit");
    for start in [
        &["start", "--id", "key-one", "--yes"][..],
        &[
            "start", "promote", "--id", "key-one", "--yes", "--commit", commit,
        ],
    ] {
        let said = flow(project.path(), start);
        assert_eq!(said.status.code(), Some(2), "{start:?}: {}", err(&said));
        let run = first["run"].as_str().expect("an id");
        assert!(
            err(&said).contains(&format!("the key belongs to run {run}")),
            "{}",
            err(&said)
        );
        assert!(err(&said).contains("Nothing was started"), "{}", err(&said));
    }
    let runs = flow(project.path(), &["list", "--json"]).stdout;
    let runs: serde_json::Value = serde_json::from_slice(&runs).expect("JSON");
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs:#}");
}

/// Both files of the object that is the plan of the only run.
fn plan_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for folder in ["objects", "copies"] {
        for shelf in std::fs::read_dir(dir.join(".flow/journal").join(folder)).expect("reads") {
            for file in std::fs::read_dir(shelf.expect("reads").path()).expect("reads") {
                files.push(file.expect("reads").path());
            }
        }
    }
    files
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).expect("writes");
}

#[test]
fn a_plan_damaged_in_every_copy_is_named_and_computed_again_and_no_other_run_is_shown_in_its_place()
{
    let project = Silent::new();
    let dir = project.path();
    leave(dir, "r-before", true);
    drop(project.start());
    let run = project.status()["run"].as_str().expect("an id").to_owned();
    let files = plan_files(dir);
    assert_eq!(files.len(), 2, "the plan lies twice: {files:?}");

    flip(&files[0]);
    assert_eq!(
        project.status()["run"],
        run.as_str(),
        "the other copy is read"
    );
    let verified = flow(dir, &["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", out(&verified));

    for file in &files {
        flip(file);
    }
    let looked = flow(dir, &["status", "latest"]);
    assert_eq!(looked.status.code(), Some(2), "{}", out(&looked));
    assert_eq!(out(&looked), "", "no older run stands in for it");
    assert!(
        err(&looked).contains(&format!("run {run} is the latest")),
        "{}",
        err(&looked)
    );
    let looked = flow(dir, &["status", "latest", "--json"]);
    assert_eq!(looked.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&looked.stdout).expect("JSON");
    assert_eq!(
        (json["run"].as_str(), json["state"].as_str()),
        (Some(&*run), Some("damaged"))
    );
    let verified = flow(dir, &["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{}", out(&verified));

    let dry = flow(dir, &["journal", "repair", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}{}", out(&dry), err(&dry));
    assert!(
        out(&dry).contains("would be repaired: the plan of run"),
        "{}",
        out(&dry)
    );
    assert_eq!(
        flow(dir, &["status"]).status.code(),
        Some(2),
        "it was tried on a copy"
    );
    let config = dir.join("flow.toml");
    std::fs::rename(&config, dir.join("away")).expect("renames");
    let without = flow(dir, &["journal", "repair"]);
    assert_eq!(without.status.code(), Some(1), "{}", out(&without));
    assert!(
        out(&without).contains(&format!("cannot be repaired: run {run}")),
        "{}",
        out(&without)
    );
    std::fs::rename(dir.join("away"), &config).expect("renames");
    let repaired = flow(dir, &["journal", "repair"]);
    assert_eq!(
        repaired.status.code(),
        Some(0),
        "{}{}",
        out(&repaired),
        err(&repaired)
    );
    assert!(
        out(&repaired).contains("computed again from the configuration and commit"),
        "{}",
        out(&repaired)
    );
    assert_eq!(project.status()["run"], run.as_str());
    let verified = flow(dir, &["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", out(&verified));
    assert!(out(&flow(dir, &["journal", "repair"])).contains("nothing to repair"));
}
