//! What a command shows is what was asked for: where it cannot be written whole, the command did not do what was asked.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use left::{err, flow, leave};

#[path = "support/left.rs"]
mod left;

/// Every kind of output: of runs, of the journal, of files, of the command line itself.
const SHOWN: [&[&str]; 13] = [
    &["status", "r-one"],
    &["status", "r-one", "--json"],
    &["list"],
    &["list", "--json"],
    &["export", "r-one"],
    &["export", "--all", "--format", "md"],
    &["journal", "verify"],
    &["journal", "stats", "--json"],
    &["lint", "migrations"],
    &["lint", "migrations", "--format", "sarif"],
    &["completions", "bash"],
    &["--help"],
    &["--version"],
];

fn into(dir: &Path, args: &[&str], out: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("flow runs")
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let migration = dir.path().join("migrations/20260101000000_one");
    std::fs::create_dir_all(&migration).expect("makes");
    std::fs::write(
        migration.join("migration.sql"),
        "CREATE TABLE a (id int);\n",
    )
    .expect("writes");
    dir
}

#[test]
fn output_that_a_full_disk_does_not_take_is_never_an_exit_with_0() {
    let dir = folder();
    for args in SHOWN {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("opens");
        let ended = into(dir.path(), args, full.into());
        let said = err(&ended);
        assert_eq!(ended.status.code(), Some(74), "{args:?}: {said}");
        assert!(said.contains("output is lost"), "{args:?}: {said}");
    }
    // What failed anyhow keeps its own code, which says more.
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("opens");
    let ended = into(dir.path(), &["status", "r-none"], full.into());
    assert_eq!(ended.status.code(), Some(2), "{}", err(&ended));
}

#[test]
fn a_reader_that_went_away_is_no_lost_output() {
    let dir = folder();
    for args in SHOWN {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = into(dir.path(), args, writer.into());
        let said = err(&ended);
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {said}");
        assert!(!said.contains("output is lost"), "{args:?}: {said}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that shows nothing says so")]
fn an_export_onto_a_full_disk_leaves_no_part_of_it_and_says_what_is_in_its_way() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("full")).expect("makes");
    let script = "mount -t tmpfs -o size=4k tmpfs full; dd if=/dev/zero of=full/filler bs=4k 2>/dev/null || true\n\
                  set +e; \"$FLOW\" --state .flow export r-one -o full/x.json; echo $?; ls -A full\n\
                  rm full/filler; mount -o remount,size=1m full; \"$FLOW\" --state .flow export r-one -o full/x.json; echo $?";
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-ec", script]);
    shell.env("FLOW", env!("CARGO_BIN_EXE_flow"));
    let said = shell.current_dir(dir.path()).output().expect("sh starts");
    if err(&said).contains("unshare failed") {
        println!("not shown here: this user may not mount anything");
        return;
    }
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "74\nfiller\n0\n",
        "{}",
        err(&said)
    );
    assert!(err(&said).contains("make room"), "{}", err(&said));

    let missing = flow(dir.path(), &["export", "r-one", "-o", "none/x.json"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("mkdir -p none"), "{}", err(&missing));
    for (code, words) in [(0, "sha256"), (2, "has this name already")] {
        let named = flow(dir.path(), &["export", "r-one", "-o", "x.json"]);
        assert_eq!(named.status.code(), Some(code));
        assert!(err(&named).contains(words), "{}", err(&named));
    }
}
