//! A finding while the file that it is about is still being read.

use super::op::Site;
use super::report::Level;
use super::rule::RuleId;

/// A finding whose place is a byte range: line, column, excerpt and fingerprint follow when the file has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) rule: RuleId,
    pub(super) level: Level,
    pub(super) site: Site,
    pub(super) object: String,
    pub(super) message: String,
    pub(super) query: Option<String>,
    pub(super) sql: Option<String>,
}

impl Draft {
    fn new(rule: RuleId, level: Level, site: &Site, object: String, message: String) -> Self {
        Self {
            rule,
            level,
            site: site.clone(),
            object,
            message,
            query: None,
            sql: None,
        }
    }

    pub(super) fn error(rule: RuleId, site: &Site, object: String, message: String) -> Self {
        Self::new(rule, Level::Error, site, object, message)
    }

    pub(super) fn warning(rule: RuleId, site: &Site, object: String, message: String) -> Self {
        Self::new(rule, Level::Warning, site, object, message)
    }

    pub(super) fn note(rule: RuleId, site: &Site, object: String, message: String) -> Self {
        Self::new(rule, Level::Note, site, object, message)
    }

    /// The query that decides it on real data.
    pub(super) fn query(self, query: String) -> Self {
        let query = Some(query).filter(|query| !query.is_empty());
        Self { query, ..self }
    }

    /// The safe way.
    pub(super) fn sql(self, sql: String) -> Self {
        Self {
            sql: Some(sql),
            ..self
        }
    }
}
