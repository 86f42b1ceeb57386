//! What a file amounts to, within itself and after others.

use super::{EXAMPLE_CONTEXT, found, found_in, judge};
use crate::migration::Level;

#[test]
fn what_a_file_makes_and_takes_away_is_no_finding() {
    for sql in [
        "ALTER TABLE \"Task\" ADD COLUMN \"tmp\" INT; ALTER TABLE \"Task\" DROP COLUMN \"tmp\";",
        "CREATE TABLE w (id int); ALTER TABLE w ADD COLUMN a text NOT NULL; ALTER TABLE w RENAME TO v; DELETE FROM v; TRUNCATE v; DROP TABLE v;",
        "CREATE TEMP TABLE w AS SELECT * FROM \"Task\"; DELETE FROM w; DROP TABLE w;",
        "SELECT * INTO w FROM \"Task\"; DROP TABLE w;",
        "ALTER TABLE \"Task\" RENAME \"notes\" TO \"n\"; ALTER TABLE \"Task\" RENAME \"n\" TO \"notes\";",
        "ALTER TABLE \"Task\" ALTER \"title\" DROP NOT NULL; ALTER TABLE \"Task\" ALTER \"title\" SET NOT NULL;",
        "ALTER TABLE \"Task\" ALTER \"status\" DROP DEFAULT; ALTER TABLE \"Task\" ALTER \"status\" SET DEFAULT 'closed';",
        "CREATE TYPE t AS ENUM ('a'); DROP TYPE t;",
        "CREATE VIEW v AS SELECT 1; DROP VIEW v;",
        "CREATE TABLE w (id int PRIMARY KEY, a int UNIQUE); CREATE UNIQUE INDEX i ON w(a, id);",
    ] {
        assert_eq!(found(sql), [] as [&str; 0], "{sql}");
    }
}

#[test]
fn set_not_null_is_weighed_by_what_fills_the_column() {
    let tighten = "ALTER TABLE \"Task\" ALTER COLUMN \"notes\" SET NOT NULL;";
    assert_eq!(found(tighten), ["error set-not-null"]);
    let fill = "UPDATE \"Task\" SET \"notes\" = '' WHERE \"notes\" IS NULL;";
    assert_eq!(found(&format!("{fill}{tighten}")), ["warning set-not-null"]);
    assert_eq!(
        found(&format!("{tighten}{fill}")),
        ["error set-not-null"],
        "filled too late"
    );
    let null = "UPDATE \"Task\" SET \"notes\" = NULL WHERE \"notes\" IS NULL;";
    assert_eq!(found(&format!("{null}{tighten}")), ["error set-not-null"]);
    let other = "UPDATE \"Other\" SET \"notes\" = '' WHERE \"notes\" IS NULL;";
    assert_eq!(found(&format!("{other}{tighten}")), ["error set-not-null"]);
    assert_eq!(
        found_in(&[EXAMPLE_CONTEXT, fill, tighten]),
        ["warning set-not-null"]
    );
    let check = "ALTER TABLE \"Task\" ADD CONSTRAINT c CHECK (\"notes\" IS NOT NULL) NOT VALID;";
    let validate = "ALTER TABLE \"Task\" VALIDATE CONSTRAINT c;";
    assert_eq!(
        found_in(&[EXAMPLE_CONTEXT, check, validate, tighten]),
        [] as [&str; 0]
    );
    assert_eq!(
        found_in(&[EXAMPLE_CONTEXT, check, tighten]),
        ["error set-not-null"]
    );
    let unrelated = "ALTER TABLE \"Task\" ADD CONSTRAINT c CHECK (\"size\" IS NOT NULL) NOT VALID; ALTER TABLE \"Task\" VALIDATE CONSTRAINT c;";
    assert_eq!(
        found_in(&[EXAMPLE_CONTEXT, unrelated, tighten]),
        ["error set-not-null"]
    );
}

