//! `[lint]` of `flow.toml`: how a team weighs the rules, and what it accepted for good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::{Finding, Level};
use super::rule::RuleId;

/// How `flow lint` weighs findings. The gate of a release does not read this: there every warning needs a signed waiver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A rule's level instead of its own: `off`, `note`, `warning` or `error`.
    pub level: BTreeMap<RuleId, Weight>,
    /// Findings that are accepted for good, each with its reason.
    pub ignore: Vec<Ignore>,
}

/// What a rule's findings count as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Not looked for.
    Off,
    /// They are notes: [`Level::Note`].
    Note,
    /// They need a waiver: [`Level::Warning`].
    Warning,
    /// They block: [`Level::Error`].
    Error,
}

impl Weight {
    fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Note => Some(Level::Note),
            Self::Warning => Some(Level::Warning),
            Self::Error => Some(Level::Error),
        }
    }
}

/// One accepted finding, or several of one rule in one migration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ignore {
    /// The rule whose finding is accepted.
    pub rule: RuleId,
    /// The migration's name.
    pub migration: String,
    /// The object as findings name it; without it every object in that migration.
    #[serde(default)]
    pub object: Option<String>,
    /// Why this is safe. Must not be empty.
    pub reason: String,
}

impl Ignore {
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        let object = self.object.as_deref();
        self.rule == finding.rule
            && self.migration == finding.migration
            && object.is_none_or(|object| object == finding.object)
    }
}

impl Settings {
    /// Whether the rule is not looked for at all.
    pub fn is_off(&self, rule: RuleId) -> bool {
        self.level.get(&rule) == Some(&Weight::Off)
    }

    /// The level a finding of this rule has, `None` when it is off. A level that is set replaces every level the rule has.
    pub(super) fn weigh(&self, rule: RuleId, level: Level) -> Option<Level> {
        self.level
            .get(&rule)
            .map_or(Some(level), |weight| weight.level())
    }
}
