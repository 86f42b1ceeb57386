//! Whose signatures count: the roster of the commit, not the file of the working tree.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flow_engine::clock::SystemClock;
use flow_engine::driver::{Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::{OnFailure, Plan};
use flow_engine::planner::Planner;
use flow_engine::signal::Actor;
use flow_engine::step::Resources;
use flow_steps::means::host::{Hosts, Local};
use flow_steps::means::reports::people::KeysFound;
use flow_steps::means::signature::origin::RosterAt;
use flow_steps::people::Keys;
use flow_workflows::setup::{Setup, SetupError};
use tempfile::TempDir;

const KEYS: [&str; 3] = [
    "AAAAC3NzaC1lZDI1NTE5AAAAIMbzZQrdrlrAyEiJXiDHmv+e9F+YoONDjpdNAJo8a/Cu",
    "AAAAC3NzaC1lZDI1NTE5AAAAIAKG7oPV1FxvG9jmgGVnAOvF3qrrklcReRxulp5kEOBH",
    "AAAAC3NzaC1lZDI1NTE5AAAAIJROlpyE2OS7Gw0sx4s6qh+QfONZerrYMVrzs7Kd+S21",
];

fn config() -> String {
    let mut text = String::from(
        "[app]\nname = \"dap\"\nmigrations = \"m\"\n[signoff]\nroles = [\"qa\"]\nwaived_by = \"qa\"\n",
    );
    for env in ["test", "stage", "prod"] {
        text += &[
            &format!("[env.{env}]\nssh = \"dap{env}\"\n"),
            "app_dir = \"/srv/app\"\nbackup_dir = \"/srv/b\"\nflow_dir = \"/srv/f\"\ndeploy = [\"./d\"]\n",
            "health = \"https://app.example.org/\"\ndatabase = { user = \"p\", name = \"p\" }\n",
        ]
        .concat();
    }
    text
}

fn people(keys: &[&str]) -> String {
    let person = |(n, key): (usize, &&str)| {
        format!("[[roles.qa]]\nname = \"qa {n}\"\nkey = \"ssh-ed25519 {key}\"\n")
    };
    keys.iter().enumerate().map(person).collect()
}

fn git(dir: &Path, args: &[&str]) {
    let me = ["-c", "user.name=test", "-c", "user.email=t@example.org"];
    let mut git = Command::new("git");
    let done = git.arg("-C").arg(dir).args(me).args(args).output();
    assert!(done.expect("git runs").status.success(), "git {args:?}");
}

/// A project with two people in the committed roster, and nothing else committed.
fn project() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    let write = |name: &str, text: &str| std::fs::write(at.join(name), text).expect("writes");
    write("flow.toml", &config());
    write("flow.people.toml", &people(&KEYS[..2]));
    write("flow.data.toml", "[tables]\n");
    git(at, &["init", "-q", "-b", "main"]);
    git(at, &["add", "flow.people.toml"]);
    git(at, &["commit", "-q", "-m", "who signs"]);
    dir
}

fn setup(dir: &TempDir) -> Setup {
    Setup::load(&dir.path().join("flow.toml")).expect("it loads")
}

fn planned(dir: &TempDir) -> Result<Plan, SetupError> {
    let setup = setup(dir);
    let commit = setup.commit("HEAD").expect("a commit");
    setup.plan("release", &commit)
}

async fn counting(dir: &TempDir, plan: &Plan) -> usize {
    let people = setup(dir).rosters().0.of(plan).await.expect("a roster");
    people.of_role("qa").len()
}

fn rewrite(dir: &TempDir, keys: &[&str]) {
    std::fs::write(dir.path().join("flow.people.toml"), people(keys)).expect("writes");
}

