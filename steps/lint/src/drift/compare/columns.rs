//! Enums and columns.

use super::{Draft, Work, close};
use crate::migration::Level;
use crate::shape::blind::Sort;
use crate::shape::value::{DefaultValue, Equality};
use crate::shape::{Column, Name, quoted};

impl Work<'_> {
    pub(super) fn enums(&mut self) {
        let (wanted, there) = (self.wanted, self.there);
        for (name, labels) in &wanted.enums {
            let object = name.to_string();
            let draft = |level, message, sql| Draft {
                sort: Sort::Enum,
                names: vec![&name.name],
                level,
                object: object.clone(),
                message,
                sql,
                line: 0,
            };
            let Some(have) = there.enums.get(name) else {
                let message = self.only_wanted(&format!("the enum {object}"));
                self.say(draft(
                    Level::Error,
                    message,
                    close::enumeration(name, labels),
                ));
                continue;
            };
            for label in labels.iter().filter(|label| !have.contains(label)) {
                let message =
                    self.only_wanted(&format!("the value {label:?} of the enum {object}"));
                self.say(draft(Level::Error, message, close::label(name, label)));
            }
            for label in have.iter().filter(|label| !labels.contains(label)) {
                let message = self.only_there(&format!("the value {label:?} of the enum {object}"));
                self.say(draft(Level::Warning, message, close::no_label(name, label)));
            }
        }
        for name in there
            .enums
            .keys()
            .filter(|name| !wanted.enums.contains_key(name))
        {
            if !self.concerns(name) {
                continue;
            }
            let message = self.only_there(&format!("the enum {name}"));
            self.say(Draft {
                sort: Sort::Enum,
                names: vec![&name.name],
                level: Level::Warning,
                object: name.to_string(),
                message,
                sql: format!("DROP TYPE {name};"),
                line: 0,
            });
        }
    }

    pub(super) fn of_column(
        &mut self,
        name: &Name,
        column: &str,
        level: Level,
        message: String,
        sql: String,
        line: usize,
    ) {
        self.say(Draft {
            sort: Sort::Column,
            names: vec![&name.name, column],
            level,
            object: format!("{name}.{}", quoted(column)),
            message,
            sql,
            line,
        });
    }

    pub(super) fn column(&mut self, name: &Name, column: &str, wanted: &Column, there: &Column) {
        self.found.columns += 1;
        let object = format!("{name}.{}", quoted(column));
        let alter = format!("ALTER TABLE {name} ALTER COLUMN {}", quoted(column));
        let (a, b) = (self.scope.wanted, self.scope.there);
        match (&wanted.ty, &there.ty) {
            (Some(is), Some(was)) if !is.is(was) => {
                let message = format!("the column {object} is {is} in {a} and {was} in {b}");
                let sql = format!("{alter} SET DATA TYPE {is};");
                self.of_column(name, column, Level::Error, message, sql, wanted.line);
            }
            (Some(_), Some(_)) => {}
            _ => self.found.undecided.push(format!("{object} (type)")),
        }
        if let (Some(is), Some(was)) = (wanted.required, there.required)
            && is != was
        {
            let words = |required| {
                if required {
                    "takes no NULL"
                } else {
                    "takes NULL"
                }
            };
            let message = format!(
                "the column {object} {} in {a} and {} in {b}",
                words(is),
                words(was)
            );
            let sql = format!("{alter} {} NOT NULL;", if is { "SET" } else { "DROP" });
            self.of_column(name, column, Level::Error, message, sql, wanted.line);
        }
        let ty = wanted.ty.as_ref().or(there.ty.as_ref());
        let (base, list) = ty.map_or(("", false), |ty| (ty.base.name.as_str(), ty.list));
        match wanted.default.compare(&there.default, base, list) {
            Equality::Yes => {}
            Equality::Undecided => self.found.undecided.push(format!("{object} (default)")),
            Equality::No => {
                let message = format!(
                    "the column {object} has {} in {a} and {} in {b}",
                    in_words(wanted),
                    in_words(there)
                );
                let sql = close::default(&alter, wanted);
                self.of_column(name, column, Level::Warning, message, sql, wanted.line);
            }
        }
    }
}

fn in_words(column: &Column) -> String {
    match &column.default {
        DefaultValue::Nothing => "no default".to_owned(),
        each => format!("the default {}", each.words()),
    }
}
