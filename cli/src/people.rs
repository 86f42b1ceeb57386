//! Between the command line and `flow_steps::people`: who signs with which key, and looking at answers before they
//! are stored, so that a person hears at once and with the exact reason that theirs does not count.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::plan::Node;
use flow_engine::run::{Run, Status};
use flow_engine::signal::{Order, Signal};
use flow_engine::step::Step as _;
use flow_steps::people::key::PublicKey;
use flow_steps::people::origin::Rosters;
use flow_steps::people::review as people_review;
use flow_steps::people::statement::Statement;
use flow_steps::people::waiver::{self, AskedWaivers, HOURS_MAX};
use flow_steps::people::{
    Checklist, Item, ItemResult, People, Person, SignOff, SignOffRefusal, SignedAnswer, Subject,
    checklist, sign_off,
};
use flow_steps::schema::review;
use flow_workflows::setup::Setup;

use crate::control::server::Verifier;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Looks at answers with the roster of the run's plan, read anew for each.
pub(crate) fn verifier(setup: &Setup) -> Arc<dyn Verifier> {
    Arc::new(Roster::of(setup))
}

/// Whose signatures count, read anew for each answer; see [`verifier`].
pub(crate) struct Roster(pub(crate) Rosters);

impl Roster {
    /// The one of the project.
    pub(crate) fn of(setup: &Setup) -> Roster {
        Roster(setup.rosters())
    }

    /// Who may sign for this run now.
    pub(crate) async fn people(&self, run: &Run) -> Result<People, Diagnostic> {
        self.0.0.of(&run.plan).await.map_err(|e| {
            Diagnostic::usage(e.to_string())
                .world("Whether an answer counts is not known, so none is taken.")
        })
    }
}

/// Whether all that a step asks people for is on record, and only a driver has to take it in. Every answer was looked at
/// before it was stored. A checklist is answered when no required item is open, or one failed.
pub(crate) fn is_answered(run: &Run, step: u32) -> bool {
    let (node, state) = (&run.plan.nodes[step as usize], &run.steps[step as usize]);
    let new = || run.signals_for(&node.key).skip(state.signals_seen);
    if new().next().is_none() {
        return false;
    }
    if node.kind == checklist::KIND {
        return checklist_of(node).is_ok_and(|list| {
            let (answered, _) = list.tally(run.signals_for(&node.key), state.started);
            let failed = answered.values().any(|a| a.result == ItemResult::Fail);
            let open = |item: &Item| item.required && !answered.contains_key(&item.key);
            failed || !list.items.iter().any(open)
        });
    }
    let Some(asked) = AskedWaivers::of(run, &node.key) else {
        return true;
    };
    let finding = |signal: &Signal| {
        let answer: SignedAnswer = serde_json::from_str(&signal.body).ok()?;
        Statement::parse(&answer.statement)?.finding
    };
    let given: Vec<String> = new().filter_map(finding).collect();
    asked.findings.iter().all(|one| given.contains(one))
}

#[async_trait]
impl Verifier for Roster {
    async fn verify(&self, run: &Run, signal: &Signal) -> Result<(), Diagnostic> {
        let Some((index, node)) = run.plan.node(&signal.step) else {
            return Err(nobody_asked(run, &signal.step, "the plan has no such step"));
        };
        crate::control::fit_to_keep("an answer", &signal.body)?;
        let state = &run.steps[index as usize];
        let over = matches!(state.status, Status::Done | Status::Skipped);
        match node.kind.as_str() {
            checklist::KIND => item(run, node, signal),
            kind if over && kind != sign_off::KIND => Err(too_late(run, node)),
            _ => self.signed(run, node, signal).await,
        }
    }
}

impl Roster {
    async fn signed(&self, run: &Run, node: &Node, signal: &Signal) -> Result<(), Diagnostic> {
        let now = SystemClock.now();
        let answer: SignedAnswer = serde_json::from_str(&signal.body)
            .map_err(|e| refused(&SignOffRefusal::Unreadable(e.to_string())))?;
        let step = &signal.step;
        let people = &self.people(run).await?;
        let judged = match node.kind.as_str() {
            sign_off::KIND if run.production_changed() => {
                let no = nobody_asked(run, step, "production is changed already");
                return Err(way_back(no, run));
            }
            sign_off::KIND => sign_off::hand_in(run, step, people, &answer, now).await,
            review::KIND => {
                let asked = review::asked(run, step).ok_or_else(|| nothing_to_review(run, step))?;
                people_review::hand_in(run, step, people, &asked, &answer, now).await
            }
            _ => waiver::hand_in(run, step, people, &answer, now).await,
        };
        judged.map_err(|e| unless_unchecked(&e))
    }

