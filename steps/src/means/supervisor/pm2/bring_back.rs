//! Step 4 of the protocol's rollback: what ran before runs again, as it was defined then.
//!
//! Each name by itself: one that cannot be brought back keeps no other one down.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_engine::step::{Cx, StepError};

use super::definition::{Definition, alike};
use super::{Inventory, Pm2};
use crate::means::supervisor::counterparts::counterparts;
use crate::means::supervisor::list::{App, ProcessList};
use crate::means::supervisor::settle::{ONLINE_WITHIN, Settled, Wanted, settle};

mod alone;
mod timers;

/// What became of the names.
#[derive(Default)]
struct Report {
    restarted: Vec<String>,
    redefined: Vec<String>,
    /// Jobs that rest between two runs, and wait for their clock again.
    waiting: Vec<String>,
    /// What came with the release, and would have been started by the clock or has the name of one that ran.
    removed: Vec<String>,
    /// What did not run before and ran now.
    stopped: Vec<String>,
    alone: Vec<String>,
    failed: BTreeMap<String, String>,
}

/// A process as it was before.
struct Was<'a> {
    app: &'a App,
    /// How it was started, where that was kept.
    definition: Option<&'a Definition>,
}

/// What pm2 knows now of some processes of before.
struct Now<'a> {
    /// Their numbers, those that are still there.
    ids: Vec<u64>,
    definitions: Vec<&'a Definition>,
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
    let was = was(before, &kept);
    timers::back(cx, pm2, &was, &mut report).await?;
    if running.is_empty() && report.failed.is_empty() {
        let words = "no process was running before the deploy".to_owned();
        return Ok(report.more(words));
    }
    for name in running.keys() {
        // Looked at anew for each: what was just deleted or started has other numbers.
        let found = pm2.inventory().await?;
        match one(pm2, name, &found, &was, &mut report).await {
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
    let mut now = pm2.inventory().await?;
    let woken: Vec<(u64, String)> = before
        .woken(&now.own)
        .into_iter()
        .map(|a| (a.id, format!("{} #{}", a.name, a.id)))
        .collect();
    if !woken.is_empty() {
        let ids: Vec<u64> = woken.iter().map(|(id, _)| *id).collect();
        pm2.act("stop", &ids, &now).await?;
        report
            .stopped
            .extend(woken.into_iter().map(|(_, words)| words));
        now = pm2.inventory().await?;
    }
    alone::name(&was, &now, &mut report);
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

/// Each process of before with its definition; without any where those that were kept are not of these processes.
fn was<'a>(before: &'a ProcessList, kept: &'a [Definition]) -> Vec<Was<'a>> {
    let names = before.apps.iter().map(|a| a.name.as_str());
    let all = names.eq(kept.iter().map(Definition::name));
    let with = |(at, app)| Was {
        app,
        definition: kept.get(at).filter(|_| all),
    };
    before.apps.iter().enumerate().map(with).collect()
}

/// Which process of before each of these is, by place.
fn parts(was: &[Was<'_>], found: &Inventory) -> Vec<Option<usize>> {
    let before: Vec<App> = was.iter().map(|was| was.app.clone()).collect();
    counterparts(&before, &found.own.apps)
}

/// How these were started; nothing when that is not known of each.
fn kept<'a>(which: &[&Was<'a>]) -> Option<Vec<&'a Definition>> {
    which.iter().map(|was| was.definition).collect()
}

/// Those that are now what some of before were.
fn now(found: &Inventory, which: impl Fn(usize) -> bool) -> Now<'_> {
    let at = (0..found.own.apps.len()).filter(|at| which(*at));
    let at: Vec<usize> = at.collect();
    Now {
        ids: at.iter().map(|at| found.own.apps[*at].id).collect(),
        definitions: at.iter().map(|at| &found.definitions[*at]).collect(),
    }
}

/// Restarts those of one name that ran; answers whether their definition had to be put back. Others of that name are left
/// as they are, but for what came with the release.
async fn one(
    pm2: &Pm2<'_>,
    name: &str,
    found: &Inventory,
    was: &[Was<'_>],
    report: &mut Report,
) -> Result<bool, StepError> {
    let ran = |was: &Was<'_>| was.app.name == name && was.app.is_running();
    let parts = parts(was, found);
    let here = now(found, |at| parts[at].is_some_and(|part| ran(&was[part])));
    let wanted: Vec<&Was> = was.iter().filter(|was| ran(was)).collect();
    let Some(kept) = kept(&wanted) else {
        return if here.ids.is_empty() {
            Err(StepError::fail(
                "pm2 no longer knows it, and how it was started was not kept",
            ))
        } else {
            pm2.act("restart", &here.ids, found).await.map(|()| false)
        };
    };
    let as_before = alike(&here.definitions, &kept);
    let came = now(found, |at| {
        parts[at].is_none() && found.own.apps[at].name == name
    });
    let mut away = came.ids.clone();
    if !as_before {
        away.extend(&here.ids);
    }
    if !away.is_empty() {
        pm2.act("delete", &away, found).await?;
    }
    let words = |id: &u64| format!("{name} #{id} (it came with the release)");
    report.removed.extend(came.ids.iter().map(words));
    if as_before {
        pm2.act("restart", &here.ids, found).await?;
    } else {
        pm2.start(&kept).await?;
    }
    Ok(!as_before)
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
                let up = wanted.witnesses(&list).into_iter();
                up.filter(|a| a.is_running() && wanted.names.contains_key(&a.name))
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
            ("; stopped again, as before: ", &self.stopped),
            ("; left alone: ", &self.alone),
        ];
        for (title, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
            words.push_str(title);
            words.push_str(&names.join(", "));
        }
        words
    }
}
