//! The migration check against a table of cases: small histories and exactly what must be found in the last file of each.
//! Cases are kept as text (`migration/cases/*.sql`), so that adding one costs nothing:
//!
//! ```text
//! === what it is about
//! SQL of one migration (after the context that every case starts from)
//! ---
//! SQL of the next one; only the last is judged
//! => error drop-column "Book"."isbn"
//! => warning explicit-transaction
//! ```
//!
//! `=> nothing` for no finding. Notes count only in cases that expect one.

use std::collections::BTreeSet;

use flow_lint::migration::{Finding, Level, check, from_pairs};

/// The schema every case starts from.
const CONTEXT: &str = include_str!("migration/context.sql");

const FILES: &[(&str, &str)] = &[
    ("columns", include_str!("migration/cases/columns.sql")),
    (
        "constraints",
        include_str!("migration/cases/constraints.sql"),
    ),
    ("enums", include_str!("migration/cases/enums.sql")),
    ("hidden", include_str!("migration/cases/hidden.sql")),
    ("histories", include_str!("migration/cases/histories.sql")),
    ("keys", include_str!("migration/cases/keys.sql")),
    ("locks", include_str!("migration/cases/locks.sql")),
    ("not_null", include_str!("migration/cases/not_null.sql")),
    ("rows", include_str!("migration/cases/rows.sql")),
    ("tables", include_str!("migration/cases/tables.sql")),
    ("twice", include_str!("migration/cases/twice.sql")),
    ("text", include_str!("migration/cases/text.sql")),
    ("types", include_str!("migration/cases/types.sql")),
    ("views", include_str!("migration/cases/views.sql")),
];

struct Case {
    name: String,
    files: Vec<String>,
    expected: Vec<String>,
}

fn cases(topic: &str, text: &str) -> Vec<Case> {
    let mut all = Vec::new();
    for part in text.split("=== ").skip(1) {
        let (name, body) = part.split_once('\n').expect("a case has a name");
        let (sql, expected): (Vec<&str>, Vec<&str>) =
            body.lines().partition(|line| !line.starts_with("=> "));
        let expected: Vec<String> = expected
            .iter()
            .map(|line| line.trim_start_matches("=> ").trim().to_owned())
            .filter(|line| line != "nothing")
            .collect();
        assert!(body.contains("=> "), "{topic}: {name} expects something");
        let files = sql.join("\n");
        let files = files.split("\n---\n").map(str::to_owned).collect();
        all.push(Case {
            name: format!("{topic}: {name}"),
            files,
            expected,
        });
    }
    all
}

fn judged(case: &Case) -> Vec<Finding> {
    let texts = std::iter::once(CONTEXT).chain(case.files.iter().map(String::as_str));
    let pairs = texts
        .enumerate()
        .map(|(at, sql)| (format!("{at:03}_m"), sql.to_owned()));
    let all = from_pairs(pairs).expect("names differ");
    let pending = BTreeSet::from([all.last().expect("a file").name.clone()]);
    check(&all, &pending).findings
}

fn found(case: &Case) -> Vec<String> {
    let notes = case.expected.iter().any(|each| each.starts_with("note"));
    let mut found: Vec<String> = judged(case)
        .iter()
        .filter(|finding| notes || finding.level != Level::Note)
        .map(|finding| {
            let level = format!("{:?}", finding.level).to_lowercase();
            format!("{level} {} {}", finding.rule, finding.object)
                .trim()
                .to_owned()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The same text, laid out differently: another blank wherever there was one, and every keyword in the other case. Read by
/// the parser's own lexer, so that a mistake of the fingerprint's is not made here too.
fn laid_out_anew(sql: &str) -> String {
    use squawk_syntax::{SourceFile, SyntaxKind, ast::AstNode as _};
    let tree = SourceFile::parse(sql).tree();
    let tokens = tree.syntax().descendants_with_tokens();
    let tokens = tokens.filter_map(squawk_syntax::SyntaxElement::into_token);
    let mut text = "-- anew\n".to_owned();
    for token in tokens {
        let raw = token.text();
        match token.kind() {
            SyntaxKind::WHITESPACE | SyntaxKind::COMMENT => {
                text.push_str("\n\t/* it's */ -- \"x\n");
            }
            kind if format!("{kind:?}").ends_with("_KW") => text += &raw.to_ascii_lowercase(),
            _ => text += raw,
        }
    }
    text
}

#[test]
fn every_finding_keeps_its_fingerprint_when_its_file_is_laid_out_anew() {
    let mut compared = 0;
    for (topic, text) in FILES {
        for case in cases(topic, text) {
            let prints = |case: &Case| -> BTreeSet<String> {
                let waivable = judged(case).into_iter().filter(|each| each.waivable);
                waivable.map(|each| each.digest).collect()
            };
            let before = prints(&case);
            let mut files = case.files.clone();
            let last = files.last_mut().expect("a file");
            *last = laid_out_anew(last);
            let anew = Case {
                files,
                name: case.name.clone(),
                expected: Vec::new(),
            };
            assert_eq!(prints(&anew), before, "{}: {:?}", case.name, anew.files);
            compared += before.len();
        }
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn the_page_of_rules_says_what_the_rules_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");
    let page = flow_lint::migration::rules_page();
    if std::env::var_os("UPDATE_RULES").is_some() {
        std::fs::write(path, &page).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(path).expect("docs/rules.md");
    assert!(
        kept == page,
        "docs/rules.md is old: UPDATE_RULES=1 cargo test -p flow-lint --test migration"
    );
}

#[test]
fn every_rule_fires_in_the_table_at_a_level_it_is_said_to_have() {
    use flow_lint::migration::RuleId;
    let mut seen: BTreeSet<(RuleId, Level)> = BTreeSet::new();
    for (topic, text) in FILES {
        for case in cases(topic, text) {
            seen.extend(judged(&case).iter().map(|each| (each.rule, each.level)));
        }
    }
    for (rule, level) in &seen {
        assert!(
            rule.levels().contains(level),
            "{rule} is also {}",
            level.as_str()
        );
    }
    let unseen = RuleId::ALL
        .iter()
        .filter(|rule| !seen.iter().any(|(each, _)| each == *rule));
    let unseen: Vec<&str> = unseen.map(|rule| rule.as_str()).collect();
    // A body that cannot be read, comparisons, and comments, which only `lint` follows, have tests of their own.
    let elsewhere = [
        "edited-migration",
        "schema-drift",
        "cannot-check",
        "suppression",
        "replay-differs",
        "replay-failed",
    ];
    assert_eq!(unseen, elsewhere);
}

#[test]
fn every_case_of_the_table_is_judged_exactly_as_it_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut names = BTreeSet::new();
    for (topic, text) in FILES {
        for case in cases(topic, text) {
            count += 1;
            assert!(names.insert(case.name.clone()), "{} twice", case.name);
            let found = found(&case);
            let mut expected = case.expected.clone();
            expected.sort();
            // An expectation without an object accepts any.
            let same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, expected)| {
                    found == expected
                        || (expected.split(' ').count() == 2
                            && found.starts_with(&format!("{expected} ")))
                });
            if !same {
                wrong.push(format!(
                    "{}\n  expected {expected:#?}\n  found    {found:#?}",
                    case.name
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 150, "the table has shrunk to {count} cases");
}
