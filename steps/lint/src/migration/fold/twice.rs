//! What is made and is there already: the second statement fails, or does nothing.

use super::Fold;
use crate::migration::draft::Draft;
use crate::migration::op::{NewTable, Site};
use crate::migration::report::Level;
use crate::migration::rule::RuleId;

impl Fold<'_> {
    /// In a body that may be guarded, by a condition or by an exception that is caught.
    pub(super) fn made_twice(&mut self, kind: &str, object: &str, code: &str, site: &Site) {
        if site.inside.is_some() {
            return;
        }
        let message = format!(
            "the {kind} {object} is there already, made by this or an earlier migration: PostgreSQL refuses a second one ({code})"
        );
        self.say(self.sure(), object, message, site);
    }

    /// With IF NOT EXISTS nothing happens, and columns that only the second one names are missing.
    pub(super) fn table_made_twice(&mut self, new: &NewTable, site: &Site) {
        let object = new.name.to_string();
        if !new.if_not_exists {
            return self.made_twice("table", &object, "42P07", site);
        }
        let Some(there) = self
            .schema
            .tables
            .get(&new.name)
            .filter(|table| !table.open)
        else {
            return;
        };
        let missing: Vec<String> = new
            .columns
            .iter()
            .filter(|column| !there.columns.contains_key(&column.name))
            .map(|column| format!("{:?}", column.name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "the table {object} is there already, so nothing happens here, and it stays without {}",
                missing.join(", ")
            );
            self.say(Level::Warning, &object, message, site);
        }
    }

    /// What dynamic SQL may have dropped is not surely there.
    fn sure(&self) -> Level {
        if self.schema.blind {
            Level::Warning
        } else {
            Level::Error
        }
    }

    fn say(&mut self, level: Level, object: &str, message: String, site: &Site) {
        let draft = Draft::error(RuleId::MadeTwice, site, object.to_owned(), message);
        self.drafts.push(Draft { level, ..draft });
    }
}
