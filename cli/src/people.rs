//! Between the command line and `flow_steps::people`: who signs with which key, and looking at answers before they
//! are stored, so that a person hears at once and with the exact reason that theirs does not count.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use flow_engine::answer::{Answer, Asked, Refusal};
use flow_engine::clock::{Clock, Timestamp};
use flow_engine::plan::Node;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use flow_engine::signal::{Order, Signal};
use flow_engine::step::{Resources, Step as _};
use flow_steps::means::checklist::Checklist;
use flow_steps::means::signature::key::PublicKey;
use flow_steps::means::signature::origin::Rosters;
use flow_steps::means::signature::roster::{People, Person};
use flow_steps::means::signature::sign_off::SignOff;
use flow_steps::means::signature::statement::Subject;
use flow_steps::means::signature::verify::SignOffRefusal;
use flow_steps::means::signature::waiver::HOURS_MAX;
use flow_steps::means::signature::{review, sign_off};
use flow_steps::means::{kinds, migrations};
use flow_workflows::project::Project;

use crate::control::server::Verifier;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Carries answers to the steps that ask, which judge them with what the project has, such as its roster.
pub(crate) fn verifier(
    registry: &Arc<Registry>,
    resources: &Resources,
    clock: &Arc<dyn Clock>,
) -> Arc<dyn Verifier> {
    Arc::new(Judge {
        registry: Arc::clone(registry),
        resources: resources.clone(),
        clock: Arc::clone(clock),
    })
}

/// Has the step that asks judge an answer, as [`verifier`] says.
pub(crate) struct Judge {
    pub(crate) registry: Arc<Registry>,
    pub(crate) resources: Resources,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Verifier for Judge {
    async fn verify(&self, run: &Run, signal: &Signal) -> Result<(), Diagnostic> {
        let now = self.clock.now();
        let Some(asked) = Asked::of(run, &signal.step, &self.resources, now) else {
            return Err(nobody_asked(run, &signal.step, "the plan has no such step"));
        };
        crate::control::fit_to_keep("an answer", &signal.body)?;
        let judged = self.registry.accepts(&asked, signal).await;
        judged.map_err(|refusal| in_words(run, asked.node(), &refusal))
    }
}

/// Why an answer is not stored, and what to type instead.
fn in_words(run: &Run, node: &Node, refusal: &Refusal) -> Diagnostic {
    let said = Diagnostic::new(Exit::Refused, refusal.to_string()).world("Nothing was stored.");
    match refusal {
        Refusal::NotAsked { over: false, .. } if !run.production_changed() => {
            said.hint(format!("flow status {}", run.id))
        }
        Refusal::NotAsked { .. } => {
            too_late(said.hint(format!("flow status {}", run.id)), run, node)
        }
        Refusal::DoesNotCount(_) => said,
        Refusal::Unjudged(_) => Diagnostic::usage(refusal.to_string())
            .world("Whether the answer counts is not known, so it was not stored."),
        Refusal::Unreadable(_) => Diagnostic::usage(refusal.to_string())
            .world("Nothing was stored.")
            .hint(format!(
                "answer with {}, which planned the run",
                run.plan.planned_by
            )),
    }
}

/// Whose signatures count, read anew for each answer; see [`verifier`].
pub(crate) struct Roster(pub(crate) Rosters);

impl Roster {
    /// The one of the project.
    pub(crate) fn of(project: &Project) -> Roster {
        Roster(project.rosters())
    }

    /// Who may sign for this run now.
    pub(crate) async fn people(&self, run: &Run) -> Result<People, Diagnostic> {
        self.0.0.of(&run.plan).await.map_err(|e| {
            Diagnostic::usage(e.to_string())
                .world("Whether an answer counts is not known, so none is taken.")
        })
    }
}

impl Roster {
    /// What an approval of this step must name: the rejection of its role that stands.
    pub(crate) async fn rejection(
        run: &Run,
        asked: &ToSign,
        people: &People,
        now: Timestamp,
    ) -> Result<Option<String>, Diagnostic> {
        let about = (asked.subject, migrations::asked(run, &asked.step));
        let standing = if let (Subject::Review, Some(question)) = about {
            let answers = review::answers(run, &asked.step, people, &question, now);
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
fn too_late(no: Diagnostic, run: &Run, node: &Node) -> Diagnostic {
    let no = way_back(no, run);
    let steps = run.plan.nodes.iter().zip(&run.steps);
    let asked = steps.filter(|(n, s)| n.kind == kinds::SIGN_OFF && s.started.is_some());
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

/// A gate's no about an answer.
pub(crate) fn refused(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::new(Exit::Refused, format!("the answer does not count: {error}"))
        .world("Nothing was stored.")
}

/// The checklist that a step of a run is, or asks for.
pub(crate) fn checklist_of(run: &Run, node: &Node) -> Result<Checklist, Diagnostic> {
    Checklist::of(run, &node.key).ok_or_else(|| {
        Diagnostic::usage(format!("step `{}` is no checklist of this flow", node.key))
            .hint(format!("flow status {}", run.id))
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

/// The sign-off of a role, or what the step that is named asks somebody to sign.
pub(crate) fn to_sign(run: &Run, role: &str, step: Option<&str>) -> Result<ToSign, Diagnostic> {
    let named = step.map(|step| {
        run.plan.node(step).map(|(_, node)| node).ok_or_else(|| {
            Diagnostic::usage(format!("the plan of run {} has no step `{step}`", run.id))
                .hint(format!("flow status {}", run.id))
        })
    });
    let named = named.transpose()?;
    if let Some(node) = named.filter(|node| node.kind != kinds::SIGN_OFF) {
        let (asked, to_sign) = signature_of(run, node)?;
        if asked != role {
            let message = format!("`{}` asks the role `{asked}`, not `{role}`", node.key);
            return Err(Diagnostic::new(Exit::Refused, message).world("Nothing was signed."));
        }
        return Ok(to_sign);
    }
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

/// Which role a step asks for a signature, and over what: a review as soon as there is something to read, any other step
/// while it waits for one.
fn signature_of(run: &Run, node: &Node) -> Result<(String, ToSign), Diagnostic> {
    let of = |role: String, subject, finding| {
        let step = node.key.clone();
        let hours = HOURS_MAX;
        let to_sign = ToSign {
            step,
            subject,
            finding,
            hours,
        };
        (role, to_sign)
    };
    if node.kind == kinds::MIGRATION_REVIEW {
        let asked = migrations::asked(run, &node.key);
        let asked = asked.ok_or_else(|| nothing_to_review(run, &node.key))?;
        return Ok(of(asked.role, Subject::Review, Some(asked.digest)));
    }
    let waiting = run
        .waiting()
        .find(|(step, _)| run.plan.nodes[*step as usize].key == node.key);
    match waiting.and_then(|(_, wait)| wait.answer.clone()) {
        Some(Answer::Signature {
            role,
            subject,
            about,
        }) => Ok(of(role, subject.into(), about)),
        _ => Err(
            Diagnostic::usage(format!("`{}` asks nobody to sign now", node.key))
                .hint(format!("flow status {}", run.id)),
        ),
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
    let steps = run.plan.nodes.iter().filter(|n| n.kind == kinds::SIGN_OFF);
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
