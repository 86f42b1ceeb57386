//! What `schema.prisma` declares, as the tables that Prisma's own migrations would make of it.
//!
//! The rules are those of Prisma's schema engine: what is made on the client (`uuid()`, `@updatedAt`) has no default in the
//! database, `@@ignore` and `@ignore` are tables and columns all the same, a list takes NULL whatever it says.

use std::collections::{BTreeMap, BTreeSet};

use self::keys::{Sort, key};
use self::types::native_type;
pub(super) use self::types::scalar;
use super::{Declaration, External, names};
use crate::code::schema::{Attribute, Enum, Expression, Field, Kind, Model, Schema};
use crate::shape::value::DefaultValue;
use crate::shape::{Column, Foreign, Key, Name, Shape, Table, Type};

mod keys;
mod types;

/// Reads a schema as the database of an application whose own schema is `own`.
pub fn declared(schema: &Schema, own: &str) -> Declaration {
    let reader = Reader { schema, own };
    let mut shape = Shape::default();
    for (name, each) in &schema.enums {
        let labels = each.order.iter().map(|value| label(each, value));
        shape
            .enums
            .insert(reader.enum_name(name, each), labels.collect());
    }
    for (name, model) in reader.models() {
        shape
            .tables
            .insert(reader.table_name(name, model), reader.table(name, model));
    }
    for (name, table) in reader.joins() {
        shape.tables.entry(name).or_insert(table);
    }
    let mut schemas: BTreeSet<String> = [String::new()].into();
    let listed = schema.source.get("schemas").map_or("", String::as_str);
    let listed = listed.split('"').skip(1).step_by(2);
    schemas.extend(listed.map(|each| reader.place(each)));
    Declaration {
        shape,
        schemas,
        external: External::default(),
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    own: &'a str,
}

fn label(of: &Enum, value: &str) -> String {
    let mapped = of.values.get(value).cloned().flatten();
    mapped.unwrap_or_else(|| value.to_owned())
}

fn attribute<'a>(all: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    all.iter().find(|each| each.name == name)
}

fn word(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Word(word) => Some(word),
        _ => None,
    }
}

fn words(expression: Option<&Expression>) -> Vec<String> {
    let all = Expression::members(expression).iter();
    all.filter_map(word).map(str::to_owned).collect()
}

fn column_name(model: &Model, field: &str) -> String {
    let mapped = model.fields.get(field).and_then(|each| each.column.clone());
    mapped.unwrap_or_else(|| field.to_owned())
}

impl<'a> Reader<'a> {
    fn place(&self, schema: &str) -> String {
        if schema == self.own {
            String::new()
        } else {
            schema.to_owned()
        }
    }

    fn enum_name(&self, name: &str, each: &Enum) -> Name {
        Name {
            schema: each
                .schema
                .as_deref()
                .map_or_else(String::new, |schema| self.place(schema)),
            name: each.name.clone().unwrap_or_else(|| name.to_owned()),
        }
    }

    fn table_name(&self, name: &str, model: &Model) -> Name {
        let schema =
            attribute(&model.attributes, "schema").and_then(|each| each.text("name", true));
        Name {
            schema: schema.map_or_else(String::new, |schema| self.place(schema)),
            name: model.table.clone().unwrap_or_else(|| name.to_owned()),
        }
    }

    fn models(&self) -> impl Iterator<Item = (&'a String, &'a Model)> {
        self.schema
            .models
            .iter()
            .filter(|(_, model)| model.kind == Kind::Model)
    }

