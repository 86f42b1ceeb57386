//! The real binary on a journal that an earlier `flow` left behind.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use flow_engine::clock::{Clock, SystemClock, Timestamp};
use flow_engine::driver::{Engine, NewRun};
use flow_engine::event::Observers;
use flow_engine::journal::sled::{OpenOptions, SledJournal};
use flow_engine::journal::{Append, Journal as _};
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_engine::registry::Registry;
use flow_engine::signal::Actor;
use flow_engine::step::{Cx, Resources, Step, StepError};

#[derive(Serialize, Deserialize)]
struct Look(bool);

#[async_trait]
impl Step for Look {
    const KIND: &'static str = "test.look";
    type Output = u32;

    fn summary(&self) -> String {
        "looks".into()
    }

    async fn run(&self, _: &Cx) -> Result<u32, StepError> {
        if self.0 {
            Ok(1)
        } else {
            Err(StepError::fail("it is dark").hint("make light"))
        }
    }
}

/// A clock that stands still, so many days ago.
struct Ago(u64);

#[async_trait]
impl Clock for Ago {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 - i64::try_from(self.0).expect("small") * 86_400_000)
    }

    async fn sleep(&self, _: std::time::Duration) {}
}

/// Leaves a run in the journal under `dir/.flow`, completed or parked.
fn leave(dir: &Path, id: &str, well: bool) {
    leave_at(dir, id, well, Arc::new(SystemClock));
}

fn leave_at(dir: &Path, id: &str, well: bool, clock: Arc<dyn Clock>) {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let state = dir.join(".flow");
    std::fs::create_dir_all(&state).expect("creates");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("sets");
    let (journal, _) =
        SledJournal::open(&state.join("journal"), &OpenOptions::default()).expect("opens");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.fact("commit", "0123456789abcdef");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prep/look", Look(well));
    });
    let engine = Engine {
        journal: Arc::new(journal),
        registry: Arc::new(Registry::default().with::<Look>()),
        resources: Resources::default(),
        clock,
        observers: Observers::default(),
        notifier: None,
        version: "test".into(),
        wait_for_people: false,
    };
    let by = Actor {
        name: "anna".into(),
        from: "box".into(),
    };
    let plan = planner.finish().expect("plans");
    let new = NewRun {
        id: id.parse().expect("an id"),
        plan,
        by,
        reason: "a test".into(),
        request: Some(format!("key-of-{id}")),
    };
    runtime.block_on(async {
        let (driver, _handle) = engine.start(new).await.expect("starts");
        driver.drive().await.expect("drives");
    });
}

