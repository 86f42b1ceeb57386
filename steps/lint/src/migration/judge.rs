//! Net effects: what the file leaves different from what it found.

mod columns;
mod keys;

use super::draft::Draft;
use super::op::{Key, Name, Rule, SqlType};
use super::query;
use super::rule::RuleId;
use super::state::{Schema, Table, lost};

/// What a finished file amounts to.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    pub(super) drafts: Vec<Draft>,
    /// Unique keys over existing rows, and the draft that says so.
    pub(super) keys: Vec<(usize, Name, Key)>,
    pub(super) removed: Vec<(Name, Vec<String>)>,
    /// Table, column, and whether it is new.
    pub(super) nullable: Vec<(Name, String, bool)>,
}

/// Compares the schema with what it was at [`Schema::begin`].
pub(super) fn judge(schema: &Schema) -> Judgement {
    let mut judged = Judgement::default();
    judged.enums(schema);
    for ((kind, name), site) in &schema.objects_dropped {
        let message = format!(
            "{} {name} is dropped; what uses it fails or no longer happens",
            kind.to_lowercase()
        );
        judged.drafts.push(Draft::warning(
            RuleId::DropObject,
            site,
            name.to_string(),
            message,
        ));
    }
    for (name, before) in &schema.views_before {
        let Some(view) = schema.views.get(name) else {
            continue;
        };
        let lost = lost(Some(before), view.columns.as_deref());
        if !lost.is_empty() {
            let message = format!(
                "view {name} is made again without {}; the running version may read it",
                lost.join(", ")
            );
            judged.drafts.push(Draft::warning(
                RuleId::ViewColumn,
                &view.site,
                name.to_string(),
                message,
            ));
        }
    }
    for (name, table) in &schema.tables {
        if let Some(was) = table.was.as_ref().filter(|_| table.touched) {
            judged.table(schema, name, was, table);
        }
    }
    judged
}

impl Judgement {
    fn table(&mut self, schema: &Schema, name: &Name, was: &Name, table: &Table) {
        if let Some(site) = table.renamed.as_ref().filter(|_| name != was) {
            let message =
                format!("{was} is now {name}; the running version still queries the old name");
            self.drafts.push(Draft::error(
                RuleId::RenameTable,
                site,
                was.to_string(),
                message,
            ));
        }
        self.columns(schema, was, table);
        self.keys(was, table);
        self.lost_checks(was, table);
    }

    /// A foreign key or check that is gone, and a foreign key that is made again with another action.
    fn lost_checks(&mut self, name: &Name, table: &Table) {
        for (rule, site) in &table.lost_checks {
            let (what, columns) = match rule {
                Rule::Foreign(columns, ..) => ("foreign key", columns),
                Rule::Check(columns, _) => ("check", columns),
                _ => continue,
            };
            let again = table.checks.iter().find(|check| match (&check.rule, rule) {
                (Rule::Foreign(now, ..), Rule::Foreign(..))
                | (Rule::Check(now, _), Rule::Check(..)) => now == columns,
                _ => false,
            });
            if let Some(words) = again.and_then(|check| otherwise(rule, &check.rule)) {
                let message = format!(
                    "the foreign key on {} of {name} is made again with {words}: the same DELETE or UPDATE of the running version does something else",
                    columns.join(", ")
                );
                let draft =
                    Draft::warning(RuleId::BehaviourChange, site, name.to_string(), message);
                self.drafts.push(draft);
            }
            let kept = columns.iter().all(|column| {
                table
                    .columns
                    .get(column)
                    .is_some_and(|each| each.was.is_some())
            });
            if again.is_some() || !kept || columns.is_empty() {
                continue;
            }
            let message = format!(
                "the {what} on {} of {name} is gone: what it kept out, and what it did on delete, no longer happens",
                columns.join(", ")
            );
            self.drafts.push(Draft::note(
                RuleId::DropConstraint,
                site,
                name.to_string(),
                message,
            ));
        }
    }

