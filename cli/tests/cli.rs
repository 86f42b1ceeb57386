//! The real binary: what it says, where it says it, and how it exits.

use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "cli/init.rs"]
mod init;

const CONFIG: &str = r#"
people = "flow.people.toml"
[app]
name = "demo"
migrations = "prisma/migrations"
[env.test]
ssh = "test"
app_dir = "/srv/app"
backup_dir = "/srv/backups"
flow_dir = "/srv/flow"
deploy = ["./deploy.sh"]
health = "https://app.example.org/health"
database = { user = "postgres", name = "postgres" }
[env.stage]
ssh = "stage"
app_dir = "/srv/app"
backup_dir = "/srv/backups"
flow_dir = "/srv/flow"
deploy = ["./deploy.sh"]
health = "https://app.example.org/health"
database = { user = "postgres", name = "postgres" }
[env.prod]
ssh = "prod"
app_dir = "/srv/app"
backup_dir = "/srv/backups"
flow_dir = "/srv/flow"
deploy = ["./deploy.sh"]
health = "https://app.example.org/health"
database = { user = "postgres", name = "postgres" }
"#;

/// A folder with this `flow.toml`.
fn project(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("flow.toml"), config).expect("writes");
    dir
}

fn flow(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(args)
        .current_dir(dir)
        .env_remove("FLOW_STATE")
        .env_remove("FLOW_CONFIG")
        .env_remove("FLOW_LOG")
        .stdin(Stdio::null())
        .output()
        .expect("flow starts")
}

