//! What people must hear, when the driver that had to tell them is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flow_engine::clock::Timestamp;
use flow_engine::outbox::deliver_pending;
use flow_engine::record::Verdict;
use flow_engine::run::{Delivery, Life, Notice, Run};

use crate::session::Session;
use crate::state::State;
use crate::store::{Past, Store};
use crate::view::{self, next};

/// How long a command stays for this, in all.
const LIMIT: Duration = Duration::from_secs(20);
/// How long after its end a run that was rolled back is still news. A mail years later would only frighten.
const NEWS: Duration = Duration::from_hours(7 * 24);

/// Tries again to tell the team what needs people and did not go out, for runs that nobody drives, and says loudly what
/// is still not told and whom to call. Nothing to tell costs a look at the journal; nothing here fails the command.
/// Where mail was never set up nobody waits for one, and the terminal says all there is.
pub(crate) async fn tell(session: &Session) {
    let Ok(state) = session.state() else {
        return;
    };
    // Nobody to be told of: not even a journal, or one that the command itself could not open.
    let Some(runs) = untold(state, session.now()).await else {
        return;
    };
    if runs.is_empty() || !has_mail(session) {
        return;
    }
    let tried = tokio::time::timeout(LIMIT, deliver(session, &runs)).await;
    let why = match tried {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(why),
        Err(_) => Some(format!(
            "the mail server did not take it within {} s",
            LIMIT.as_secs()
        )),
    };
    let Some(left) = untold(state, session.now()).await else {
        return;
    };
    for run in &runs {
        match left.iter().find(|l| l.id == run.id) {
            None => view::note(&format!(
                "\nrun {}: the team is told now, by mail\n",
                run.id
            )),
            Some(run) => {
                let holders = flow_steps::mail::holders(&state.mails(), &run.id);
                view::note(&loud(run, &holders, why.as_deref()));
            }
        }
    }
}

/// The runs that nobody drives and whose people were not told what needs them. Nothing when that cannot be known.
async fn untold(state: &State, now: Timestamp) -> Option<Vec<Run>> {
    if !state.journal().exists() {
        return Some(Vec::new());
    }
    let store = Store::look(state).await.ok()?;
    // Whoever drives a run tells its people; others wait until that process ends.
    if store.driven().is_some() {
        return Some(Vec::new());
    }
    let mut runs = Past::of(store.journal()).await.ok()?.runs;
    runs.retain(|run| is_grave(run, now) && run.notices.iter().any(is_untold));
    Some(runs)
}

/// Whether people are needed: production was changed, and the run neither goes on nor is over in order.
fn is_grave(run: &Run, now: Timestamp) -> bool {
    run.production_changed()
        && match &run.life {
            Life::Forward => false,
            Life::Parked { .. } | Life::Unwinding(_) => true,
            Life::Finished { verdict, .. } => {
                matches!(verdict, Verdict::RolledBack | Verdict::RolledBackInPart)
                    && now.since(run.updated) <= NEWS
            }
        }
}

fn is_untold(notice: &Notice) -> bool {
    notice.topic.needs_people() && !matches!(notice.delivery, Delivery::Sent(_))
}

/// Whether mail is set up, rightly or wrongly; also where the configuration does not say, for it cannot be read.
fn has_mail(session: &Session) -> bool {
    !session
        .project()
        .is_ok_and(|project| matches!(project.mailer(), Ok(None)))
}

async fn deliver(session: &Session, runs: &[Run]) -> Result<(), String> {
    let project = session.project().map_err(|e| e.message)?;
    let state = session.state().map_err(|e| e.message)?;
    let Store::Held(journal) = session.open().await.map_err(|e| e.message)? else {
        return Err("another process has the journal".into());
    };
    let notifier = project
        .notifier(&Arc::clone(&journal), &state.mails())
        .map_err(|e| e.to_string())?
        .ok_or("[mail] is not configured in flow.toml")?;
    let mut first = None;
    for run in runs {
        let mut run = Run::load(&*journal, &run.id)
            .await
            .map_err(|e| e.to_string())?;
        let left = deliver_pending(&*journal, &mut run, &*notifier, &**session.clock())
            .await
            .map_err(|e| e.to_string())?;
        first = first.or_else(|| left.first().map(ToString::to_string));
    }
    first.map_or(Ok(()), Err)
}

type Holders = BTreeMap<u64, BTreeSet<String>>;

/// What nobody was told, or not everybody, why, and whom to call.
fn loud(run: &Run, holders: &Holders, why: Option<&str>) -> String {
    let environment = &run.plan.environment;
    let untold = run.notices.iter().filter(|notice| is_untold(notice));
    let some: BTreeSet<&str> = untold
        .filter_map(|notice| holders.get(&notice.id))
        .flatten()
        .map(String::as_str)
        .collect();
    let (whom, have) = if some.is_empty() {
        ("NOBODY WAS", String::new())
    } else {
        let some: Vec<&str> = some.into_iter().collect();
        let have = format!("   told: {}\n", view::clean(&some.join(", ")));
        ("NOT EVERYBODY WAS", have)
    };
    let why = why.map(|why| format!("   {}\n", view::clean(why)));
    let mut text = format!(
        "\n!! {whom} TOLD BY MAIL that run {} to {environment} {}.\n{have}{}",
        run.id,
        run.in_a_word(),
        why.unwrap_or_default()
    );
    let facts = &run.plan.facts;
    let first = facts.get_key_value("rollback-contact");
    let first = first.map(|(name, value)| (name.as_str(), value.as_str()));
    let first = first.filter(|(_, value)| !value.is_empty());
    let contacts: Vec<String> = first
        .into_iter()
        .chain(next::contacts(&run.plan))
        .map(|(name, value)| format!("   {name}: {}\n", view::clean(value)))
        .collect();
    text += "   Call them yourself:\n";
    if contacts.is_empty() {
        text += "   nobody: [[contacts]] of the roster was empty\n";
    }
    text += &contacts.concat();
    text + &format!(
        "   Every flow command tries the mail again: flow status {}\n",
        run.id
    )
}

#[cfg(test)]
mod tests;
