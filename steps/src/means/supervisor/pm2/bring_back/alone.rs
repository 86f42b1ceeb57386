//! What is not brought back, and why: it rested before, or came with the release.

use std::collections::BTreeSet;

use super::{Report, Was, parts};
use crate::means::supervisor::pm2::Inventory;

/// Names what is left alone.
pub(super) fn name(was: &[Was<'_>], now: &Inventory, report: &mut Report) {
    let parts = parts(was, now);
    for (place, one) in was.iter().enumerate() {
        let app = one.app;
        if app.is_running() || app.by_clock || report.failed.contains_key(&app.name) {
            continue;
        }
        let at = parts.iter().position(|part| *part == Some(place));
        let several = was
            .iter()
            .filter(|other| other.app.name == app.name)
            .count()
            > 1;
        let label = if several {
            let id = at.map_or(app.id, |at| now.own.apps[at].id);
            format!("{} #{id}", app.name)
        } else {
            app.name.clone()
        };
        let why = match at {
            None => "; pm2 no longer knows it",
            Some(at) if app.watched && !now.own.apps[at].watched => {
                "; pm2 watches its files no more"
            }
            Some(at)
                if one
                    .definition
                    .is_some_and(|was| *was != now.definitions[at]) =>
            {
                "; its definition is the release's"
            }
            Some(_) => "",
        };
        report
            .alone
            .push(format!("{label} (it did not run before{why})"));
    }
    let known = |name: &str| was.iter().any(|was| was.app.name == name);
    let came: BTreeSet<&str> = now
        .own
        .apps
        .iter()
        .map(|a| a.name.as_str())
        .filter(|name| !known(name))
        .collect();
    let came = came
        .iter()
        .map(|name| format!("{name} (it came with the release)"));
    report.alone.extend(came);
}
