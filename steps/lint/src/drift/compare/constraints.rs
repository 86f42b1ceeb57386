//! Foreign keys, and what only SQL can say: checks, triggers, policies.

use super::{Draft, Work, close};
use crate::migration::Level;
use crate::shape::blind::Sort;
use crate::shape::{Foreign, Name, ROW_SECURITY, Table, quoted};

impl Work<'_> {
    pub(super) fn foreign(&mut self, name: &Name, table: &Table, have: &Table) {
        let (a, b) = (self.scope.wanted, self.scope.there);
        let same = |x: &Foreign, y: &Foreign| {
            x.columns == y.columns
                && x.target == y.target
                && (x.theirs == y.theirs || x.theirs.is_empty() || y.theirs.is_empty())
        };
        for key in &table.foreign {
            let object = format!("{name}({})", key.columns.join(", "));
            let all: Vec<&Foreign> = have.foreign.iter().filter(|each| same(each, key)).collect();
            let acts = |each: &&&Foreign| {
                each.on_delete == key.on_delete && each.on_update == key.on_update
            };
            match (all.iter().find(acts), all.first()) {
                (Some(_), _) => {
                    let named = all
                        .iter()
                        .any(|each| each.name.is_none() || each.name == key.name);
                    let other = all
                        .first()
                        .and_then(|each| each.name.as_deref())
                        .unwrap_or_default();
                    if let (false, Some(own)) =
                        (named || table.join || key.name.is_none(), &key.name)
                    {
                        let message = format!(
                            "the foreign key {object} is called {own:?} in {a} and {other:?} in {b}"
                        );
                        let sql = format!(
                            "ALTER TABLE {name} RENAME CONSTRAINT {} TO {};",
                            quoted(other),
                            quoted(own)
                        );
                        self.constraint(name, key, Level::Warning, object, message, sql);
                    }
                }
                (None, Some(other)) => {
                    let message = format!(
                        "the foreign key {object} to {} has ON DELETE {} ON UPDATE {} in {a} and ON DELETE {} ON UPDATE {} in {b}",
                        key.target, key.on_delete, key.on_update, other.on_delete, other.on_update
                    );
                    let drop = other.name.as_deref().map_or_else(String::new, |own| {
                        format!("ALTER TABLE {name} DROP CONSTRAINT {};\n", quoted(own))
                    });
                    let sql = format!("{drop}{}", close::foreign(name, key));
                    self.constraint(name, key, Level::Warning, object, message, sql);
                }
                (None, None) => {
                    let message =
                        self.only_wanted(&format!("the foreign key {object} to {}", key.target));
                    self.constraint(
                        name,
                        key,
                        Level::Warning,
                        object,
                        message,
                        close::foreign(name, key),
                    );
                }
            }
        }
        for key in &have.foreign {
            if table.foreign.iter().any(|each| same(each, key)) {
                continue;
            }
            let object = format!("{name}({})", key.columns.join(", "));
            if table.open {
                self.found.undecided.push(object);
                continue;
            }
            let message = self.only_there(&format!("the foreign key {object} to {}", key.target));
            let own = key.name.as_deref().unwrap_or("…");
            let sql = format!("ALTER TABLE {name} DROP CONSTRAINT {};", quoted(own));
            self.constraint(name, key, Level::Warning, object, message, sql);
        }
    }

    fn constraint(
        &mut self,
        name: &Name,
        key: &Foreign,
        level: Level,
        object: String,
        message: String,
        sql: String,
    ) {
        let columns = key.columns.iter().map(String::as_str);
        self.say(Draft {
            sort: Sort::Constraint,
            names: std::iter::once(name.name.as_str()).chain(columns).collect(),
            level,
            object,
            message,
            sql,
            line: self.wanted.tables.get(name).map_or(0, |table| table.line),
        });
    }

    pub(super) fn checks(&mut self, name: &Name, table: &Table, have: &Table) {
        let both = have
            .checks
            .iter()
            .filter(|check| table.checks.contains(check));
        self.found.by_name += both.count();
        let missing = table.checks.iter().map(|check| (check, true));
        let missing = missing.filter(|(check, _)| !have.checks.contains(check));
        let extra = have.checks.iter().map(|check| (check, false));
        let extra = extra.filter(|(check, _)| !table.checks.contains(check));
        for (check, lacking) in missing.chain(extra) {
            if table.open && !lacking {
                self.found
                    .undecided
                    .push(format!("{name}.{}", quoted(check)));
                continue;
            }
            let what = format!("the constraint {} of {name}", quoted(check));
            let (message, sql) = if lacking {
                let sql = "-- as the migration that makes it writes it".to_owned();
                (self.only_wanted(&what), sql)
            } else {
                let sql = format!("ALTER TABLE {name} DROP CONSTRAINT {};", quoted(check));
                (self.only_there(&what), sql)
            };
            self.say(Draft {
                sort: Sort::Constraint,
                names: vec![&name.name],
                level: Level::Warning,
                object: format!("{name}.{}", quoted(check)),
                message,
                sql,
                line: 0,
            });
        }
    }

    pub(super) fn guards(&mut self) {
        let (wanted, there) = (self.wanted, self.there);
        let both = wanted.guards.intersection(&there.guards);
        self.found.by_name += both.filter(|(kind, _, _)| kind != ROW_SECURITY).count();
        let all = wanted.guards.symmetric_difference(&there.guards);
        for (kind, guard, table) in all.filter(|(_, _, table)| {
            there.tables.contains_key(table) && wanted.tables.contains_key(table)
        }) {
            let missing = wanted
                .guards
                .contains(&(kind.clone(), guard.clone(), table.clone()));
            let flag = kind == ROW_SECURITY;
            let what = if flag {
                format!("row-level security ({guard}) of {table}")
            } else {
                format!("the {kind} {} on {table}", quoted(guard))
            };
            let message = if missing {
                self.only_wanted(&what)
            } else {
                self.only_there(&what)
            };
            let sql = match (flag, missing) {
                (true, _) => row_security(table, guard, missing),
                (false, true) => "-- as the migration that makes it writes it".to_owned(),
                (false, false) => {
                    format!("DROP {} {} ON {table};", kind.to_uppercase(), quoted(guard))
                }
            };
            self.say(Draft {
                sort: Sort::Guard,
                names: vec![if flag { &table.name } else { guard }],
                level: Level::Warning,
                object: if flag {
                    format!("{table} {kind} {guard}")
                } else {
                    format!("{table}.{}", quoted(guard))
                },
                message,
                sql,
                line: 0,
            });
        }
    }
}

/// What switches a flag of row-level security on, or off.
fn row_security(table: &Name, flag: &str, on: bool) -> String {
    let verb = match (flag, on) {
        ("forced", true) => "FORCE",
        ("forced", false) => "NO FORCE",
        (_, true) => "ENABLE",
        (_, false) => "DISABLE",
    };
    format!("ALTER TABLE {table} {verb} ROW LEVEL SECURITY;")
}
