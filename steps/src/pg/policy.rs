//! Which columns may leave production.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::catalog::{self, TableSpec};
use crate::means::host::Hosts;
use crate::means::psql::text::table_key;
use crate::means::psql::{Database, Pg, PgError};

mod pending;

pub use pending::Pending;

/// The class of a column that may be copied as it is.
pub(super) const KEEP: &str = "keep";

/// A class for every column of every table of production. Only `keep` is copied; a table with a column of any other
/// class is not copied at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// By `table` or `schema.table`, then by column: `keep`, or any other word for "personal".
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
}

/// The safe tables, and the others with the columns that are why.
type Split = (Vec<TableSpec>, BTreeMap<String, Vec<String>>);

impl Policy {
    fn classes(&self) -> BTreeMap<String, &BTreeMap<String, String>> {
        let tables = self.tables.iter();
        tables
            .map(|(table, columns)| (table_key(table), columns))
            .collect()
    }

    /// Every table and column this policy does not list, by name.
    fn unlisted(&self, specs: &[TableSpec]) -> Vec<String> {
        let classes = self.classes();
        let mut found = Vec::new();
        for spec in specs {
            let Some(columns) = classes.get(&spec.key()) else {
                found.push(format!("table {}", spec.key()));
                continue;
            };
            let missing = spec.columns.iter();
            let missing = missing.filter(|c| !columns.contains_key(&c.name));
            found.extend(missing.map(|c| format!("column {}.{}", spec.key(), c.name)));
        }
        found
    }

    /// Splits production's tables; everything unlisted is an error by name.
    pub(super) fn judge(&self, specs: &[TableSpec]) -> Result<Split, PgError> {
        let unlisted = self.unlisted(specs);
        if !unlisted.is_empty() {
            return Err(PgError::Check(format!(
                "the policy does not say what these {} are, so nothing was copied: {}",
                unlisted.len(),
                unlisted.join(", ")
            )));
        }
        let classes = self.classes();
        let is_kept = |spec: &TableSpec, name: &str| {
            let columns = classes.get(&spec.key());
            columns.is_some_and(|columns| columns.get(name).is_some_and(|class| class == KEEP))
        };
        let (mut safe, mut kept_back) = (Vec::new(), BTreeMap::new());
        for spec in specs {
            let mut personal = spec.names();
            personal.retain(|name| !is_kept(spec, name));
            if personal.is_empty() {
                safe.push(spec.clone());
            } else {
                kept_back.insert(spec.key(), personal);
            }
        }
        Ok((safe, kept_back))
    }
}

/// Every table and column of a database that a policy does not list; nothing when it lists all. Reads only.
///
/// # Errors
/// [`StepError`] when the database cannot be asked.
pub async fn unlisted(
    hosts: &Hosts,
    db: &Database,
    policy: &Policy,
) -> Result<Vec<String>, StepError> {
    let host = hosts.get(&db.host).map_err(PgError::from)?;
    Ok(policy.unlisted(&tables(&Pg::new(host, db.clone())?).await?))
}

/// The tables of the application.
async fn tables(pg: &Pg) -> Result<Vec<TableSpec>, PgError> {
    let mut session = pg.session().await?;
    let mut specs = catalog::tables(&mut session).await?;
    session.close().await?;
    specs.retain(|spec| spec.name != HISTORY);
    Ok(specs)
}

/// Refuses a release whose copy to staging would stop at what the policy does not list. Reads only; run twice: asks
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPolicy {
    /// Production; only its catalog and its list of migrations are read.
    pub from: Database,
    /// What may be copied, as the plan knew it; the file is read anew at each try.
    pub policy: Policy,
    /// The migrations that are released, whose new columns need a class as well; nothing in plans from before that.
    #[serde(default)]
    pub pending: Option<Pending>,
}

#[async_trait]
impl Step for DataPolicy {
    const KIND: &'static str = "pg.data-policy";
    /// How many tables are listed.
    type Output = usize;

    fn summary(&self) -> String {
        format!(
            "every table and column of {}{} has a class in the data policy",
            self.from.words(),
            if self.pending.is_some() {
                ", and of the pending migrations,"
            } else {
                ""
            }
        )
    }

    async fn run(&self, cx: &Cx) -> Result<usize, StepError> {
        let today = cx.resource::<Policy>().ok();
        let policy = today.as_deref().unwrap_or(&self.policy);
        let pg = self.from.open(cx)?;
        let there = tables(&pg).await?;
        let mut unlisted = policy.unlisted(&there);
        if let Some(pending) = &self.pending {
            unlisted.extend(pending.unlisted(&pg, policy, &there).await?);
        }
        for line in &unlisted {
            cx.log(line);
        }
        if unlisted.is_empty() {
            return Ok(policy.tables.len());
        }
        // A failure's message is bounded, the log is not.
        Err(StepError::refuse(format!(
            "the data policy does not say what these {} of {} are: {}",
            unlisted.len(),
            self.from.words(),
            unlisted.join(", ")
        ))
        .hint(format!(
            "all of them: flow logs {} {}, or flow doctor",
            cx.run_id(),
            cx.key()
        ))
        .hint(format!(
            "give each a class in flow.data.toml, then: flow retry {}",
            cx.run_id()
        )))
    }
}

/// Where the application's migrations are written down. It speaks of the schema it lies in, and goes with it.
pub(super) const HISTORY: &str = "_prisma_migrations";
