//! What pm2 starts by the clock (`cron_restart`): taken out before a restore, and put back after it.

use std::collections::BTreeSet;

use flow_engine::step::{Cx, StepError};

use super::{Report, Was, kept, now, parts};
use crate::means::supervisor::list::App;
use crate::means::supervisor::pm2::definition::alike;
use crate::means::supervisor::pm2::{Inventory, Pm2};

/// Puts back the jobs that rested between two runs, at rest, and forgets what came with the release: its timer would start
/// code that is not there any more. What ran is put back by its restart.
///
/// A job whose definition is the release's is started with the one of before, so that it runs once now: pm2 has no way to
/// know a process with a timer and not to start it.
pub(super) async fn back(
    cx: &Cx,
    pm2: &Pm2<'_>,
    was: &[Was<'_>],
    report: &mut Report,
) -> Result<(), StepError> {
    let mut found = pm2.inventory().await?;
    // A name that a process of somebody else has is passed over by pm2.
    let missing = |was: &Was<'_>| was.app.by_clock && !found.names.contains(&was.app.name);
    if was.iter().any(missing) {
        found = resurrected(pm2, &found, report).await?;
    }
    let parts = parts(was, &found);
    let apps = found.own.apps.iter().zip(parts);
    let came = apps.filter(|(app, part)| app.by_clock && part.is_none());
    let came: Vec<&App> = came.map(|(app, _)| app).collect();
    if !came.is_empty() {
        let ids: Vec<u64> = came.iter().map(|a| a.id).collect();
        pm2.act("delete", &ids, &found).await?;
        let words = |a: &&App| format!("{} (it came with the release)", a.name);
        report.removed.extend(came.iter().map(words));
    }
    let rested = was.iter().filter(|was| rested(was));
    let names: BTreeSet<&str> = rested.map(|was| was.app.name.as_str()).collect();
    for name in names {
        match one(pm2, name, was).await {
            Ok(words) => report.waiting.push(format!("{name}{words}")),
            Err(StepError::Fail(why)) => {
                cx.log(format!("{name}: {}", why.message));
                report.failed.insert(name.to_owned(), why.message.clone());
            }
            Err(unreached) => return Err(unreached),
        }
    }
    Ok(())
}

/// Whether it waited for its clock.
fn rested(was: &Was<'_>) -> bool {
    was.app.by_clock && !was.app.is_running()
}

/// What pm2 knows after it was told to start its saved list. What is not the application's and came with it was deleted by
/// its owner since the list was saved, and goes again.
async fn resurrected(
    pm2: &Pm2<'_>,
    before: &Inventory,
    report: &mut Report,
) -> Result<Inventory, StepError> {
    pm2.resurrect().await?;
    let found = pm2.inventory().await?;
    let known = |app: &App| before.foreign.iter().any(|a| a.id == app.id);
    let back: Vec<&App> = found
        .foreign
        .iter()
        .filter(|a| !known(a) && !is_new(a))
        .collect();
    if back.is_empty() {
        return Ok(found);
    }
    let ids: Vec<u64> = back.iter().map(|a| a.id).collect();
    pm2.act("delete", &ids, &found).await?;
    let words = |a: &&App| {
        format!(
            "{} #{} (not the application's: `pm2 resurrect` had brought it back)",
            a.name, a.id
        )
    };
    report.removed.extend(back.iter().map(words));
    pm2.inventory().await
}

/// Whether somebody started it just now: what comes from a saved list was ordered in an earlier life.
fn is_new(app: &App) -> bool {
    const START: u64 = 5_000;
    let (Some(since), Some(ordered)) = (app.since, app.ordered) else {
        return true;
    };
    app.is_running() && since.saturating_sub(ordered) < START
}

/// Puts the jobs of one name back; more words about them.
async fn one(pm2: &Pm2<'_>, name: &str, was: &[Was<'_>]) -> Result<&'static str, StepError> {
    let found = pm2.inventory().await?;
    let meant = |was: &Was<'_>| was.app.name == name && rested(was);
    let parts = parts(was, &found);
    let here = now(&found, |at| parts[at].is_some_and(|part| meant(&was[part])));
    let wanted: Vec<&Was> = was.iter().filter(|was| meant(was)).collect();
    match kept(&wanted) {
        Some(kept) if !alike(&here.definitions, &kept) => {
            if !here.ids.is_empty() {
                pm2.act("delete", &here.ids, &found).await?;
            }
            pm2.start(&kept).await?;
            Ok(" (started once, with the definition of before)")
        }
        _ if here.ids.is_empty() => Err(StepError::fail(
            "pm2 no longer knows it, and how it was started was not kept",
        )),
        _ => Ok(""),
    }
}
