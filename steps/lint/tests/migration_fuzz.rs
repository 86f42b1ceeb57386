//! The migration check on damaged input: the texts of the case table, cut, repeated, spliced and nested. It must not crash,
//! must end soon, and must never take damage for an all-clear.
//!
//! `PROPTEST_CASES=20000` tries more than the few of `make test`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use flow_lint::migration::{Migration, Report, RuleId, check, from_pairs};
use proptest::prelude::*;
use proptest::sample::Index;

const CONTEXT: &str = include_str!("migration/context.sql");

/// The corpus: every migration of the case table.
fn corpus() -> Vec<&'static str> {
    let files = [
        include_str!("migration/cases/columns.sql"),
        include_str!("migration/cases/enums.sql"),
        include_str!("migration/cases/hidden.sql"),
        include_str!("migration/cases/histories.sql"),
        include_str!("migration/cases/keys.sql"),
        include_str!("migration/cases/rows.sql"),
        include_str!("migration/cases/text.sql"),
    ];
    files
        .iter()
        .flat_map(|file| file.split("=== ").skip(1))
        .filter_map(|case| case.split_once('\n'))
        .flat_map(|(_, body)| body.split("\n---\n"))
        .map(|sql| sql.split("\n=> ").next().unwrap_or_default())
        .collect()
}

fn judge(sql: &str) -> Report {
    let pairs = [
        ("1".to_owned(), CONTEXT.to_owned()),
        ("2".to_owned(), sql.to_owned()),
    ];
    let all: Vec<Migration> = from_pairs(pairs).expect("small and distinct");
    check(&all, &BTreeSet::from(["2".to_owned()]))
}

/// What breaks parsers: open ends, deep nesting, odd characters.
const HOSTILE: &[&str] = &[
    "'",
    "\"",
    "$$",
    "$q$",
    "/*",
    "*/",
    "--",
    "\\",
    ";",
    "(",
    ")",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "é",
    "E'\\",
    "U&\"",
    "\r",
    "BEGIN",
    "END",
    "CASE",
    "DO $$ BEGIN",
    "EXECUTE",
    "::",
    "1e999",
    "$1",
    "@@",
    "\u{a0}",
];

#[derive(Debug, Clone)]
enum Damage {
    Cut(Index, Index),
    Repeat(Index, Index, usize),
    Insert(Index, Index),
    Splice(Index, Index, Index),
    Nest(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        (index(), index()).prop_map(|(a, b)| Damage::Cut(a, b)),
        (index(), index(), 2..200_usize).prop_map(|(a, b, n)| Damage::Repeat(a, b, n)),
        (index(), index()).prop_map(|(at, what)| Damage::Insert(at, what)),
        (index(), index(), index()).prop_map(|(a, b, c)| Damage::Splice(a, b, c)),
        (index(), 2..60_000_usize).prop_map(|(at, n)| Damage::Nest(at, n)),
    ]
}

/// The nearest place a text can be cut.
fn place(text: &str, index: Index) -> usize {
    let mut at = index.index(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn range(text: &str, a: Index, b: Index) -> (usize, usize) {
    let (a, b) = (place(text, a), place(text, b));
    (a.min(b), a.max(b))
}

fn apply(text: &mut String, damage: &Damage) {
    match damage {
        Damage::Cut(a, b) => {
            let (from, to) = range(text, *a, *b);
            text.replace_range(from..to, "");
        }
        Damage::Repeat(a, b, times) => {
            let (from, to) = range(text, *a, *b);
            let times = (*times).min(200_000 / (to - from).max(1));
            let more = text[from..to].repeat(times);
            text.insert_str(from, &more);
        }
        Damage::Insert(at, what) => {
            let at = place(text, *at);
            text.insert_str(at, what.get::<&str>(HOSTILE));
        }
        Damage::Splice(at, other, cut) => {
            let corpus = corpus();
            let other = other.get(&corpus);
            let at = place(text, *at);
            text.insert_str(at, &other[..place(other, *cut)]);
        }
        Damage::Nest(at, times) => {
            let at = place(text, *at);
            let open = ["(", "[", "SELECT (", "CASE WHEN ", "BEGIN ", "NOT "][times % 6];
            text.insert_str(at, &open.repeat(*times));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_neither_crashes_nor_hangs(pick in any::<Index>(), damages in prop::collection::vec(damage(), 1..5)) {
        let mut sql = (*pick.get(&corpus())).to_owned();
        for each in &damages {
            apply(&mut sql, each);
        }
        let began = Instant::now();
        let report = judge(&sql);
        prop_assert!(began.elapsed() < Duration::from_mins(1), "{:?} for {} bytes", began.elapsed(), sql.len());
        for finding in &report.findings {
            prop_assert!(finding.line >= 1 && finding.column >= 1 && finding.length >= 1);
            prop_assert!(!finding.message.is_empty());
        }
        prop_assert_eq!(&report, &judge(&sql));
    }

    /// Whatever correct or incorrect text stands before it, a drop is found, or the file is refused as a whole.
    #[test]
    fn a_drop_behind_any_of_it_is_found_or_the_file_is_refused(picks in prop::collection::vec(any::<Index>(), 0..6)) {
        let corpus = corpus();
        let texts: Vec<&str> = picks.iter().map(|pick| *pick.get(&corpus)).chain([""]).collect();
        let mut sql = texts.join("\n;\n");
        sql.push_str("DROP TABLE \"Author\";\n");
        let report = judge(&sql);
        let spoken = report.findings.iter().any(|finding| match finding.rule {
            RuleId::DropTable => finding.object == "\"Author\"",
            RuleId::SyntaxError | RuleId::CannotCheck => true,
            _ => false,
        });
        prop_assert!(spoken, "{sql}");
    }
}
