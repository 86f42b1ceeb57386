//! Applies one file's operations to the schema, and notes what can be said on the spot. What depends on the rest of the file
//! is judged when it ends (`judge`).

mod tables;

use super::op::{Filter, Item, Name, Op, Rule, Site, TypeChange};
use super::report::Level;
use super::rule::RuleId;
use super::state::{Enum, Filled, Schema};

/// A finding without its place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) rule: RuleId,
    pub(super) level: Level,
    pub(super) site: Site,
    pub(super) object: String,
    pub(super) message: String,
}

impl Draft {
    pub(super) fn error(rule: RuleId, site: &Site, object: String, message: String) -> Self {
        Self { rule, level: Level::Error, site: site.clone(), object, message }
    }

    pub(super) fn warning(rule: RuleId, site: &Site, object: String, message: String) -> Self {
        Self { rule, level: Level::Warning, site: site.clone(), object, message }
    }
}

/// One file being applied.
pub(super) struct Fold<'a> {
    pub(super) schema: &'a mut Schema,
    pub(super) drafts: Vec<Draft>,
    transaction: bool,
}

impl<'a> Fold<'a> {
    pub(super) fn new(schema: &'a mut Schema) -> Self {
        Self { schema, drafts: Vec::new(), transaction: false }
    }

    pub(super) fn apply(&mut self, items: &[Item], statements: usize) {
        for item in items {
            self.one(&item.op, &item.site, statements);
        }
    }

    fn warn(&mut self, rule: RuleId, site: &Site, object: String, message: String) {
        self.drafts.push(Draft::warning(rule, site, object, message));
    }

    fn error(&mut self, rule: RuleId, site: &Site, object: String, message: String) {
        self.drafts.push(Draft::error(rule, site, object, message));
    }

    fn one(&mut self, op: &Op, site: &Site, statements: usize) {
        match op {
            Op::CreateTable(table) => self.create_table(table, site),
            Op::DropTable { name, if_exists } => self.drop_table(name, *if_exists, site),
            Op::Alter(table, change) => self.alter(table, change, site),
            Op::CreateIndex(index) => self.create_index(index, site),
            Op::DropIndex { name, if_exists } => self.drop_key(name, *if_exists, site),
            Op::RenameIndex(from, to) => self.rename_index(from, to),
            Op::CreateEnum(name, labels) => {
                let labels = Some(labels.clone());
                self.schema.enums.insert(name.clone(), Enum { labels, was: None, site: site.clone() });
            }
            Op::DropType { name, if_exists } => self.drop_type(name, *if_exists, site),
            Op::AlterType(name, change) => self.alter_type(name, change, site),
            Op::Truncate(..) | Op::Delete(..) | Op::Update(..) | Op::Upsert(_) => self.rows(op, site),
            Op::CreateObject(kind, name) => {
                self.schema.objects.entry((kind.clone(), name.clone())).or_insert(true);
            }
            Op::DropObject(kind, name) => self.drop_object(kind, name, site),
            Op::DefineFunction(name, items) => self.define(name, items, site),
            _ => self.statement(op, site, statements),
        }
    }

    /// Operations that are judged by themselves.
    fn statement(&mut self, op: &Op, site: &Site, statements: usize) {
        let none = String::new();
        match op {
            Op::DropContainer(what) => {
                let message = format!("{what} takes every object in it along, and their rows");
                self.error(RuleId::DropContainer, site, none, message);
            }
            Op::Transaction if !self.transaction => {
                self.transaction = true;
                let message = "the file begins or ends a transaction itself; if a later statement fails, the earlier ones stay applied";
                self.warn(RuleId::ExplicitTransaction, site, none, message.to_owned());
            }
            Op::Concurrently if statements > 1 => {
                let message = "this statement cannot run inside a transaction, and the file has others: they run as one transaction and the migration fails";
                self.error(RuleId::ConcurrentlyInTransaction, site, none, message.to_owned());
            }
            Op::Dynamic(what) => {
                let message = format!("what this runs cannot be proved from the text: {}", shorten(what));
                self.warn(RuleId::DynamicSql, site, none, message);
            }
            Op::Calls { function, query } => {
                let ours = self.schema.functions.iter().any(|each| each.name == function.name);
                if ours || (*query && !is_harmless(function)) {
                    let message = format!("runs {function}, whose effect is not known to be harmless");
                    self.warn(RuleId::RunsFunction, site, function.to_string(), message);
                }
            }
            Op::Behaviour(what) => {
                let message = format!("{}: the same statements may do something else afterwards", shorten(what));
                self.warn(RuleId::BehaviourChange, site, none, message);
            }
            Op::Unknown(what) => {
                let message = format!("{}: there is no rule for this statement, so nothing is claimed about it", shorten(what));
                self.warn(RuleId::UnknownStatement, site, none, message);
            }
            _ => {}
        }
    }

