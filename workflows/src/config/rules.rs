//! What a release is held to: ages, limits, the watch, signatures.

use regex::Regex;
use serde::Deserialize;

/// Ages and limits. The protocol's numbers are the defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// A backup older than this does not count (protocol, rule 2).
    pub backup_max_age_hours: u64,
    /// A restore rehearsal older than this does not count.
    pub restore_max_age_days: u64,
    /// A test and staging verification older than this does not count.
    pub promotion_max_age_hours: u64,
    /// Free space that production must have besides the backup, in MiB.
    pub free_mib: u64,
    /// Whether test, staging and production must be three machines. An alias that leads to production by mistake
    /// would deploy there first.
    pub distinct_machines: bool,
    /// Whether the migrations are also replayed in a PostgreSQL of their own on this machine (needs its server programs).
    pub replay: bool,
    /// A file of the repository with SQL that runs before such a replay, with all rights there.
    pub replay_setup: Option<String>,
}

impl Default for Gates {
    fn default() -> Self {
        Gates {
            backup_max_age_hours: 24,
            restore_max_age_days: 7,
            promotion_max_age_hours: 72,
            free_mib: 512,
            distinct_machines: true,
            replay: false,
            replay_setup: None,
        }
    }
}

/// The watch after the deploy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// How long, in seconds. The protocol says fifteen minutes.
    pub seconds: u64,
    /// Regular expressions for lines that must not appear; empty means the built-in ones.
    pub patterns: Vec<String>,
    /// Regular expressions for lines that are fine all the same.
    pub allow: Vec<String>,
    /// The applications to watch; empty means all.
    pub apps: Vec<String>,
    /// How long pm2's restart counter must be still after the deploy, in seconds.
    pub settle_seconds: u64,
    /// How long the application may take to become healthy, in seconds.
    pub healthy_within_seconds: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Watch {
            seconds: 15 * 60,
            patterns: Vec::new(),
            allow: Vec::new(),
            apps: Vec::new(),
            settle_seconds: 5,
            healthy_within_seconds: 60,
        }
    }
}

/// Sign-offs and other answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignOff {
    /// The roles that must sign, in the order of the protocol.
    pub roles: Vec<String>,
    /// The role that may waive a warning of the migration check.
    pub waived_by: String,
    /// The role that reads the pending migrations and approves them; without it the last that signs.
    pub reviewed_by: Option<String>,
    /// The reviewed ref whose roster counts, such as `origin/main`; without it the released commit's own.
    pub roster_ref: Option<String>,
    /// Where the roster is inside the repository; without it where `people` is in the working tree.
    pub roster_file: Option<String>,
    /// How long a signature counts, in hours.
    pub valid_hours: u64,
    /// How long the smoke test on production may take, in minutes.
    pub smoke_minutes: u64,
}

impl Default for SignOff {
    fn default() -> Self {
        let roles = ["developer", "qa", "devops", "tech-lead"];
        SignOff {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            waived_by: "tech-lead".into(),
            reviewed_by: None,
            roster_ref: None,
            roster_file: None,
            valid_hours: 24,
            smoke_minutes: 60,
        }
    }
}

impl Watch {
    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        let all = [("patterns", &self.patterns), ("allow", &self.allow)];
        all.into_iter().find_map(|(key, patterns)| {
            let wrong = |pattern: &String| Regex::new(pattern).err().map(|e| (pattern.clone(), e));
            let (pattern, why) = patterns.iter().find_map(wrong)?;
            let why = why.to_string();
            let why = why.lines().last().unwrap_or_default();
            Some(format!(
                "`watch.{key}`: `{}` is no regular expression: {why}",
                pattern.escape_debug()
            ))
        })
    }
}

impl SignOff {
    /// The first thing about it that is well-formed but cannot be meant.
    pub(super) fn problem(&self) -> Option<String> {
        if self.roles.is_empty() {
            return Some("`signoff.roles` names nobody; the protocol demands sign-offs".into());
        }
        let mut roles = self.roles.iter().enumerate();
        let (_, role) = roles.find(|(n, role)| self.roles[..*n].contains(role))?;
        Some(format!(
            "`signoff.roles` names `{}` twice: each role signs once",
            role.escape_debug()
        ))
    }

    /// The role that reviews migrations. In the protocol the tech lead signs last, and does.
    pub fn reviewer(&self) -> &str {
        let last = self.roles.last().map_or("", String::as_str);
        self.reviewed_by.as_deref().unwrap_or(last)
    }
}
