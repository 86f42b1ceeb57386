//! `flow lint` as a person, a script, a pre-commit hook and CI use it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

struct Project(tempfile::TempDir);

const INIT: &str =
    "CREATE TABLE \"Task\" (\"id\" INTEGER PRIMARY KEY, \"title\" TEXT, \"notes\" TEXT);\n";
const DROP: &str =
    "-- tidy up\nALTER TABLE \"Task\"\n  ADD COLUMN \"due\" DATE,\n  DROP COLUMN \"notes\";\n";

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        project.migration("1_init", INIT);
        project
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn migration(&self, name: &str, sql: &str) {
        self.write(&format!("migrations/{name}/migration.sql"), sql);
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn lint(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_flow"))
            .current_dir(self.dir())
            .env_remove("FLOW_CONFIG")
            .arg("lint")
            .args(args)
            .output()
            .expect("flow runs");
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let text = String::from_utf8(stdout).expect("UTF-8") + &String::from_utf8_lossy(&stderr);
        (status.code(), text)
    }

    fn git(&self, args: &[&str]) {
        let git = Command::new("git")
            .current_dir(self.dir())
            .args([
                "-c",
                "user.name=d",
                "-c",
                "user.email=d@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .output()
            .expect("git runs");
        assert!(
            git.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&git.stderr)
        );
    }
}

#[test]
fn a_person_sees_the_line_underlined_what_to_do_and_what_to_ask_the_data() {
    let project = Project::new();
    project.migration("2_drop", DROP);
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    for part in [
        "error[drop-column]: \"Task\".\"notes\" is dropped",
        " --> migrations/2_drop/migration.sql:4:3\n",
        "4 |   DROP COLUMN \"notes\";\n  |   ^^^^^^^^^^^^^^^^^^^\n",
        "= instead: ",
        "SELECT count(*) FROM \"Task\" WHERE \"notes\" IS NOT NULL;",
        "2 migrations judged, 0 as context: 1 errors, 0 warnings; 1 notes not shown (--notes)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn every_format_names_file_line_and_rule() {
    let project = Project::new();
    project.migration("2_drop", DROP);
    let (code, text) = project.lint(&["migrations", "--format", "json"]);
    assert_eq!(code, Some(1));
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(1));
    let first = &json[0];
    assert_eq!(first["file"], "migrations/2_drop/migration.sql");
    assert_eq!((&first["line"], &first["column"]), (&4.into(), &3.into()));
    assert_eq!(
        (&first["rule"], &first["level"]),
        (&"drop-column".into(), &"error".into())
    );
    for key in ["message", "statement", "fix", "query"] {
        assert!(first[key].is_string(), "{key}");
    }

    let (_, text) = project.lint(&["migrations", "--format", "sarif"]);
    let sarif: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    let rule = result["ruleIndex"].as_u64().expect("an index");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(
        rules[usize::try_from(rule).expect("small")]["id"],
        "drop-column"
    );
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        place["artifactLocation"]["uri"],
        "migrations/2_drop/migration.sql"
    );
    assert_eq!(place["region"]["startLine"], 4);

    let (_, text) = project.lint(&["migrations", "--format", "github"]);
    assert!(
        text.starts_with(
            "::error file=migrations/2_drop/migration.sql,line=4,col=3,title=drop-column::"
        ),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn what_is_safe_is_quiet_in_every_format() {
    let project = Project::new();
    project.migration("2_add", "ALTER TABLE \"Task\" ADD COLUMN \"due\" DATE;");
    assert_eq!(project.lint(&["migrations"]).0, Some(0));
    assert_eq!(
        project.lint(&["migrations", "--format", "json"]),
        (Some(0), "[]\n".to_owned())
    );
    assert_eq!(
        project.lint(&["migrations", "--format", "github"]),
        (Some(0), String::new())
    );
    assert_eq!(
        project.lint(&["migrations", "--fail-on", "note"]).0,
        Some(1),
        "lock-timeout is a note"
    );
}

#[test]
fn fail_on_error_lets_warnings_pass_but_shows_them() {
    let project = Project::new();
    project.migration(
        "2_unique",
        "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"title\");",
    );
    assert_eq!(project.lint(&["migrations"]).0, Some(1));
    let (code, text) = project.lint(&["migrations", "--fail-on", "error"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("warning[unique-on-existing]"), "{text}");
}

#[test]
fn a_suppression_needs_a_reason_and_something_to_suppress() {
    let project = Project::new();
    let drop = |comment: &str| DROP.replace("-- tidy up", comment);
    project.migration(
        "2_drop",
        &drop("-- flow:ignore drop-column unread since the release of May"),
    );
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 suppressed with a reason"), "{text}");
    project.migration("2_drop", &drop("-- flow:ignore drop-column"));
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[drop-column]") && text.contains("it gives no reason"),
        "{text}"
    );
    project.migration("2_drop", &drop("-- flow:ignore drop-table not this"));
    let (_, text) = project.lint(&["migrations"]);
    assert!(
        text.contains("nothing here is found by drop-table"),
        "{text}"
    );
    project.migration("2_drop", &drop("-- flow:ignore drop-colunm unread"));
    let (_, text) = project.lint(&["migrations"]);
    assert!(text.contains("no migration rule named"), "{text}");
    // One statement's suppression says nothing of the next.
    let second =
        drop("-- flow:ignore drop-column unread") + "ALTER TABLE \"Task\" DROP COLUMN \"title\";\n";
    project.migration("2_drop", &second);
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("\"title\" is dropped") && !text.contains("\"notes\" is dropped"),
        "{text}"
    );
    // In a string it is no comment.
    project.migration(
        "2_drop",
        "INSERT INTO \"Task\" VALUES (1, '-- flow:ignore-file drop-table x'); DROP TABLE \"Task\";",
    );
    assert_eq!(project.lint(&["migrations"]).0, Some(1));
}

#[test]
fn the_configuration_weighs_rules_and_accepts_findings_for_good() {
    let project = Project::new();
    project.migration("2_drop", DROP);
    project.write(
        "flow.toml",
        "[lint.level]\ndrop-column = \"off\"\nlock-timeout = \"error\"\n",
    );
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[lock-timeout]") && !text.contains("drop-column"),
        "{text}"
    );
    let ignore = "[[lint.ignore]]\nrule = \"drop-column\"\nmigration = \"2_drop\"\n";
    project.write(
        "flow.toml",
        &format!("{ignore}reason = \"unread since May\"\n"),
    );
    assert_eq!(project.lint(&["migrations"]).0, Some(0));
    project.write(
        "flow.toml",
        &format!("{ignore}object = \"else\"\nreason = \"unread since May\"\n"),
    );
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("drop-column") && text.contains("suppresses nothing"),
        "{text}"
    );
    project.write("flow.toml", ignore);
    assert_eq!(
        project.lint(&["migrations"]).0,
        Some(2),
        "an entry without a reason"
    );
    project.write("flow.toml", "[lint.level]\nno-such-rule = \"off\"\n");
    assert_eq!(project.lint(&["migrations"]).0, Some(2));
}

