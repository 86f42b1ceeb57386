//! How a team weighs what is found: its levels, what `[[lint.ignore]]` accepts, and which of those entries accept nothing.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::finding::{of_file, start};
use super::load::Migration;
use super::report::{Finding, Level, LintReport, Suppression};
use super::rule::RuleId;
use super::settings::{Ignore, Settings};

/// Where findings come from. Each rule has one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The text of the pending migrations.
    Text,
    /// A replay of the history in a throw-away database.
    Replay,
    /// The comparison of `schema.prisma` with the migrations.
    Schema,
    /// What git or a database says of applied migrations. No setting weighs its findings: each is an error of its own.
    History,
}

impl Origin {
    fn of(rule: RuleId) -> Origin {
        match rule {
            RuleId::ReplayDiffers | RuleId::ReplayFailed => Origin::Replay,
            RuleId::SchemaDrift => Origin::Schema,
            RuleId::EditedMigration => Origin::History,
            _ => Origin::Text,
        }
    }
}

/// Weighs findings of every source, over all folders that are looked at, and keeps count of the entries of
/// `[[lint.ignore]]`: after the last finding, [`unused`](Weighing::unused) names those that suppressed nothing.
#[derive(Debug)]
pub struct Weighing<'a> {
    settings: &'a Settings,
    /// For each entry: it could have suppressed something, because its migration was looked at by the source of its rule.
    asked: Vec<bool>,
    /// For each entry: it suppressed something.
    used: Vec<bool>,
}

