//! The schema as the migrations so far leave it. Everything remembers what it was when the current file began, so that
//! only net effects on what existed before are judged.

use std::collections::{BTreeMap, BTreeSet};

use super::op::{ColumnDef, Details, Key, Name, Rule, SEQUENCE, Site, SqlType, Value};

mod constraint;

#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    pub(super) tables: BTreeMap<Name, Table>,
    pub(super) enums: BTreeMap<Name, Enum>,
    /// Labels by the name an enum had when the file began; `None`: it was never seen being made.
    pub(super) enums_before: BTreeMap<Name, Option<Vec<String>>>,
    /// Where the file dropped an enum, by the name it had when the file began.
    pub(super) enums_dropped: BTreeMap<Name, Site>,
    /// Views, functions and so on, by kind: the name and whether the file made it.
    pub(super) objects: BTreeMap<(String, Name), bool>,
    /// Those the file dropped and has not made again.
    pub(super) objects_dropped: BTreeMap<(String, Name), Site>,
    pub(super) views: BTreeMap<Name, View>,
    /// Columns, where they are known, of the views that the file found and dropped or made again.
    pub(super) views_before: BTreeMap<Name, Vec<String>>,
    /// Schemas a migration makes, and whether this file does and nothing was seen in them before.
    pub(super) schemas: BTreeMap<String, bool>,
    /// Functions made by migrations.
    pub(super) functions: BTreeSet<Name>,
    /// The application's own schema, where names without one lie; `public` when it is not known.
    pub(super) own: Option<String>,
    /// Words about things of which a CASCADE may have taken a part.
    pub(super) unsure: Vec<String>,
    /// Something ran whose effect the text does not show.
    pub(super) blind: bool,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Table {
    /// Name when the file began; `None`: the file made it.
    pub(super) was: Option<Name>,
    /// A migration was seen to make it.
    pub(super) made: bool,
    /// It has columns that its text does not name.
    pub(super) open: bool,
    /// It is a part of another table.
    pub(super) part: bool,
    /// It is gone when the session ends.
    pub(super) temp: bool,
    pub(super) columns: BTreeMap<String, Column>,
    pub(super) keys: Vec<TableKey>,
    pub(super) checks: Vec<TableCheck>,
    /// Plain indexes, by name.
    pub(super) indexes: BTreeMap<String, (Key, Details)>,
    /// The file may have changed something here; what no file touched is as it was.
    pub(super) touched: bool,
    /// The file deletes every row.
    pub(super) emptied: bool,
    pub(super) renamed: Option<Site>,
    /// Keys, and foreign keys, that the file took away.
    pub(super) lost_keys: Vec<(Key, Site)>,
    pub(super) lost_checks: Vec<(Rule, Site)>,
    pub(super) lost_columns: Vec<(String, Facts, Site)>,
}

#[derive(Debug, Clone)]
pub(super) struct View {
    /// What it reads: table or view, and names that are columns of it as far as its text tells.
    pub(super) reads: BTreeMap<Name, BTreeSet<String>>,
    /// It reads one table only, so that the names in it can be no other's.
    pub(super) sure: bool,
    /// What it gives; nothing when that is not known.
    pub(super) columns: Option<Vec<String>>,
    /// The file made it.
    pub(super) fresh: bool,
    pub(super) site: Site,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) ty: Option<SqlType>,
    pub(super) not_null: bool,
    pub(super) default: bool,
    /// What the default is; nothing also when it is not known.
    pub(super) value: Option<Value>,
    /// False for a column that no migration was seen to make.
    pub(super) known: bool,
}

