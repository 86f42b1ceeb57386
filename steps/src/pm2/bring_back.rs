//! Step 4 of the protocol's rollback: what ran before runs again, as it was defined then.
//!
//! Each name by itself: one that cannot be brought back keeps no other one down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::definition::{Definition, alike, by_name};
use super::list::Inventory;
use super::settle::{Settled, Wanted, settle};
use super::{ONLINE_WITHIN, Pm2, ProcessList};

mod timers;

/// What became of the names.
#[derive(Default)]
struct Report {
    restarted: Vec<String>,
    redefined: Vec<String>,
    /// Jobs that rest between two runs, and wait for their clock again.
    waiting: Vec<String>,
    /// What came with the release and would have been started by the clock.
    removed: Vec<String>,
    alone: Vec<String>,
    failed: BTreeMap<String, String>,
}

/// Brings back what ran before; says in words what was done.
///
/// Fails when a name that ran before does not run again, naming each and what became of the others.
pub(super) async fn all(
    cx: &Cx,
    pm2: &Pm2<'_>,
    before: &ProcessList,
    settle_seconds: u64,
) -> Result<String, StepError> {
    let running = before.running();
    let mut report = Report::default();
    let kept = definitions(cx, pm2, before).await?;
    let kept = by_name(&kept);
    timers::back(cx, pm2, before, &kept, &mut report).await?;
    if running.is_empty() && report.failed.is_empty() {
        let words = "no process was running before the deploy".to_owned();
        return Ok(report.more(words));
    }
    for name in running.keys() {
        // Looked at anew for each: what was just deleted or started has other numbers.
        let found = pm2.inventory().await?;
        let definition = kept.get(name.as_str()).map(Vec::as_slice);
        match one(pm2, name, &found, definition).await {
            Ok(true) => report.redefined.push(name.clone()),
            Ok(false) => {}
            Err(StepError::Fail(why)) => {
                cx.log(format!("{name}: {why}"));
                report.failed.insert(name.clone(), why.message.clone());
                continue;
            }
            Err(unreached) => return Err(unreached),
        }
        report.restarted.push(name.clone());
    }
    let now = pm2.inventory().await?;
    left_alone(before, &now, &kept, &mut report);
    let wanted = Wanted::as_before(before).without(report.failed.keys());
    let still = Duration::from_secs(settle_seconds);
    let settled = settle(cx, pm2, &wanted, (ONLINE_WITHIN, still)).await?;
    report.end(&wanted, settled, pm2, settle_seconds)
}

/// The definitions of before; none with a word when they cannot be had.
async fn definitions(
    cx: &Cx,
    pm2: &Pm2<'_>,
    before: &ProcessList,
) -> Result<Vec<Definition>, StepError> {
    let Some(kept) = &before.kept else {
        return Ok(Vec::new());
    };
    Ok(match pm2.kept(kept).await? {
        Ok(definitions) => definitions,
        Err(why) => {
            cx.log(format!(
                "{why}: names are restarted with the definition pm2 has now"
            ));
            Vec::new()
        }
    })
}

/// Restarts one name; answers whether its definition had to be put back.
async fn one(
    pm2: &Pm2<'_>,
    name: &str,
    found: &Inventory,
    kept: Option<&[&Definition]>,
) -> Result<bool, StepError> {
    let apps = found.own.apps.iter();
    let ids: Vec<u64> = apps.filter(|a| a.name == name).map(|a| a.id).collect();
    let now = by_name(&found.definitions);
    let now = now.get(name).map_or(&[][..], Vec::as_slice);
    match kept {
        Some(kept) if !alike(now, kept) => {
            if !ids.is_empty() {
                pm2.act("delete", &ids, found).await?;
            }
            pm2.start(kept).await?;
            Ok(true)
        }
        _ if ids.is_empty() => Err(StepError::fail(
            "pm2 no longer knows it, and how it was started was not kept",
        )),
        _ => pm2.act("restart", &ids, found).await.map(|()| false),
    }
}

/// Names what is not brought back, and why: it rested before, or came with the release.
fn left_alone(
    before: &ProcessList,
    now: &Inventory,
    kept: &BTreeMap<&str, Vec<&Definition>>,
    report: &mut Report,
) {
    let running = before.running();
    let definitions = by_name(&now.definitions);
    let by_clock = before.by_clock();
    let rested: BTreeSet<&str> = before
        .apps
        .iter()
        .map(|a| a.name.as_str())
        .filter(|name| !running.contains_key(*name))
        .collect();
    let put_back = |name: &&&str| !by_clock.contains(**name) && !report.failed.contains_key(**name);
    let watched =
        |list: &ProcessList, name: &str| list.apps.iter().any(|a| a.name == name && a.watched);
    let unwatched = |name: &&str| watched(before, name) && !watched(&now.own, name);
    let mut alone = Vec::new();
    for name in rested.iter().filter(put_back) {
        let was = kept.get(name).map(Vec::as_slice);
        let is = definitions.get(name).map(Vec::as_slice);
        alone.push(match (was, is) {
            (_, None) => format!("{name} (it did not run before; pm2 no longer knows it)"),
            _ if unwatched(name) => {
                format!("{name} (it did not run before; pm2 watches its files no more)")
            }
            (Some(was), Some(is)) if !alike(was, is) => {
                format!("{name} (it did not run before; its definition is the release's)")
            }
            _ => format!("{name} (it did not run before)"),
        });
    }
    report.alone.extend(alone);
    let came: BTreeSet<&str> = now
        .own
        .apps
        .iter()
        .map(|a| a.name.as_str())
        .filter(|name| !running.contains_key(*name) && !rested.contains(name))
        .collect();
    let came = came
        .iter()
        .map(|name| format!("{name} (it came with the release)"));
    report.alone.extend(came);
}

impl Report {
    fn end(
        mut self,
        wanted: &Wanted,
        settled: Settled,
        pm2: &Pm2<'_>,
        settle_seconds: u64,
    ) -> Result<String, StepError> {
        let mut failed = std::mem::take(&mut self.failed);
        let online = match settled {
            Settled::Still(list) => {
                let apps = list.own.apps.iter();
                apps.filter(|a| a.is_running() && wanted.names.contains_key(&a.name))
                    .count()
            }
            Settled::Not(why) => {
                failed.insert("after the restart".into(), why);
                0
            }
        };
        if !failed.is_empty() {
            let words: Vec<String> = failed
                .iter()
                .map(|(n, why)| format!("{n}: {why}"))
                .collect();
            let rest = if self.restarted.is_empty() {
                "nothing was restarted".into()
            } else {
                format!("restarted: {}", self.restarted.join(", "))
            };
            return Err(StepError::fail(format!(
                "on `{}` {}; {rest}",
                pm2.host.name(),
                words.join("; ")
            ))
            .hint(format!(
                "look at it there: {} logs --nostream --lines 50",
                pm2.program.join(" ")
            )));
        }
        let mut words = format!(
            "restarted {}: {online} online, no restart within {settle_seconds} s",
            self.restarted.join(", ")
        );
        if !self.redefined.is_empty() {
            words.push_str("; with the definition of before: ");
            words.push_str(&self.redefined.join(", "));
        }
        Ok(self.more(words))
    }

    /// A report with what was done beside the restarts.
    fn more(&self, mut words: String) -> String {
        let parts = [
            ("; waiting for their clock again: ", &self.waiting),
            ("; removed: ", &self.removed),
            ("; left alone: ", &self.alone),
        ];
        for (title, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            words.push_str(title);
            words.push_str(&names.join(", "));
        }
        words
    }
}