#[tokio::test]
async fn the_roster_of_the_commit_counts_and_the_working_tree_only_takes_keys_out() {
    let dir = project();
    let plan = planned(&dir).expect("plans");
    let at = RosterAt::of(&plan).expect("the plan names it");
    assert_eq!(
        (at.path.as_str(), at.commit.as_str()),
        ("flow.people.toml", plan.fact("commit"))
    );
    assert_eq!(counting(&dir, &plan).await, 2);
    rewrite(&dir, &KEYS);
    assert_eq!(counting(&dir, &plan).await, 2, "nobody comes in that way");
    rewrite(&dir, &KEYS[2..]);
    assert_eq!(counting(&dir, &plan).await, 0, "own keys for everybody's");
    rewrite(&dir, &KEYS[1..2]);
    assert_eq!(
        counting(&dir, &plan).await,
        1,
        "who is taken out is out at once"
    );
    std::fs::remove_file(dir.path().join("flow.people.toml")).expect("removes");
    let source = setup_without_file(&dir);
    let people = source.rosters().0.of(&plan).await.expect("a roster");
    assert_eq!(
        people.of_role("qa").len(),
        2,
        "another branch is checked out"
    );
}

/// A driver that has loaded its configuration before the file went.
fn setup_without_file(dir: &TempDir) -> Setup {
    let file = dir.path().join("flow.people.toml");
    rewrite(dir, &KEYS[..1]);
    let setup = setup(dir);
    std::fs::remove_file(file).expect("removes");
    setup
}

#[tokio::test]
async fn a_reviewed_ref_counts_where_one_is_named_and_what_it_loses_later_counts_no_more() {
    let dir = project();
    let config = config().replace("[signoff]\n", "[signoff]\nroster_ref = \"reviewed\"\n");
    std::fs::write(dir.path().join("flow.toml"), config).expect("writes");
    git(dir.path(), &["branch", "reviewed"]);
    rewrite(&dir, &KEYS);
    git(
        dir.path(),
        &["commit", "-qam", "the starter lets somebody in"],
    );
    let plan = planned(&dir).expect("plans");
    assert_eq!(counting(&dir, &plan).await, 2);
    git(dir.path(), &["checkout", "-q", "reviewed"]);
    rewrite(&dir, &KEYS[..1]);
    git(dir.path(), &["commit", "-qam", "somebody left"]);
    git(dir.path(), &["checkout", "-q", "main"]);
    assert_eq!(counting(&dir, &plan).await, 1);
}

#[tokio::test]
async fn the_ref_of_a_run_is_the_one_it_was_planned_by_whatever_the_configuration_says_later() {
    let dir = project();
    let with = |line: &str| config().replace("[signoff]\n", &format!("[signoff]\n{line}"));
    let configure = |text: &str| std::fs::write(dir.path().join("flow.toml"), text);
    configure(&with("roster_ref = \"reviewed\"\n")).expect("writes");
    git(dir.path(), &["branch", "reviewed"]);
    git(dir.path(), &["branch", "elsewhere"]);
    let plan = planned(&dir).expect("plans");
    let mut old = plan.clone();
    old.facts.remove("roster-ref").expect("the plan names it");
    git(dir.path(), &["checkout", "-q", "reviewed"]);
    rewrite(&dir, &KEYS[..1]);
    git(dir.path(), &["commit", "-qam", "somebody left"]);
    git(dir.path(), &["checkout", "-q", "main"]);
    for later in ["", "roster_ref = \"elsewhere\"\n"] {
        configure(&with(later)).expect("writes");
        assert_eq!(counting(&dir, &plan).await, 1, "{later}");
        assert_eq!(counting(&dir, &old).await, 2, "an old plan names none");
    }
    git(dir.path(), &["branch", "-qD", "reviewed"]);
    let unread = setup(&dir).rosters().0.of(&plan).await;
    let unread = unread.expect_err("the ref is gone").to_string();
    assert!(unread.contains("by which this run was planned"), "{unread}");
}

