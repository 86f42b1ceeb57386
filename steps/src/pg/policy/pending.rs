//! Columns that are in no catalog yet, because the migrations that add them are pending.

use std::collections::{BTreeMap, BTreeSet};

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::super::applied;
use super::super::catalog::TableSpec;
use super::{HISTORY, Policy};
use crate::means::git::commit;
use crate::means::psql::Pg;
use crate::means::reach;
use flow_lint::drift;
use flow_lint::migration::Migration;

/// Of more pending migrations than these a column is not said to be of one of them: each is read beside all before it.
const NAMED: usize = 50;

/// The migrations of the commit that is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// The folder of migrations inside the repository.
    pub migrations: String,
    /// The schema of the application's tables and of its history of migrations.
    pub schema: String,
}

/// A table, with its schema, and a column.
type Column = (String, String);

impl Pending {
    /// The columns that pending migrations add and a policy does not list, with the migration, in words. `there` is what
    /// the database has: what is missing of that is said elsewhere. What text does not tell is not known.
    ///
    /// Fails when the commit cannot be read or the database not asked.
    pub(super) async fn unlisted(
        &self,
        pg: &Pg,
        policy: &Policy,
        there: &[TableSpec],
    ) -> Result<Vec<String>, StepError> {
        if !reach::is_commit(&self.commit) {
            let message = format!("`{}` is no full commit name", self.commit);
            return Err(StepError::fail(message));
        }
        let all = commit::read(&self.repo, &self.commit, &self.migrations).await?;
        let finished = applied::finished(pg, &self.schema).await?;
        let is_in = |m: &Migration| finished.contains(&m.name);
        let (applied, pending): (Vec<_>, Vec<_>) = all.into_iter().partition(is_in);
        let classes = policy.classes();
        let known = |(table, column): &Column| {
            let listed = classes.get(table).is_some_and(|c| c.contains_key(column));
            let mut specs = there.iter();
            listed || specs.any(|spec| spec.key() == *table && spec.has(column))
        };
        let mut added = self.added(applied, pending);
        added.retain(|column, _| !known(column));
        let words = |((table, column), migration): (&Column, &String)| {
            format!("column {table}.{column}, which {migration} adds")
        };
        Ok(added.iter().map(words).collect())
    }

    /// What is there after the pending migrations and was not before, with the migration that adds it.
    fn added(
        &self,
        mut folder: Vec<Migration>,
        pending: Vec<Migration>,
    ) -> BTreeMap<Column, String> {
        let mut before = self.columns(&folder);
        let mut added = BTreeMap::new();
        let all = pending.len();
        for (n, migration) in pending.into_iter().enumerate() {
            let words = if all > NAMED {
                "a pending migration".to_owned()
            } else {
                format!("migration {}", migration.name)
            };
            folder.push(migration);
            if all > NAMED && n + 1 < all {
                continue;
            }
            let now = self.columns(&folder);
            for column in now.difference(&before) {
                added.insert(column.clone(), words.clone());
            }
            before = now;
        }
        added.retain(|column, _| before.contains(column));
        added
    }

    fn columns(&self, migrations: &[Migration]) -> BTreeSet<Column> {
        let mut found = BTreeSet::new();
        for (name, table) in drift::left_by(migrations, &self.schema).tables {
            if name.name == HISTORY {
                continue;
            }
            let schema = if name.schema.is_empty() {
                &self.schema
            } else {
                &name.schema
            };
            let table_key = format!("{schema}.{}", name.name);
            found.extend(table.columns.into_keys().map(|c| (table_key.clone(), c)));
        }
        found
    }
}
