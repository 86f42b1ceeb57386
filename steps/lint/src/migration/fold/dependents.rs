//! What CASCADE takes along, as far as the text of the migrations tells.

use super::Fold;
use crate::migration::op::{Name, Rule, Site, Value};
use crate::migration::state::Table;

impl Fold<'_> {
    /// The foreign keys that rely on a key of the table go with it.
    pub(super) fn cut_off_key(&mut self, target: &Name, key: &str, site: &Site) {
        let Some(table) = self.schema.tables.get(target) else {
            return;
        };
        let Some(gone) = table.keys.iter().find(|each| each.name == key) else {
            return;
        };
        let of = |each: &crate::migration::op::Key| {
            let mut columns: Vec<String> = each.columns.iter().flatten().cloned().collect();
            columns.sort_unstable();
            columns
        };
        let columns = of(&gone.key);
        let mut others = table.keys.iter().filter(|each| each.name != key);
        let another = others.any(|each| each.key.predicate.is_none() && of(&each.key) == columns);
        let relies = |theirs: &[String]| {
            let mut theirs = theirs.to_vec();
            theirs.sort_unstable();
            theirs == columns
        };
        self.cut_off_where(target, relies, another, site);
    }

    /// So do those that point at a column; what is computed from it may go as well.
    pub(super) fn cut_off_column(&mut self, target: &Name, column: &str, site: &Site) {
        let points = |theirs: &[String]| theirs.iter().any(|each| each == column);
        self.cut_off_where(target, points, false, site);
        let mut unsure = Vec::new();
        let table = self.schema.table(target);
        for (name, each) in &mut table.columns {
            if name != column && each.now.value == Some(Value::Computed) {
                each.now.known = false;
                unsure.push(format!("column {} {name}", target.name));
            }
        }
        self.schema.unsure.extend(unsure);
    }

    /// With `another` key of the same columns it is not known which of the two a foreign key relies on.
    fn cut_off_where(
        &mut self,
        target: &Name,
        relies: impl Fn(&[String]) -> bool,
        another: bool,
        site: &Site,
    ) {
        let primary = self.schema.tables.get(target).map_or(Vec::new(), primary);
        for (name, table) in &mut self.schema.tables {
            let (stay, go) = std::mem::take(&mut table.checks)
                .into_iter()
                .partition(|check| match &check.rule {
                    Rule::Foreign(_, to, theirs, _) if to == target => {
                        !relies(if theirs.is_empty() { &primary } else { theirs })
                    }
                    _ => true,
                });
            table.checks = stay;
            for check in go {
                table.touched = true;
                if let (true, Rule::Foreign(own, ..)) = (another, &check.rule) {
                    let words = format!("foreign key {} {}", name.name, own.join(" "));
                    self.schema.unsure.push(words);
                }
                if check.existed && check.valid {
                    table.lost_checks.push((check.rule, site.clone()));
                }
            }
        }
    }

    /// What goes with a sequence, a domain, a function.
    pub(super) fn along_with(&mut self, kind: &str, name: &Name, site: &Site) {
        match kind {
            "SEQUENCE" => self.without_sequence(name, site),
            "DOMAIN" => self.drop_columns_of(name, site),
            "FUNCTION" | "PROCEDURE" | "ROUTINE" => {
                let call = format!("{}(", name.name);
                for (table, each) in &mut self.schema.tables {
                    for (column, facts) in &mut each.columns {
                        let calls = matches!(&facts.now.value,
                            Some(Value::Text(sql)) if sql.replace('"', "").contains(&call));
                        if calls || facts.now.value == Some(Value::Computed) {
                            facts.now.known = false;
                            let words = format!("column {} {column}", table.name);
                            self.schema.unsure.push(words);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// Columns it fills have no default any more.
    fn without_sequence(&mut self, sequence: &Name, site: &Site) {
        for (table, each) in &mut self.schema.tables {
            for (name, column) in &mut each.columns {
                let filled = match &column.now.value {
                    Some(Value::Sequence) => {
                        let own = format!("{}_{name}_seq", table.name);
                        let same = table.schema == sequence.schema && own == sequence.name;
                        // A table or a column that has another name by now keeps its sequence's.
                        if !same && sequence.name.ends_with(&format!("_{name}_seq")) {
                            let words = format!("column {} {name}", table.name);
                            self.schema.unsure.push(words);
                            column.now.value = None;
                        }
                        same
                    }
                    Some(Value::Text(sql)) => {
                        sql.to_ascii_lowercase().contains("nextval") && names(sql, &sequence.name)
                    }
                    _ => false,
                };
                if filled {
                    (column.now.default, column.now.value) = (false, None);
                    column.undefaulted = Some(site.clone());
                    each.touched = true;
                }
            }
        }
    }
}

/// Whether a text holds a name as a word of its own.
fn names(sql: &str, name: &str) -> bool {
    let mut words = sql.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| word == name)
}

fn primary(table: &Table) -> Vec<String> {
    let key = table.keys.iter().find(|each| each.key.primary);
    key.map_or_else(Vec::new, |each| {
        each.key.columns.iter().flatten().cloned().collect()
    })
}