impl<'a> Weighing<'a> {
    /// Before anything was found.
    pub fn new(settings: &'a Settings) -> Weighing<'a> {
        let none = vec![false; settings.ignore.len()];
        Weighing {
            settings,
            asked: none.clone(),
            used: none,
        }
    }

    /// A source was asked about these migrations: an entry that accepts findings of that source in one of them must
    /// suppress something. For [`Origin::Schema`] the migrations do not matter, as its findings belong to none.
    pub fn asked(&mut self, source: Origin, migrations: &BTreeSet<String>) {
        for (entry, asked) in self.settings.ignore.iter().zip(&mut self.asked) {
            let of_it = Origin::of(entry.rule) == source;
            *asked |= of_it && (source == Origin::Schema || migrations.contains(&entry.migration));
        }
    }

    /// Adds findings as the team weighs them: at its levels, and apart where an entry with a reason accepts them. Findings of
    /// [`Origin::History`] do not come here. Comments in a file speak to the text check only, which has followed them.
    pub fn add(&mut self, linted: &mut LintReport, findings: impl IntoIterator<Item = Finding>) {
        for mut finding in findings {
            let Some(level) = self.settings.weigh(finding.rule, finding.level) else {
                continue;
            };
            finding.level = level;
            finding.waivable = level != Level::Error;
            let mut entries = self.settings.ignore.iter();
            let accepted = entries.position(|each| each.covers(&finding) && has_reason(each));
            match accepted {
                Some(at) => {
                    self.used[at] = true;
                    let reason = self.settings.ignore[at].reason.clone();
                    linted.suppressed.push(Suppression { finding, reason });
                }
                None => linted.report.findings.push(finding),
            }
        }
    }

    /// The entries that suppressed nothing although they could have, each as a warning of rule `suppression`. An entry for
    /// a rule that no setting weighs is always among them; one for a source that was not asked never is, nor one for a
    /// migration that was not looked at.
    ///
    /// The finding of an entry that names no migration of a folder has `flow.toml` as its file.
    pub fn unused(self) -> Vec<Finding> {
        let entries = self.settings.ignore.iter();
        let entries = entries.zip(self.asked.into_iter().zip(self.used));
        let unused = entries.filter(|(entry, (asked, used))| {
            !used && (*asked || Origin::of(entry.rule) == Origin::History)
        });
        unused
            .map(|(entry, _)| self.settings.unused(entry))
            .collect()
    }
}

fn has_reason(entry: &Ignore) -> bool {
    !entry.reason.trim().is_empty()
}

impl Settings {
    fn unused(&self, entry: &Ignore) -> Finding {
        let why = if !has_reason(entry) {
            "it gives no reason"
        } else if Origin::of(entry.rule) == Origin::History {
            "what happened to an applied migration cannot be accepted here"
        } else if self.is_off(entry.rule) {
            "the rule is off in [lint.level]"
        } else {
            "nothing there is found by that rule"
        };
        let message = format!(
            "[[lint.ignore]] of flow.toml for {} in {} suppresses nothing: {why}",
            entry.rule, entry.migration
        );
        let draft = Draft::warning(RuleId::Suppression, &start(), String::new(), message);
        let migration = Migration {
            name: entry.migration.clone(),
            ..Migration::default()
        };
        let mut finding = of_file(&migration, &draft);
        if matches!(Origin::of(entry.rule), Origin::Schema | Origin::History) {
            "flow.toml".clone_into(&mut finding.file);
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::super::foreign::{drifted, said};
    use super::*;

    fn entry(rule: RuleId, migration: &str) -> Ignore {
        Ignore {
            rule,
            migration: migration.into(),
            object: None,
            reason: "meant".into(),
        }
    }

    fn settings(ignore: Vec<Ignore>) -> Settings {
        Settings {
            ignore,
            ..Settings::default()
        }
    }

    fn pending(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn differs(migration: &str) -> Finding {
        let migration = Migration {
            name: migration.into(),
            ..Migration::default()
        };
        let rule = (RuleId::ReplayDiffers, Level::Warning);
        said(&migration, rule, 0, String::new(), "x".into())
    }

    fn words(weighing: Weighing<'_>) -> Vec<(String, String)> {
        let unused = weighing.unused().into_iter();
        unused.map(|each| (each.file, each.message)).collect()
    }

    #[test]
    fn an_entry_for_a_rule_of_the_replay_that_accepts_nothing_is_told_once_a_replay_was_made() {
        let settings = settings(vec![entry(RuleId::ReplayDiffers, "2_b")]);
        let mut weighing = Weighing::new(&settings);
        weighing.asked(Origin::Text, &pending(&["2_b"]));
        assert_eq!(words(weighing), []);

        let mut weighing = Weighing::new(&settings);
        weighing.asked(Origin::Replay, &pending(&["1_a"]));
        assert_eq!(words(weighing), []);

        let mut weighing = Weighing::new(&settings);
        weighing.asked(Origin::Replay, &pending(&["2_b"]));
        let told = "[[lint.ignore]] of flow.toml for replay-differs in 2_b suppresses nothing: nothing there is found by that rule";
        assert_eq!(
            words(weighing),
            [("2_b/migration.sql".to_owned(), told.to_owned())]
        );
    }

    #[test]
    fn an_entry_is_used_when_a_finding_of_any_source_in_any_folder_is_accepted_by_it() {
        let settings = settings(vec![
            entry(RuleId::ReplayDiffers, "2_b"),
            entry(RuleId::SchemaDrift, "schema.prisma"),
        ]);
        let mut weighing = Weighing::new(&settings);
        let mut linted = LintReport::default();
        weighing.asked(Origin::Replay, &pending(&["2_b"]));
        weighing.asked(Origin::Schema, &pending(&[]));
        let drift = drifted("schema.prisma", Level::Error, "\"T\"".into(), "x".into());
        weighing.add(&mut linted, [differs("2_b"), differs("3_c"), drift.clone()]);
        assert_eq!(linted.suppressed.len(), 2);
        assert_eq!(linted.report.findings, [differs("3_c")]);
        // Another folder, in which there is nothing of it.
        weighing.asked(Origin::Schema, &pending(&[]));
        assert_eq!(words(weighing), []);
    }

    #[test]
    fn an_entry_for_the_schema_or_for_a_history_is_told_at_the_configuration_when_it_accepts_nothing()
     {
        let mut settings = settings(vec![
            entry(RuleId::SchemaDrift, "2_b"),
            entry(RuleId::EditedMigration, "1_a"),
        ]);
        let mut weighing = Weighing::new(&settings);
        weighing.asked(Origin::Text, &pending(&["1_a", "2_b"]));
        let [(file, why)] = words(weighing).try_into().unwrap();
        assert_eq!(file, "flow.toml");
        assert!(
            why.contains("edited-migration in 1_a suppresses nothing: what happened"),
            "{why}"
        );

        settings.ignore[0].reason = " ".into();
        let mut weighing = Weighing::new(&settings);
        weighing.asked(Origin::Schema, &pending(&["2_b"]));
        let told = words(weighing);
        assert_eq!(told.len(), 2);
        assert!(
            told[0]
                .1
                .ends_with("suppresses nothing: it gives no reason"),
            "{told:?}"
        );
    }
}
