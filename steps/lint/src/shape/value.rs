//! Defaults, from SQL and from `schema.prisma`, as far as they can be compared.

use self::text::{bare, constant, items_of, pieces};

mod text;

/// What a column holds that an INSERT does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing: an INSERT that leaves it out gives NULL.
    Nothing,
    /// The next number of a sequence: serial, identity, `nextval`.
    Sequence,
    /// The time of the transaction.
    Now,
    /// A constant, as text: `1.50`, `true`, a label.
    Constant(String),
    /// An array of constants.
    List(Vec<String>),
    /// An expression, without casts and layout.
    Expression(String),
    /// It has one that is not known or not compared: a computed column.
    Some,
    /// Nothing is known, or all is left to the database: `dbgenerated()`.
    Unknown,
}

/// How two defaults stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Equality {
    /// They fill with the same.
    Yes,
    /// They do not.
    No,
    /// Text does not tell.
    Undecided,
}

impl DefaultValue {
    /// From SQL, such as `'x'::text` or `nextval('t_id_seq'::regclass)`.
    pub fn of_sql(text: &str) -> DefaultValue {
        let text = bare(text);
        let lower = text.to_ascii_lowercase();
        if text.is_empty() || lower == "null" {
            return DefaultValue::Nothing;
        }
        if lower.starts_with("nextval(") {
            return DefaultValue::Sequence;
        }
        if matches!(
            lower.as_str(),
            "now()" | "current_timestamp" | "transaction_timestamp()"
        ) || lower.starts_with("current_timestamp(")
        {
            return DefaultValue::Now;
        }
        if let Some(inside) = lower
            .strip_prefix("array[")
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let from = text.len() - inside.len() - 1;
            let items: Option<Vec<String>> = pieces(&text[from..text.len() - 1])
                .iter()
                .map(|item| constant(&bare(item)))
                .collect();
            return items.map_or(DefaultValue::Expression(lower.clone()), DefaultValue::List);
        }
        match constant(&text) {
            Some(value) => DefaultValue::Constant(value),
            None => DefaultValue::Expression(lower),
        }
    }

    /// Whether a column of a type (`text`, `jsonb` …) gets the same from both.
    #[expect(
        clippy::match_same_arms,
        reason = "the order of the arms decides, and each says something of its own"
    )]
    pub fn compare(&self, other: &DefaultValue, base: &str, list: bool) -> Equality {
        use DefaultValue::{Constant, Expression, List, Nothing, Some, Unknown};
        let same = |yes: bool| if yes { Equality::Yes } else { Equality::No };
        match (self, other) {
            (Unknown, _) | (_, Unknown) => Equality::Undecided,
            (Nothing, Nothing) => Equality::Yes,
            (Nothing, _) | (_, Nothing) => Equality::No,
            (Some, _) | (_, Some) => Equality::Undecided,
            // What a time or bytes are depends on settings; Prisma does not compare them either.
            (Constant(_), Constant(_)) if is_written_variously(base) && !list => {
                Equality::Undecided
            }
            (Constant(a), Constant(b)) if list => match (items_of(a), items_of(b)) {
                (Option::Some(a), Option::Some(b)) => same(lists(&a, &b, base)),
                _ => Equality::Undecided,
            },
            (Constant(a), Constant(b)) => same(constants(a, b, base)),
            (List(a), List(b)) if is_written_variously(base) => same(a.len() == b.len()),
            (List(a), List(b)) => same(lists(a, b, base)),
            (List(a), Constant(b)) | (Constant(b), List(a)) => match items_of(b) {
                Option::Some(b) => same(lists(a, &b, base)),
                None => Equality::Undecided,
            },
            (Expression(a), Expression(b)) if a == b => Equality::Yes,
            (Expression(_), _) | (_, Expression(_)) => Equality::Undecided,
            (a, b) => same(a == b),
        }
    }

    /// As `SET DEFAULT` needs it; nothing when there is none, or it cannot be written here.
    pub fn sql(&self, list: &str) -> Option<String> {
        match self {
            DefaultValue::Now => Some("CURRENT_TIMESTAMP".to_owned()),
            DefaultValue::Constant(text) => Some(literal(text)),
            DefaultValue::List(items) => {
                let items: Vec<String> = items.iter().map(|item| literal(item)).collect();
                Some(format!("ARRAY[{}]::{list}", items.join(", ")))
            }
            DefaultValue::Expression(text) => Some(text.clone()),
            DefaultValue::Nothing
            | DefaultValue::Sequence
            | DefaultValue::Some
            | DefaultValue::Unknown => None,
        }
    }

    /// For a message.
    pub fn words(&self) -> String {
        match self {
            DefaultValue::Nothing => "no default".to_owned(),
            DefaultValue::Sequence => "the next number of a sequence".to_owned(),
            DefaultValue::Some | DefaultValue::Unknown => "a default that is not known".to_owned(),
            each => each.sql("…").unwrap_or_default(),
        }
    }
}

