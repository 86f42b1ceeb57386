//! What the steps of the code check share: what they look at, and what a person has to accept.

mod alone;
mod checkout;
mod enums;
mod nullable;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flow_engine::id::Digest;
use flow_engine::record::Wait;
use flow_engine::step::Progress;
use flow_engine::step::{Cx, StepError};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use flow_lint::code::schema::{Changes, Schema};
use flow_lint::code::types::{self, NotChecked, Project};
use flow_lint::code::{Hit, graphql, syntax};

use self::checkout::Checkout;
pub use self::enums::EnumUsage;
pub use self::nullable::NullableAccess;
use crate::means::reports::people::Waiver;
use crate::means::signature::statement::Subject;
use crate::means::signature::waiver::{AskedWaivers, waived};
use crate::means::signature::{origin, waiver};

/// Where the code is, and where it runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeAt {
    /// The repository on this machine.
    pub repo: String,
    /// The full commit that is to be released.
    pub commit: String,
    /// `schema.prisma` inside the repository.
    pub schema: String,
    /// The folder with `package.json` and `tsconfig.json` inside the repository; empty for its root.
    pub folder: String,
    /// The installed packages that type checking uses, absolute. What is in them is executed.
    pub node_modules: String,
    /// Further folders that are type-checked, each by itself; none of them twice. The look at the syntax is at the whole
    /// repository anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<CodeFolder>,
    /// The host that the code is deployed to.
    pub host: String,
    /// Its work tree there, absolute.
    pub dir: String,
}

/// A folder of code with packages of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeFolder {
    /// With `package.json` and `tsconfig.json`, inside the repository; empty for its root.
    pub folder: String,
    /// The installed packages that type checking uses, absolute. What is in them is executed.
    pub node_modules: String,
}

/// Which code something was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// What is to be released.
    New,
    /// What runs now, and goes on running while the new schema is there already.
    Deployed,
}

/// A place that the change of the schema reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// In which code.
    pub version: Version,
    /// What and where.
    #[serde(flatten)]
    pub hit: Hit,
}

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChecked {
    /// The commit that runs now; nothing when there was no need to know.
    pub deployed: Option<String>,
    /// What differs between its schema and the new one.
    pub changes: Changes,
    /// What was found, the first 500 of it.
    pub found: Vec<Found>,
    /// How much more was found.
    pub omitted: usize,
    /// Why the code was not type-checked; nothing when it was, or nothing asked for it.
    pub not_typed: Option<String>,
    /// Who accepted that, where somebody had to.
    pub waiver: Option<Waiver>,
}

/// The most places that are kept and named: what has more is not reviewed place by place.
const MOST: usize = 500;

/// How long type checking of one version may take. Twice a compiler's run; 24 to 32 s each for 800 files were seen.
const TYPES_WITHIN: Duration = Duration::from_mins(15);

/// The two versions and what differs between their schemas.
struct Looked {
    versions: [(Version, Checkout); 2],
    schemas: [String; 2],
    before: Schema,
    changes: Changes,
}

/// What there is to look at.
enum Subjects {
    /// Neither version has a schema where the configuration says; in words.
    NoSchema(String),
    /// One version has none there, so that the two cannot be compared; in words.
    OneSchema(String),
    /// Code cannot notice a difference.
    Nothing(String, Changes),
    /// Both versions can be compared.
    Both(Arc<Looked>),
}

impl CodeAt {
    async fn look(&self, cx: &Cx) -> Result<Subjects, StepError> {
        let deployed = checkout::deployed(cx, &self.repo, &self.host, &self.dir).await?;
        self.compare(deployed).await
    }