fn id(dir: &TempDir, rev: &str) -> String {
    let mut git = Command::new("git");
    let said = git.arg("-C").arg(dir.path()).args(["rev-parse", rev]);
    let said = said.output().expect("git runs").stdout;
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// Writes a roster with all keys as an object that no commit has, and gives the ids of the committed one and of this one.
fn forged(dir: &TempDir) -> (String, String) {
    rewrite(dir, &KEYS);
    git(dir.path(), &["hash-object", "-w", "flow.people.toml"]);
    git(dir.path(), &["add", "flow.people.toml"]);
    let ids = (
        id(dir, "HEAD:flow.people.toml"),
        id(dir, ":flow.people.toml"),
    );
    git(dir.path(), &["reset", "-q"]);
    ids
}

#[tokio::test]
async fn an_object_that_stands_in_for_the_committed_roster_lets_nobody_in() {
    let dir = project();
    let (committed, own) = forged(&dir);
    git(dir.path(), &["replace", &committed, &own]);
    let plan = planned(&dir).expect("plans");
    assert_eq!(counting(&dir, &plan).await, 2, "replaced");
    git(dir.path(), &["replace", "-d", &committed]);
    let object = |id: &str| {
        dir.path()
            .join(".git/objects")
            .join(&id[..2])
            .join(&id[2..])
    };
    std::fs::remove_file(object(&committed)).expect("removes");
    std::fs::copy(object(&own), object(&committed)).expect("copies");
    planned(&dir).expect_err("an object whose bytes are not those of its name");
}

#[tokio::test]
async fn every_key_that_a_release_adds_or_takes_out_is_named_for_those_who_sign() {
    let dir = project();
    let deployed = tempfile::tempdir().expect("a folder");
    let runs = deployed.path().join("app").display().to_string();
    git(dir.path(), &["clone", "-q", ".", &runs]);
    rewrite(&dir, &KEYS[1..]);
    git(dir.path(), &["commit", "-qam", "one left, one came"]);
    let plan = planned(&dir).expect("plans");
    rewrite(&dir, &KEYS);
    let mut planner = Planner::new("release", "1", "prod", "test");
    let at = RosterAt::of(&plan).expect("the plan names it");
    for (name, value) in at.facts() {
        planner.fact(name, value);
    }
    planner.phase("schema", "Schema", OnFailure::Park, |p| {
        let host = "prod".into();
        p.step("gate/roster", Keys { host, dir: runs });
    });
    let engine = Engine {
        journal: Arc::new(MemoryJournal::default()),
        registry: Arc::new(flow_workflows::registry::registry()),
        resources: Resources::default()
            .with(Hosts::new().with(Local::new("prod")))
            .with(setup(&dir).rosters()),
        clock: Arc::new(SystemClock),
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    };
    let by = Actor {
        name: "developer".into(),
        from: "test".into(),
    };
    let new = NewRun {
        id: "r-keys".parse().expect("an id"),
        plan: planner.finish().expect("plans"),
        by,
        reason: "a test".into(),
        request: None,
    };
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (run, _) = driver.drive().await.expect("drives");
    let found: KeysFound =
        serde_json::from_str(run.output("gate/roster").expect("an answer")).expect("reads");
    let [added, removed, elsewhere] = [&found.added, &found.removed, &found.elsewhere];
    assert!(
        added.len() == 1 && added[0].starts_with("qa qa 1 SHA256:"),
        "{found:?}"
    );
    assert!(
        removed.len() == 1 && removed[0].starts_with("qa qa 0 SHA256:"),
        "{found:?}"
    );
    assert!(
        elsewhere.len() == 1 && elsewhere[0].starts_with("only there: qa"),
        "{found:?}"
    );
    let shown = found.lines().join("\n");
    for line in [
        "KEY ADDED: qa qa 1",
        "KEY TAKEN OUT: qa qa 0",
        "which do not count",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn a_roster_that_is_not_committed_starts_nothing_and_the_way_out_is_named() {
    let dir = project();
    git(dir.path(), &["rm", "-q", "--cached", "flow.people.toml"]);
    git(dir.path(), &["commit", "-q", "-m", "nobody"]);
    let error = planned(&dir).expect_err("no roster");
    let SetupError::Roster(error) = error else {
        panic!("{error}");
    };
    assert!(
        error.to_string().starts_with("flow.people.toml is not in "),
        "{error}"
    );
    let hints = error.hints().join("\n");
    assert!(
        hints.contains("git add flow.people.toml") && hints.contains("roster_ref"),
        "{hints}"
    );
    let doctor = setup(&dir).roster_of("HEAD");
    assert!(doctor.is_err(), "the doctor says so, too");
}

#[tokio::test]
async fn a_reviewed_ref_that_is_not_there_is_named_with_its_key() {
    let dir = project();
    let before = planned(&dir).expect("plans");
    let text = config().replace("[signoff]", "[signoff]\nroster_ref = \"origin/mian\"");
    std::fs::write(dir.path().join("flow.toml"), text).expect("writes");
    let error = planned(&dir).expect_err("no such ref");
    let SetupError::Roster(error) = error else {
        panic!("{error}");
    };
    let counting = setup(&dir).rosters().0.of(&before).await;
    let counting = counting.expect_err("no such ref").to_string();
    for said in [error.to_string(), counting] {
        assert!(
            said.contains("[signoff] roster_ref = \"origin/mian\" in flow.toml"),
            "{said}"
        );
    }
    assert!(error.hints()[0].ends_with("never fetched"), "{error:?}");
}

#[test]
fn of_a_project_that_is_not_finished_every_file_that_is_missing_is_named() {
    let dir = project();
    for name in ["flow.people.toml", "flow.data.toml"] {
        std::fs::remove_file(dir.path().join(name)).expect("removes");
    }
    let error = Setup::load(&dir.path().join("flow.toml")).expect_err("unfinished");
    let said = error.to_string();
    assert!(
        said.contains("flow.people.toml, ") && said.ends_with("flow.data.toml"),
        "{said}"
    );
}

#[test]
fn each_file_that_others_can_write_is_refused() {
    let dir = project();
    for name in ["flow.toml", "flow.people.toml", "flow.data.toml"] {
        let file = dir.path().join(name);
        mode(&file, 0o646);
        let error = Setup::load(&dir.path().join("flow.toml")).expect_err("refused");
        assert!(matches!(error, SetupError::NotOurs(_)), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        mode(&file, 0o644);
    }
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("sets");
}

#[tokio::test]
async fn a_repository_that_others_can_write_gives_no_roster_to_a_plan_or_to_a_run() {
    let dir = project();
    let plan = planned(&dir).expect("plans");
    let git = dir.path().join(".git");
    mode(&git, 0o777);
    let error = planned(&dir).expect_err("refused").to_string();
    assert!(
        error.contains("can be written by others (mode 777)"),
        "{error}"
    );
    let unread = setup(&dir).rosters().0.of(&plan).await;
    let unread = unread.expect_err("refused").to_string();
    assert!(unread.contains("chmod go-w"), "{unread}");
    mode(&git, 0o755);
    planned(&dir).expect("put right");
}

#[test]
fn texts_of_the_configuration_are_one_plain_line() {
    let dir = project();
    let path = dir.path().join("flow.toml");
    for bad in ["\\u001b[2J", "a\\nb", "\\u202e"] {
        let name = config().replace("\"dap\"", &format!("\"{bad}\""));
        let when = format!("{}[window]\nwhen = \"{bad}\"\n", config());
        for (text, key) in [(name, "app.name"), (when, "window.when")] {
            std::fs::write(&path, text).expect("writes");
            let error = Setup::load(&path).expect_err(bad).to_string();
            assert!(
                error.contains(&format!("`{key}` must be one line")),
                "{error}"
            );
        }
    }
}
