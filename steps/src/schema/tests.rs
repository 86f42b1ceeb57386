use std::path::PathBuf;
use std::sync::Arc;

use flow_engine::driver::Stop;
use flow_engine::record::ParkReason;
use flow_engine::registry::Registry;
use flow_engine::run::Run;

use super::*;
use crate::code::tests::git;
use crate::means::git::commit;
use crate::means::migrations::MigrationReview;
use crate::means::reach::testing::{Bench, Say, failure, output, plan};
use crate::means::signature::roster::People;

mod again;
mod waivers;

pub(super) fn registry() -> Registry {
    Registry::default()
        .with::<MigrationSafety>()
        .with::<MigrationReview>()
}

const INIT: &str = "CREATE TABLE \"Task\" (\"id\" TEXT NOT NULL, \"title\" TEXT NOT NULL, CONSTRAINT \"Task_pkey\" PRIMARY KEY (\"id\"));\n";

/// Name, text when it was applied, finished, rolled back.
type Row<'a> = (&'a str, &'a str, bool, bool);

/// A repository with migrations, and a `psql` that answers from a file.
pub(super) struct Rig {
    dir: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        let rig = Rig {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(rig.repo()).unwrap();
        git(&rig.repo(), &["init", "--quiet"]);
        rig.migration("20250101000000_init", INIT);
        rig.applied(&[("20250101000000_init", INIT, true, false)]);
        rig.place(true, &["Task"]);
        rig
    }

    /// What is in the schema of the database.
    fn place(&self, history: bool, tables: &[&str]) {
        let place = serde_json::json!({"history": history, "objects": tables, "tables": tables});
        std::fs::write(self.dir.path().join("place"), place.to_string()).unwrap();
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(super) fn migration(&self, name: &str, sql: &str) {
        let folder = self.repo().join("backend/prisma/migrations").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("migration.sql"), sql).unwrap();
    }

    fn applied(&self, rows: &[Row<'_>]) {
        let row = |(name, sql, finished, rolled_back): &Row<'_>| {
            let file = flow_lint::migration::Migration {
                name: (*name).into(),
                unreadable: None,
                sql: (*sql).into(),
            };
            serde_json::json!({"name": name, "checksum": file.sha256(), "finished": finished, "rolled_back": rolled_back})
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        std::fs::write(
            self.dir.path().join("rows"),
            serde_json::to_string(&rows).unwrap(),
        )
        .unwrap();
    }

    pub(super) fn step(&self) -> MigrationSafety {
        git(&self.repo(), &["add", "."]);
        git(&self.repo(), &["commit", "--allow-empty", "-qm", "x"]);
        // What is not committed must not count.
        self.migration("20990101000000_draft", "DROP TABLE \"Task\";");
        let psql = format!(
            "case \"$*\" in *nspname*) cat {0}/place;; *) cat {0}/rows;; esac",
            self.dir.path().display()
        );
        MigrationSafety {
            repo: self.repo().to_str().unwrap().into(),
            commit: git(&self.repo(), &["rev-parse", "HEAD"]),
            migrations: "backend/prisma/migrations".into(),
            host: "here".into(),
            psql: vec!["sh".into(), "-c".into(), psql, "psql".into()],
            schema: "public".into(),
            script: None,
            waiver_role: "tech-lead".into(),
        }
    }

    async fn run(&self, step: MigrationSafety) -> (Arc<Run>, Stop) {
        let plan = plan(
            |p| {
                p.step("prep/safety", step);
            },
            |p| {
                p.step("prod/say", Say::new(1));
            },
        );
        let bench = Bench::new(registry);
        bench.start("r-one", plan).await
    }
}

#[tokio::test]
async fn a_harmless_column_passes_with_the_digest_of_its_file() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_notes",
        "ALTER TABLE \"Task\" ADD COLUMN \"notes\" TEXT;\n",
    );
    let (run, _) = rig.run(rig.step()).await;
    let checked: Checked = output(&run, "prep/safety");
    assert_eq!(checked.pending.len(), 1);
    assert_eq!(checked.pending[0].name, "20250201000000_notes");
    assert_eq!((checked.report.pending, checked.report.applied), (1, 1));
    assert!(checked.waivers.is_empty() && !checked.script_passed);
}

