//! Whether the role may do what later steps do, asked before the first of them begins.
//!
//! A release needs more than reading and writing rows: it makes databases, gives them the live one's name, ends other
//! people's sessions, and restores what other roles own. What is missing is found here, all at once and by name, and
//! not one refusal after the other.

use async_trait::async_trait;
use flow_engine::retry::Policy;
use flow_engine::step::{Cx, Step, StepError};
use serde::{Deserialize, Serialize};

use super::loadable;
use super::right::Right;
use crate::means::host::Hosts;
use crate::means::psql::text::some_of;
use crate::means::psql::{Database, Pg, PgError};

/// What a database is there for, and so what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its rows are counted and compared.
    Look,
    /// It is backed up, copied, restored and renamed as well.
    Release,
}

/// Asks a database what the configured role lacks; nothing when it lacks nothing. Reads only.
///
/// # Errors
/// [`StepError`] when it cannot be asked.
pub async fn rights(
    hosts: &Hosts,
    db: &Database,
    purpose: Purpose,
) -> Result<Vec<Right>, StepError> {
    let host = hosts.get(&db.host).map_err(PgError::from)?;
    let pg = Pg::new(host, db.clone())?;
    Ok(look(&pg, purpose).await?)
}

pub(crate) async fn look(pg: &Pg, purpose: Purpose) -> Result<Vec<Right>, PgError> {
    let version = pg
        .query("SELECT current_setting('server_version_num');")
        .await?;
    let version = version.first().and_then(|v| v.parse().ok());
    let version = version.ok_or_else(|| pg.answer_error("no version"))?;
    let lines: Vec<(String, String, String, String, String)> = pg.rows(&sql(version)).await?;
    let mut found: Vec<(Right, Vec<String>)> = Vec::new();
    for (goal, about, object, why, fix) in lines {
        if goal == "copy" && purpose == Purpose::Look {
            continue;
        }
        let right = Right {
            about,
            ok: goal == "know",
            found: why,
            fix,
        };
        match found.iter_mut().find(|(other, _)| *other == right) {
            Some((_, objects)) => objects.push(object),
            None => found.push((right, vec![object])),
        }
    }
    let mut all: Vec<Right> = found
        .into_iter()
        .map(|(right, objects)| Right {
            found: format!("{} {}", some_of(&objects, 8), right.found),
            ..right
        })
        .collect();
    if purpose == Purpose::Release {
        all.extend(loadable::look(pg).await?);
    }
    Ok(all)
}

/// The questions in the words this server knows.
fn sql(version: u32) -> String {
    let set = if version >= 160_000 { "SET" } else { "MEMBER" };
    // The role that `initdb` gives the schema `public` to.
    let public_owner = if version >= 150_000 { "6171" } else { "10" };
    let (may_set, grant_set) = if version >= 150_000 {
        (
            "has_parameter_privilege(s.name, 'SET')",
            "format('GRANT SET ON PARAMETER %s TO %I;', s.name, rolname)",
        )
    } else {
        (
            "false",
            "format('ALTER DATABASE %I RESET %s; (set it for the server instead)', current_database(), s.name)",
        )
    };
    include_str!("rights/rights.sql")
        .replace("{set}", set)
        .replace("{public_owner}", public_owner)
        .replace("{may_set}", may_set)
        .replace("{grant_set}", grant_set)
}

/// Refuses a release whose role could not go through with it. Reads only; run twice: asks again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Every database that is backed up, copied or restored.
    pub dbs: Vec<Database>,
}

/// What is worth knowing although it stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// One line each, with the database.
    pub remarks: Vec<String>,
}

#[async_trait]
impl Step for Rights {
    const KIND: &'static str = "pg.rights";
    type Output = Remarks;

    fn summary(&self) -> String {
        let names: Vec<String> = self.dbs.iter().map(Database::words).collect();
        format!(
            "ask whether the role may do what later steps do with {}",
            names.join(" and ")
        )
    }

    fn policy(&self) -> Policy {
        Policy::within(30 * 60)
    }

    async fn run(&self, cx: &Cx) -> Result<Remarks, StepError> {
        let (mut missing, mut remarks) = (Vec::new(), Vec::new());
        for db in &self.dbs {
            let pg = db.open(cx)?;
            for right in look(&pg, Purpose::Release).await? {
                let line = format!("role `{}`, {}: {}", db.user, db.words(), right.in_words());
                cx.log(&line);
                if right.ok {
                    remarks.push(line);
                } else {
                    missing.push(line);
                }
            }
        }
        if missing.is_empty() {
            return Ok(Remarks { remarks });
        }
        let hint = format!("cure all of it, then: flow retry {}", cx.run_id());
        Err(StepError::refuse(format!(
            "{} things would fail in later steps, nothing was changed. {}",
            missing.len(),
            missing.join("; ")
        ))
        .hint(hint)
        .hint(format!(
            "all of them: flow logs {} {}, or flow doctor",
            cx.run_id(),
            cx.key()
        )))
    }
}
