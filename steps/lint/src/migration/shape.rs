//! What the migrations leave behind, for a comparison with `schema.prisma` and with a catalog.

use std::collections::BTreeMap;

use super::fold::Fold;
use super::load::Migration;
use super::op::{self, Content, Item, Op, Rule, SqlType, Value};
use super::state::{self, Schema};
use super::syntax;
use crate::shape::blind::Blind;
use crate::shape::value::DefaultValue;
use crate::shape::{Column, Foreign, Key, Name, Shape, Table, Type};

mod guards;

/// The shape, and what of it the text does not tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outline {
    pub(crate) shape: Shape,
    pub(crate) blind: Blind,
}

/// Folds the migrations, in their order, for an application whose own schema is `own`.
pub(crate) fn fold(migrations: &[Migration], own: &str) -> Outline {
    let mut schema = Schema {
        own: Some(own.to_owned()),
        ..Schema::default()
    };
    let mut folded = Outline::default();
    let mut functions: BTreeMap<String, String> = BTreeMap::new();
    for (migration, parsed) in migrations.iter().zip(syntax::parse_all(migrations)) {
        schema.begin();
        Fold::new(&mut schema).apply(&parsed.items, parsed.statements);
        unknown(migration, &parsed, &mut functions, &mut folded.blind);
        for (start, end) in &parsed.spans {
            guards::follow(&migration.sql[*start..*end], own, &mut folded.shape.guards);
        }
    }
    for words in &schema.unsure {
        folded.blind.add(words);
    }
    let reader = Reader {
        schema: &schema,
        own,
    };
    reader.fill(&mut folded.shape);
    folded
}

/// Notes every statement that may do more, or less, than was folded.
fn unknown(
    migration: &Migration,
    parsed: &Content,
    functions: &mut BTreeMap<String, String>,
    blind: &mut Blind,
) {
    let whole = |item: &Item| {
        let mut spans = parsed.spans.iter();
        let span = spans.find(|(start, end)| (*start..*end).contains(&item.site.start));
        span.map_or(migration.sql.as_str(), |(start, end)| {
            &migration.sql[*start..*end]
        })
    };
    let mut last = "";
    for item in &parsed.items {
        let text = whole(item);
        let hidden = match &item.op {
            Op::DefineFunction(name, _) => {
                functions.insert(name.name.clone(), text.to_owned());
                false
            }
            Op::Calls { function, .. } => {
                if let Some(body) = functions.get(&function.name) {
                    blind.add(body);
                }
                false
            }
            Op::Dynamic(_) | Op::Unknown(_) | Op::DropContainer(_) | Op::Cascade(_) => true,
            // Whether it runs may depend on a condition.
            _ => item.site.inside.is_some(),
        };
        if hidden && text != last {
            blind.add(text);
            last = text;
        }
    }
    if !parsed.problems.is_empty() {
        blind.add(&migration.sql);
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    own: &'a str,
}

impl Reader<'_> {
    fn name(&self, name: &op::Name) -> Name {
        let schema = name.schema.as_deref().filter(|schema| *schema != self.own);
        Name {
            schema: schema.unwrap_or_default().to_owned(),
            name: name.name.clone(),
        }
    }

    fn fill(&self, shape: &mut Shape) {
        let own = |(_, table): &(&_, &state::Table)| !table.temp && !table.part;
        for (name, table) in self.schema.tables.iter().filter(own) {
            // An index of a materialized view names it like a table.
            if !table.made && self.schema.views.contains_key(name) {
                continue;
            }
            shape.tables.insert(self.name(name), self.table(table));
        }
        shape.views = self
            .schema
            .views
            .keys()
            .map(|name| self.name(name))
            .collect();
        for (name, each) in &self.schema.enums {
            if let Some(labels) = &each.labels {
                shape.enums.insert(self.name(name), labels.clone());
            }
        }
    }

    fn table(&self, from: &state::Table) -> Table {
        let mut table = Table {
            open: from.open || !from.made,
            made: from.made,
            ..Table::default()
        };
        for (name, column) in &from.columns {
            table.columns.insert(name.clone(), self.column(&column.now));
        }
        for each in &from.keys {
            let key = key(&each.name, &each.key, &each.details, true);
            if each.key.primary {
                table.primary = Some(key);
            } else if !table
                .keys
                .iter()
                .any(|other| other.name == key.name && key.name.is_some())
            {
                table.keys.push(key);
            }
        }
        let plain = from.indexes.iter();
        table
            .keys
            .extend(plain.map(|(name, (of, details))| key(name, of, details, false)));
        for check in &from.checks {
            match &check.rule {
                Rule::Foreign(columns, target, theirs, actions) => {
                    let foreign = Foreign {
                        name: known(&check.name),
                        columns: columns.clone(),
                        target: self.name(target),
                        theirs: self.theirs(target, theirs),
                        on_delete: actions.delete.clone(),
                        on_update: actions.update.clone(),
                    };
                    if !table.foreign.contains(&foreign) {
                        table.foreign.push(foreign);
                    }
                }
                _ => table.checks.push(check.name.clone()),
            }
        }
        table
    }

    /// Without columns a foreign key means the primary one.
    fn theirs(&self, target: &op::Name, theirs: &[String]) -> Vec<String> {
        if !theirs.is_empty() {
            return theirs.to_vec();
        }
        let keys = self
            .schema
            .tables
            .get(target)
            .map_or(&[][..], |table| &table.keys);
        let primary = keys.iter().find(|each| each.key.primary);
        primary.map_or_else(Vec::new, |each| {
            each.key.columns.iter().flatten().cloned().collect()
        })
    }

    fn column(&self, facts: &state::Facts) -> Column {
        let default = match (&facts.value, facts.default) {
            _ if !facts.known => DefaultValue::Unknown,
            (_, false) => DefaultValue::Nothing,
            (None | Some(Value::Computed), true) => DefaultValue::Some,
            (Some(Value::Sequence), true) => DefaultValue::Sequence,
            (Some(Value::Text(sql)), true) => DefaultValue::of_sql(sql),
        };
        Column {
            ty: facts.ty.as_ref().map(|ty| self.ty(ty)),
            required: facts.known.then_some(facts.not_null),
            default,
            line: 0,
        }
    }

    fn ty(&self, ty: &SqlType) -> Type {
        let name = &ty.base.name;
        let builtin = ty.base.schema.is_none() && !self.schema.enums.contains_key(&ty.base);
        let mut read = if builtin && name.contains([' ', '(']) {
            Type::of_text(name)
        } else {
            Type {
                base: self.name(&ty.base),
                args: Vec::new(),
                list: false,
            }
        };
        if !ty.args.is_empty() {
            read.args.clone_from(&ty.args);
        }
        read.list = ty.array;
        read
    }
}

/// A name that PostgreSQL would cut in its own way is not known.
fn known(name: &str) -> Option<String> {
    (name.len() <= 63).then(|| name.to_owned())
}

fn key(name: &str, of: &op::Key, details: &op::Details, unique: bool) -> Key {
    let mut order = details.order.clone();
    order.resize(of.columns.len(), (false, None));
    Key {
        name: known(name),
        unique,
        columns: of.columns.clone(),
        order,
        method: details.method.clone().unwrap_or_else(|| "btree".to_owned()),
        partial: of.predicate.is_some(),
    }
}
