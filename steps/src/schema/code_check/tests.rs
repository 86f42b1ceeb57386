//! The steps on real repositories. The compiler is asked in the tests of [`types`](flow_lint::code::types).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::driver::Stop;
use flow_engine::record::Wait;
use flow_engine::registry::Registry;
use flow_engine::run::Run;

use super::*;
use crate::code::tests::git;
use crate::means::reach::testing::{Bench, failure, output, plan};
use crate::means::signature::roster::People;

fn registry() -> Registry {
    Registry::default()
        .with::<NullableAccess>()
        .with::<EnumUsage>()
}

const SCHEMA: &str = "model Task {\n  id String @id\n  title String\n  status Status\n}\n\nenum Status {\n  OPEN\n  DONE\n}\n";

/// A repository, and a clone of it at its first commit: what is deployed.
struct Rig {
    dir: tempfile::TempDir,
}

impl Rig {
    fn new(files: &[(&str, &str)]) -> Rig {
        let rig = Rig {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(rig.path("repo")).unwrap();
        git(&rig.path("repo"), &["init", "--quiet"]);
        rig.commit(&[("prisma/schema.prisma", SCHEMA)]);
        rig.commit(files);
        git(rig.dir.path(), &["clone", "--quiet", "repo", "deployed"]);
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn commit(&self, files: &[(&str, &str)]) -> String {
        let repo = self.path("repo");
        for (name, text) in files {
            let path = repo.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(&repo, &["add", "."]);
        git(&repo, &["commit", "--allow-empty", "-qm", "x"]);
        git(&repo, &["rev-parse", "HEAD"])
    }

    /// What is in the work tree is released.
    fn code(&self, commit: String) -> CodeAt {
        let text = |name: &str| self.path(name).to_str().unwrap().to_owned();
        CodeAt {
            repo: text("repo"),
            commit,
            schema: "prisma/schema.prisma".into(),
            folder: String::new(),
            node_modules: text("repo/node_modules"),
            further: Vec::new(),
            host: "here".into(),
            dir: text("deployed"),
        }
    }

    async fn nullable(&self, commit: String) -> (Arc<Run>, Stop, Bench) {
        let step = NullableAccess {
            code: self.code(commit),
            waiver_role: "tech-lead".into(),
        };
        drive(|p| drop(p.step("prep/look", step))).await
    }

    async fn enums(&self, commit: String) -> (Arc<Run>, Stop, Bench) {
        let step = EnumUsage {
            code: self.code(commit),
            waiver_role: "tech-lead".into(),
        };
        drive(|p| drop(p.step("prep/look", step))).await
    }
}

async fn drive(step: impl FnOnce(&mut flow_engine::planner::Planner)) -> (Arc<Run>, Stop, Bench) {
    let mut bench = Bench::new(registry);
    bench.people = Some(People::default());
    let say = |p: &mut flow_engine::planner::Planner| {
        p.step("prod/say", crate::means::reach::testing::Say::new(1));
    };
    let (run, ended) = bench.start("r-one", plan(step, say)).await;
    (run, ended, bench)
}

fn asked(run: &Run) -> Wait {
    run.waiting().next().expect("it waits").1.clone()
}

fn command(run: &Run) -> String {
    crate::means::commands::of_wait(run, 0, &asked(run))
}

#[tokio::test]
async fn a_schema_that_code_cannot_tell_from_the_deployed_one_needs_nobody() {
    let rig = Rig::new(&[("src/a.js", "console.log(task.title.length)")]);
    let deployed = git(&rig.path("deployed"), &["rev-parse", "HEAD"]);
    let commit = rig.commit(&[(
        "prisma/schema.prisma",
        &SCHEMA.replace("title ", "/// why\n  title "),
    )]);
    let (run, _, _) = rig.nullable(commit.clone()).await;
    let checked: CodeChecked = output(&run, "prep/look");
    assert_eq!(checked.deployed, Some(deployed));
    assert!(checked.changes.concern_nothing());
    assert_eq!((checked.not_typed, checked.waiver), (None, None));
    let (run, _, _) = rig.enums(commit).await;
    assert_eq!(output::<CodeChecked>(&run, "prep/look").found, []);
}

#[tokio::test]
async fn without_types_a_column_that_may_be_null_now_waits_for_a_signature() {
    let rig = Rig::new(&[("README.md", "a project without a compiler")]);
    let commit = rig.commit(&[(
        "prisma/schema.prisma",
        &SCHEMA.replace("title String", "title String?"),
    )]);
    let (run, stop, _) = rig.nullable(commit.clone()).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let wait = asked(&run);
    assert_eq!(wait.who, "tech-lead");
    assert!(wait.what.starts_with("not type-checked: "), "{}", wait.what);
    assert!(
        command(&run).starts_with("flow waive r-one prep/look "),
        "{}",
        command(&run)
    );
    // The same again asks for the same signature, and other code for another.
    let (again, _, _) = rig.nullable(commit).await;
    assert_eq!(command(&again), command(&run));
    let more = rig.commit(&[(
        "src/a.ts",
        "prisma.task; export const n = (task: any) => task.title!.length;\n",
    )]);
    let (other, _, _) = rig.nullable(more).await;
    assert_ne!(command(&other), command(&run));
}

#[tokio::test]
async fn the_deployed_code_is_looked_at_as_well_and_told_apart() {
    let uses = "export const open = { where: { status: Status.DONE } };\n";
    let rig = Rig::new(&[("src/a.ts", uses)]);
    let commit = rig.commit(&[
        ("prisma/schema.prisma", &SCHEMA.replace("  DONE\n", "")),
        ("src/a.ts", "export const open = { where: {} };\n"),
    ]);
    let (run, stop, bench) = rig.enums(commit).await;
    assert_eq!(stop, Stop::WaitingForPeople, "{}", bench.shown());
    let wait = asked(&run);
    assert!(
        wait.what.starts_with("1 place found; first: src/a.ts:1:")
            && wait
                .what
                .contains("(deployed code) removed-value Status.DONE"),
        "{}",
        wait.what
    );
}

#[tokio::test]
async fn what_cannot_be_known_is_a_failure_or_a_question_and_never_nothing_to_do() {
    let rig = Rig::new(&[]);
    let deployed = rig.path("deployed");
    std::fs::write(deployed.join("hotfix"), "x").unwrap();
    git(&deployed, &["add", "."]);
    git(&deployed, &["commit", "-qm", "on the host"]);
    let commit = rig.commit(&[]);
    let (run, _, _) = rig.nullable(commit.clone()).await;
    assert!(failure(&run, "prep/look").message.contains("does not have"));
    git(&deployed, &["reset", "--quiet", "--hard", "HEAD~1"]);
    let broken = rig.commit(&[("prisma/schema.prisma", "model Task {\n  id\n}\n")]);
    let (run, _, _) = rig.enums(broken).await;
    assert!(failure(&run, "prep/look").message.contains("line 2"));
    let mut elsewhere = rig.code(commit);
    elsewhere.schema = "other/schema.prisma".into();
    let step = NullableAccess {
        code: elsewhere,
        waiver_role: "tech-lead".into(),
    };
    let (run, ended, _) = drive(|p| drop(p.step("prep/look", step))).await;
    assert_eq!(ended, Stop::WaitingForPeople);
    assert!(asked(&run).what.contains("there is no other/schema.prisma"));
}

#[tokio::test]
async fn what_the_commit_keeps_out_of_archives_is_looked_at_and_a_submodule_is_named() {
    let uses = "export const open = { where: { status: Status.DONE } };\n";
    let rig = Rig::new(&[("README.md", "x")]);
    rig.commit(&[
        ("prisma/schema.prisma", &SCHEMA.replace("  DONE\n", "")),
        (".gitattributes", "src export-ignore\n"),
        ("src/a.ts", uses),
    ]);
    let repo = rig.path("repo");
    let elsewhere = format!("160000,{},lib", "a".repeat(40));
    git(&repo, &["update-index", "--add", "--cacheinfo", &elsewhere]);
    git(&repo, &["commit", "-qm", "a submodule"]);
    let commit = git(&repo, &["rev-parse", "HEAD"]);
    let (run, _, bench) = rig.enums(commit.clone()).await;
    assert!(
        asked(&run).what.contains("src/a.ts:1:"),
        "{}",
        bench.shown()
    );
    let (_, _, bench) = rig.nullable(commit).await;
    assert!(
        bench
            .shown()
            .contains("lib:1:1 not-read : it was not looked at: it is a submodule"),
        "{}",
        bench.shown()
    );
}

#[tokio::test]
async fn a_schema_that_moved_is_compared_with_nothing_by_neither_step() {
    let rig = Rig::new(&[]);
    git(
        &rig.path("repo"),
        &["mv", "prisma/schema.prisma", "prisma/moved.prisma"],
    );
    let commit = rig.commit(&[("prisma/moved.prisma", &SCHEMA.replace("  DONE\n", ""))]);
    let mut code = rig.code(commit);
    code.schema = "prisma/moved.prisma".into();
    let role = || "tech-lead".to_owned();
    let enums = EnumUsage {
        code: code.clone(),
        waiver_role: role(),
    };
    let nullable = NullableAccess {
        code,
        waiver_role: role(),
    };
    for (run, ended, _) in [
        drive(|p| drop(p.step("prep/look", enums))).await,
        drive(|p| drop(p.step("prep/look", nullable))).await,
    ] {
        assert_eq!(ended, Stop::WaitingForPeople);
        assert!(
            asked(&run).what.contains("has no prisma/moved.prisma"),
            "{}",
            asked(&run).what
        );
    }
}

/// Both versions of code that a changed schema reaches.
async fn looked() -> (Rig, Arc<Looked>) {
    let rig = Rig::new(&[(
        "src/a.ts",
        "db.task.findMany().then(t => t[0].title.trim());\n",
    )]);
    let deployed = git(&rig.path("deployed"), &["rev-parse", "HEAD"]);
    let schema = SCHEMA.replace("title String", "title String?");
    let code = rig.code(rig.commit(&[("prisma/schema.prisma", &schema)]));
    match code.compare(deployed).await.unwrap() {
        Subjects::Both(looked) => (rig, looked),
        _ => panic!("there is nothing to look at"),
    }
}

#[tokio::test]
async fn the_look_at_the_syntax_keeps_no_thread_of_the_runtime_and_says_how_far_it_is() {
    static RUNTIME: std::sync::OnceLock<std::thread::ThreadId> = std::sync::OnceLock::new();
    RUNTIME.set(std::thread::current().id()).unwrap();
    let (_rig, looked) = looked().await;
    let files = std::sync::atomic::AtomicU64::new(0);
    let progress = |at: flow_engine::step::Progress| {
        files.fetch_add(at.total.unwrap(), std::sync::atomic::Ordering::Relaxed);
    };
    let elsewhere = |_: &Hit| RUNTIME.get() != Some(&std::thread::current().id());
    let found = looked.syntax(progress, elsewhere).await.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    // The schema and the code, in each version.
    assert_eq!(files.into_inner(), 4);
}

#[tokio::test]
async fn a_look_that_nobody_waits_for_ends_at_the_next_file_and_its_closed_folders_go() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_rig, looked) = looked().await;
    let (say, said) = tokio::sync::mpsc::unbounded_channel();
    drop(said);
    let ended = looked.syntax_here(&say, |_| panic!("it goes on"));
    assert!(ended.is_err(), "{ended:?}");
    let folders = looked.versions.each_ref().map(|of| of.1.path().to_owned());
    for folder in &folders {
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let unwaited = tokio::time::timeout(Duration::default(), looked.syntax(|_| {}, |_| true));
    drop(unwaited.await);
    drop(looked);
    for _ in 0..500 {
        if folders.iter().all(|folder| !folder.exists()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a folder stays");
}
