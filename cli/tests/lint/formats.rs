//! What each format says.

use serde_json::Value;

use super::project::{DROP, Project};

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