/// Exit code, standard output and standard error, with what differs from machine to machine replaced.
fn shown(dir: &Path, args: &[&str]) -> String {
    let out = flow(dir, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = out.status.code().expect("an exit code");
    let text = format!(
        "exit {code}\n{}---\n{}",
        text(&out.stdout),
        text(&out.stderr)
    );
    text.replace(&dir.display().to_string(), "[dir]")
        .replace("/private", "")
}

/// The names of everything in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("reads");
    let mut names: Vec<_> = entries
        .map(|e| e.expect("reads").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn help_never_acts_and_names_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(shown(dir.path(), &["--help"]), @r"
    exit 0
    Runs the release protocol as a durable plan: every step is on record before it touches anything, may
    be killed at any moment, and is undone in reverse order when production does not come up.

    Exit codes: 0 done · 1 a check failed, run parked or cancelled · 2 usage, configuration or journal ·
    3 refused by a gate · 4 waiting for a person · 5 rolled back and verified · 6 rollback incomplete,
    page someone · 7 locked by another, or under way in another process · 70 a bug in flow · 75 outcome
    unknown, or no answer · 130 interrupted; `flow resume` goes on.

    Usage: flow [OPTIONS] <COMMAND>

    Commands:
      start         Starts a run and drives it
      resume        Goes on with an interrupted or parked run
      status        One screen: where a run is, for whom it waits, what is next, what a rollback would
                    undo now
      list          Runs, newest first
      logs          Output of a run's steps
      rows          Rows a run lost or changed, or its rollback set aside, by key: read on the host,
                    kept nowhere
      answer        Answers whatever a step asks; `check`, `sign` and `waive` are short forms of it
      check         Answers a checklist
      sign          Signs off with an SSH key what a run shows, or rejects it
      waive         Accepts one warning that may be waived, with a reason
      retry         Tries the step that failed again, and goes on
      skip          Goes on without a step; only steps that allow it, or an undo that cannot succeed
      settle        States what became of a step whose outcome is unknown, and goes on
      rollback      Undoes everything a run started, newest first
      cancel        Stops a run before production changes, and undoes what must be undone
      lock          Keeps releases out of an environment until someone lifts the lock
      unlock        Lifts the lock of an environment, such as the one a rollback leaves, with a reason
      thaw          Lets writers into a database left read-only, when no run is at hand to do it
      export        Everything on record about a run, as a file
      init          Writes flow.toml, flow.people.toml and flow.data.toml from what the repository and,
                    if asked, the hosts say
      doctor        Looks at everything a run will need, touching nothing
      plan          Every step a run would take: what it does, who answers, what undoes it
      new-workflow  Writes a small crate with a workflow and a step of your own
      demo          Runs the whole protocol on three throw-away hosts on this machine
      lint          Checks migrations for what loses data or breaks the version that runs, for CI and
                    pre-commit
      journal       Looks after the store of runs
      completions   What a shell needs to complete `flow` commands
      help          Print this message or the help of the given subcommand(s)

    Options:
          --config <FILE>
              The configuration; by default `flow.toml` here or in the nearest folder above
              
              [env: FLOW_CONFIG=]

          --state <DIR>
              Where runs are kept; by default `.flow` beside the configuration
              
              [env: FLOW_STATE=]

          --plain
              Plain lines even on a terminal; `NO_COLOR` does the same

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ---
    ");
    insta::assert_snapshot!(shown(dir.path(), &["rollback", "--help"]), @r"
    exit 0
    Undoes everything a run started, newest first

    Usage: flow rollback [OPTIONS] --reason <TEXT> <RUN>

    Arguments:
      <RUN>  The run: its id, an unambiguous beginning of it, or `latest`

    Options:
          --config <FILE>  The configuration; by default `flow.toml` here or in the nearest folder above
                           [env: FLOW_CONFIG=]
          --reason <TEXT>  Why, for the record
          --state <DIR>    Where runs are kept; by default `.flow` beside the configuration [env:
                           FLOW_STATE=]
          --yes            Do not ask; required when this is not a terminal
          --no-drive       Only store the order and exit with 0; `flow resume` carries it out, or the
                           process that drives the run
          --plain          Plain lines even on a terminal; `NO_COLOR` does the same
          --wait           Stay while only people are waited for (the default on a terminal)
          --no-wait        Leave with exit code 4 when only people are waited for (the default
                           elsewhere)
      -h, --help           Print help
    ---
    ");
    assert!(names(dir.path()).is_empty());
}

#[test]
fn without_a_configuration_every_command_says_where_it_looked() {
    let dir = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(shown(dir.path(), &["start"]), @r"
    exit 2
    ---
    error: there is no flow.toml in [dir] or any folder above it

    Nothing was changed.
      go to the project's folder, or name the file: flow --config PATH …
      for a project that is new to flow: docs/README.md of flow describes flow.toml, flow.people.toml and flow.data.toml, each with an example
    ");
    for command in [
        &["status"][..],
        &["list"],
        &["plan"],
        &["doctor"],
        &["resume"],
    ] {
        assert_eq!(
            flow(dir.path(), command).status.code(),
            Some(2),
            "{command:?}"
        );
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_missing_key_is_named_and_nothing_changes() {
    let dir = project(&CONFIG.replacen("app_dir = \"/srv/app\"\n", "", 1));
    insta::assert_snapshot!(shown(dir.path(), &["start"]), @r"
    exit 2
    ---
    error: [dir]/flow.toml:6:1: missing field `app_dir`

    Nothing was changed.
    ");
    assert_eq!(names(dir.path()), ["flow.toml"]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let dir = project(&format!("{CONFIG}\n[gates]\nbackup_max_age_hour = 24\n"));
    insta::assert_snapshot!(shown(dir.path(), &["start"]), @r"
    exit 2
    ---
    error: [dir]/flow.toml:32:1: unknown field `backup_max_age_hour`, expected one of `backup_max_age_hours`, `restore_max_age_days`, `promotion_max_age_hours`, `free_mib`, `distinct_machines`, `replay`, `replay_setup`

    Nothing was changed.
    ");
    assert_eq!(names(dir.path()), ["flow.toml"]);
}

#[test]
fn an_unknown_section_two_layouts_and_an_unknown_workflow_are_refused_with_the_place_and_the_fix() {
    let refused = |config: &str, args: &[&str]| {
        let dir = project(config);
        let said = flow(dir.path(), args);
        assert_eq!(said.status.code(), Some(2), "{args:?}");
        assert_eq!(names(dir.path()), ["flow.toml"], "{args:?}");
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    for command in ["start", "plan", "resume", "doctor"] {
        let unknown = refused(&format!("{CONFIG}\n[relase.gates]\n"), &[command]);
        assert!(
            unknown.contains("flow.toml:31:2: `relase` is no key of the core")
                && unknown.contains("did you mean `release`?"),
            "{command}: {unknown}"
        );
        let both = refused(&format!("{CONFIG}\n[release.gates]\n"), &[command]);
        assert!(
            both.contains("[app] stands on the top level")
                && both.contains("write [release.app]")
                && both.contains("Nothing was changed."),
            "{command}: {both}"
        );
    }
    for command in ["start", "plan"] {
        let other = refused(CONFIG, &[command, "relase"]);
        assert!(
            other.contains("a similar value exists: 'release'")
                && other.contains("release, promote"),
            "{command}: {other}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line() {
    let dir = project(&format!("{CONFIG}\n[watch]\nseconds = \"long\"\n"));
    insta::assert_snapshot!(shown(dir.path(), &["start"]), @r#"
    exit 2
    ---
    error: [dir]/flow.toml:32:11: invalid type: string "long", expected u64

    Nothing was changed.
    "#);
    assert_eq!(names(dir.path()), ["flow.toml"]);
}

#[test]
fn a_commit_that_is_not_there_starts_nothing() {
    let dir = project(&format!("{CONFIG}\n[signoff]\nroles = [\"qa\"]\n"));
    let key = dir.path().join("qa");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("ssh-keygen starts").success());
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("reads");
    let people = format!("[[roles.qa]]\nname = \"qa\"\nkey = \"{}\"\n", public.trim());
    std::fs::write(dir.path().join("flow.people.toml"), people).expect("writes");
    std::fs::write(dir.path().join("flow.data.toml"), "[tables]\n").expect("writes");
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .args(args)
            .current_dir(dir.path())
            .output();
        assert!(done.expect("git starts").status.success(), "git {args:?}");
    };
    git(&["init", "-q", "."]);
    let out = flow(dir.path(), &["start", "--commit", "no-such-branch"]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("no-such-branch"), "{said}");
    assert!(!dir.path().join(".flow").exists());
}

#[test]
fn looking_at_a_project_that_has_no_runs_makes_no_journal() {
    let dir = project(CONFIG);
    insta::assert_snapshot!(shown(dir.path(), &["list"]), @r"
    exit 0
    There are no such runs.
    ---
    ");
    insta::assert_snapshot!(shown(dir.path(), &["status"]), @r"
    exit 2
    ---
    error: there are no runs yet

    Nothing was changed.
      flow start
    ");
    insta::assert_snapshot!(shown(dir.path(), &["rollback", "r-1", "--reason", "x", "--yes"]), @r"
    exit 2
    ---
    error: there are no runs yet

    Nothing was changed.
      flow start
    ");
    assert_eq!(names(dir.path()), ["flow.toml"]);
}

#[test]
fn a_journal_that_cannot_be_read_is_one_clear_error() {
    let dir = project(CONFIG);
    let state = dir.path().join(".flow");
    std::fs::create_dir(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    std::fs::write(state.join("journal"), "not a folder").expect("writes");
    let out = flow(dir.path(), &["list"]);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.starts_with("error: the journal at "), "{said}");
    assert!(said.contains("Nothing was changed."), "{said}");
    assert_eq!(
        std::fs::read_to_string(state.join("journal")).expect("reads"),
        "not a folder"
    );
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let dir = project(CONFIG);
    for wrong in [
        &["rollback", "r-1"][..],
        &["settle", "r-1", "a/b", "--reason", "x"],
        &[
            "settle",
            "r-1",
            "a/b",
            "--reason",
            "x",
            "--done",
            "--not-done",
        ],
        &["sign", "r-1", "--role", "qa", "--reject"],
        &["start", "--nonsense"],
    ] {
        assert_eq!(flow(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn completions_exist_for_the_common_shells() {
    let dir = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish"] {
        let script = flow(dir.path(), &["completions", shell]);
        assert_eq!(script.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&script.stdout).contains("rollback"),
            "{shell}"
        );
    }
}

#[test]
fn lint_needs_no_configuration_and_exits_with_1_when_it_finds_something() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, sql: &str| {
        let folder = dir.path().join("migrations").join(name);
        std::fs::create_dir_all(&folder).expect("creates");
        std::fs::write(folder.join("migration.sql"), sql).expect("writes");
    };
    write(
        "20260101000000_init",
        "CREATE TABLE \"T\" (\"id\" INTEGER PRIMARY KEY, \"x\" TEXT);",
    );
    assert_eq!(
        flow(dir.path(), &["lint", "migrations"]).status.code(),
        Some(0)
    );
    write(
        "20260102000000_drop",
        "ALTER TABLE \"T\" DROP COLUMN \"x\";",
    );
    let found = flow(dir.path(), &["lint", "migrations"]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(1), "{text}");
    assert!(
        text.contains("20260102000000_drop/migration.sql:1:"),
        "{text}"
    );
    let nowhere = flow(dir.path(), &["lint", "no-such-folder"]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = project(CONFIG);
    let mut child = Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--help"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("flow starts");
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("ends");
    assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"));
}

#[test]
fn a_state_folder_that_others_can_look_into_or_own_is_refused_by_every_command() {
    let dir = project(CONFIG);
    let state = dir.path().join(".flow");
    let mode = |mode: u32| {
        let to = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&state, to).expect("sets");
    };
    std::fs::create_dir_all(state.join("journal")).expect("creates");
    for command in ["status", "list"] {
        mode(0o777);
        let out = flow(dir.path(), &[command]);
        assert_eq!(out.status.code(), Some(2), "{command}");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            said.contains("the state folder cannot be trusted"),
            "{said}"
        );
        mode(0o750);
        let out = flow(dir.path(), &[command]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("is open to others (mode 750)"), "{said}");
    }
    mode(0o700);
    // Only root can give a folder away.
    if std::os::unix::fs::chown(&state, Some(65_534), None).is_ok() {
        let out = flow(dir.path(), &["status"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(said.contains("belongs to another user"), "{said}");
    }
}
