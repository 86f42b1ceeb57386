//! What a team says about rules: levels, suppressions, reasons.

use super::project::{DROP, Project};

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
