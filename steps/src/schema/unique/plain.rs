//! Whether a query only looks: parts of it are a migration's own words (the condition of an index, of a check), and it runs
//! on the target before anybody runs the migration there.

/// Words before a bracket that call nothing, types that take a length, and functions that only compute.
const BEFORE_BRACKET: &[&str] = &[
    "abs",
    "all",
    "and",
    "any",
    "array_length",
    "as",
    "between",
    "btrim",
    "by",
    "cardinality",
    "case",
    "cast",
    "ceil",
    "char",
    "char_length",
    "character",
    "coalesce",
    "concat",
    "count",
    "date",
    "date_part",
    "date_trunc",
    "decimal",
    "else",
    "exists",
    "extract",
    "filter",
    "floor",
    "from",
    "greatest",
    "having",
    "ilike",
    "in",
    "is",
    "jsonb_array_length",
    "jsonb_typeof",
    "least",
    "left",
    "length",
    "like",
    "lower",
    "ltrim",
    "md5",
    "mod",
    "not",
    "nullif",
    "numeric",
    "octet_length",
    "on",
    "or",
    "over",
    "position",
    "regexp_replace",
    "replace",
    "right",
    "round",
    "rtrim",
    "select",
    "similar",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "sum",
    "then",
    "time",
    "timestamp",
    "to",
    "trim",
    "trunc",
    "twins",
    "union",
    "upper",
    "values",
    "varchar",
    "varying",
    "when",
    "where",
    "array",
];

/// What stands in the way of running it, if anything does.
pub(super) fn objection(query: &str) -> Option<String> {
    let odd =
        |c: char| c == '\\' || c == '$' || c == ';' || (c.is_control() && !"\n\t\r".contains(c));
    let mut word = String::new();
    // Whether a quoted name was the last thing before what is read now.
    let mut named = false;
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => {
                if !closes(&mut rest, c) {
                    return Some("a quote is not closed".into());
                }
                named = c == '"';
                word.clear();
            }
            '(' => {
                let called = word.to_lowercase();
                if named || !(called.is_empty() || BEFORE_BRACKET.contains(&called.as_str())) {
                    let called = if named { "a quoted name" } else { &called };
                    return Some(format!(
                        "it calls {called}, which is not known to only compute"
                    ));
                }
                word.clear();
            }
            '-' if rest.peek() == Some(&'-') => return Some("it holds a comment".into()),
            '/' if rest.peek() == Some(&'*') => return Some("it holds a comment".into()),
            c if odd(c) => return Some(format!("it holds {}", c.escape_debug())),
            c if c.is_alphanumeric() || c == '_' || c == '.' => {
                if named || word.ends_with(' ') {
                    word.clear();
                }
                word.push(c);
                named = false;
            }
            c if c.is_whitespace() => {
                // A name and its bracket may stand apart.
                if !word.is_empty() && !word.ends_with(' ') {
                    let more = rest.clone().find(|c| !c.is_whitespace());
                    if more != Some('(') {
                        word.push(' ');
                    }
                }
            }
            _ => {
                word.clear();
                named = false;
            }
        }
    }
    None
}

fn closes(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> bool {
    while let Some(c) = rest.next() {
        if c == '\\' {
            return false;
        }
        if c == quote && rest.next_if_eq(&quote).is_none() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_check_asks_is_plain() {
        for sql in [
            r#"SELECT count(*) FROM "Task" WHERE "a" IS NULL"#,
            r#"SELECT lower("a"), count(*) FROM "T" WHERE ("deletedAt" IS NULL) AND (lower("a")) IS NOT NULL GROUP BY lower("a")"#,
            r#"SELECT count(*) FROM "T" a WHERE a."x" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "U" b WHERE b."id" = a."x")"#,
            r#"SELECT '"T"."s"' AS what, count(*) FROM "T" WHERE "s"::text IN ('it''s (a)', 'b')"#,
            r#"SELECT count(*) FROM "T" WHERE NOT ("n" >= -1 AND char_length ("a"::text) > 3)"#,
        ] {
            assert_eq!(objection(sql), None, "{sql}");
        }
    }

    #[test]
    fn what_does_more_than_look_is_not_run() {
        for sql in [
            "SELECT pg_read_file('/etc/passwd')",
            "SELECT pg_terminate_backend (1)",
            "SELECT 1 WHERE public.f(1)",
            "SELECT 1 WHERE PG_SLEEP\n(9) IS NULL",
            r#"SELECT 1 WHERE "pg_sleep"(9) IS NULL"#,
            r#"SELECT 1 WHERE "pg_sleep" (9) IS NULL"#,
            "SELECT 1; DROP TABLE x",
            "SELECT 1 -- (",
            "SELECT lower/**/(1)",
            "SELECT 1 \\! id",
            "SELECT E'\\''",
            "SELECT $$a$$",
            "SELECT 'a",
        ] {
            assert!(objection(sql).is_some(), "{sql}");
        }
    }
}
