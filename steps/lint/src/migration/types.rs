//! Which type changes keep every value.

use super::op::SqlType;

/// What becomes of the old values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Same,
    /// Some old value does not fit, or loses a part.
    Narrower,
    /// Every old value fits, or it is not known.
    Other,
}

/// Pairs in which the second cannot hold every value of the first (manual, chapter Data Types). Lengths and precisions are
/// compared separately.
const NARROWER: &[(&str, &[&str])] = &[
    (
        "bigint",
        &["integer", "smallint", "real", "double precision", "boolean"],
    ),
    ("integer", &["smallint", "real", "boolean"]),
    ("smallint", &["boolean"]),
    (
        "numeric",
        &["bigint", "integer", "smallint", "real", "double precision"],
    ),
    (
        "double precision",
        &["real", "bigint", "integer", "smallint", "numeric"],
    ),
    ("real", &["bigint", "integer", "smallint", "numeric"]),
    (
        "timestamptz",
        &["timestamp", "date", "time", "timetz", "boolean"],
    ),
    ("timestamp", &["date", "time", "boolean"]),
    ("timetz", &["time"]),
    ("date", &["boolean"]),
    ("jsonb", &["boolean", "integer", "bigint"]),
    (
        "text",
        &[
            "boolean",
            "integer",
            "bigint",
            "smallint",
            "uuid",
            "date",
            "timestamp",
            "timestamptz",
            "char",
        ],
    ),
    (
        "varchar",
        &[
            "boolean",
            "integer",
            "bigint",
            "smallint",
            "uuid",
            "date",
            "timestamp",
            "timestamptz",
            "char",
        ],
    ),
];

pub(super) fn fit(old: &SqlType, new: &SqlType) -> Fit {
    if old == new {
        return Fit::Same;
    }
    if old.array != new.array {
        return if old.array { Fit::Narrower } else { Fit::Other };
    }
    let (from, to) = (old.base.name.as_str(), new.base.name.as_str());
    if old.base == new.base {
        return match same_base(from, &old.args, &new.args) {
            false => Fit::Narrower,
            true if keeps_pages(from, &old.args, &new.args) => Fit::Same,
            true => Fit::Other,
        };
    }
    // Stored alike (manual, ALTER TABLE: text and varchar are binary coercible): neither rows nor indexes are touched.
    if matches!((from, to), ("varchar" | "text", "text"))
        || (from, to) == ("text", "varchar") && new.args.is_empty()
    {
        return Fit::Same;
    }
    let listed = NARROWER
        .iter()
        .any(|(wide, narrow)| *wide == from && narrow.contains(&to));
    // A limited text column takes longer values from text, from unlimited varchar, and from longer ones.
    let text = |name: &str| matches!(name, "text" | "varchar" | "char");
    let shorter = text(from)
        && matches!(to, "varchar" | "char")
        && new
            .args
            .first()
            .is_some_and(|limit| old.args.first().is_none_or(|length| length > limit));
    if (listed && !(text(from) && to == "char")) || shorter {
        Fit::Narrower
    } else {
        Fit::Other
    }
}

/// Whether a larger limit leaves the stored rows as they are. A new scale or a fixed length does not.
fn keeps_pages(base: &str, old: &[i64], new: &[i64]) -> bool {
    match base {
        "varchar" | "timestamp" | "timestamptz" | "time" | "timetz" | "interval" => true,
        "numeric" => new.is_empty() || new.get(1).unwrap_or(&0) == old.get(1).unwrap_or(&0),
        _ => false,
    }
}

/// What a value must keep to, to fit the new type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Limit {
    Length(i64),
    Range(i64, i64),
    Other,
}

/// The limit of a narrower type that a query can look for.
pub(super) fn limit(new: &SqlType) -> Limit {
    match (new.base.name.as_str(), new.args.first()) {
        _ if new.array => Limit::Other,
        ("varchar" | "char", Some(&length)) => Limit::Length(length),
        ("smallint", _) => Limit::Range(i64::from(i16::MIN), i64::from(i16::MAX)),
        ("integer", _) => Limit::Range(i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => Limit::Other,
    }
}

/// Whether every value of `old` fits `new` when only length, precision or scale differ.
fn same_base(base: &str, old: &[i64], new: &[i64]) -> bool {
    if new.is_empty() {
        return true;
    }
    if old.is_empty() {
        return false;
    }
    if base == "numeric" {
        let scale = |args: &[i64]| args.get(1).copied().unwrap_or(0);
        let whole = |args: &[i64]| args.first().copied().unwrap_or(0) - scale(args);
        return whole(new) >= whole(old) && scale(new) >= scale(old);
    }
    new.first() >= old.first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::op::Name;

    fn ty(base: &str, args: &[i64]) -> SqlType {
        SqlType {
            base: Name::new(None, base.to_owned()),
            args: args.to_vec(),
            array: false,
        }
    }

    #[test]
    fn lengths_ranges_and_precisions_are_compared() {
        for (old, new, expected) in [
            (ty("text", &[]), ty("varchar", &[20]), Fit::Narrower),
            (ty("text", &[]), ty("varchar", &[]), Fit::Same),
            (ty("varchar", &[20]), ty("text", &[]), Fit::Same),
            (ty("char", &[2]), ty("char", &[3]), Fit::Other),
            (ty("varchar", &[100]), ty("varchar", &[10]), Fit::Narrower),
            (ty("varchar", &[10]), ty("varchar", &[100]), Fit::Same),
            (ty("bigint", &[]), ty("integer", &[]), Fit::Narrower),
            (ty("integer", &[]), ty("bigint", &[]), Fit::Other),
            (ty("timestamp", &[]), ty("date", &[]), Fit::Narrower),
            (ty("timestamp", &[3]), ty("timestamp", &[]), Fit::Same),
            (ty("timestamp", &[]), ty("timestamp", &[3]), Fit::Narrower),
            (
                ty("numeric", &[10, 2]),
                ty("numeric", &[10, 4]),
                Fit::Narrower,
            ),
            (ty("numeric", &[10, 2]), ty("numeric", &[12, 4]), Fit::Other),
            (ty("text", &[]), ty("text", &[]), Fit::Same),
        ] {
            assert_eq!(fit(&old, &new), expected, "{old} -> {new}");
        }
    }
}