#[test]
fn a_new_required_column_is_an_error_bare_and_a_warning_filled() {
    assert_eq!(
        found("ALTER TABLE \"Task\" ADD \"a\" TEXT NOT NULL;"),
        ["error required-column"]
    );
    assert_eq!(
        found(
            "ALTER TABLE \"Task\" ADD \"a\" TEXT; ALTER TABLE \"Task\" ALTER \"a\" SET NOT NULL;"
        ),
        ["error required-column"]
    );
    assert_eq!(
        found(
            "ALTER TABLE \"Task\" ADD \"a\" TEXT; UPDATE \"Task\" SET \"a\" = \"title\"; ALTER TABLE \"Task\" ALTER \"a\" SET NOT NULL;"
        ),
        ["warning required-column"]
    );
    assert_eq!(
        found(
            "ALTER TABLE \"Task\" ADD \"a\" TEXT NOT NULL DEFAULT ''; ALTER TABLE \"Task\" ALTER \"a\" DROP DEFAULT;"
        ),
        ["warning required-column"]
    );
    for slow in [
        "SERIAL NOT NULL",
        "INT GENERATED ALWAYS AS IDENTITY",
        "INT NOT NULL GENERATED ALWAYS AS (1) STORED",
    ] {
        assert_eq!(
            found(&format!("ALTER TABLE \"Task\" ADD COLUMN \"a\" {slow};")),
            ["warning table-rewrite"],
            "{slow}"
        );
    }
    assert_eq!(
        found("ALTER TABLE \"Task\" ADD \"a\" TEXT NOT NULL DEFAULT NULL;"),
        ["error required-column"]
    );
    for fine in ["TEXT NOT NULL DEFAULT ''", "TEXT"] {
        assert_eq!(
            found(&format!("ALTER TABLE \"Task\" ADD COLUMN \"a\" {fine};")),
            [] as [&str; 0],
            "{fine}"
        );
    }
}

/// Found after the example's context and the end of its view, which would be in the way.
fn without_the_view(sql: &str) -> Vec<String> {
    found_in(&[EXAMPLE_CONTEXT, "DROP VIEW \"OpenTask\";", sql])
}

/// The text Prisma generates when a value leaves an enum.
fn swap(labels: &str) -> String {
    format!(
        r#"BEGIN;
CREATE TYPE "public"."Status_new" AS ENUM ({labels});
ALTER TABLE "Task" ALTER COLUMN "status" DROP DEFAULT;
ALTER TABLE "Task" ALTER COLUMN "status" TYPE "Status_new" USING ("status"::text::"Status_new");
ALTER TYPE "Status" RENAME TO "Status_old";
ALTER TYPE "Status_new" RENAME TO "Status";
DROP TYPE "public"."Status_old";
ALTER TABLE "Task" ALTER COLUMN "status" SET DEFAULT 'open';
COMMIT;"#
    )
}

#[test]
fn prismas_enum_exchange_is_judged_by_the_labels() {
    assert_eq!(
        without_the_view(&swap("'closed', 'open'")),
        ["warning explicit-transaction"]
    );
    assert_eq!(
        without_the_view(&swap("'open', 'closed', 'paused'")),
        ["warning explicit-transaction"]
    );
    let report = judge(&[
        EXAMPLE_CONTEXT,
        "DROP VIEW \"OpenTask\";",
        &swap("'open', 'paused'"),
    ]);
    let rules: Vec<_> = report
        .findings
        .iter()
        .filter(|each| each.level > Level::Note)
        .map(|each| each.rule.as_str())
        .collect();
    assert_eq!(rules, ["explicit-transaction", "enum-value-removed"]);
    assert_eq!(report.removed_labels[0].labels, ["closed"]);
    assert_eq!(report.removed_labels[0].enumeration, "\"Status\"");
}

#[test]
fn labels_added_by_earlier_files_count() {
    let add = "ALTER TYPE \"Status\" ADD VALUE 'paused';";
    let report = judge(&[EXAMPLE_CONTEXT, add, &swap("'open', 'closed'")]);
    assert_eq!(report.removed_labels[0].labels, ["paused"]);
    assert_eq!(
        found_in(&[&swap("'open'")]).last().map(String::as_str),
        Some("warning change-type")
    );
    assert!(found_in(&[&swap("'open'")]).contains(&"warning enum-value-removed".to_owned()));
}

