//! `flow lint --replay`.

use crate::project::Project;

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
    // An entry for a migration that was compared and holds nothing of it is told; one behind the failed migration is not.
    for (name, is_told) in [("2_hidden", true), ("4_behind", false)] {
        let ignore = format!(
            "[[lint.ignore]]\nrule = \"replay-failed\"\nmigration = \"{name}\"\nreason = \"meant\"\n"
        );
        project.write("flow.toml", &ignore);
        let (_, text) = project.lint(&["migrations", "--replay"]);
        let said =
            format!("[[lint.ignore]] of flow.toml for replay-failed in {name} suppresses nothing");
        assert_eq!(text.contains(&said), is_told, "{name}: {text}");
    }
    project.write(
        "flow.toml",
        "[[lint.ignore]]\nrule = \"replay-differs\"\nmigration = \"2_hidden\"\nreason = \"meant\"\n",
    );
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
