//! Input nobody wrote in good faith.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{EXAMPLE_CONTEXT, found_in, judge};
use crate::migration::{RuleId, explain};

#[test]
fn deep_nesting_is_refused_as_not_checkable() {
    for piece in ["(", "not ", "1 + ", "(select ", "case when "] {
        let sql = format!("select {}", piece.repeat((4 << 20) / piece.len() - 10));
        assert_eq!(found_in(&[&sql]), ["error cannot-check"], "{piece}");
    }
}

#[test]
fn four_mebibytes_are_judged_in_bounded_time() {
    let row = "INSERT INTO \"Task\" (\"title\") VALUES ('a'), ('b'), ('c'), ('d'), ('e'), ('f'), ('g'), ('h');\n";
    let sql = row.repeat((4 << 20) / row.len() - 1) + "DROP TABLE \"Task\";";
    let began = Instant::now();
    assert_eq!(
        found_in(&[EXAMPLE_CONTEXT, &sql]),
        ["error drop-table", "error view-in-the-way"]
    );
    assert!(
        began.elapsed() < Duration::from_mins(3),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn an_open_end_is_a_syntax_error() {
    assert_eq!(found_in(&["select 'a"]), ["error syntax-error"]);
    assert_eq!(
        found_in(&["\u{feff}DROP TABLE a;\0"])
            .first()
            .map(String::as_str),
        Some("error syntax-error")
    );
}

/// Every example of the documentation, cut into words and signs.
fn pieces() -> Vec<String> {
    let mut all = Vec::new();
    for &rule in RuleId::ALL {
        for text in [explain(rule).bad, explain(rule).good] {
            all.extend(
                text.split_inclusive([' ', '\n', '(', ')', ',', ';', '"', '\'', '$'])
                    .map(str::to_owned),
            );
        }
    }
    all.sort();
    all.dedup();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(sql in "\\PC{0,200}|[a-z\"'$;()/*\\-. \n]{0,200}") {
        let report = judge(&[EXAMPLE_CONTEXT, &sql]);
        prop_assert_eq!(report.pending, 1);
    }

    #[test]
    fn no_shuffle_of_real_statements_makes_it_panic(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        let pieces = pieces();
        let sql: String = picks.iter().map(|pick| pick.get(&pieces).as_str()).collect();
        let report = judge(&[EXAMPLE_CONTEXT, &sql]);
        prop_assert!(report.findings.iter().all(|each| each.line >= 1 && each.column >= 1));
        prop_assert_eq!(&report, &judge(&[EXAMPLE_CONTEXT, &sql]));
    }

    #[test]
    fn one_word_out_of_place_in_a_real_migration_makes_no_panic(at in any::<prop::sample::Index>(), rule in any::<prop::sample::Index>(), put in any::<prop::sample::Index>()) {
        let text = explain(*rule.get(RuleId::ALL)).bad;
        let mut words: Vec<&str> = text.split(' ').collect();
        let pieces = pieces();
        let at = at.index(words.len());
        words[at] = put.get(&pieces).as_str();
        judge(&[EXAMPLE_CONTEXT, &words.join(" ")]);
    }
}