#[test]
fn other_ways_to_lose_a_label_are_found() {
    assert_eq!(
        found("ALTER TYPE \"Status\" RENAME VALUE 'open' TO 'new';"),
        ["error enum-value-removed"]
    );
    let second_column = r#"CREATE TYPE "S2" AS ENUM ('open');
ALTER TABLE "Task" ADD COLUMN "s2" "S2" NOT NULL DEFAULT 'open';
UPDATE "Task" SET "s2" = (CASE "status"::text WHEN 'open' THEN 'open' END)::"S2";
ALTER TABLE "Task" DROP COLUMN "status";
ALTER TABLE "Task" RENAME COLUMN "s2" TO "status";
DROP TYPE "Status";
ALTER TYPE "S2" RENAME TO "Status";"#;
    assert!(
        found(second_column).contains(&"error enum-value-removed".to_owned()),
        "{:?}",
        found(second_column)
    );
    assert!(
        !found(second_column)
            .iter()
            .any(|each| each.contains("drop-column") || each.contains("rename")),
        "{:?}",
        found(second_column)
    );
    assert_eq!(found("DROP TYPE \"Status\";"), ["warning drop-object"]);
}

#[test]
fn a_column_made_anew_or_renamed_by_hand_loses_its_values() {
    let again = judge(&[
        EXAMPLE_CONTEXT,
        "ALTER TABLE \"Task\" DROP COLUMN \"notes\", ADD COLUMN \"notes\" TEXT;",
    ]);
    assert!(again.findings[0].message.contains("made anew"), "{again:?}");
    let renamed = judge(&[
        EXAMPLE_CONTEXT,
        "ALTER TABLE \"Task\" DROP COLUMN \"size\", ADD COLUMN \"bulk\" BIGINT;",
    ]);
    assert!(
        renamed.findings[0]
            .message
            .contains("meant as a rename to \"bulk\""),
        "{renamed:?}"
    );
}

#[test]
fn unique_keys_are_judged_by_the_rows_they_meet() {
    for (sql, expected) in [
        (
            "CREATE UNIQUE INDEX i ON \"Task\"(\"notes\");",
            &["warning unique-on-existing"][..],
        ),
        (
            "ALTER TABLE \"Task\" ADD CONSTRAINT i UNIQUE (\"notes\");",
            &["warning unique-on-existing"],
        ),
        ("ALTER TABLE \"Task\" ADD COLUMN \"a\" INT UNIQUE;", &[]),
        (
            "ALTER TABLE \"Task\" ADD COLUMN \"a\" INT NOT NULL DEFAULT 1; CREATE UNIQUE INDEX i ON \"Task\"(\"a\");",
            &["warning unique-on-existing"],
        ),
        (
            "CREATE UNIQUE INDEX i ON \"Task\"(\"title\", \"notes\");",
            &[],
        ),
        (
            "CREATE UNIQUE INDEX i ON \"Task\"(lower(\"title\"));",
            &["warning unique-on-existing"],
        ),
        (
            "ALTER TABLE \"Task\" DROP CONSTRAINT \"Task_pkey\";",
            &["warning drop-unique"],
        ),
        (
            "ALTER TABLE \"Task\" DROP CONSTRAINT \"unseen\";",
            &["warning drop-unique"],
        ),
        (
            "ALTER INDEX \"Task_title_key\" RENAME TO \"x\"; DROP INDEX x;",
            &["warning drop-unique"],
        ),
        ("CREATE INDEX i ON \"Task\"(\"notes\"); DROP INDEX i;", &[]),
    ] {
        assert_eq!(found(sql), expected, "{sql}");
    }
    let report = judge(&[
        EXAMPLE_CONTEXT,
        "CREATE UNIQUE INDEX i ON \"Task\"(\"notes\", lower(\"title\")) WHERE \"size\" > 1;",
    ]);
    let key = &report.unique_keys[0];
    assert_eq!(
        (key.table.as_str(), key.terms.len(), key.nulls_equal),
        ("Task", 2, false)
    );
    assert_eq!(key.predicate.as_deref(), Some("WHERE \"size\" > 1"));
    assert_eq!(key.finding, report.findings[0].digest);
}