    /// A function's body does not run now. What it would do to tables is judged as if it did, writes of single rows apart:
    /// those are what functions are for.
    fn define(&mut self, name: &Name, items: &[Item], site: &Site) {
        let mut would = self.schema.clone();
        would.begin();
        let mut inner = Fold::new(&mut would);
        inner.apply(items, 1);
        let mut found = std::mem::take(&mut inner.drafts);
        found.extend(super::judge::judge(&would).drafts);
        found.retain(|draft| !matches!(draft.rule, RuleId::DeleteRows | RuleId::UpdateRows | RuleId::RunsFunction));
        self.drafts.extend(found);
        self.schema.functions.insert(name.clone());
        self.one(&Op::CreateObject("FUNCTION".to_owned(), name.clone()), site, 1);
    }

    fn drop_object(&mut self, kind: &str, name: &Name, site: &Site) {
        let fresh = self.schema.objects.remove(&(kind.to_owned(), name.clone()));
        if fresh != Some(true) {
            let message = format!("{} {name} is dropped; what uses it fails or no longer happens", kind.to_lowercase());
            self.warn(RuleId::DropObject, site, name.to_string(), message);
        }
    }

    fn drop_type(&mut self, name: &Name, if_exists: bool, site: &Site) {
        if !self.schema.enums.contains_key(name) {
            let state = if if_exists { " (no earlier migration makes it)" } else { "" };
            let message = format!("type {name} is dropped{state}; what uses it fails");
            self.warn(RuleId::DropObject, site, name.to_string(), message);
        } else if let Some(was) = self.schema.enums.remove(name).and_then(|old| old.was) {
            // Whether another type takes its name is known when the file ends.
            self.schema.enums_dropped.insert(was, site.clone());
        }
    }

    fn alter_type(&mut self, name: &Name, change: &TypeChange, site: &Site) {
        match change {
            TypeChange::AddLabel(label) => {
                let labels = &mut self.schema.enumeration(name, site).labels;
                if let Some(labels) = labels.as_mut().filter(|labels| !labels.contains(label)) {
                    labels.push(label.clone());
                }
            }
            TypeChange::RenameLabel(from, to) => {
                let each = self.schema.enumeration(name, site);
                each.site = site.clone();
                if let Some(label) = each.labels.iter_mut().flatten().find(|label| *label == from) {
                    label.clone_from(to);
                } else if each.was.is_some() {
                    let message = format!("the label {from:?} of {name} is renamed to {to:?}; the running version still uses the old one");
                    self.error(RuleId::EnumValueRemoved, site, name.to_string(), message);
                }
            }
            TypeChange::Rename(to) => self.move_type(name, name.renamed(to), site),
            TypeChange::Move(schema) => {
                let to = Name::new(Some(schema.clone()), name.name.clone());
                self.move_type(name, to, site);
            }
            TypeChange::DropAttribute(attribute) => {
                let message = format!("attribute {attribute} of type {name} is dropped; its values are lost");
                self.error(RuleId::DropColumn, site, name.column(attribute), message);
            }
        }
    }

    fn move_type(&mut self, from: &Name, to: Name, site: &Site) {
        self.schema.enumeration(from, site);
        let Some(mut moved) = self.schema.enums.remove(from) else { return };
        if moved.was.is_some() {
            moved.site = site.clone();
        }
        self.schema.enums.insert(to.clone(), moved);
        let columns = self.schema.tables.values_mut().flat_map(|table| table.columns.values_mut());
        for ty in columns.filter_map(|column| column.now.ty.as_mut()).filter(|ty| ty.base == *from) {
            ty.base = to.clone();
        }
    }