fn flow(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flow"))
        .args(["--state", ".flow"])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("flow starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn runs_are_listed_shown_and_exported_without_a_configuration() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", false);

    let list = flow(dir.path(), &["list", "--json"]);
    let runs: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    assert_eq!(runs[0]["run"], "r-two", "newest first");
    assert_eq!(runs[0]["state"], "parked");
    assert_eq!(runs[1]["state"], "completed");
    let parked = out(&flow(dir.path(), &["list", "--is", "parked"]));
    assert!(
        parked.contains("r-two") && !parked.contains("r-one"),
        "{parked}"
    );

    let status = out(&flow(dir.path(), &["status", "r-t"]));
    assert!(
        status.contains("step `prep/look` failed: it is dark\n  make light"),
        "{status}"
    );
    assert!(status.contains("flow retry r-two"), "{status}");

    let (first, second) = (
        flow(dir.path(), &["export", "r-one"]),
        flow(dir.path(), &["export", "r-one"]),
    );
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert_eq!(first.stdout, second.stdout);
    let all: serde_json::Value =
        serde_json::from_slice(&flow(dir.path(), &["export", "--all"]).stdout).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    assert!(
        out(&flow(dir.path(), &["export", "latest", "--format", "md"])).contains("# Run r-two")
    );

    let verified = flow(dir.path(), &["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", err(&verified));
    assert!(
        out(&verified).contains("of 2 runs verified"),
        "{}",
        out(&verified)
    );
}

#[test]
fn an_export_never_overwrites_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    assert_eq!(
        flow(dir.path(), &["export", "r-one", "-o", "e.json"])
            .status
            .code(),
        Some(0)
    );
    let before = std::fs::read(dir.path().join("e.json")).expect("reads");
    assert_eq!(
        flow(dir.path(), &["export", "r-one", "-o", "e.json"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        std::fs::read(dir.path().join("e.json")).expect("reads"),
        before
    );
}

#[test]
fn a_run_that_is_not_there_or_not_clearly_named_exits_with_2() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", true);
    for (named, said) in [
        ("r-zzz", "there is no run `r-zzz`"),
        ("r-", "may be any of r-one, r-two"),
    ] {
        let output = flow(dir.path(), &["status", named]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn an_order_that_makes_no_sense_now_is_refused_with_3_and_leaves_no_record() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let before = flow(dir.path(), &["export", "r-one"]).stdout;
    for order in [
        &["retry", "r-one"][..],
        &["cancel", "r-one", "--reason", "x"],
        &["skip", "r-one", "prep/look", "--reason", "x"],
    ] {
        let output = flow(dir.path(), order);
        assert_eq!(output.status.code(), Some(3), "{order:?}: {}", err(&output));
    }
    assert_eq!(flow(dir.path(), &["export", "r-one"]).stdout, before);
}

#[test]
fn an_older_completed_run_is_not_rolled_back() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    leave(dir.path(), "r-two", true);
    let order = ["rollback", "r-one", "--reason", "x", "--yes"];
    let output = flow(dir.path(), &order);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        err(&output).contains("run r-one is not the latest of prod"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_rollback_needs_a_yes_where_nobody_can_be_asked() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let output = flow(dir.path(), &["rollback", "r-one", "--reason", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("--yes"), "{}", err(&output));
}

#[test]
fn a_journal_in_use_names_the_holder_and_exits_with_7() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    let path = dir.path().join(".flow/journal");
    let (_held, _) = SledJournal::open(&path, &OpenOptions::default()).expect("opens");
    let output = flow(dir.path(), &["list"]);
    assert_eq!(output.status.code(), Some(7));
    let pid = format!("pid {}", std::process::id());
    assert!(err(&output).contains(&pid), "{}", err(&output));
}

/// A configuration that `flow start` accepts, with one person who may sign.
fn configure(dir: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(dir.join("qa"))
        .status();
    assert!(made.expect("ssh-keygen starts").success());
    let public = std::fs::read_to_string(dir.join("qa.pub")).expect("reads");
    let people = format!("[[roles.qa]]\nname = \"qa\"\nkey = \"{}\"\n", public.trim());
    let mut config =
        String::from("[app]\nname = \"demo\"\nmigrations = \"m\"\n[signoff]\nroles = [\"qa\"]\n");
    for name in ["test", "stage", "prod"] {
        config += &[
            &format!("[env.{name}]\nssh = \"{name}\"\n"),
            "app_dir = \"/srv/app\"\nbackup_dir = \"/srv/backups\"\nflow_dir = \"/srv/flow\"\n",
            "deploy = [\"./deploy.sh\"]\nhealth = \"http://127.0.0.1:1/\"\n",
            "database = { user = \"postgres\", name = \"postgres\" }\n",
        ]
        .concat();
    }
    for (file, text) in [
        ("flow.toml", config),
        ("flow.people.toml", people),
        ("flow.data.toml", "[tables]\n".into()),
    ] {
        std::fs::write(dir.join(file), text).expect("writes");
    }
}

/// A repository with one migration in it.
fn commit(dir: &Path) {
    let git = |args: &[&str]| {
        let me = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut git = Command::new("git");
        let done = git.args(me).args(args).current_dir(dir).output();
        assert!(done.expect("git starts").status.success(), "git {args:?}");
    };
    std::fs::create_dir_all(dir.join("m/1_init")).expect("creates");
    std::fs::write(dir.join("m/1_init/migration.sql"), "SELECT 1;").expect("writes");
    git(&["init", "-q", "."]);
    git(&["add", "m"]);
    git(&["commit", "-q", "-m", "x"]);
}

/// Appends a record that no `flow` can read to a run.
fn damage(dir: &Path, id: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let journal = SledJournal::open(&dir.join(".flow/journal"), &OpenOptions::default());
    let (journal, _) = journal.expect("opens");
    runtime.block_on(async {
        let id = id.parse().expect("an id");
        let head = journal.head(&id).await.expect("reads").expect("a run");
        let append = Append {
            run: id,
            first_seq: head.seq + 1,
            epoch: head.epoch,
            bodies: vec![b"no record".to_vec()],
        };
        journal.append(append).await.expect("appends");
    });
}

#[test]
fn a_damaged_run_is_listed_as_such_and_stands_in_the_way_of_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-bad", true);
    leave(dir.path(), "r-good", true);
    damage(dir.path(), "r-bad");

    let list = flow(dir.path(), &["list"]);
    assert_eq!(list.status.code(), Some(0), "{}", err(&list));
    let lines = out(&list);
    let line = |id: &str| lines.lines().find(|l| l.starts_with(id)).expect("listed");
    assert!(line("r-bad").contains("damaged"), "{lines}");
    assert!(line("r-bad").contains("flow journal verify"), "{lines}");
    assert!(line("r-good").contains("completed"), "{lines}");
    let json = flow(dir.path(), &["list", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json[0]["state"], "damaged");
    assert_eq!(json[0]["environment"], "prod");

    for args in [&["status", "r-good"][..], &["status"], &["logs", "r-good"]] {
        let said = flow(dir.path(), args);
        assert_eq!(said.status.code(), Some(0), "{args:?}: {}", err(&said));
    }
    let order = ["rollback", "r-good", "--reason", "x", "--yes", "--no-drive"];
    let said = flow(dir.path(), &order);
    assert_eq!(said.status.code(), Some(0), "{}", err(&said));
    let guess = flow(dir.path(), &["cancel", "latest", "--reason", "x"]);
    assert_eq!(guess.status.code(), Some(2), "{}", err(&guess));
    assert!(err(&guess).contains("r-bad is damaged and may be the latest"));
}

#[test]
fn a_damaged_run_that_may_have_changed_production_refuses_a_new_one_and_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-bad", true);
    damage(dir.path(), "r-bad");
    configure(dir.path());
    commit(dir.path());
    let start = flow(dir.path(), &["start", "--yes"]);
    assert_eq!(start.status.code(), Some(2), "{}", err(&start));
    for words in [
        "run r-bad is damaged",
        "Nothing was started",
        "flow journal verify",
    ] {
        assert!(err(&start).contains(words), "no `{words}`: {}", err(&start));
    }
}

#[test]
fn starting_again_with_the_same_key_shows_the_run_and_starts_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", true);
    configure(dir.path());
    let before = flow(dir.path(), &["export", "--all"]).stdout;
    let again = flow(dir.path(), &["start", "--id", "key-of-r-one"]);
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    assert!(out(&again).contains("run r-one"), "{}", out(&again));
    assert_eq!(flow(dir.path(), &["export", "--all"]).stdout, before);
}

#[test]
fn a_second_run_for_an_environment_is_refused_with_7_and_names_the_first() {
    let dir = tempfile::tempdir().expect("a folder");
    leave(dir.path(), "r-one", false);
    configure(dir.path());
    commit(dir.path());
    let second = flow(dir.path(), &["start"]);
    assert_eq!(second.status.code(), Some(7), "{}", err(&second));
    assert!(
        err(&second).contains("flow resume r-one"),
        "{}",
        err(&second)
    );
    let plan = flow(dir.path(), &["plan"]);
    assert_eq!(plan.status.code(), Some(0), "{}", err(&plan));
    assert!(out(&plan).contains("prod/deploy"), "{}", out(&plan));
}

/// Three completed runs of 400, 300 and 200 days ago, the older two sealed.
fn sealed(dir: &Path) {
    for (id, days) in [("r-one", 400), ("r-two", 300), ("r-three", 200)] {
        leave_at(dir, id, true, Arc::new(Ago(days)));
    }
    let seal = flow(dir, &["journal", "seal", "--json"]);
    assert_eq!(seal.status.code(), Some(0), "{}", err(&seal));
    let done: serde_json::Value = serde_json::from_slice(&seal.stdout).expect("JSON");
    assert_eq!(
        done["sealed"], 2,
        "the latest can still be rolled back: {done}"
    );
}

#[test]
fn sealed_runs_are_listed_shown_exported_and_verified_as_before() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let list = flow(dir.path(), &["list", "--json"]);
    let runs: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let names: Vec<_> = (0..3)
        .map(|i| (&runs[i]["run"], &runs[i]["kept"]))
        .collect();
    assert_eq!(
        format!("{names:?}").matches("sealed").count(),
        2,
        "{names:?}"
    );
    assert_eq!(runs[0]["run"], "r-three", "newest first");
    assert_eq!(runs[2]["state"], "completed");
    let status = out(&flow(dir.path(), &["status", "r-one"]));
    assert!(status.contains("It is completed; 1 of 1"), "{status}");
    for command in [
        &["export", "r-one"][..],
        &["export", "--all"],
        &["logs", "r-one"],
    ] {
        let done = flow(dir.path(), command);
        assert_eq!(done.status.code(), Some(0), "{command:?} {}", err(&done));
    }
    let verify = out(&flow(dir.path(), &["journal", "verify"]));
    assert!(verify.contains("of 3 runs verified"), "{verify}");
    let again = out(&flow(dir.path(), &["journal", "seal"]));
    assert!(again.contains("nothing to seal"), "{again}");
    let stats = out(&flow(dir.path(), &["journal", "stats"]));
    assert!(stats.contains("sealed     2 runs"), "{stats}");
}

