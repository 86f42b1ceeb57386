//! What a run that stopped leaves production in, in words nobody can miss.

use flow_engine::plan::Node;
use flow_engine::run::{Run, Status, StepState, Undo};

use crate::means::kinds;
use crate::means::notes::{has_begun, is_closed, was_open};

/// What production's host says of itself just now. Nothing where it was not asked, or did not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// What its database lets in.
    pub access: Option<Access>,
    /// Whether each process of the application is up, on each of its hosts.
    pub all_up: Option<bool>,
}

/// What a database lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Connections and writes.
    Writers,
    /// Connections, and no writes.
    Readers,
    /// Nobody, or it is not there.
    Nobody,
}

/// What is not as usual in production right now because of this run: a database that refuses writes, services that are
/// stopped, an environment that is locked. Empty when nothing is. As far as the journal knows.
pub fn standing(run: &Run) -> Vec<String> {
    standing_beside(run, HostFacts::default())
}

/// The same, where production's host was asked: what it knows counts, and not what the journal has of it.
pub fn standing_beside(run: &Run, host: HostFacts) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(read_only(run, host.access));
    let closed = states(run, kinds::BASELINE).any(is_closed);
    if closed && host.access != Some(Access::Writers) {
        words.push("NOBODY CAN CONNECT TO PRODUCTION'S DATABASE: the connection was cut while the restored copy was put in its place; going on finishes that first".to_owned());
    }
    if host.all_up != Some(true) {
        words.extend(stopped(run, host.all_up));
    }
    words
}

/// After how many seconds without anybody who drives the run its host opens the frozen database by itself. Nothing where no
/// timer guards it.
pub fn opens_itself(run: &Run) -> Option<u64> {
    let (node, _) = nodes(run, kinds::FREEZE).next()?;
    let guard = node.params.get("watchdog")?;
    guard.get("seconds")?.as_u64()
}

/// Why production's database takes no writes, or may take none.
fn read_only(run: &Run, access: Option<Access>) -> Option<String> {
    if access == Some(Access::Writers) {
        return None;
    }
    let thawed = states(run, kinds::THAW).any(|s| s.status == Status::Done);
    if thawed {
        let restoring = states(run, kinds::BASELINE)
            .any(|s| s.undo_attempts > 0 && !matches!(s.undo, Undo::Undone | Undo::GivenUp));
        return restoring.then(|| "PRODUCTION'S DATABASE MAY BE READ-ONLY: the restore holds writers off and has not ended".to_owned());
    }
    // The run itself found it open, and waits for somebody to say what that means.
    if access.is_none() && states(run, kinds::BASELINE).any(was_open) {
        return None;
    }
    let begun = |s: &&StepState| s.started.is_some() && s.undo != Undo::Undone;
    let mut begun = states(run, kinds::FREEZE).filter(begun).peekable();
    begun.peek()?;
    // Begun is not done: between the two the database may be either way.
    let froze = begun.any(|s| s.status == Status::Done) || access == Some(Access::Readers);
    Some(if froze && access == Some(Access::Readers) {
        "PRODUCTION'S DATABASE IS READ-ONLY: it was frozen for the deploy and not opened again"
            .to_owned()
    } else if froze {
        "PRODUCTION'S DATABASE IS READ-ONLY as far as this run knows: it was frozen for the deploy, and this run has not opened it again"
            .to_owned()
    } else {
        "PRODUCTION'S DATABASE MAY BE READ-ONLY: the freeze for the deploy was begun, and its end is not on record".to_owned()
    })
}

/// That the rollback stopped services and did not start them again, or may have, host by host. Where the deploy's script had
/// never begun, its undo stops none.
fn stopped(run: &Run, all_up: Option<bool>) -> Vec<String> {
    if !run.production_changed() {
        return Vec::new();
    }
    let deploys: Vec<_> = nodes(run, kinds::DEPLOY).collect();
    let down = |(node, state): &&(&Node, &StepState)| {
        state.undo_attempts > 0 && has_begun(run, &node.key) && !is_restarted(run, host(node))
    };
    let down: Vec<_> = deploys.iter().filter(down).copied().collect();
    // What the host itself says is down is down, however far the stop is known to have got.
    let is_seen = down.len() == 1 && all_up == Some(false);
    let (are, may): (Vec<_>, Vec<_>) = down
        .into_iter()
        .partition(|(_, state)| is_seen || state.undo == Undo::Undone);
    let said = |of: &[(&Node, &StepState)], words: &str, why: &str| {
        let names: Vec<String> = of.iter().map(|(n, _)| format!("`{}`", host(n))).collect();
        let at = if deploys.len() == 1 {
            String::new()
        } else {
            format!(" on {}", names.join(", "))
        };
        (!of.is_empty()).then(|| format!("PRODUCTION'S SERVICES {words} STOPPED{at}: {why}"))
    };
    let are = said(
        &are,
        "ARE",
        "the rollback stopped them and has not started them again",
    );
    let may = said(
        &may,
        "MAY BE",
        "the rollback began to stop them, and its end is not on record",
    );
    are.into_iter().chain(may).collect()
}

/// Whether what ran on a host was started again there, or nothing that ran there is known.
fn is_restarted(run: &Run, of: &str) -> bool {
    let mut kept = nodes(run, kinds::PROCESSES)
        .filter(|(node, _)| node.undo.is_some() && host(node) == of)
        .peekable();
    kept.peek().is_none() || kept.any(|(_, state)| state.undo == Undo::Undone)
}

/// The host a step acts on: `prod`, or `prod/worker`.
fn host(node: &Node) -> &str {
    let folder = || node.key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = node.params.get("host").and_then(|host| host.as_str());
    named.unwrap_or_else(folder)
}

fn states<'a>(run: &'a Run, kind: &'a str) -> impl Iterator<Item = &'a StepState> {
    nodes(run, kind).map(|(_, state)| state)
}

/// Production's steps of a kind, in order.
fn nodes<'a>(run: &'a Run, kind: &'a str) -> impl Iterator<Item = (&'a Node, &'a StepState)> {
    let all = run.plan.nodes.iter().zip(&run.steps);
    let is_ours = |key: &str| {
        key.split_once('/')
            .is_some_and(|(at, _)| at == run.plan.environment)
    };
    all.filter(move |(node, _)| node.kind == kind && is_ours(&node.key))
}

#[cfg(test)]
mod tests;