#[test]
fn since_judges_what_is_new_and_refuses_what_was_edited() {
    let project = Project::new();
    project.migration("2_drop", DROP);
    project.git(&["init", "-q"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "x"]);
    assert_eq!(
        project.lint(&["migrations", "--since", "HEAD"]).0,
        Some(0),
        "nothing is new"
    );
    project.migration("3_more", "ALTER TABLE \"Task\" DROP COLUMN \"title\";");
    let (code, text) = project.lint(&["migrations", "--since", "HEAD"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("\"title\" is dropped") && !text.contains("\"notes\" is dropped"),
        "{text}"
    );
    std::fs::remove_dir_all(project.dir().join("migrations/3_more")).expect("removed");
    project.migration("1_init", &INIT.replace("TEXT", "VARCHAR"));
    let (code, text) = project.lint(&["migrations", "--since", "HEAD"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[edited-migration]") && text.contains("1_init/migration.sql"),
        "{text}"
    );
    project.migration("1_init", INIT);
    std::fs::remove_dir_all(project.dir().join("migrations/2_drop")).expect("removed");
    let (code, text) = project.lint(&["migrations", "--since", "HEAD"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("is removed"), "{text}");
    assert_eq!(
        project.lint(&["migrations", "--since", "nowhere"]).0,
        Some(2)
    );
    assert_eq!(
        project.lint(&["migrations", "--since", "--output=x"]).0,
        Some(2)
    );
}

#[test]
fn single_files_are_judged_with_the_others_as_context() {
    let project = Project::new();
    project.migration("2_drop", DROP);
    project.migration(
        "3_more",
        "ALTER TABLE \"Task\" ADD COLUMN \"x\" INTEGER NOT NULL;",
    );
    let (_, text) = project.lint(&["migrations/2_drop/migration.sql"]);
    assert!(text.contains("1 migrations judged, 2 as context"), "{text}");
    let (_, text) = project.lint(&["migrations/2_drop", "migrations/3_more/migration.sql"]);
    assert!(
        text.contains("drop-column") && text.contains("required-column"),
        "{text}"
    );
    project.write("plain/1.sql", "CREATE TABLE a (id int);");
    project.write("plain/10.sql", "DROP TABLE a;");
    project.write("plain/9.sql", "ALTER TABLE a ADD COLUMN b int;");
    let (code, text) = project.lint(&["plain/10.sql"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("--> plain/10.sql:1:") && text.contains("1 migrations judged, 2 as context"),
        "{text}"
    );
    assert_eq!(project.lint(&["plain/2.sql"]).0, Some(2));
}

#[test]
fn what_cannot_be_read_is_a_finding_with_its_place_and_never_silence() {
    let project = Project::new();
    project.migration(
        "2_bad",
        "ALTER TABLE \"Task\"\n  ADD COLUMN \"a\" TEXT\n  ADD COLUMN \"b\" TEXT;",
    );
    let (code, text) = project.lint(&["migrations"]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[syntax-error]") && text.contains("2_bad/migration.sql:2:"),
        "{text}"
    );
    let file = project.dir().join("migrations/2_bad/migration.sql");
    for bytes in [
        &b"SELECT 1;\0"[..],
        b"SELECT '\xff';",
        &vec![b'('; 1 << 20],
        &vec![b' '; 50 << 20],
    ] {
        std::fs::write(&file, bytes).expect("written");
        let (code, text) = project.lint(&["migrations"]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("2_bad/migration.sql:1:"), "{text}");
    }
}

#[test]
fn rules_are_explained_and_listed() {
    let project = Project::new();
    let (code, text) = project.lint(&["--explain", "set-not-null"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("Instead:") && text.contains("SET NOT NULL"),
        "{text}"
    );
    let (code, text) = project.lint(&["--explain"]);
    assert_eq!(code, Some(0));
    assert!(text.lines().count() >= 39, "{text}");
    assert_eq!(project.lint(&["--explain", "no-such-rule"]).0, Some(2));
}

#[test]
fn a_project_of_25_migrations_takes_no_time_to_speak_of() {
    let project = Project::new();
    for n in 2..=25 {
        let sql = format!(
            "CREATE TABLE \"T{n}\" (\"id\" SERIAL PRIMARY KEY, \"name\" TEXT NOT NULL DEFAULT '');\n\
             CREATE INDEX \"i{n}\" ON \"T{n}\"(\"name\");\nALTER TABLE \"Task\" ADD COLUMN \"c{n}\" INTEGER;\n"
        );
        project.migration(&format!("{n:03}_m"), &sql);
    }
    let fastest = (0..5)
        .map(|_| {
            let began = std::time::Instant::now();
            assert_eq!(project.lint(&["migrations"]).0, Some(0));
            began.elapsed()
        })
        .min()
        .expect("five");
    // Measured with an optimised build: see docs/migration-check.md. This bound catches only a disaster.
    assert!(fastest < std::time::Duration::from_secs(2), "{fastest:?}");
}

#[path = "../../steps/tests/migration/server.rs"]
#[expect(dead_code, reason = "the measurements of the check use the rest")]
mod server;

#[test]
fn a_database_says_what_is_applied_and_whether_it_was_edited_since() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    server.create("shop");
    let project = Project::new();
    let url = format!("postgresql://postgres@/shop?host={}", server.socket());
    let lint =
        |args: &[&str]| project.lint(&[&["migrations", "--database", &url][..], args].concat());
    project.migration("2_drop", DROP);
    let (code, text) = lint(&[]);
    assert_eq!(code, Some(1), "nothing is applied: {text}");
    assert!(text.contains("2 migrations judged"), "{text}");
    let sha = |sql: &str| {
        let migration = flow_steps::migration::Migration {
            sql: sql.to_owned(),
            ..flow_steps::migration::Migration::default()
        };
        migration.sha256()
    };
    let rows = format!(
        "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at timestamptz, rolled_back_at timestamptz); \
         INSERT INTO _prisma_migrations VALUES ('1_init', '{}', now(), NULL), ('2_drop', '{}', now(), NULL), ('3_bad', 'x', NULL, now())",
        sha(INIT),
        sha(DROP)
    );
    assert!(server.run("shop", &[&rows]).good);
    let (code, text) = lint(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("0 migrations judged, 2 as context"), "{text}");
    project.migration("2_drop", &DROP.replace("notes", "title"));
    let (code, text) = lint(&[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("error[edited-migration]") && text.contains("checksum"),
        "{text}"
    );
    std::fs::remove_dir_all(project.dir().join("migrations/2_drop")).expect("removed");
    let (code, text) = lint(&[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("its file is not there"), "{text}");
    assert_eq!(
        project
            .lint(&["migrations", "--database", "env:NO_SUCH_VARIABLE"])
            .0,
        Some(2)
    );
    assert_eq!(
        project
            .lint(&["migrations", "--database", "postgresql://127.0.0.1:1/x"])
            .0,
        Some(2)
    );
}

#[test]
fn a_replay_shows_what_the_text_hides_and_a_migration_that_does_not_apply_in_every_format() {
    let project = Project::new();
    project.migration(
        "2_hidden",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE \"Task\" DROP COLUMN ' || quote_ident('notes'); END $$;\n",
    );
    let (code, text) = project.lint(&["migrations", "--replay"]);
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "error[replay-differs]: the replay shows what the text check does not: column \"Task\".\"notes\" is gone; it only warns that it cannot know (dynamic-sql)",
        "migrations: replayed on PostgreSQL ",
        ": 2 migrations applied, 2 of them compared with the catalog, 1 finding",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    project.migration(
        "3_wrong",
        "-- x\nALTER TABLE \"Nothing\" ADD COLUMN \"a\" TEXT;\n",
    );
    project.migration("4_behind", "SELECT 1;\n");
    let (code, text) = project.lint(&["migrations", "--replay", "--format", "sarif"]);
    assert_eq!(code, Some(1));
    for part in [
        "\"replay-failed\"",
        "\"replay-differs\"",
        "does not exist (42P01)",
        "NOT replayed: 1 pending",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (_, text) = project.lint(&["migrations", "--replay", "--format", "github"]);
    assert!(text.contains("replay-failed"), "{text}");
    project.write(
        "flow.toml",
        "[lint.level]\nreplay-failed = \"off\"\n[[lint.ignore]]\nrule = \"replay-differs\"\nmigration = \"2_hidden\"\nreason = \"meant\"\n",
    );
    let (_, text) = project.lint(&["migrations", "--replay"]);
    assert!(!text.contains("[replay-"), "{text}");
    // Without a replay the entry is not for nothing.
    let (_, text) = project.lint(&["migrations"]);
    assert!(!text.contains("suppresses nothing"), "{text}");
}

#[test]
fn a_replay_that_cannot_begin_is_no_pass() {
    let project = Project::new();
    project.write("setup.sql", "CREATE ROL x;");
    for (args, says) in [
        (
            vec!["migrations", "--replay=mysql://u:hidden@h/d"],
            "cannot be used",
        ),
        (
            vec!["migrations", "--replay=env:FLOW_NO_SUCH"],
            "is not set",
        ),
        (
            vec!["migrations", "--replay=postgres://u:hidden@127.0.0.1:1/d"],
            "nothing",
        ),
        (
            vec!["migrations", "--replay", "--replay-setup", "setup.sql"],
            "syntax error",
        ),
        (
            vec!["migrations", "--replay-setup", "setup.sql"],
            "--replay",
        ),
    ] {
        let (code, text) = project.lint(&args);
        assert_eq!(code, Some(2), "{args:?}: {text}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(says == "nothing" || text.contains(says), "{says}: {text}");
    }
}