/// What speaks for there being no NULL left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fill {
    No,
    /// An UPDATE, a DELETE of the NULLs, a default, or a check of the same file: evidence, not proof.
    Likely,
    /// A validated check from an earlier file.
    Proven,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    /// As the file began; `None`: the file added it.
    pub(super) was: Option<Facts>,
    pub(super) now: Facts,
    pub(super) filled: Fill,
    /// `filled` when NULL was forbidden: what fills it later comes too late.
    pub(super) evidence: Fill,
    /// Names read by the UPDATEs that filled it.
    pub(super) sources: Vec<String>,
    /// Where it was added, or last changed in the respect named.
    pub(super) added: Option<Site>,
    pub(super) renamed: Option<Site>,
    pub(super) tightened: Option<Site>,
    pub(super) loosened: Option<Site>,
    pub(super) retyped: Option<Site>,
    pub(super) undefaulted: Option<Site>,
    /// Added as NOT NULL without a default: fails on the first row.
    pub(super) bare: bool,
    /// Added with a sequence: no two rows agree.
    pub(super) distinct: bool,
}

#[derive(Debug, Clone)]
pub(super) struct TableKey {
    pub(super) name: String,
    pub(super) key: Key,
    pub(super) details: Details,
    /// A constraint; an index of its own otherwise.
    pub(super) constraint: bool,
    pub(super) existed: bool,
    pub(super) site: Site,
}

#[derive(Debug, Clone)]
pub(super) struct TableCheck {
    pub(super) name: String,
    pub(super) rule: Rule,
    pub(super) valid: bool,
    pub(super) existed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Enum {
    pub(super) labels: Option<Vec<String>>,
    /// Name when the file began; `None`: the file made it.
    pub(super) was: Option<Name>,
    pub(super) site: Site,
}

impl Column {
    pub(super) fn new(def: &ColumnDef, site: &Site) -> Self {
        Self {
            was: None,
            now: Facts {
                name: def.name.clone(),
                ty: def.ty.clone(),
                not_null: def.not_null,
                default: def.default,
                value: def.value.clone(),
                known: true,
            },
            filled: if def.default { Fill::Likely } else { Fill::No },
            evidence: Fill::No,
            sources: Vec::new(),
            added: Some(site.clone()),
            renamed: None,
            tightened: None,
            loosened: None,
            retyped: None,
            undefaulted: None,
            bare: def.not_null && !def.default,
            distinct: def.rewrites == Some(SEQUENCE),
        }
    }

    /// A column no migration made: it must have been there, or the statement would fail.
    fn assumed(name: &str, existed: bool, site: &Site) -> Self {
        let now = Facts {
            name: name.to_owned(),
            ty: None,
            not_null: false,
            default: false,
            value: None,
            known: false,
        };
        let def = ColumnDef {
            name: name.to_owned(),
            ty: None,
            not_null: false,
            default: false,
            value: None,
            constraints: Vec::new(),
            rewrites: None,
        };
        let mut column = Self::new(&def, site);
        column.was = existed.then(|| now.clone());
        column.now = now;
        column
    }

    /// Forbids NULL, if it is not forbidden yet.
    pub(super) fn tighten(&mut self, site: &Site) {
        if !self.now.not_null {
            self.now.not_null = true;
            self.evidence = self.filled;
            self.tightened = Some(site.clone());
        }
    }

    fn begin(&mut self) {
        self.was = Some(self.now.clone());
        self.sources.clear();
        self.added = None;
        self.renamed = None;
        self.tightened = None;
        self.loosened = None;
        self.retyped = None;
        self.undefaulted = None;
        self.bare = false;
        self.distinct = false;
    }
}

impl Table {
    pub(super) fn new(was: Option<Name>) -> Self {
        Self {
            was,
            made: false,
            open: false,
            part: false,
            temp: false,
            columns: BTreeMap::new(),
            keys: Vec::new(),
            checks: Vec::new(),
            indexes: BTreeMap::new(),
            touched: true,
            emptied: false,
            renamed: None,
            lost_keys: Vec::new(),
            lost_checks: Vec::new(),
            lost_columns: Vec::new(),
        }
    }

    pub(super) fn column(&mut self, name: &str, site: &Site) -> &mut Column {
        let existed = self.was.is_some();
        self.columns
            .entry(name.to_owned())
            .or_insert_with(|| Column::assumed(name, existed, site))
    }