    /// The code against that of a commit that this repository has.
    async fn compare(&self, deployed: String) -> Result<Subjects, StepError> {
        let old = checkout::schema_text(&self.repo, &deployed, &self.schema).await?;
        let new = checkout::schema_text(&self.repo, &self.commit, &self.schema).await?;
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (None, None) => return Ok(Subjects::NoSchema(format!("there is no {}", self.schema))),
            // Compared with nothing, every enum would be new and no value of it gone.
            (None, Some(_)) => return Ok(Subjects::OneSchema(self.lacks(&deployed))),
            (Some(_), None) => return Ok(Subjects::OneSchema(self.lacks(&self.commit))),
        };
        let read = |text: &str, commit: &str| checkout::schema(text, commit, &self.schema);
        let before = read(&old, &deployed)?;
        let changes = before.changes(&read(&new, &self.commit)?);
        if changes.concern_nothing() {
            return Ok(Subjects::Nothing(deployed, changes));
        }
        let versions = [
            (Version::New, Checkout::of(&self.repo, &self.commit).await?),
            (
                Version::Deployed,
                Checkout::of(&self.repo, &deployed).await?,
            ),
        ];
        Ok(Subjects::Both(Arc::new(Looked {
            versions,
            schemas: [old, new],
            before,
            changes,
        })))
    }

    fn lacks(&self, commit: &str) -> String {
        format!(
            "commit {commit} has no {}, so the schemas cannot be compared",
            self.schema
        )
    }

    /// Every folder that is type-checked, in the order of the configuration.
    fn folders(&self) -> Vec<CodeFolder> {
        let first = CodeFolder {
            folder: self.folder.clone(),
            node_modules: self.node_modules.clone(),
        };
        let further = self.further.iter().cloned();
        std::iter::once(first).chain(further).collect()
    }

    /// What the compiler says about both versions, and why one or both could not be checked: what was found in the one
    /// counts whatever became of the other.
    async fn types(
        &self,
        looked: &Looked,
        say: &(impl Fn(String) + Send + Sync),
    ) -> (Vec<Found>, Option<String>) {
        let (mut found, mut reasons) = (Vec::new(), Vec::new());
        let [old, new] = &looked.schemas;
        let all = looked.versions.iter().flat_map(|(version, checkout)| {
            let folders = self.folders().into_iter();
            folders.map(move |folder| (version, checkout, folder))
        });
        for (version, checkout, folder) in all {
            let mut which = match version {
                Version::New => "the new code".to_owned(),
                Version::Deployed => "the deployed code".to_owned(),
            };
            if !self.further.is_empty() {
                which = format!("{which} in `{}`", folder.folder);
            }
            let project = Project {
                checkout: checkout.path().to_owned(),
                folder: folder.folder,
                schema: self.schema.clone(),
                node_modules: PathBuf::from(folder.node_modules),
            };
            let progress = |what: &str| say(format!("{which}: {what}"));
            match types::differential(&project, old, new, TYPES_WITHIN, progress).await {
                Ok(hits) => found.extend(hits.into_iter().map(|hit| Found {
                    version: *version,
                    hit,
                })),
                Err(NotChecked(why)) => reasons.push(format!("{which}: {why}")),
            }
        }
        let reasons = (!reasons.is_empty()).then(|| reasons.join("; "));
        (found, reasons)
    }
}

impl Looked {
    /// What the syntax of both versions shows, as far as `wanted` wants it. It reads and parses on a thread that may block,
    /// which ends at the next file when nobody waits for it any more.
    async fn syntax(
        self: &Arc<Self>,
        progress: impl Fn(Progress),
        wanted: fn(&Hit) -> bool,
    ) -> Result<Vec<Found>, StepError> {
        let (say, mut said) = mpsc::unbounded_channel();
        // Keeps the two folders until the thread is done.
        let looked = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || looked.syntax_here(&say, wanted));
        while let Some(at) = said.recv().await {
            progress(at);
        }
        looking
            .await
            .map_err(|e| StepError::fail("the look at the syntax broke off").because(&e))?
    }

    /// The same where blocking is allowed. Fails when `say` has nobody at its other end.
    fn syntax_here(
        &self,
        say: &mpsc::UnboundedSender<Progress>,
        wanted: fn(&Hit) -> bool,
    ) -> Result<Vec<Found>, StepError> {
        let mut found = Vec::new();
        for (version, checkout) in &self.versions {
            let elsewhere = checkout.submodules.iter().map(|path| Found {
                version: *version,
                hit: not_read(path, "it is a submodule"),
            });
            found.extend(elsewhere.filter(|one| wanted(&one.hit)));
            let files = checkout.files()?;
            for (done, file) in files.iter().enumerate() {
                if say.is_closed() {
                    return Err(StepError::fail("nobody waits for the look at the syntax"));
                }
                if done % 200 == 0 {
                    // It fails when nobody listens, which the next round sees.
                    drop(say.send(Progress {
                        unit: "files".into(),
                        done: done as u64,
                        total: Some(files.len() as u64),
                    }));
                }
                let path = checkout.path().join(file);
                let name = file.to_string_lossy();
                let hits = look(&path, &name, &self.before, &self.changes);
                let hits = hits.into_iter().filter(wanted);
                found.extend(hits.map(|hit| Found {
                    version: *version,
                    hit,
                }));
            }
        }
        Ok(found)
    }
}

