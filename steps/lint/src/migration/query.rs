//! The read-only queries that decide on real data what the text cannot. They name things as they are before the migration.

use super::op::{Constraint, Key, Name, Rule, quoted};
use super::types::Limit;

/// How many rows there are.
pub(super) fn rows(table: &Name) -> String {
    format!("SELECT count(*) FROM {table};")
}

/// Whether there is a row at all.
pub(super) fn any(table: &Name) -> String {
    format!("SELECT EXISTS (SELECT 1 FROM {table});")
}

/// How many rows a condition selects; empty when the condition cannot stand alone.
pub(super) fn matching(table: &Name, condition: &str) -> String {
    if condition.is_empty() {
        return String::new();
    }
    format!("SELECT count(*) FROM {table} {condition};")
}

/// How many values would be lost.
pub(super) fn values(table: &Name, column: &str) -> String {
    format!(
        "SELECT count(*) FROM {table} WHERE {} IS NOT NULL;",
        quoted(column)
    )
}

/// How many rows forbid NOT NULL.
pub(super) fn nulls(table: &Name, column: &str) -> String {
    format!(
        "SELECT count(*) FROM {table} WHERE {} IS NULL;",
        quoted(column)
    )
}

/// One group of rows that a unique key cannot tell apart; `cast` is the type the columns get.
pub(super) fn duplicates(table: &Name, key: &Key, cast: Option<(&str, &str)>) -> String {
    let term = |term: &String| match cast {
        Some((column, ty)) if *term == quoted(column) => format!("{term}::{ty}"),
        _ => term.clone(),
    };
    let terms: Vec<String> = key.terms.iter().map(term).collect();
    let mut conditions: Vec<String> = Vec::new();
    if let Some(predicate) = &key.predicate {
        let predicate = predicate.get("where".len()..).unwrap_or_default().trim();
        conditions.push(format!("({predicate})"));
    }
    if !key.primary && !key.nulls_not_distinct {
        conditions.extend(terms.iter().map(|term| format!("({term}) IS NOT NULL")));
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let terms = terms.join(", ");
    format!(
        "SELECT {terms}, count(*) FROM {table}{filter} GROUP BY {terms} HAVING count(*) > 1 LIMIT 20;"
    )
}

/// How many rows still hold labels that go, for every column of the type.
pub(super) fn labels<'a>(
    columns: impl Iterator<Item = (&'a Name, &'a str, bool)>,
    gone: &[String],
) -> String {
    let list: Vec<String> = gone
        .iter()
        .map(|label| format!("'{}'", label.replace('\'', "''")))
        .collect();
    let list = list.join(", ");
    let each = columns.map(|(table, column, array)| {
        let column = quoted(column);
        let holds = if array {
            format!("{column}::text[] && ARRAY[{list}]")
        } else {
            format!("{column}::text IN ({list})")
        };
        let what = format!("{table}.{column}").replace('\'', "''");
        format!("SELECT '{what}' AS what, count(*) FROM {table} WHERE {holds}")
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        return String::new();
    }
    format!("{};", all.join("\nUNION ALL "))
}

/// How many values do not fit the new type.
pub(super) fn misfits(table: &Name, column: &str, limit: &Limit) -> String {
    let quoted = quoted(column);
    match limit {
        Limit::Length(most) => {
            format!("SELECT count(*) FROM {table} WHERE char_length({quoted}::text) > {most};")
        }
        Limit::Range(least, most) => {
            format!("SELECT count(*) FROM {table} WHERE {quoted} NOT BETWEEN {least} AND {most};")
        }
        Limit::Other => values(table, column),
    }
}

/// How many rows violate a constraint that is to be added.
pub(super) fn violations(table: &Name, constraint: &Constraint) -> String {
    match (&constraint.rule, &constraint.condition) {
        (Rule::Check(..), Some(condition)) => {
            format!("SELECT count(*) FROM {table} WHERE NOT ({condition});")
        }
        (Rule::Foreign(own, target, theirs, _), _)
            if own.len() == theirs.len() && !own.is_empty() =>
        {
            let mut set = Vec::new();
            let mut equal = Vec::new();
            for (own, theirs) in own.iter().zip(theirs) {
                set.push(format!("a.{} IS NOT NULL", quoted(own)));
                equal.push(format!("b.{} = a.{}", quoted(theirs), quoted(own)));
            }
            format!(
                "SELECT count(*) FROM {table} a WHERE {} AND NOT EXISTS (SELECT 1 FROM {target} b WHERE {});",
                set.join(" AND "),
                equal.join(" AND ")
            )
        }
        _ => String::new(),
    }
}
