//! Applies one file's operations to the schema, and notes what can be said on the spot. What depends on the rest of the file
//! is judged when it ends (`judge`).

mod calls;
mod dependents;
mod enums;
mod keys;
mod locks;
mod rows;
mod schemas;
mod tables;
mod twice;
mod views;

use super::draft::Draft;
use super::op::{Item, Name, Op, Rule, Site};
use super::rule::RuleId;
use super::state::{Enum, Schema};

/// One file being applied.
pub(super) struct Fold<'a> {
    pub(super) schema: &'a mut Schema,
    pub(super) drafts: Vec<Draft>,
    transaction: bool,
    /// Tables locked against everything since the transaction began, and the first lock's statement.
    locked: Option<Name>,
    patient: bool,
    /// Labels added in this transaction to types that were there before.
    labels: Vec<(Name, String)>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(schema: &'a mut Schema) -> Self {
        Self {
            schema,
            drafts: Vec::new(),
            transaction: false,
            locked: None,
            patient: true,
            labels: Vec::new(),
        }
    }

    pub(super) fn apply(&mut self, items: &[Item], statements: usize) {
        for item in items {
            self.one(&item.op, &item.site, statements);
        }
    }

    fn warn(&mut self, rule: RuleId, site: &Site, object: String, message: String) {
        self.drafts
            .push(Draft::warning(rule, site, object, message));
    }

    fn error(&mut self, rule: RuleId, site: &Site, object: String, message: String) {
        self.drafts.push(Draft::error(rule, site, object, message));
    }

    fn one(&mut self, op: &Op, site: &Site, statements: usize) {
        match op {
            Op::CreateTable(table) => self.create_table(table, site),
            Op::Part(name, is) => {
                if let Some(table) = self.schema.tables.get_mut(name) {
                    table.part = *is;
                }
            }
            Op::DropTable {
                name,
                if_exists,
                cascade,
            } => self.drop_table(name, *if_exists, *cascade, site),
            Op::Alter(table, change) => {
                self.locks(table, change, site);
                self.alter(table, change, site);
            }
            Op::CreateSchema(name) => self.schema.add_schema(name),
            Op::ClearSchema(name) => self.clear_schema(name, site),
            Op::RenameSchema(from, to) => self.rename_schema(from, to, site),
            Op::CreateIndex(index) => {
                self.index_lock(index, site);
                self.create_index(index, site);
            }
            Op::DropIndex { name, if_exists } => self.drop_key(name, *if_exists, site),
            Op::RenameIndex(from, to) => self.rename_index(from, to),
            Op::CreateEnum(name, labels) => {
                if self
                    .schema
                    .enums
                    .get(name)
                    .is_some_and(|each| each.labels.is_some())
                {
                    self.made_twice("type", &name.to_string(), "42710", site);
                }
                let labels = Some(labels.clone());
                self.schema.enums.insert(
                    name.clone(),
                    Enum {
                        labels,
                        was: None,
                        site: site.clone(),
                    },
                );
            }
            Op::DropType {
                name,
                if_exists,
                cascade,
            } => self.drop_type(name, *if_exists, *cascade, site),
            Op::AlterType(name, change) => self.alter_type(name, change, site),
            Op::Truncate(..) | Op::Delete(..) | Op::Update(..) | Op::Upsert(_) => {
                self.work_under_lock(op, site);
                self.rows(op, site);
            }
            Op::CreateView(view) => self.create_view(view, site),
            Op::CreateObject(kind, name) => {
                let key = (kind.clone(), name.clone());
                let fresh = self.schema.objects_dropped.remove(&key).is_none();
                self.schema.objects.entry(key).or_insert(fresh);
            }
            Op::DropObject(kind, name) => {
                if kind == "VIEW" {
                    self.drop_view(name, self.cascades(site), site);
                }
                if self.cascades(site) {
                    self.along_with(kind, name, site);
                }
                self.drop_object(kind, name, site);
            }
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
            Op::LockTimeout => self.patient = false,
            Op::Literals { literals, names } => self.uses_label(literals, names, site),
            Op::Guard(table, nulls) => {
                for null in nulls {
                    let column = self.schema.table(table).column(null, site);
                    column.filled = column.filled.max(super::state::Fill::Likely);
                }
            }
            Op::Cascade(what) => {
                let message = format!(
                    "{what} … CASCADE also drops whatever depends on it, and nothing here says what that is"
                );
                self.warn(RuleId::Cascade, site, none, message);
            }
            Op::Transaction { commits } => {
                if *commits {
                    self.locked = None;
                    self.labels.clear();
                }
                if std::mem::replace(&mut self.transaction, true) {
                    return;
                }
                let message = "the file begins or ends a transaction itself; if a later statement fails, the earlier ones stay applied";
                self.warn(RuleId::ExplicitTransaction, site, none, message.to_owned());
            }
            Op::Concurrently if statements > 1 => {
                let message = "this statement cannot run inside a transaction, and the file has others: they run as one transaction and the migration fails";
                self.error(
                    RuleId::ConcurrentlyInTransaction,
                    site,
                    none,
                    message.to_owned(),
                );
            }
            Op::Dynamic(what) => {
                self.schema.blind = true;
                let message = format!(
                    "what this runs cannot be proved from the text: {}",
                    shorten(what)
                );
                self.warn(RuleId::DynamicSql, site, none, message);
            }
            Op::Calls { function, query } => {
                let ours = self
                    .schema
                    .functions
                    .iter()
                    .any(|each| each.name == function.name);
                if ours || (*query && !calls::is_harmless(function)) {
                    let message =
                        format!("runs {function}, whose effect is not known to be harmless");
                    self.warn(RuleId::RunsFunction, site, function.to_string(), message);
                }
            }
            Op::Behaviour(what) => {
                let message = format!(
                    "{}: the same statements may do something else afterwards",
                    shorten(what)
                );
                self.warn(RuleId::BehaviourChange, site, none, message);
            }
            Op::Unknown(what) => {
                self.schema.blind = true;
                let message = format!(
                    "{}: there is no rule for this statement, so nothing is claimed about it",
                    shorten(what)
                );
                self.warn(RuleId::UnknownStatement, site, none, message);
            }
            _ => {}
        }
    }

    /// A function's body does not run now. What it would do to tables is judged as if it did, writes of single rows apart:
    /// those are what functions are for.
    fn define(&mut self, name: &Name, items: &[Item], site: &Site) {
        let silent = |item: &Item| matches!(item.op, Op::Calls { .. } | Op::Upsert(_));
        if items.iter().all(silent) {
            self.schema.functions.insert(name.clone());
            let made = Op::CreateObject("FUNCTION".to_owned(), name.clone());
            return self.one(&made, site, 1);
        }
        let mut would = self.schema.clone();
        would.begin();
        let mut inner = Fold::new(&mut would);
        inner.apply(items, 1);
        let mut found = std::mem::take(&mut inner.drafts);
        found.extend(super::judge::judge(&would).drafts);
        found.retain(|draft| {
            !matches!(
                draft.rule,
                RuleId::DeleteRows | RuleId::UpdateRows | RuleId::RunsFunction
            )
        });
        self.drafts.extend(found);
        self.schema.functions.insert(name.clone());
        self.one(
            &Op::CreateObject("FUNCTION".to_owned(), name.clone()),
            site,
            1,
        );
    }

    /// Whether it is made again is known when the file ends.
    fn drop_object(&mut self, kind: &str, name: &Name, site: &Site) {
        let key = (kind.to_owned(), name.clone());
        if self.schema.objects.remove(&key) != Some(true) {
            self.schema.objects_dropped.insert(key, site.clone());
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

pub(super) fn same_rule(a: &Rule, b: &Rule) -> bool {
    match (a, b) {
        // Check expressions are kept only as the names they read: never taken as equal.
        // Which rows violate it does not depend on what follows the target.
        (Rule::Foreign(own, target, theirs, _), Rule::Foreign(own_b, target_b, theirs_b, _)) => {
            (own, target, theirs) == (own_b, target_b, theirs_b)
        }
        _ => false,
    }
}