/// The largest file that is read at all, in bytes. What is smaller and mentions nothing of the change needs no parser.
const LARGEST: u64 = 64 << 20;

fn not_read(name: &str, why: &str) -> Hit {
    Hit {
        file: name.to_owned(),
        line: 1,
        column: 1,
        kind: "not-read".into(),
        about: String::new(),
        message: format!("it was not looked at: {why}"),
    }
}

fn look(path: &std::path::Path, name: &str, old: &Schema, changes: &Changes) -> Vec<Hit> {
    if !graphql::reads(name) {
        return Vec::new();
    }
    match std::fs::metadata(path) {
        Err(e) => return vec![not_read(name, &e.to_string())],
        Ok(of) if of.len() > LARGEST => {
            let why = format!("it is larger than {LARGEST} bytes");
            return vec![not_read(name, &why)];
        }
        Ok(_) => {}
    }
    match std::fs::read(path).map(String::from_utf8) {
        Err(e) => vec![not_read(name, &e.to_string())],
        Ok(Err(_)) => vec![not_read(name, "it is not UTF-8")],
        Ok(Ok(text)) => {
            let mut hits = syntax::look(name, &text, old, changes);
            hits.extend(graphql::look(name, &text, changes));
            hits
        }
    }
}

/// What a person has to accept: the same places and the same reason give the same digest.
fn digest(found: &[Found], not_typed: Option<&str>) -> String {
    let all = serde_json::to_vec(&(found, not_typed)).expect("plain data is written as JSON");
    Digest::of(&all).to_string()
}

/// The waiver of all of it, or the wait for one; nothing when there is nothing to accept.
async fn accepted(
    cx: &Cx,
    role: &str,
    found: &[Found],
    not_typed: Option<&str>,
) -> Result<Option<Waiver>, StepError> {
    let open: Vec<Found> = found.iter().filter(|f| blocks(&f.hit)).cloned().collect();
    if open.is_empty() && not_typed.is_none() {
        return Ok(None);
    }
    let digest = digest(&open, not_typed);
    let people = origin::needed(cx).await?;
    let subject = (Subject::Waiver, digest.as_str());
    let waiver = waived(cx.run(), cx.key(), &people, subject, role, cx.now())
        .await
        .map_err(|e| StepError::unreached("a waiver could not be judged").because(&e))?;
    if let Some(waiver) = waiver {
        return Ok(Some(waiver));
    }
    let asked = AskedWaivers {
        role: role.to_owned(),
        findings: vec![digest.clone()],
    };
    asked.ask(cx).await?;
    Err(StepError::Wait(Wait {
        who: role.to_owned(),
        what: in_short(&open, not_typed),
        answer: Some(waiver::question(role, &digest)),
        until: None,
    }))
}

/// A value that was only added is told and needs nobody's word.
fn blocks(hit: &Hit) -> bool {
    hit.kind != "added-value"
}

fn in_short(open: &[Found], not_typed: Option<&str>) -> String {
    let mut parts = Vec::new();
    if let Some(why) = not_typed {
        parts.push(format!("not type-checked: {why}"));
    }
    if let Some(first) = open.first() {
        parts.push(format!(
            "{} found; first: {}",
            places(open.len()),
            line(first)
        ));
    }
    let short: String = parts.join("; ").chars().take(600).collect();
    short
}

fn places(n: usize) -> String {
    match n {
        1 => "1 place".to_owned(),
        n => format!("{n} places"),
    }
}

/// One place as a line.
fn line(found: &Found) -> String {
    let Found { version, hit } = found;
    let whose = match version {
        Version::New => "",
        Version::Deployed => " (deployed code)",
    };
    format!(
        "{}:{}:{}{whose} {} {}: {}",
        hit.file, hit.line, hit.column, hit.kind, hit.about, hit.message
    )
}