    fn begin(&mut self, name: &Name) {
        self.was = Some(name.clone());
        self.emptied = false;
        self.renamed = None;
        self.lost_keys.clear();
        self.lost_checks.clear();
        self.lost_columns.clear();
        self.columns.values_mut().for_each(Column::begin);
        self.keys.iter_mut().for_each(|key| key.existed = true);
        for check in &mut self.checks {
            check.existed = true;
            if let (true, Rule::Check(_, Some(column))) = (check.valid, &check.rule)
                && let Some(column) = self.columns.get_mut(column)
            {
                column.filled = Fill::Proven;
            }
        }
    }
}

impl Schema {
    /// What is now is what was before the next file.
    pub(super) fn begin(&mut self) {
        for (name, table) in &mut self.tables {
            // Most files touch few of many tables.
            if std::mem::take(&mut table.touched) {
                table.begin(name);
            }
        }
        self.enums_before.clear();
        self.enums_dropped.clear();
        self.objects_dropped.clear();
        self.views_before.clear();
        self.views.values_mut().for_each(|view| view.fresh = false);
        for (name, each) in &mut self.enums {
            each.was = Some(name.clone());
            self.enums_before.insert(name.clone(), each.labels.clone());
        }
        self.schemas.values_mut().for_each(|new| *new = false);
        self.objects.values_mut().for_each(|fresh| *fresh = false);
    }

    /// Takes a view away; remembers what it gave, if the file found it. Whether there was one.
    pub(super) fn remove_view(&mut self, name: &Name) -> bool {
        let Some(view) = self.views.remove(name) else {
            return false;
        };
        if let Some(columns) = view.columns.filter(|_| !view.fresh) {
            self.views_before.insert(name.clone(), columns);
        }
        true
    }

    /// Columns of a table or view, as far as they are known.
    pub(super) fn columns_of(&self, name: &Name) -> Vec<String> {
        match (self.tables.get(name), self.views.get(name)) {
            (Some(table), _) => table.columns.keys().cloned().collect(),
            (None, Some(view)) => view.columns.clone().unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// Takes note of a schema.
    pub(super) fn add_schema(&mut self, name: &str) {
        let used = self
            .tables
            .keys()
            .any(|table| table.schema.as_deref() == Some(name));
        self.schemas.entry(name.to_owned()).or_insert(!used);
    }

    /// Whether the file made the schema of this name: nothing was in it before.
    pub(super) fn is_new(&self, name: &Name) -> bool {
        let schema = name.schema.as_ref();
        schema.is_some_and(|schema| self.schemas.get(schema) == Some(&true))
    }

    /// The table; one that no migration made must have been there before.
    pub(super) fn table(&mut self, name: &Name) -> &mut Table {
        let table = self
            .tables
            .entry(name.clone())
            .or_insert_with(|| Table::new(Some(name.clone())));
        table.touched = true;
        table
    }

    /// The enum (or other type) of that name.
    pub(super) fn enumeration(&mut self, name: &Name, site: &Site) -> &mut Enum {
        let before = &mut self.enums_before;
        self.enums.entry(name.clone()).or_insert_with(|| {
            before.insert(name.clone(), None);
            Enum {
                labels: None,
                was: Some(name.clone()),
                site: site.clone(),
            }
        })
    }

    /// The table that has an index or constraint of this name.
    pub(super) fn index_owner(&mut self, index: &str) -> Option<&mut Table> {
        let table = self.tables.values_mut().find(|table| {
            table.indexes.contains_key(index) || table.keys.iter().any(|key| key.name == index)
        })?;
        table.touched = true;
        Some(table)
    }
}

/// Columns that are gone, quoted; none where either side is not known.
pub(super) fn lost(before: Option<&[String]>, now: Option<&[String]>) -> Vec<String> {
    let (Some(before), Some(now)) = (before, now) else {
        return Vec::new();
    };
    let gone = before.iter().filter(|column| !now.contains(column));
    gone.map(|column| super::op::quoted(column)).collect()
}