    /// What an approval of this step must name: the rejection of its role that stands.
    pub(crate) async fn rejection(
        run: &Run,
        asked: &ToSign,
        people: &People,
    ) -> Result<Option<String>, Diagnostic> {
        let now = SystemClock.now();
        let about = (asked.subject, review::asked(run, &asked.step));
        let standing = if let (Subject::Review, Some(review)) = about {
            let answers = people_review::answers(run, &asked.step, people, &review, now);
            answers.await.map(|answers| answers.standing)
        } else {
            let standing = sign_off::standing(run, &asked.step, people, now);
            standing.await.map(|(standing, _)| standing)
        };
        let standing = standing.map_err(|e| unless_unchecked(&e))?;
        Ok(standing.rejection())
    }
}

/// A no about an answer, or that it could not be judged.
fn unless_unchecked(error: &SignOffRefusal) -> Diagnostic {
    match error {
        SignOffRefusal::Unchecked(_) => {
            Diagnostic::new(Exit::Usage, error.to_string()).world("Nothing was stored.")
        }
        other => refused(other),
    }
}

/// An answer that would have no effect is not kept.
fn nobody_asked(run: &Run, step: &str, why: &str) -> Diagnostic {
    let message = format!("the answer does not count: nobody asks for it in `{step}` now: {why}");
    Diagnostic::new(Exit::Refused, message)
        .world("Nothing was stored.")
        .hint(format!("flow status {}", run.id))
}

/// Names what stops a run whose answered question somebody sees in another light by now: its way back, and the sign-off
/// that is asked for and can be rejected until production is changed.
fn too_late(run: &Run, node: &Node) -> Diagnostic {
    let no = way_back(nobody_asked(run, &node.key, "the step is over"), run);
    let steps = run.plan.nodes.iter().zip(&run.steps);
    let asked = steps.filter(|(n, s)| n.kind == sign_off::KIND && s.started.is_some());
    let mut roles: Vec<&str> = asked
        .filter_map(|(n, _)| n.answered_by.as_deref())
        .collect();
    // Who answered this often signs, too, and then is the one who asks.
    roles.sort_by_key(|role| node.answered_by.as_deref() != Some(role));
    match roles.first() {
        Some(role) if !run.is_finished() && !run.production_changed() => no.hint(format!(
            "flow sign {} --role {role} --reject --note …     or reject the release: it stops before production",
            run.id
        )),
        _ => no,
    }
}

/// Names the way back of a run, where it has one.
fn way_back(diagnostic: Diagnostic, run: &Run) -> Diagnostic {
    let id = &run.id;
    if run.accepts(&Order::Cancel).is_ok() {
        diagnostic.hint(format!("flow cancel {id} --reason …     end the run"))
    } else if run.accepts(&Order::Rollback).is_ok() {
        diagnostic.hint(format!("flow rollback {id} --reason …     undo it"))
    } else {
        diagnostic
    }
}

/// Whether an answer to a checklist counts now: it has begun and is not over, it has that item, and who sends it is who
/// tried it.
pub(crate) fn item(run: &Run, node: &Node, signal: &Signal) -> Result<(), Diagnostic> {
    let index = run.plan.node(&node.key).map(|(index, _)| index as usize);
    let state = index.and_then(|index| run.steps.get(index));
    if state.is_none_or(|state| state.started.is_none()) {
        let why = "it has not begun, so there is nothing to try yet";
        return Err(nobody_asked(run, &node.key, why));
    }
    if state.is_some_and(|s| matches!(s.status, Status::Done | Status::Skipped)) {
        return Err(too_late(run, node));
    }
    let list = checklist_of(node)?;
    let answer = list.accepts(&signal.body).map_err(|e| refused(&e))?;
    if answer.by == signal.by.name {
        return Ok(());
    }
    let why = format!(
        "the answer does not count: it says that {} tried it, and {} sends it",
        answer.by, signal.by.name
    );
    Err(Diagnostic::new(Exit::Refused, why).world("Nothing was stored."))
}

/// A gate's no about an answer.
pub(crate) fn refused(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::new(Exit::Refused, format!("the answer does not count: {error}"))
        .world("Nothing was stored.")
}

/// The checklist that a step of the plan is.
pub(crate) fn checklist_of(node: &Node) -> Result<Checklist, Diagnostic> {
    Checklist::decode(node.version, &node.params).map_err(|e| {
        Diagnostic::usage(format!("step `{}` is no checklist of this flow", node.key)).because(&e)
    })
}

/// What `flow sign` is to sign.
pub(crate) struct ToSign {
    pub(crate) step: String,
    pub(crate) subject: Subject,
    /// For a review: the digest of what is approved.
    pub(crate) finding: Option<String>,
    /// How long it may hold.
    pub(crate) hours: u64,
}

