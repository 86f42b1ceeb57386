use super::*;
use crate::migration::from_pairs;

fn files(pairs: &[(&str, &str)]) -> Vec<Migration> {
    let pairs = pairs
        .iter()
        .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()));
    from_pairs(pairs).unwrap()
}

fn row(name: &str, sql: &str, finished: bool, rolled_back: bool) -> Row {
    let file = Migration {
        sql: sql.to_owned(),
        ..Migration::default()
    };
    Row {
        name: name.to_owned(),
        checksum: file.sha256(),
        finished,
        rolled_back,
    }
}

fn history(rows: Vec<Row>) -> History {
    let place = Place {
        history: true,
        ..Place::default()
    };
    History {
        schema: "public".into(),
        place,
        rows,
    }
}

#[test]
fn a_checkout_with_crlf_and_one_with_lf_have_the_same_checksum_for_prisma() {
    let (lf, crlf) = ("SELECT 1;\nSELECT 2;\n", "SELECT 1;\r\nSELECT 2;\r\n");
    for (applied, file) in [(crlf, lf), (lf, crlf), (lf, lf), (crlf, crlf)] {
        let compared = compare(
            &files(&[("1", file)]),
            &history(vec![row("1", applied, true, false)]),
        );
        assert_eq!(compared, Comparison::default(), "{applied:?} {file:?}");
    }
    let other = compare(
        &files(&[("1", lf)]),
        &history(vec![row("1", "SELECT 3;", true, false)]),
    );
    assert_eq!(other.faults[0].level, Level::Error);
    assert!(
        other.faults[0]
            .message
            .contains("was changed after it was applied")
    );
}

#[test]
fn a_checksum_from_before_zeros_were_padded_is_known_too() {
    // SHA-256 of "abcd": an engine before 2.16 wrote each byte without its leading zero.
    let file = &files(&[("1", "abcd")])[0];
    let old = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f31589";
    assert!(
        file.sha256()
            .starts_with("88d4266fd4e6338d13b845fcf289579d209c")
    );
    assert!(file.is_of(old));
    assert!(!file.is_of("88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f31580"));
}

#[test]
fn a_row_that_never_finished_says_p3009_and_both_commands() {
    let compared = compare(
        &files(&[("1_init", "SELECT 1;")]),
        &history(vec![row("1_init", "SELECT 1;", false, false)]),
    );
    let fault = &compared.faults[0];
    assert!(fault.message.contains("P3009"), "{fault:?}");
    assert!(
        fault
            .fix
            .contains("npx prisma migrate resolve --rolled-back '1_init'"),
        "{fault:?}"
    );
    assert!(
        fault
            .fix
            .contains("npx prisma migrate resolve --applied '1_init'"),
        "{fault:?}"
    );
    assert!(!fault.fix.contains("Restore the file"), "{fault:?}");
    assert!(compared.pending.is_empty());
}

#[test]
fn tables_without_a_history_are_refused_with_the_commands_that_baseline_them() {
    let place = Place {
        history: false,
        objects: ["Task".to_owned(), "User".to_owned()].into(),
        tables: ["Task".to_owned()].into(),
    };
    let history = History {
        schema: "App".into(),
        place,
        rows: Vec::new(),
    };
    let compared = compare(
        &files(&[("1_init", "SELECT 1;"), ("2_more", "SELECT 2;")]),
        &history,
    );
    let [fault] = compared.faults.as_slice() else {
        panic!("{compared:?}");
    };
    assert_eq!(fault.level, Level::Error);
    assert!(
        fault.message.contains("P3005") && fault.message.contains("Task, User"),
        "{fault:?}"
    );
    assert!(fault.fix.contains("npx prisma migrate resolve --applied '1_init'\nnpx prisma migrate resolve --applied '2_more'"));
    // An empty database has no history either, and that is fine.
    let empty = compare(&files(&[("1_init", "SELECT 1;")]), &History::default());
    assert!(empty.faults.is_empty());
    assert_eq!(empty.pending.len(), 1);
}

#[test]
fn a_file_that_is_gone_is_for_somebody_to_decide_and_one_rolled_back_does_not_count() {
    let rows = vec![
        row("0_gone", "x", true, false),
        row("1", "SELECT 1;", false, true),
        row("1", "SELECT 1;", true, false),
        row("2", "SELECT 2;", true, true),
    ];
    let compared = compare(
        &files(&[("1", "SELECT 1;"), ("2", "SELECT 2;")]),
        &history(rows),
    );
    let [fault] = compared.faults.as_slice() else {
        panic!("{compared:?}");
    };
    assert_eq!(
        (fault.migration.as_str(), fault.level),
        ("0_gone", Level::Warning)
    );
    assert_eq!(compared.pending, ["2".to_owned()].into());
}

#[test]
fn the_questions_quote_whatever_a_schema_is_called() {
    assert!(rows_sql("my-\"App").ends_with("from \"my-\"\"App\".\"_prisma_migrations\""));
    assert!(place_sql("o'x").contains("nspname = 'o''x'"));
    for (name, fine) in [
        ("App", true),
        ("my-app", true),
        ("", false),
        ("a\nb", false),
        (&"x".repeat(64), false),
    ] {
        assert_eq!(is_schema(name), fine, "{name:?}");
    }
}