    fn enums(&mut self, schema: &Schema) {
        for (name, before) in &schema.enums_before {
            if let Some(now) = schema.enums.get(name) {
                let (Some(before), Some(labels)) = (before, &now.labels) else {
                    if now.labels != *before {
                        let message = format!(
                            "{name} is replaced, and no migration says which labels it had: whether one is removed cannot be proved"
                        );
                        self.drafts.push(Draft::warning(
                            RuleId::EnumValueRemoved,
                            &now.site,
                            name.to_string(),
                            message,
                        ));
                    }
                    continue;
                };
                self.labels(schema, name, (before, labels), &now.site);
            } else if let Some((to, moved)) = schema
                .enums
                .iter()
                .find(|(_, each)| each.was.as_ref() == Some(name))
            {
                let message =
                    format!("type {name} is now {to}; clients that cast by its name fail");
                self.drafts.push(Draft::warning(
                    RuleId::RenameType,
                    &moved.site,
                    name.to_string(),
                    message,
                ));
            } else if let Some(site) = schema.enums_dropped.get(name) {
                let message =
                    format!("type {name} is dropped; the running version may still name it");
                self.drafts.push(Draft::warning(
                    RuleId::DropObject,
                    site,
                    name.to_string(),
                    message,
                ));
            }
        }
    }

    /// One finding for all labels of an enum that are gone.
    fn labels(
        &mut self,
        schema: &Schema,
        name: &Name,
        (before, now): (&[String], &[String]),
        site: &super::op::Site,
    ) {
        let gone: Vec<String> = before
            .iter()
            .filter(|label| !now.contains(label))
            .cloned()
            .collect();
        if gone.is_empty() {
            return;
        }
        let list = gone
            .iter()
            .map(|label| format!("'{label}'"))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!(
            "{name} loses {list}; rows that hold it make the migration fail, and the running version still uses it"
        );
        let query = query::labels(columns_of(schema, name), &gone);
        self.drafts.push(
            Draft::error(RuleId::EnumValueRemoved, site, name.to_string(), message).query(query),
        );
        self.removed.push((name.clone(), gone));
    }
}

/// Every column that had this type when the file began: table, column, and whether it is an array.
fn columns_of<'a>(
    schema: &'a Schema,
    ty: &'a Name,
) -> impl Iterator<Item = (&'a Name, &'a str, bool)> {
    let existed = schema
        .tables
        .values()
        .filter_map(|table| Some((table.was.as_ref()?, table)));
    existed.flat_map(move |(name, table)| {
        let kept = table
            .columns
            .values()
            .filter_map(|column| column.was.as_ref());
        let lost = table.lost_columns.iter().map(|(_, facts, _)| facts);
        kept.chain(lost).filter_map(move |facts| {
            let of = facts.ty.as_ref().filter(|of| of.base == *ty)?;
            Some((name, facts.name.as_str(), of.array))
        })
    })
}

/// Labels of an enum as they were, for a column that had that type.
fn labels_before<'a>(schema: &'a Schema, ty: &SqlType) -> Option<&'a Vec<String>> {
    schema.enums_before.get(&ty.base)?.as_ref()
}

/// Labels of an enum as they are.
fn labels_now<'a>(schema: &'a Schema, ty: &SqlType) -> Option<&'a Vec<String>> {
    schema.enums.get(&ty.base)?.labels.as_ref()
}

/// What a foreign key does now and did not do before, in words.
fn otherwise(was: &Rule, now: &Rule) -> Option<String> {
    let (Rule::Foreign(.., was), Rule::Foreign(.., now)) = (was, now) else {
        return None;
    };
    let pairs = [
        ("DELETE", &was.delete, &now.delete),
        ("UPDATE", &was.update, &now.update),
    ];
    let differ = pairs.into_iter().filter(|(_, was, now)| was != now);
    let words = differ.map(|(on, was, now)| format!("ON {on} {now} where it had {was}"));
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join(" and "))
}