    fn rows(&mut self, op: &Op, site: &Site) {
        let (Op::Truncate(name) | Op::Delete(name, _) | Op::Update(name, ..) | Op::Upsert(name)) = op else { return };
        let existed = self.schema.table(name).was.is_some();
        let object = name.to_string();
        match op {
            Op::Truncate(_) => {
                self.schema.table(name).emptied = true;
                if existed {
                    self.error(RuleId::Truncate, site, object, format!("every row of {name} is lost"));
                }
            }
            Op::Delete(_, Filter::All) => {
                self.schema.table(name).emptied = true;
                if existed {
                    self.error(RuleId::DeleteAll, site, object, format!("every row of {name} is deleted"));
                }
            }
            Op::Delete(_, Filter::Some { nulls }) => {
                for null in nulls {
                    let column = self.schema.table(name).column(null, site);
                    column.filled = column.filled.max(Filled::Likely);
                }
                if existed {
                    self.warn(RuleId::DeleteRows, site, object, format!("rows of {name} are deleted"));
                }
            }
            Op::Upsert(_) if existed => {
                let message = format!("existing rows of {name} may be overwritten or deleted");
                self.warn(RuleId::UpdateRows, site, object, message);
            }
            Op::Update(_, assignments, filter) => self.update(name, assignments, filter, site),
            _ => {}
        }
    }

    fn update(&mut self, name: &Name, assignments: &[super::op::Assignment], filter: &Filter, site: &Site) {
        let table = self.schema.table(name);
        let existed = table.was.is_some();
        let mut old = Vec::new();
        for each in assignments {
            let column = table.column(&each.column, site);
            if !each.null {
                column.filled = column.filled.max(Filled::Likely);
                column.sources.extend(each.reads.iter().cloned());
            }
            if column.was.is_some() {
                old.push(each.column.clone());
            }
        }
        if !existed {
            return;
        }
        let list = old.iter().map(|column| name.column(column)).collect::<Vec<_>>().join(", ");
        match filter {
            _ if assignments.is_empty() => {
                self.warn(RuleId::UpdateRows, site, name.to_string(), format!("rows of {name} are changed"));
            }
            _ if old.is_empty() => {}
            Filter::All => {
                let message = format!("the old value of {list} is overwritten in every row");
                self.error(RuleId::UpdateAll, site, list, message);
            }
            Filter::Some { nulls } if old.iter().all(|column| nulls.contains(column)) => {}
            Filter::Some { .. } => {
                let message = format!("existing values of {list} are overwritten");
                self.warn(RuleId::UpdateRows, site, list, message);
            }
        }
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Functions of PostgreSQL (and of `pgcrypto`, `uuid-ossp`) that write nothing but a sequence, a setting or an advisory lock.
fn is_harmless(function: &Name) -> bool {
    const PREFIXES: &[&str] =
        &["json", "jsonb_", "array_", "string_", "regexp_", "date_", "to_", "has_", "pg_advisory_", "uuid_generate_", "current_"];
    const NAMES: &[&str] = &[
        "abs", "avg", "bool_and", "bool_or", "btrim", "cardinality", "ceil", "char_length", "clock_timestamp", "coalesce",
        "concat", "concat_ws", "count", "currval", "dense_rank", "digest", "encode", "every", "exists", "extract",
        "first_value", "floor", "format", "gen_random_bytes", "gen_random_uuid", "generate_series", "greatest", "initcap",
        "lag", "last_value", "lead", "least", "left", "length", "lower", "lpad", "ltrim", "make_interval", "max", "md5",
        "min", "mod", "nextval", "now", "nullif", "octet_length", "pg_get_serial_sequence", "pg_sleep", "pg_typeof",
        "position", "quote_ident", "quote_literal", "quote_nullable", "random", "rank", "repeat", "replace", "reverse",
        "right", "round", "row_number", "row_to_json", "rpad", "rtrim", "set_config", "setval", "sha256", "split_part",
        "statement_timestamp", "strpos", "substr", "substring", "sum", "transaction_timestamp", "translate", "trim",
        "trunc", "unnest", "upper", "version",
    ];
    let built_in = function.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    let name = function.name.as_str();
    built_in && (NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

pub(super) fn same_rule(a: &Rule, b: &Rule) -> bool {
    match (a, b) {
        // Check expressions are kept only as the names they read: never taken as equal.
        (Rule::Foreign(..), Rule::Foreign(..)) => a == b,
        _ => false,
    }
}