#[tokio::test]
async fn a_dropped_column_blocks_with_rule_file_line_and_what_to_do() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_drop",
        "-- goodbye\nALTER TABLE \"Task\" DROP COLUMN \"title\";\n",
    );
    let (run, stop) = rig.run(rig.step()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let failure = failure(&run, "prep/safety");
    assert!(
        failure
            .message
            .contains("drop-column 20250201000000_drop/migration.sql:2"),
        "{failure:?}"
    );
    assert!(!failure.hints[0].is_empty());
}

#[tokio::test]
async fn what_was_applied_must_be_in_the_commit_unchanged_and_finished() {
    let cases: [(&[Row<'_>], &str); 2] = [
        (
            &[("20250101000000_init", "changed", true, false)],
            "was changed after it was applied",
        ),
        (
            &[("20250101000000_init", INIT, false, false)],
            "never finished",
        ),
    ];
    for (rows, no) in cases {
        let rig = Rig::new();
        rig.applied(rows);
        let (run, stop) = rig.run(rig.step()).await;
        assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
        assert!(failure(&run, "prep/safety").message.contains(no));
    }
    // Rolled back and applied again is fine, whether the first time had finished or not.
    for finished in [false, true] {
        let rig = Rig::new();
        rig.applied(&[
            ("20250101000000_init", "old", finished, true),
            ("20250101000000_init", INIT, true, false),
        ]);
        let (run, _) = rig.run(rig.step()).await;
        assert!(output::<Checked>(&run, "prep/safety").pending.is_empty());
    }
    // Rolled back and not applied again is pending.
    let rig = Rig::new();
    rig.applied(&[("20250101000000_init", "old", false, true)]);
    rig.place(true, &[]);
    let (run, _) = rig.run(rig.step()).await;
    assert_eq!(output::<Checked>(&run, "prep/safety").pending.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_gone_waits_for_a_waiver_and_one_whose_line_ends_changed_does_not() {
    let rig = Rig::new();
    let crlf = INIT.replace('\n', "\r\n");
    rig.applied(&[("20250101000000_init", &crlf, true, false)]);
    let (run, _) = rig.run(rig.step()).await;
    assert!(output::<Checked>(&run, "prep/safety").pending.is_empty());
    let rig = Rig::new();
    rig.applied(&[
        ("20240101000000_squashed", "x", true, false),
        ("20250101000000_init", INIT, true, false),
    ]);
    let (run, stop) = rig.run(rig.step()).await;
    // Nobody is there who could waive it: the step asks for the roster.
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&run, "prep/safety").message;
    assert!(!said.contains("cannot be waived"), "{said}");
}

#[tokio::test]
async fn tables_without_a_history_and_a_squashed_one_that_was_not_resolved_are_refused_with_the_command()
 {
    let rig = Rig::new();
    rig.place(false, &["Task", "User"]);
    let (run, stop) = rig.run(rig.step()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&run, "prep/safety");
    assert!(said.message.contains("P3005"), "{said:?}");
    assert!(
        said.hints.iter().any(|hint| hint
            .contains("npx prisma migrate resolve --applied '20250101000000_init'")),
        "{said:?}"
    );
    let rig = Rig::new();
    rig.applied(&[("20240101000000_squashed", "x", true, false)]);
    let (run, stop) = rig.run(rig.step()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&run, "prep/safety").message;
    assert!(said.contains("made-twice"), "{said}");
}

#[tokio::test]
async fn a_folder_without_its_file_is_refused_as_prisma_refuses_it() {
    let rig = Rig::new();
    let notes = rig.repo().join("backend/prisma/migrations/notes");
    std::fs::create_dir_all(&notes).unwrap();
    std::fs::write(notes.join("README.md"), "x").unwrap();
    let (run, _) = rig.run(rig.step()).await;
    let said = failure(&run, "prep/safety");
    assert!(said.message.contains("P3015"), "{said:?}");
    assert!(said.message.contains("notes"), "{said:?}");
}

#[test]
fn a_checksum_is_the_sha256_of_the_bytes_of_the_file() {
    // By sha256sum, of a file with these bytes.
    let known = [
        (
            "",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            "SELECT 1;\r\n",
            "d3cd5042f97738960d802ad6b3a548dfa18152215118ba18f04493bc6944b0e4",
        ),
        (
            "SELECT 1;\n",
            "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd",
        ),
        (
            "\u{feff}-- größer\n",
            "58f0702c2e62b91b391ce34d4e75530888ed526169d9f428e6399c545e9061ec",
        ),
    ];
    for (sql, checksum) in known {
        let file = flow_lint::migration::Migration {
            sql: sql.into(),
            ..Default::default()
        };
        assert_eq!(file.sha256(), checksum, "{sql:?}");
    }
}

#[tokio::test]
async fn a_warning_needs_a_roster_and_the_projects_own_check_must_end_with_0() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_unique",
        "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"title\");\n",
    );
    let (run, stop) = rig.run(rig.step()).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    assert!(
        failure(&run, "prep/safety").message.contains("People"),
        "nobody can waive without a roster"
    );
    let rig = Rig::new();
    std::fs::write(
        rig.repo().join("check.sh"),
        "ls; [ ! -e backend/prisma/migrations/20990101000000_draft ] && exit 4",
    )
    .unwrap();
    let scripted = MigrationSafety {
        script: Some(vec!["sh".into(), "check.sh".into()]),
        ..rig.step()
    };
    let (run, _) = rig.run(scripted).await;
    assert!(
        failure(&run, "prep/safety")
            .message
            .contains("`sh check.sh` exited with 4")
    );
}

#[tokio::test]
async fn a_branch_a_wrong_folder_and_an_unknown_commit_are_failures_not_an_empty_list() {
    let rig = Rig::new();
    let good = rig.step();
    let bad = [
        MigrationSafety {
            commit: "main".into(),
            ..good.clone()
        },
        MigrationSafety {
            commit: "0".repeat(40),
            ..good.clone()
        },
        MigrationSafety {
            migrations: "prisma".into(),
            ..good
        },
    ];
    for step in bad {
        let (_, stop) = rig.run(step).await;
        assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    }
}

#[tokio::test]
async fn a_warning_waits_for_the_role_that_may_waive_exactly_that_finding() {
    let rig = Rig::new();
    rig.migration(
        "20250201000000_unique",
        "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"title\");\n",
    );
    let safety = rig.step();
    let plan = plan(
        |p| {
            p.step("prep/safety", safety);
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    );
    let mut bench = Bench::new(registry);
    bench.people = Some(People::default());
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let (index, wait) = run.waiting().next().unwrap();
    assert_eq!(wait.who, "tech-lead");
    assert!(
        wait.what
            .contains("unique-on-existing 20250201000000_unique/migration.sql:1"),
        "{}",
        wait.what
    );
    let command = crate::means::commands::of_wait(&run, index, wait);
    assert!(command.starts_with("flow waive r-one prep/safety "));
}

/// What a script is run by, so that it writes the name of its folder to `named`.
fn telling(named: &std::path::Path, then: &str) -> Vec<String> {
    let named = named.display();
    let text = format!("stat -c '%a %n' \"$PWD\" >{named}.new && mv {named}.new {named}; {then}");
    vec!["sh".into(), "-c".into(), text]
}

#[tokio::test]
async fn the_copy_a_script_runs_in_is_closed_to_others_of_a_name_nobody_knows_and_gone_in_every_case()
 {
    let rig = Rig::new();
    let step = rig.step();
    let named = rig.dir.path().join("named");
    let mut folders = Vec::new();
    for (then, code) in [("exit 0", 0), ("chmod 500 backend; exit 3", 3)] {
        let script = telling(&named, then);
        let done = commit::run_in_copy(&step.repo, &step.commit, &script).await;
        assert_eq!(done.unwrap().exit, crate::means::host::Exit::Code(code));
        folders.push(std::fs::read_to_string(&named).unwrap());
        std::fs::remove_file(&named).unwrap();
    }
    let script = telling(&named, "exec sleep 60");
    tokio::select! {
        done = commit::run_in_copy(&step.repo, &step.commit, &script) => panic!("{done:?}"),
        () = until_it_is_there(&named) => {}
    }
    folders.push(std::fs::read_to_string(&named).unwrap());
    for folder in &folders {
        let (mode, path) = folder.trim_end().split_once(' ').unwrap();
        assert_eq!(mode, "700");
        assert!(path.contains("/flow-check-"), "{path}");
        assert!(!std::path::Path::new(path).exists(), "{path} stays");
    }
    folders.dedup();
    assert_eq!(folders.len(), 3);
    assert!(
        commit::run_in_copy(&step.repo, "0000", &script)
            .await
            .is_err()
    );
}

async fn until_it_is_there(path: &std::path::Path) {
    for _ in 0..3000 {
        if path.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} never comes", path.display());
}
