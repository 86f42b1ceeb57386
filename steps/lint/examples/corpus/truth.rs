//! What a migration did to objects that were there before it, read from the catalog.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    DropColumn,
    DropTable,
    Rename,
    SetNotNull,
    RequiredColumn,
    EnumValueRemoved,
    Unique,
    TypeChanged,
}

pub(crate) const CLASSES: &[Class] = &[
    Class::DropColumn,
    Class::DropTable,
    Class::Rename,
    Class::SetNotNull,
    Class::RequiredColumn,
    Class::EnumValueRemoved,
    Class::Unique,
    Class::TypeChanged,
];

impl Class {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::DropColumn => "drop column",
            Self::DropTable => "drop table",
            Self::Rename => "rename column or table",
            Self::SetNotNull => "SET NOT NULL on an existing column",
            Self::RequiredColumn => "required column (net)",
            Self::EnumValueRemoved => "enum value removed or renamed",
            Self::Unique => "unique over existing columns",
            Self::TypeChanged => "type changed",
        }
    }
}

/// Everything compared, as JSON. Columns: name, NOT NULL, filled by itself, type, type's id.
pub(crate) const QUERY: &str = r"
with t as (select c.oid, n.nspname || '.' || c.relname as name, c.relkind as kind from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^(pg_|information_schema)')
select json_build_object(
  'tables', (select coalesce(json_object_agg(oid, name), '{}') from t where kind <> 'm'),
  'views', (select coalesce(json_agg(oid::text), '[]') from t where kind = 'm'),
  'columns', (select coalesce(json_object_agg(a.attrelid || '.' || a.attnum, json_build_array(a.attname, a.attnotnull,
      a.atthasdef or a.attidentity <> '' or a.attgenerated <> '', format_type(a.atttypid, a.atttypmod), a.atttypid::text)), '{}')
    from pg_attribute a join t on t.oid = a.attrelid where t.kind <> 'm' and a.attnum > 0 and not a.attisdropped),
  'enums', (select coalesce(json_object_agg(e.enumtypid, e.labels), '{}') from
    (select enumtypid, json_agg(enumlabel order by enumsortorder) as labels from pg_enum group by 1) e),
  'names', (select coalesce(json_object_agg(y.oid, n.nspname || '.' || y.typname), '{}')
    from pg_type y join pg_namespace n on n.oid = y.typnamespace where y.typtype = 'e'),
  'keys', (select coalesce(json_agg(json_build_array(i.indrelid::text, i.indkey::text, coalesce(pg_get_expr(i.indexprs, i.indrelid), ''),
      coalesce(pg_get_expr(i.indpred, i.indrelid), ''))), '[]') from pg_index i join t on t.oid = i.indrelid where i.indisunique))";

type Column = (String, bool, bool, String, String);

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Snapshot {
    tables: BTreeMap<String, String>,
    /// Materialized views: their rows come from rows that exist.
    views: BTreeSet<String>,
    columns: BTreeMap<String, Column>,
    enums: BTreeMap<String, Vec<String>>,
    names: BTreeMap<String, String>,
    /// Table, column numbers, expressions, condition.
    keys: BTreeSet<(String, String, String, String)>,
}

/// What happened, and what a catalog cannot decide (so that neither silence nor a finding is wrong).
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) sure: BTreeSet<Class>,
    pub(crate) open: BTreeSet<Class>,
}

