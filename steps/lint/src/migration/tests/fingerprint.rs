//! What a waiver is bound to: void when the statement says something else, and only then.

use super::*;

const UNIQUE: &str =
    "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"notes\") WHERE \"notes\" <> 'n/a -- x';\n";

/// Fingerprints of the warnings in a file.
fn of(sql: &str) -> Vec<String> {
    let findings = judge(&[EXAMPLE_CONTEXT, sql]).findings;
    findings
        .into_iter()
        .filter(|each| each.level == Level::Warning)
        .map(|each| each.digest)
        .collect()
}

#[test]
fn a_waiver_survives_layout_comments_case_and_what_stands_around_the_statement() {
    let first = of(UNIQUE);
    assert_eq!(first.len(), 1);
    let same = [
        "-- why\n\ncreate unique index \"u\"\n\ton \"Task\" ( \"notes\" ) /* a /* nested */ comment */\n where \"notes\"<>'n/a -- x' ;",
        "SELECT 1;\nCREATE UNIQUE INDEX \"u\" ON \"Task\"(\"notes\") WHERE \"notes\"/**/<>--\n'n/a -- x'",
        "CREATE UNIQUE INDEX \"u\" ON \"Task\"(\"notes\") WHERE \"notes\" <> 'n/a -- x';\r\nALTER TABLE \"Task\" ADD COLUMN \"z\" TEXT;",
    ];
    for sql in same {
        assert_eq!(of(sql), first, "{sql}");
    }
}

#[test]
fn a_waiver_is_void_when_anything_in_the_statement_changes() {
    let first = of(UNIQUE);
    let changes = [
        ("'n/a -- x'", "'n/a -- y'"),
        ("'n/a -- x'", "'N/A -- x'"),
        ("'n/a -- x'", "'n/a  -- x'"),
        ("'n/a -- x'", "E'n/a -- x'"),
        ("'n/a -- x'", "'n/a' -- x'"),
        ("<>", "="),
        ("\"u\"", "\"U\""),
        ("\"u\"", "u"),
        ("(\"notes\")", "(\"notes\", \"title\")"),
        (" WHERE \"notes\" <> 'n/a -- x'", ""),
        ("UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY"),
    ];
    for (from, to) in changes {
        let altered = UNIQUE.replace(from, to);
        assert_ne!(altered, UNIQUE);
        let now = of(&altered);
        assert!(!now.contains(&first[0]), "{altered}");
    }
}

#[test]
fn a_waiver_is_for_one_migration_and_for_one_of_two_equal_statements() {
    let dynamic = "DO $$ BEGIN EXECUTE format('drop table %I', 'x'); END $$;\n";
    let once = of(dynamic);
    let twice = of(&dynamic.repeat(2));
    assert_eq!((once.len(), twice.len()), (1, 2));
    assert_eq!(twice[0], once[0]);
    assert_ne!(twice[1], once[0], "who accepts one has not accepted two");
    let elsewhere = judge(&[EXAMPLE_CONTEXT, "", UNIQUE]).findings;
    assert!(elsewhere.iter().all(|each| each.digest != of(UNIQUE)[0]));
}

#[test]
fn code_in_a_body_is_normalised_and_a_literal_in_it_is_not() {
    let body = |inner: &str| format!("DO $$ BEGIN {inner} END $$;");
    let first = of(&body("EXECUTE 'drop table ' || 'Task';"));
    assert!(!first.is_empty());
    assert_eq!(
        of(&body("\n-- by hand\nexecute 'drop table ' ||\n'Task';")),
        first
    );
    assert_eq!(
        of("do $x$ begin execute 'drop table ' || 'Task'; end $x$"),
        first
    );
    assert_ne!(of(&body("EXECUTE 'drop table ' || 'task';")), first);
    assert_ne!(of(&body("EXECUTE 'drop  table ' || 'Task';")), first);
    let quoted = of(&body("EXECUTE $q$drop table x$q$;"));
    assert_ne!(of(&body("EXECUTE $q$DROP table x$q$;")), quoted);
}

#[test]
fn tokens_that_look_alike_are_told_apart() {
    use crate::migration::fingerprint::tokens;
    let different = [
        ("a b", "ab"),
        ("U&\"x\"", "u & \"x\""),
        ("e'a'", "e 'a'"),
        ("a < -1", "a <- 1"),
        ("1e-5", "1e -5"),
        ("'a''b'", "'a' 'b'"),
        ("E'\\' -- x'", "E'\\' -- y'"),
        ("E'a'\n'\\' -- b'", "E'a'\n'\\' -- c'"),
        ("$a$x$a$", "$b$x$b$"),
        ("\"A\"", "\"a\""),
        ("$1", "1"),
    ];
    for (a, b) in different {
        assert_ne!(tokens(a, 0), tokens(b, 0), "{a} and {b}");
    }
    let same = [
        ("SELECT A,B", "select a , b"),
        ("a/* ' */b", "a b"),
        ("a--'\nb", "a b"),
        ("0XFF", "0xff"),
        ("e'ü\\'' x", "e'ü\\''  x"),
    ];
    for (a, b) in same {
        assert_eq!(tokens(a, 0), tokens(b, 0), "{a} and {b}");
    }
}

proptest::proptest! {
    #[test]
    fn every_text_is_read_to_its_end(text in "[ 'eE\"$a\\\\\\n/*;-ü1.&u(]{0,40}") {
        use crate::migration::fingerprint::{hashed, normalised, tokens};
        proptest::prop_assert_eq!(normalised(&text), hashed(tokens(&text, 0)));
        // Nothing but white space and comments is left out, so no token is longer than the text.
        let all = tokens(&text, 0);
        let sum: usize = all.iter().map(String::len).sum();
        proptest::prop_assert!(sum <= text.len());
        proptest::prop_assert_eq!(tokens(&format!(" {text}"), 0), all);
    }
}