#[test]
fn types_are_compared_with_what_earlier_files_made() {
    for (sql, expected) in [
        (
            "ALTER TABLE \"Task\" ALTER \"title\" TYPE VARCHAR(10);",
            "error narrow-type",
        ),
        (
            "ALTER TABLE \"Task\" ALTER \"size\" TYPE int;",
            "error narrow-type",
        ),
        (
            "ALTER TABLE \"Task\" ALTER \"id\" TYPE int8;",
            "warning change-type",
        ),
        (
            "ALTER TABLE \"Unseen\" ALTER \"a\" TYPE text;",
            "warning change-type",
        ),
    ] {
        assert_eq!(without_the_view(sql), [expected], "{sql}");
    }
}

#[test]
fn what_no_earlier_file_made_counts_as_existing_and_if_exists_as_doubt() {
    assert_eq!(
        found("ALTER TABLE \"Unseen\" DROP COLUMN a;"),
        ["error drop-column"]
    );
    assert_eq!(found("DROP TABLE \"Unseen\";"), ["error drop-table"]);
    assert_eq!(
        found("DROP TABLE IF EXISTS \"Unseen\";"),
        ["warning drop-table"]
    );
    assert_eq!(
        found("ALTER TABLE \"Task\" DROP COLUMN IF EXISTS \"unseen\";"),
        ["warning drop-column"]
    );
}

#[test]
fn foreign_keys_are_warned_about_only_where_rows_can_violate_them() {
    let other = "CREATE TABLE \"List\" (\"id\" INT PRIMARY KEY);";
    let link =
        "ALTER TABLE \"Task\" ADD CONSTRAINT f FOREIGN KEY (\"size\") REFERENCES \"List\"(\"id\")";
    assert_eq!(
        found(&format!("{other}{link};")),
        ["warning add-constraint"]
    );
    assert_eq!(found(&format!("{other}{link} NOT VALID;")), [] as [&str; 0]);
    assert_eq!(
        found(&format!(
            "{other} ALTER TABLE \"Task\" ADD COLUMN \"l\" INT REFERENCES \"List\"(\"id\");"
        )),
        [] as [&str; 0]
    );
    let replaced = "ALTER TABLE \"Task\" DROP CONSTRAINT f;";
    assert_eq!(
        found_in(&[
            EXAMPLE_CONTEXT,
            &format!("{other}{link};"),
            &format!("{replaced}{link};")
        ]),
        [] as [&str; 0]
    );
    assert_eq!(
        found_in(&[
            EXAMPLE_CONTEXT,
            &format!("{other}{link};"),
            &format!("{replaced}{link} ON DELETE CASCADE;")
        ]),
        ["warning behaviour-change"]
    );
}

#[test]
fn columns_that_may_now_be_null_are_listed() {
    let report = judge(&[
        EXAMPLE_CONTEXT,
        "ALTER TABLE \"Task\" ALTER \"title\" DROP NOT NULL, ADD COLUMN \"a\" INT, ADD COLUMN \"b\" INT NOT NULL DEFAULT 1;",
    ]);
    let listed: Vec<_> = report
        .nullable
        .iter()
        .map(|each| (each.column.as_str(), each.added))
        .collect();
    assert_eq!(listed, [("a", true), ("title", false)]);
}

#[test]
fn an_object_made_again_by_the_same_file_is_no_drop() {
    for sql in [
        "DROP VIEW \"OpenTask\"; CREATE VIEW \"OpenTask\" AS SELECT 1;",
        "DROP FUNCTION IF EXISTS f(int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    ] {
        assert_eq!(found(sql), [] as [&str; 0], "{sql}");
    }
    let other = "DROP VIEW \"OpenTask\"; CREATE VIEW \"Other\" AS SELECT 1;";
    assert_eq!(found(other), ["warning drop-object"]);
}

#[test]
fn pending_files_are_judged_one_after_another() {
    let files = [
        ("1".to_owned(), EXAMPLE_CONTEXT.to_owned()),
        (
            "2".to_owned(),
            "ALTER TABLE \"Task\" ADD \"a\" INT;".to_owned(),
        ),
        (
            "3".to_owned(),
            "ALTER TABLE \"Task\" DROP \"a\";".to_owned(),
        ),
    ];
    let all = crate::migration::from_pairs(files).expect("names differ");
    let pending = ["2".to_owned(), "3".to_owned()].into();
    let report = crate::migration::check(&all, &pending);
    let errors: Vec<_> = report
        .findings
        .iter()
        .filter(|each| each.level == Level::Error)
        .collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].migration, "3");
}
