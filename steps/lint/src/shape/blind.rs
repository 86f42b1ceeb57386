//! What the text of migrations does not tell: names in SQL that is made at run time, in branches, in what cannot be read.

use std::collections::BTreeSet;

/// Pieces of SQL whose effect is not known. What they name is not compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blind {
    texts: Vec<Text>,
}

#[derive(Debug, Clone)]
struct Text {
    lower: String,
    words: BTreeSet<String>,
    /// It takes names from the catalog, so that no text holds them.
    wide: bool,
    /// It takes whatever somebody owns.
    all: bool,
}

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    /// A table as a whole: made, dropped, renamed.
    Table,
    /// A column, or something of it.
    Column,
    /// An index or a unique key.
    Key,
    /// A foreign key, a primary key or a check.
    Constraint,
    /// An enum or one of its labels.
    Enum,
    /// A trigger, a policy or row-level security.
    Guard,
}

impl Sort {
    /// Words without which SQL does nothing to such a thing.
    fn verbs(self) -> &'static [&'static str] {
        match self {
            Sort::Table => &["create table", "drop table", "rename to", "set schema"],
            Sort::Column => &["column", " type ", "default", "not null"],
            Sort::Key => &["index", "unique"],
            Sort::Constraint => &["constraint", "primary key", "foreign key", "references"],
            Sort::Enum => &["type"],
            Sort::Guard => &["trigger", "policy", "row level security"],
        }
    }
}

impl Blind {
    /// Takes note of a piece of SQL.
    pub(crate) fn add(&mut self, sql: &str) {
        let lower = sql.to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words = words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let catalog = [
            "information_schema",
            "pg_class",
            "pg_constraint",
            "pg_index",
            "pg_tables",
            "pg_attribute",
            "pg_type",
            "pg_trigger",
            "pg_polic",
        ];
        let wide = lower.contains("execute") && catalog.iter().any(|each| lower.contains(each));
        let all = lower.contains("drop owned");
        self.texts.push(Text {
            lower,
            words,
            wide,
            all,
        });
    }

    /// Whether a piece may have to do with a thing: it names all of `names`, or finds its names itself.
    pub(crate) fn hides(&self, sort: Sort, names: &[&str]) -> bool {
        let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        self.texts.iter().any(|text| {
            let speaks_of = || {
                lower.iter().all(|name| {
                    let odd = name.contains(|c: char| !c.is_alphanumeric() && c != '_');
                    text.words.contains(name) || (odd && text.lower.contains(name.as_str()))
                })
            };
            let verb = || sort.verbs().iter().any(|verb| text.lower.contains(verb));
            text.all || verb() && (text.wide || speaks_of())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_piece_names_is_hidden_and_nothing_else() {
        let mut blind = Blind::default();
        blind.add("EXECUTE 'ALTER TABLE \"Task\" ADD COLUMN ' || quote_ident('notes')");
        assert!(blind.hides(Sort::Column, &["Task", "notes"]));
        assert!(!blind.hides(Sort::Column, &["Task", "size"]));
        assert!(
            !blind.hides(Sort::Key, &["Task"]),
            "it has nothing to do with indexes"
        );
        blind.add("FOR r IN SELECT indexname FROM pg_indexes LOOP EXECUTE format('DROP INDEX %I', r.indexname); END LOOP");
        assert!(
            blind.hides(Sort::Key, &["Any_idx"]),
            "it finds its names itself"
        );
        assert!(!blind.hides(Sort::Column, &["Task", "size"]));
    }
}
