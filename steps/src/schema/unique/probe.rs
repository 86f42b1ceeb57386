//! From a finding to the questions that decide it.

use flow_lint::migration::{Finding, Report, UniqueKey};

const COUNT: &str = "SELECT count(*) FROM ";
/// Keys of rows that are named.
pub(super) const NAMED: usize = 20;

/// How to find the rows that violate something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probe {
    /// `FROM` and what follows it: one row for each violation.
    Rows { table: String, from: String },
    /// Rows that a unique key cannot tell apart.
    Twins {
        table: String,
        terms: Vec<String>,
        filter: String,
        /// A primary key takes no NULL at all.
        primary: bool,
    },
    /// A query whose rows end in a count, one for each place that may hold a violation.
    Counts(String),
    /// A query that gives one row for each violation.
    Groups(String),
    /// A query that says whether there is a violation.
    Any(String),
}

impl Probe {
    /// `None` when the finding has nothing that could be asked now.
    pub(super) fn of(finding: &Finding, report: &Report) -> Option<Self> {
        let query = finding.query.as_deref()?.trim_end().strip_suffix(';')?;
        let key = report
            .unique_keys
            .iter()
            .find(|key| key.finding == finding.digest);
        if let Some(key) = key {
            return Some(Self::twins(key));
        }
        if let Some(from) = query.strip_prefix(COUNT) {
            return Some(Self::Rows {
                table: first_name(from)?,
                from: from.to_owned(),
            });
        }
        let whole = query.to_owned();
        Some(if query.starts_with("SELECT EXISTS ") {
            Self::Any(whole)
        } else if query.starts_with("SELECT '") {
            Self::Counts(whole)
        } else {
            Self::Groups(whole)
        })
    }

    fn twins(key: &UniqueKey) -> Self {
        let mut conditions: Vec<String> = Vec::new();
        if let Some(predicate) = &key.predicate {
            let bare = predicate.get("where".len()..).unwrap_or_default().trim();
            conditions.push(format!("({bare})"));
        }
        if !key.nulls_equal {
            let each = key.terms.iter();
            conditions.extend(each.map(|term| format!("({term}) IS NOT NULL")));
        }
        let table = match &key.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&key.table)),
            None => quoted(&key.table),
        };
        Self::Twins {
            table,
            terms: key.terms.clone(),
            filter: if conditions.is_empty() {
                String::new()
            } else {
                format!(" WHERE {}", conditions.join(" AND "))
            },
            primary: key.primary,
        }
    }

    /// The table whose keys name rows.
    pub(super) fn table(&self) -> Option<&str> {
        match self {
            Self::Rows { table, .. } | Self::Twins { table, .. } => Some(table),
            _ => None,
        }
    }

    /// A query that gives one number: how many rows violate it.
    pub(super) fn count(&self) -> String {
        match self {
            Self::Rows { from, .. } => format!("{COUNT}{from}"),
            Self::Twins {
                table,
                terms,
                filter,
                primary,
            } => {
                let list = terms.join(", ");
                let nulls = if *primary {
                    let each: Vec<String> = terms.iter().map(|t| format!("{t} IS NULL")).collect();
                    format!(
                        " + (SELECT count(*) FROM {table} WHERE {})",
                        each.join(" OR ")
                    )
                } else {
                    String::new()
                };
                format!(
                    "SELECT (SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {table}{filter} GROUP BY {list} HAVING count(*) > 1) AS twins){nulls}"
                )
            }
            Self::Counts(query) => {
                format!("SELECT coalesce(sum(places.count), 0) FROM ({query}) AS places")
            }
            Self::Groups(query) => format!("SELECT count(*) FROM ({query}) AS twins"),
            Self::Any(query) => {
                format!("SELECT count(*) FROM ({query}) AS twins(there) WHERE there")
            }
        }
    }

    /// A query that gives the keys of some of these rows; `key` is what to select.
    pub(super) fn sample(&self, key: &str) -> Option<String> {
        match self {
            Self::Rows { from, .. } => Some(format!("SELECT {key} FROM {from} LIMIT {NAMED}")),
            Self::Twins {
                table,
                terms,
                filter,
                ..
            } => {
                let list = terms.join(", ");
                let and = if filter.is_empty() {
                    " WHERE".to_owned()
                } else {
                    format!("{filter} AND")
                };
                Some(format!(
                    "SELECT {key} FROM {table}{and} ({list}) IN (SELECT {list} FROM {table}{filter} GROUP BY {list} HAVING count(*) > 1 LIMIT {NAMED}) LIMIT {NAMED}"
                ))
            }
            _ => None,
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The table at the beginning of a `FROM` clause: one or two quoted names.
fn first_name(from: &str) -> Option<String> {
    let mut end = 0;
    loop {
        let rest = from.get(end..)?.strip_prefix('"')?;
        let mut at = 0;
        // A doubled quote is part of the name.
        loop {
            at += rest.get(at..)?.find('"')? + 1;
            match rest.get(at..)?.strip_prefix('"') {
                Some(_) => at += 1,
                None => break,
            }
        }
        end += 1 + at;
        if from.get(end..)?.starts_with(".\"") {
            end += 1;
        } else {
            return Some(from[..end].to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_query_is_found_whatever_its_name() {
        assert_eq!(
            first_name(r#""Task" WHERE x"#).as_deref(),
            Some(r#""Task""#)
        );
        assert_eq!(first_name(r#""a"."b" a"#).as_deref(), Some(r#""a"."b""#));
        assert_eq!(first_name(r#""a""b" c"#).as_deref(), Some(r#""a""b""#));
        assert_eq!(first_name(r#""a"""#), None);
        assert_eq!(first_name("Task"), None);
    }
}