impl Effects {
    pub(crate) fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let mut effects = Self::default();
        for (id, name) in &before.tables {
            match after.tables.get(id) {
                None => drop(effects.sure.insert(Class::DropTable)),
                Some(now) if now != name => drop(effects.sure.insert(Class::Rename)),
                Some(_) => {}
            }
        }
        for (id, old) in &before.columns {
            if after.tables.contains_key(table(id)) {
                effects.column(before, after, (id, old));
            }
        }
        for (id, new) in &after.columns {
            if before.tables.contains_key(table(id)) && !before.columns.contains_key(id) {
                effects.added(before, (id, new));
            }
        }
        for (id, labels) in &before.enums {
            let name = &before.names[id];
            let now = after
                .names
                .iter()
                .find(|(_, each)| *each == name)
                .map(|(id, _)| id);
            // The type of that name, and the type itself under whatever name.
            for now in [now, Some(id)]
                .into_iter()
                .flatten()
                .filter_map(|id| after.enums.get(id))
            {
                if labels.iter().any(|label| !now.contains(label))
                    && after.names.values().any(|each| each == name)
                {
                    effects.sure.insert(Class::EnumValueRemoved);
                }
            }
        }
        effects.keys(before, after);
        let Self { sure, open } = &mut effects;
        open.retain(|class| !sure.contains(class));
        effects
    }

    fn column(&mut self, before: &Snapshot, after: &Snapshot, (id, old): (&str, &Column)) {
        let Some(now) = after.columns.get(id) else {
            let made = |(other, each): &(&String, &Column)| {
                table(other) == table(id) && each.0 == old.0 && !before.columns.contains_key(*other)
            };
            match after.columns.iter().find(made) {
                // Made anew: copied or lost, which rows would tell.
                Some((_, again)) => {
                    self.open.extend([Class::DropColumn, Class::TypeChanged]);
                    self.labels(before, after, old, again);
                }
                None => drop(self.sure.insert(Class::DropColumn)),
            }
            return;
        };
        if now.0 != old.0 {
            self.sure.insert(Class::Rename);
        }
        if now.1 && !old.1 {
            self.sure.insert(Class::SetNotNull);
        }
        if now.3 != old.3 && (now.4 != old.4 || before.names.get(&old.4) == after.names.get(&now.4))
        {
            let class = if is_free(&old.3, &now.3) {
                &mut self.open
            } else {
                &mut self.sure
            };
            class.insert(Class::TypeChanged);
        }
        let unique = before.keys.iter().any(|(of, columns, ..)| {
            of == table(id)
                && columns
                    .split(' ')
                    .any(|number| id.ends_with(&format!(".{number}")))
        });
        // Its indexes are built anew, and case no longer tells values apart.
        if unique && now.3.ends_with("citext") && old.3 != now.3 {
            self.sure.insert(Class::Unique);
        }
        self.labels(before, after, old, now);
    }

    fn labels(&mut self, before: &Snapshot, after: &Snapshot, old: &Column, now: &Column) {
        if let (Some(before), Some(after)) = (before.enums.get(&old.4), after.enums.get(&now.4))
            && before.iter().any(|label| !after.contains(label))
        {
            self.sure.insert(Class::EnumValueRemoved);
        }
    }

    fn added(&mut self, before: &Snapshot, (id, new): (&str, &Column)) {
        let named = before
            .columns
            .iter()
            .any(|(other, old)| table(other) == table(id) && old.0 == new.0 && old.1 && !old.2);
        if new.1 && !new.2 {
            // Where the running version names it already, only rows tell: they may be filled before it is required.
            let class = if named {
                &mut self.open
            } else {
                &mut self.sure
            };
            class.insert(Class::RequiredColumn);
        }
    }

    fn keys(&mut self, before: &Snapshot, after: &Snapshot) {
        for key @ (table, columns, ..) in &after.keys {
            if after.views.contains(table) {
                self.open.insert(Class::Unique);
            }
            if !before.tables.contains_key(table) || before.keys.contains(key) {
                continue;
            }
            let numbers = |columns: &str| {
                columns
                    .split(' ')
                    .map(str::to_owned)
                    .collect::<BTreeSet<_>>()
            };
            let own = numbers(columns);
            let implied = before
                .keys
                .iter()
                .any(|(other, columns, expressions, condition)| {
                    other == table
                        && expressions.is_empty()
                        && condition.is_empty()
                        && numbers(columns).is_subset(&own)
                });
            let old = |number: &String| {
                number == "0" || before.columns.contains_key(&format!("{table}.{number}"))
            };
            if implied || !own.iter().all(old) {
                // It cannot fail, or it depends on what fills a new column.
                self.open.insert(Class::Unique);
            } else {
                self.sure.insert(Class::Unique);
            }
        }
    }
}

fn table(column: &str) -> &str {
    column.split_once('.').map_or(column, |(table, _)| table)
}

/// Changes that keep rows and indexes as they are (manual, ALTER TABLE): not even slow.
fn is_free(old: &str, new: &str) -> bool {
    let limit = |text: &str| {
        let (base, rest) = text.split_once('(').unwrap_or((text, ""));
        let limit: Option<u32> = rest
            .split([')', ','])
            .next()
            .and_then(|each| each.parse().ok());
        (
            base.to_owned(),
            limit.unwrap_or(u32::MAX),
            rest.split_once(')').map_or("", |(_, tail)| tail).to_owned(),
        )
    };
    let (old, new) = (limit(old), limit(new));
    let texts = ["text", "character varying"];
    let text = texts.contains(&old.0.as_str()) && texts.contains(&new.0.as_str());
    let same = old.0 == new.0 && old.2 == new.2 && !old.0.starts_with("character(");
    (text || same) && new.1 >= old.1
}