/// The sign-off of a role, or the review that is named.
pub(crate) fn to_sign(run: &Run, role: &str, step: Option<&str>) -> Result<ToSign, Diagnostic> {
    let named = step.map(|step| {
        run.plan.node(step).map(|(_, node)| node).ok_or_else(|| {
            Diagnostic::usage(format!("the plan of run {} has no step `{step}`", run.id))
                .hint(format!("flow status {}", run.id))
        })
    });
    match named.transpose()? {
        Some(node) if node.kind == review::KIND => {
            let asked = review::asked(run, &node.key);
            let asked = asked.ok_or_else(|| nothing_to_review(run, &node.key))?;
            if asked.role != role {
                let message = format!(
                    "`{}` asks the role `{}`, not `{role}`",
                    node.key, asked.role
                );
                return Err(Diagnostic::new(Exit::Refused, message).world("Nothing was signed."));
            }
            Ok(ToSign {
                step: node.key.clone(),
                subject: Subject::Review,
                finding: Some(asked.digest),
                hours: HOURS_MAX,
            })
        }
        named => {
            let (key, asked) = sign_off_of(run, role)?;
            if let Some(other) = named.filter(|node| node.key != key) {
                let message = format!("`{}` is no sign-off of the role `{role}`", other.key);
                return Err(Diagnostic::usage(message).hint(format!("flow status {}", run.id)));
            }
            Ok(ToSign {
                step: key.to_owned(),
                subject: Subject::Signoff,
                finding: None,
                hours: asked.valid_hours,
            })
        }
    }
}

/// A review that cannot be answered now.
pub(crate) fn nothing_to_review(run: &Run, step: &str) -> Diagnostic {
    let message = format!(
        "there is nothing to review in `{step}`: its check has not reported, or nothing is pending"
    );
    Diagnostic::new(Exit::Refused, message)
        .world("Nothing was stored.")
        .hint(format!("flow status {}", run.id))
}

/// The sign-off step of a role.
pub(crate) fn sign_off_of<'a>(run: &'a Run, role: &str) -> Result<(&'a str, SignOff), Diagnostic> {
    let steps = run.plan.nodes.iter().filter(|n| n.kind == sign_off::KIND);
    let mut all = steps.filter_map(|n| Some((n, SignOff::decode(n.version, &n.params).ok()?)));
    let found = all.find(|(_, step)| step.role == role);
    found
        .map(|(node, step)| (node.key.as_str(), step))
        .ok_or_else(|| {
            Diagnostic::usage(format!(
                "run {} asks nobody of role `{role}` to sign",
                run.id
            ))
            .hint(format!("flow status {}", run.id))
        })
}

/// Who signs: the holder of the key that is named, else the only person of the role, else the one who is logged in.
pub(crate) fn signer<'a>(
    people: &'a People,
    role: Option<&str>,
    key: Option<&Path>,
    login: &str,
) -> Result<(&'a str, &'a Person), Diagnostic> {
    if let Some(file) = key.and_then(public_half) {
        return people.holder(file.fingerprint()).ok_or_else(|| {
            let message = format!("the key {} is in no role of the roster", file.fingerprint());
            Diagnostic::new(Exit::Refused, message).world("Nothing was signed.")
        });
    }
    let all = people
        .roles
        .iter()
        .filter(|(name, _)| role.is_none_or(|role| role == *name));
    let all: Vec<_> = all
        .flat_map(|(role, persons)| persons.iter().map(move |p| (role.as_str(), p)))
        .collect();
    let mine: Vec<_> = all
        .iter()
        .filter(|(_, person)| person.is(login))
        .copied()
        .collect();
    match (all.as_slice(), mine.as_slice()) {
        ([only], _) | (_, [only]) => Ok(*only),
        ([], _) => Err(Diagnostic::usage(format!(
            "the roster names nobody{}",
            role.map(|r| format!(" of role `{r}`")).unwrap_or_default()
        ))),
        _ => Err(Diagnostic::usage(
            "several people may sign this, and it is not clear who you are",
        )
        .hint("name your key: --key FILE, with FILE.pub beside it")),
    }
}

/// The public half of a key file: itself, or what lies beside it.
fn public_half(key: &Path) -> Option<PublicKey> {
    let beside = {
        let mut name = key.as_os_str().to_owned();
        name.push(".pub");
        std::path::PathBuf::from(name)
    };
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let parse = |text: String| PublicKey::parse(text.lines().next()?.trim()).ok();
    read(&beside)
        .and_then(parse)
        .or_else(|| read(key).and_then(parse))
}

/// Lets every answer through: for steps that look at answers themselves.
#[cfg(test)]
pub(crate) struct Anything;

#[cfg(test)]
#[async_trait]
impl Verifier for Anything {
    async fn verify(&self, _: &Run, _: &Signal) -> Result<(), Diagnostic> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