#[test]
fn a_sealed_run_is_rolled_back_only_after_it_was_brought_back() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let order = ["rollback", "r-two", "--reason", "x", "--yes"];
    let refused = flow(dir.path(), &order);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert!(
        err(&refused).contains("r-three came after it"),
        "{}",
        err(&refused)
    );
    let unseal = flow(dir.path(), &["journal", "unseal", "r-two"]);
    assert_eq!(unseal.status.code(), Some(0), "{}", err(&unseal));
    let stats = out(&flow(dir.path(), &["journal", "stats"]));
    assert!(stats.contains("live       2 runs"), "{stats}");
    assert!(stats.contains("sealed     1 runs"), "{stats}");
}

#[test]
fn pruning_names_first_removes_with_yes_and_leaves_a_line_in_the_list() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let prune = ["journal", "prune", "--older-than", "350d", "--keep", "0"];
    let named = out(&flow(dir.path(), &prune));
    assert!(
        named.contains("1 runs would be pruned") && named.contains("r-one"),
        "{named}"
    );
    assert_eq!(
        flow(dir.path(), &["export", "r-one"]).status.code(),
        Some(0)
    );
    let mut all = prune.to_vec();
    all[3] = "0s";
    all.push("--yes");
    let done = out(&flow(dir.path(), &all));
    assert!(done.contains("2 runs pruned"), "never the latest: {done}");
    let list = out(&flow(dir.path(), &["list"]));
    assert_eq!(list.matches("(pruned)").count(), 2, "{list}");
    let gone = flow(dir.path(), &["export", "r-one"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(err(&gone).contains("were pruned"), "{}", err(&gone));
    let verify = flow(dir.path(), &["journal", "verify"]);
    assert_eq!(verify.status.code(), Some(0), "{}", out(&verify));
    let again = out(&flow(dir.path(), &all));
    assert!(again.contains("nothing to prune"), "{again}");
}

#[test]
fn repair_brings_back_a_lost_catalog_and_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let archive = dir.path().join(".flow/journal/archive");
    for name in ["catalog", "catalog.copy"] {
        std::fs::write(archive.join(name), "nonsense").expect("writes");
    }
    let refused = flow(dir.path(), &["list"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        err(&refused).contains("flow journal repair"),
        "{}",
        err(&refused)
    );
    let repair = out(&flow(dir.path(), &["journal", "repair"]));
    assert!(repair.contains("2 runs"), "{repair}");
    assert!(archive.join("catalog.damaged-1").exists());
    assert_eq!(
        flow(dir.path(), &["export", "r-one"]).status.code(),
        Some(0)
    );
    let again = out(&flow(dir.path(), &["journal", "repair"]));
    assert!(again.contains("nothing to repair"), "{again}");
}

#[test]
fn upkeep_while_another_process_has_the_journal_exits_with_7() {
    let dir = tempfile::tempdir().expect("a folder");
    sealed(dir.path());
    let path = dir.path().join(".flow/journal");
    let (_held, _) = SledJournal::open(&path, &OpenOptions::default()).expect("opens");
    for command in ["seal", "compact", "stats", "repair"] {
        let output = flow(dir.path(), &["journal", command]);
        assert_eq!(output.status.code(), Some(7), "{command}: {}", err(&output));
    }
}
