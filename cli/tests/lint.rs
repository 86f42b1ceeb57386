//! `flow lint` as a person, a script, a pre-commit hook and CI use it.

#[path = "support/lint_project.rs"]
mod project;
#[path = "../../steps/lint/tests/migration/server.rs"]
#[expect(dead_code, reason = "the measurements of the check use the rest")]
mod server;

#[path = "lint/drift.rs"]
mod drift;
#[path = "lint/edited.rs"]
mod edited;
#[path = "lint/formats.rs"]
mod formats;
#[path = "lint/levels.rs"]
mod levels;
#[path = "lint/replay.rs"]
mod replay;

use project::{DROP, Project};

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
    assert!(text.lines().count() >= 41, "{text}");
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
