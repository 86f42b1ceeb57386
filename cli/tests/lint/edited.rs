//! What was applied must be what the files say: by git, and by a real database.

use super::project::{DROP, INIT, Project};
use super::server;

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
        let migration = flow_lint::migration::Migration {
            sql: sql.to_owned(),
            ..flow_lint::migration::Migration::default()
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
    assert!(
        text.contains("warning[edited-migration]") && text.contains("its file is not there"),
        "{text}"
    );
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

/// What `sha256sum` says about a file, which is what Prisma writes down.
fn checksum(file: &std::path::Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(file).output();
    let text = String::from_utf8(output.expect("sha256sum runs").stdout).expect("text");
    text.split(' ').next().expect("a digest").to_owned()
}

#[test]
fn a_checksum_is_of_the_bytes_and_a_migration_that_never_finished_is_an_error() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    server.create("shop");
    let project = Project::new();
    let url = format!("postgresql://postgres@/shop?host={}", server.socket());
    let lint = || project.lint(&["migrations", "--database", &url]);
    let odd = "-- größer\r\nALTER TABLE \"Task\" ADD COLUMN \"due\" DATE;\r\n";
    project.migration("2_odd", odd);
    let sum = |name: &str| {
        let file = format!("migrations/{name}/migration.sql");
        checksum(&project.dir().join(file))
    };
    let rows = format!(
        "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at timestamptz, rolled_back_at timestamptz); \
         INSERT INTO _prisma_migrations VALUES ('1_init', '{}', now(), NULL), \
         ('2_odd', 'an earlier text', now(), now()), ('2_odd', 'half of it', NULL, now()), ('2_odd', '{}', now(), NULL)",
        sum("1_init"),
        sum("2_odd")
    );
    assert!(server.run("shop", &[&rows]).good);
    let (code, text) = lint();
    assert_eq!(code, Some(0), "rolled back rows say nothing: {text}");
    project.migration("2_odd", &odd.replace("\r\n", "\n"));
    let (code, text) = lint();
    assert_eq!(code, Some(0), "Prisma takes LF and CRLF as equal: {text}");
    project.migration("2_odd", &odd.replace("größer", "kleiner"));
    let (code, text) = lint();
    assert_eq!(code, Some(1), "other bytes are another file: {text}");
    assert!(text.contains("error[edited-migration]"), "{text}");
    project.migration("2_odd", odd);
    project.migration("3_stuck", "SELECT 1;");
    let row = "INSERT INTO _prisma_migrations VALUES ('3_stuck', 'x', NULL, NULL)";
    assert!(server.run("shop", &[row]).good);
    let (code, text) = lint();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("never finished") && text.contains("P3009"),
        "{text}"
    );
    let resolved =
        "UPDATE _prisma_migrations SET rolled_back_at = now() WHERE migration_name = '3_stuck'";
    assert!(server.run("shop", &[resolved]).good);
    let (code, text) = lint();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 migrations judged, 2 as context"), "{text}");
}

#[test]
fn a_history_is_looked_for_in_the_schema_of_the_url_whatever_it_is_called() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    server.create("shop");
    let project = Project::new();
    for schema in ["App", "my-app"] {
        let url = format!(
            "postgresql://postgres@/shop?host={}&schema={schema}",
            server.socket()
        );
        let lint = || project.lint(&["migrations", "--database", &url]);
        let rows = format!(
            "CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\"._prisma_migrations \
             (migration_name text, checksum text, finished_at timestamptz, rolled_back_at timestamptz); \
             INSERT INTO \"{schema}\"._prisma_migrations VALUES ('1_init', 'x', NULL, NULL)"
        );
        let (code, text) = lint();
        assert_eq!(code, Some(0), "nothing is there yet: {text}");
        assert!(server.run("shop", &[&rows]).good);
        let (code, text) = lint();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("P3009"), "a stuck row is seen: {text}");
        assert!(
            text.contains("npx prisma migrate resolve --rolled-back '1_init'"),
            "{text}"
        );
    }
}

#[test]
fn tables_without_a_history_are_said_once_with_the_way_out() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    server.create("shop");
    let project = Project::new();
    let url = format!("postgresql://postgres@/shop?host={}", server.socket());
    assert!(server.run("shop", &[INIT]).good);
    let (code, text) = project.lint(&["migrations", "--database", &url]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(text.matches("P3005").count(), 1, "{text}");
    assert!(
        text.contains("npx prisma migrate resolve --applied '1_init'"),
        "{text}"
    );
}

#[test]
fn a_migration_that_makes_a_table_which_the_database_has_is_an_error() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    server.create("shop");
    let project = Project::new();
    let url = format!("postgresql://postgres@/shop?host={}", server.socket());
    let rows = "CREATE TABLE _prisma_migrations (migration_name text, checksum text, finished_at timestamptz, rolled_back_at timestamptz); \
        INSERT INTO _prisma_migrations VALUES ('0_squashed_away', 'x', now(), NULL)";
    assert!(server.run("shop", &[INIT]).good && server.run("shop", &[rows]).good);
    let (code, text) = project.lint(&["migrations", "--database", &url]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("error[made-twice]"), "{text}");
    assert!(
        text.contains("npx prisma migrate resolve --applied '1_init'"),
        "{text}"
    );
}
