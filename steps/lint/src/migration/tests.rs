//! The checker's behaviour, rule by rule and across files.

mod fingerprint;
mod hostile;
mod look_alikes;
mod net_effects;

use std::collections::BTreeSet;

use super::*;

/// Judges the last text after the others.
pub(super) fn judge(files: &[&str]) -> Report {
    let pairs = files
        .iter()
        .enumerate()
        .map(|(at, sql)| (format!("{at:03}_m"), (*sql).to_owned()));
    let all = from_pairs(pairs).expect("names differ");
    let pending = BTreeSet::from([all.last().expect("a file").name.clone()]);
    check(&all, &pending)
}

/// `error drop-column` and so on, for one file after [`EXAMPLE_CONTEXT`].
pub(super) fn found(sql: &str) -> Vec<String> {
    found_in(&[EXAMPLE_CONTEXT, sql])
}

pub(super) fn found_in(files: &[&str]) -> Vec<String> {
    let findings = judge(files).findings;
    findings
        .iter()
        .filter(|each| each.level != Level::Note)
        .map(|each| {
            format!(
                "{} {}",
                if each.waivable { "warning" } else { "error" },
                each.rule
            )
        })
        .collect()
}

#[test]
fn every_rule_fires_on_its_bad_example_and_not_on_its_good_one() {
    for &rule in RuleId::ALL {
        let text = explain(rule);
        let name = rule.as_str();
        let fires = |sql: &str| {
            let pairs = [EXAMPLE_CONTEXT, sql].map(|sql| (sql.len().to_string(), sql.to_owned()));
            let mut all = from_pairs(pairs).expect("names differ");
            all.sort_by_key(|each| each.sql != EXAMPLE_CONTEXT);
            let pending = BTreeSet::from([all[1].name.clone()]);
            let linted = lint(&all, &pending, &mut Weighing::new(&Settings::default()));
            linted.report.findings.iter().any(|each| each.rule == rule)
        };
        // No text shows it: it is found by comparing.
        assert_eq!(
            fires(text.bad),
            !matches!(rule, RuleId::EditedMigration | RuleId::SchemaDrift)
                && !matches!(rule, RuleId::ReplayDiffers | RuleId::ReplayFailed),
            "{name}"
        );
        assert!(!fires(text.good), "{name}");
        assert!(
            ![text.title, text.why, text.fix, text.source].contains(&""),
            "{name}"
        );
        assert_eq!(name.parse::<RuleId>().ok(), Some(rule));
    }
}

#[test]
fn the_context_of_the_examples_is_clean_by_itself() {
    assert_eq!(judge(&[EXAMPLE_CONTEXT]).verdict(), Verdict::Clean);
}

#[test]
fn a_finding_names_place_object_and_digest_and_survives_json() {
    let report = judge(&[
        EXAMPLE_CONTEXT,
        "-- remove\nALTER TABLE \"Task\"\n  DROP COLUMN \"notes\";\n",
    ]);
    let finding = &report.findings[0];
    assert_eq!((finding.line, finding.column), (3, 3));
    assert_eq!(finding.object, "\"Task\".\"notes\"");
    assert_eq!(finding.statement, "DROP COLUMN \"notes\"");
    assert_eq!(finding.migration, "001_m");
    assert!(!finding.waivable);
    assert_eq!(finding.digest.len(), 64);
    let moved = judge(&[
        EXAMPLE_CONTEXT,
        "\nALTER TABLE \"Task\"\n  DROP COLUMN \"notes\";\n",
    ]);
    assert_eq!(moved.findings[0].digest, finding.digest);
    let json = serde_json::to_string(&report).expect("a report is plain data");
    assert_eq!(
        serde_json::from_str::<Report>(&json).expect("what was written"),
        report
    );
    assert_eq!(report.verdict(), Verdict::Errors(1));
    assert_eq!(
        (report.applied, report.pending, report.statements),
        (1, 1, 1)
    );
}

#[test]
fn only_pending_migrations_are_judged_and_a_missing_one_is_an_error() {
    let all = from_pairs([("1".to_owned(), "DROP TABLE a;".to_owned())]).expect("one file");
    assert_eq!(check(&all, &BTreeSet::new()).verdict(), Verdict::Clean);
    assert_eq!(
        check(&all, &BTreeSet::from(["2".to_owned()])).verdict(),
        Verdict::Errors(1)
    );
}

#[test]
fn an_applied_file_that_cannot_be_read_is_reported_while_something_is_pending() {
    assert_eq!(
        found_in(&["CREATE TABLE a (", "CREATE TABLE b (id int);"]),
        ["warning cannot-check"]
    );
}

#[test]
fn folders_are_read_in_order_and_odd_entries_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(dir.path().join(name)).expect("mkdir");
        std::fs::write(dir.path().join(name).join("migration.sql"), bytes).expect("write");
    };
    write("2_b", b"SELECT 2;");
    write("1_a", b"SELECT 1;");
    std::fs::write(dir.path().join("migration_lock.toml"), "x").expect("write");
    let names: Vec<String> = read_folder(dir.path())
        .expect("readable")
        .into_iter()
        .map(|each| each.name)
        .collect();
    assert_eq!(names, ["1_a", "2_b"]);
    let unreadable = || {
        let all = read_folder(dir.path()).expect("readable");
        let names = all.iter().map(|each| each.name.clone()).collect();
        let findings = check(&all, &names).findings;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(
            (findings[0].rule, findings[0].level),
            (RuleId::CannotCheck, Level::Error)
        );
        findings[0].message.clone()
    };
    write("3_c", &[0xff, 0xfe]);
    assert!(unreadable().contains("UTF-8"));
    let large = usize::try_from(MAX_FILE).expect("small") + 1;
    write("3_c", &vec![b' '; large]);
    assert!(unreadable().contains("4 MiB"));
    std::fs::remove_file(dir.path().join("3_c/migration.sql")).expect("remove");
    assert!(unreadable().contains("no migration.sql"));
    std::os::unix::fs::symlink(
        dir.path().join("1_a/migration.sql"),
        dir.path().join("3_c/migration.sql"),
    )
    .expect("link");
    assert!(matches!(
        read_folder(dir.path()),
        Err(LoadError::NotRegular { .. })
    ));
    std::fs::remove_dir_all(dir.path().join("3_c")).expect("remove");
    std::os::unix::fs::symlink(dir.path().join("1_a"), dir.path().join("3_c")).expect("link");
    assert!(matches!(
        read_folder(dir.path()),
        Err(LoadError::NotRegular { .. })
    ));
}

#[test]
fn two_migrations_of_one_name_are_refused() {
    let twice = [
        ("a".to_owned(), String::new()),
        ("a".to_owned(), String::new()),
    ];
    assert!(matches!(
        from_pairs(twice),
        Err(LoadError::Duplicate { .. })
    ));
}