    fn model(&self, name: &str) -> Option<&'a Model> {
        self.schema
            .models
            .get(name)
            .filter(|model| model.kind == Kind::Model)
    }

    /// The database keeps the references, not the client.
    fn has_foreign_keys(&self) -> bool {
        let mode = ["relationMode", "referentialIntegrity"]
            .iter()
            .find_map(|key| self.schema.source.get(*key));
        mode.is_none_or(|mode| mode.trim_matches('"') != "prisma")
    }

    fn is_relation(&self, field: &Field) -> bool {
        self.schema
            .models
            .get(&field.kind)
            .is_some_and(|model| model.kind != Kind::Type)
    }

    fn table(&self, name: &str, model: &Model) -> Table {
        let own = self.table_name(name, model);
        let fields = model
            .fields
            .iter()
            .filter(|(_, field)| !self.is_relation(field));
        let columns = fields.map(|(name, field)| (column_name(model, name), self.column(field)));
        let mut table = Table {
            columns: columns.collect(),
            line: model.line,
            ..Table::default()
        };
        Self::keys(&own.name, model, &mut table);
        if self.has_foreign_keys() {
            let foreign = model
                .fields
                .values()
                .filter_map(|field| self.foreign(&own.name, model, field));
            table.foreign = foreign.collect();
        }
        table
    }

    fn column(&self, field: &Field) -> Column {
        Column {
            ty: self.ty(field),
            required: (!field.list).then_some(!field.optional),
            default: self.default(field),
            line: field.line,
        }
    }

    fn ty(&self, field: &Field) -> Option<Type> {
        if let Some(each) = self.schema.enums.get(&field.kind) {
            return Some(Type {
                base: self.enum_name(&field.kind, each),
                args: Vec::new(),
                list: field.list,
            });
        }
        let native = field.attributes.iter().find_map(|each| {
            let (_, name) = each.name.split_once('.')?;
            Some((name, each))
        });
        let (base, args) = match native {
            Some((name, each)) => {
                let args = each
                    .arguments
                    .iter()
                    .filter_map(|each| word(&each.value)?.parse().ok());
                (native_type(name)?, args.collect())
            }
            None => scalar(&field.kind)?,
        };
        Some(Type {
            base: Name::own(base),
            args,
            list: field.list,
        })
    }

    fn default(&self, field: &Field) -> DefaultValue {
        let Some(value) =
            attribute(&field.attributes, "default").and_then(|each| each.get("value", true))
        else {
            return DefaultValue::Nothing;
        };
        let constant = |value: &Expression| match value {
            Expression::Text(text) => Some(text.clone()),
            Expression::Word(word) => Some(match self.schema.enums.get(&field.kind) {
                Some(each) => label(each, word),
                None => word.clone(),
            }),
            _ => None,
        };
        match value {
            Expression::Call(name, arguments) => {
                match (name.as_str(), arguments.first().map(|each| &each.value)) {
                    ("autoincrement" | "sequence", _) => DefaultValue::Sequence,
                    ("now", _) => DefaultValue::Now,
                    ("dbgenerated", Some(Expression::Text(sql))) if !sql.trim().is_empty() => {
                        DefaultValue::of_sql(sql)
                    }
                    // Prisma leaves it to the database, whatever that has.
                    ("dbgenerated", _) => DefaultValue::Unknown,
                    // The client makes it.
                    _ => DefaultValue::Nothing,
                }
            }
            Expression::List(all) => {
                let items: Option<Vec<String>> = all.iter().map(constant).collect();
                items.map_or(DefaultValue::Some, DefaultValue::List)
            }
            each => constant(each).map_or(DefaultValue::Some, DefaultValue::Constant),
        }
    }

    fn keys(table: &str, model: &Model, to: &mut Table) {
        for (name, field) in &model.fields {
            for each in &field.attributes {
                let column = Expression::Call(name.clone(), each.arguments.clone());
                if each.name == "id" {
                    to.primary = Some(key(table, model, each, &[column], Sort::Primary));
                } else if each.name == "unique" {
                    to.keys
                        .push(key(table, model, each, &[column], Sort::Unique));
                }
            }
        }
        for each in &model.attributes {
            let columns = Expression::members(each.get("fields", true));
            match each.name.as_str() {
                "id" => to.primary = Some(key(table, model, each, columns, Sort::Primary)),
                "unique" => to.keys.push(key(table, model, each, columns, Sort::Unique)),
                "index" => to.keys.push(key(table, model, each, columns, Sort::Plain)),
                _ => {}
            }
        }
    }

    fn foreign(&self, table: &str, model: &Model, field: &Field) -> Option<Foreign> {
        let relation = attribute(&field.attributes, "relation")?;
        let fields = words(relation.get("fields", false));
        let target = self.model(&field.kind).filter(|_| !fields.is_empty())?;
        let columns: Vec<String> = fields.iter().map(|each| column_name(model, each)).collect();
        let theirs = words(relation.get("references", false));
        let mut theirs: Vec<String> = theirs
            .iter()
            .map(|each| column_name(target, each))
            .collect();
        if theirs.is_empty() {
            theirs = Self::primary_columns(target);
        }
        // One required column makes the whole reference a required one.
        let required = fields
            .iter()
            .any(|each| model.fields.get(each).is_some_and(|field| !field.optional))
            || !field.optional;
        let given = |name: &str| relation.get(name, false).and_then(word).map(action);
        let on_delete = given("onDelete")
            .unwrap_or_else(|| if required { "RESTRICT" } else { "SET NULL" }.to_owned());
        let name = relation.text("map", false).map(str::to_owned);
        Some(Foreign {
            name: Some(name.unwrap_or_else(|| names::made(table, &columns, "_fkey"))),
            target: self.table_name(&field.kind, target),
            columns,
            theirs,
            on_delete,
            on_update: given("onUpdate").unwrap_or_else(|| "CASCADE".to_owned()),
        })
    }

    fn primary_columns(model: &Model) -> Vec<String> {
        let mut table = Table::default();
        Self::keys("", model, &mut table);
        let columns = table.primary.map(|key| key.columns).unwrap_or_default();
        columns.into_iter().flatten().collect()
    }

    /// The tables between models that list each other.
    fn joins(&self) -> BTreeMap<Name, Table> {
        let mut all = BTreeMap::new();
        for (name, model) in self.models() {
            for (own, field) in model.fields.iter().filter(|(_, field)| field.list) {
                let Some(other) = self.model(&field.kind) else {
                    continue;
                };
                let called = relation_name(field);
                let back = other.fields.iter().find(|(theirs, each)| {
                    let itself = name == &field.kind && *theirs == own;
                    each.list && &each.kind == name && relation_name(each) == called && !itself
                });
                if back.is_none() {
                    continue;
                }
                let mut pair = [(name, model), (&field.kind, other)];
                pair.sort_by_key(|(name, _)| *name);
                let called =
                    called.map_or_else(|| format!("{}To{}", pair[0].0, pair[1].0), str::to_owned);
                let table = Name {
                    schema: self.table_name(pair[0].0, pair[0].1).schema,
                    name: format!("_{called}").chars().take(names::MOST).collect(),
                };
                all.insert(table.clone(), self.join(&table.name, &pair));
            }
        }
        all
    }

    fn join(&self, table: &str, pair: &[(&String, &Model); 2]) -> Table {
        let mut join = Table {
            join: true,
            line: pair[0].1.line,
            ..Table::default()
        };
        for (column, (name, model)) in ["A", "B"].into_iter().zip(pair) {
            let theirs: Vec<String> = Self::primary_columns(model).into_iter().take(1).collect();
            let field = model
                .fields
                .iter()
                .find(|(name, _)| theirs.contains(&column_name(model, name)));
            join.columns.insert(
                column.to_owned(),
                Column {
                    ty: field.and_then(|(_, field)| self.ty(field)),
                    required: Some(true),
                    default: DefaultValue::Nothing,
                    line: model.line,
                },
            );
            if self.has_foreign_keys() {
                join.foreign.push(Foreign {
                    name: Some(names::cut(table, &format!("_{column}_fkey"))),
                    columns: vec![column.to_owned()],
                    target: self.table_name(name, model),
                    theirs,
                    on_delete: "CASCADE".to_owned(),
                    on_update: "CASCADE".to_owned(),
                });
            }
        }
        join.keys = vec![
            plain(names::cut(table, "_AB_unique"), true, &["A", "B"]),
            plain(names::cut(table, "_B_index"), false, &["B"]),
        ];
        join
    }
}

fn plain(name: String, unique: bool, columns: &[&str]) -> Key {
    Key {
        name: Some(name),
        unique,
        columns: columns
            .iter()
            .map(|each| Some((*each).to_owned()))
            .collect(),
        order: vec![(false, None); columns.len()],
        method: "btree".to_owned(),
        partial: false,
    }
}

fn relation_name(field: &Field) -> Option<&str> {
    attribute(&field.attributes, "relation")?.text("name", true)
}

fn action(word: &str) -> String {
    match word {
        "Cascade" => "CASCADE",
        "Restrict" => "RESTRICT",
        "SetNull" => "SET NULL",
        "SetDefault" => "SET DEFAULT",
        _ => "NO ACTION",
    }
    .to_owned()
}