fn literal(text: &str) -> String {
    let number =
        !text.is_empty() && text.parse::<f64>().is_ok() && !text.contains(['n', 'N', 'i', 'I']);
    if number || text == "true" || text == "false" {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

fn is_written_variously(base: &str) -> bool {
    matches!(
        base,
        "timestamp"
            | "timestamptz"
            | "date"
            | "time"
            | "timetz"
            | "interval"
            | "bytea"
            | "bit"
            | "varbit"
            | "inet"
            | "money"
            | "xml"
    )
}

fn lists(a: &[String], b: &[String], base: &str) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| constants(a, b, base))
}

fn constants(a: &str, b: &str, base: &str) -> bool {
    match base {
        "json" | "jsonb" => {
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            match (read(a), read(b)) {
                (Some(a), Some(b)) => a == b,
                _ => a == b,
            }
        }
        "boolean" => truth(a) == truth(b),
        "integer" | "bigint" | "smallint" | "numeric" | "real" | "double precision" | "oid" => {
            number(a) == number(b)
        }
        "uuid" | "citext" => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn truth(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "t" | "true" | "yes" | "on" | "1" => "true".to_owned(),
        "f" | "false" | "no" | "off" | "0" => "false".to_owned(),
        _ => lower,
    }
}

/// `1`, `1.0`, `+1` and `01.00` are one number.
fn number(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return text
            .parse::<f64>()
            .map_or_else(|_| text.to_owned(), |n| format!("{n}"));
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && part.is_empty() {
        ""
    } else {
        sign
    };
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_says_the_same_default_in_many_forms() {
        let table = [
            ("'x'::text", DefaultValue::Constant("x".into())),
            (
                "('it''s'::character varying(20))",
                DefaultValue::Constant("it's".into()),
            ),
            ("E'a\\\\b'", DefaultValue::Constant("a\\b".into())),
            ("'open'::\"Status\"", DefaultValue::Constant("open".into())),
            (
                "'open'::audit.\"Status\"",
                DefaultValue::Constant("open".into()),
            ),
            ("(- 1)", DefaultValue::Constant("-1".into())),
            ("(-1.50)::numeric", DefaultValue::Constant("-1.50".into())),
            ("NULL", DefaultValue::Nothing),
            ("NULL::character varying", DefaultValue::Nothing),
            ("CURRENT_TIMESTAMP", DefaultValue::Now),
            ("now()", DefaultValue::Now),
            ("CURRENT_TIMESTAMP(3)", DefaultValue::Now),
            (
                "nextval('\"Task_id_seq\"'::regclass)",
                DefaultValue::Sequence,
            ),
            ("ARRAY[]::TEXT[]", DefaultValue::List(Vec::new())),
            (
                "ARRAY['a'::text, 'b, c'::text]",
                DefaultValue::List(vec!["a".into(), "b, c".into()]),
            ),
            (
                "gen_random_uuid()",
                DefaultValue::Expression("gen_random_uuid()".into()),
            ),
            (
                "( gen_random_uuid ( ) )::text",
                DefaultValue::Expression("gen_random_uuid()".into()),
            ),
        ];
        for (sql, expected) in table {
            assert_eq!(DefaultValue::of_sql(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_text_cannot_tell_is_no_difference() {
        let of = DefaultValue::of_sql;
        let table = [
            ("1", "1.0", "numeric", false, Equality::Yes),
            ("0", "'0'", "integer", false, Equality::Yes),
            ("true", "'t'", "boolean", false, Equality::Yes),
            (
                "'{\"a\": 1}'",
                "'{\"a\":1}'::jsonb",
                "jsonb",
                false,
                Equality::Yes,
            ),
            (
                "ARRAY[]::text[]",
                "'{}'::text[]",
                "text",
                true,
                Equality::Yes,
            ),
            ("ARRAY['a']", "'{a}'", "text", true, Equality::Yes),
            ("'{}'", "'{a}'", "text", true, Equality::No),
            ("'a'", "'b'", "text", false, Equality::No),
            (
                "'2020-01-01'",
                "'2020-01-01 00:00:00'::timestamp",
                "timestamp",
                false,
                Equality::Undecided,
            ),
            (
                "gen_random_uuid()",
                "uuid_generate_v4()",
                "uuid",
                false,
                Equality::Undecided,
            ),
            ("gen_random_uuid()", "NULL", "uuid", false, Equality::No),
            ("nextval('a')", "1", "integer", false, Equality::No),
            (
                "now()",
                "CURRENT_TIMESTAMP",
                "timestamp",
                false,
                Equality::Yes,
            ),
        ];
        for (a, b, base, list, expected) in table {
            assert_eq!(of(a).compare(&of(b), base, list), expected, "{a} {b}");
            assert_eq!(of(b).compare(&of(a), base, list), expected, "{b} {a}");
        }
    }
}
