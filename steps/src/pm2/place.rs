//! Where a process really runs from: a new pid alone may run old code.
//!
//! Measured with pm2 7: a process that was started in a release folder behind a link is reloaded in that folder, whatever
//! the link leads to by then, and gets a new pid. A second start in the new folder gives two processes of one name.

use std::collections::BTreeMap;

use flow_engine::step::StepError;
use serde::{Deserialize, Serialize};

use super::App;
use crate::means::host::{Command, Host};
use crate::means::reach;
use crate::means::supervisor::Folder;

/// What was released, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The application's folder on the host, absolute; may be a link to one of several releases.
    pub folder: String,
    /// The full commit.
    pub commit: String,
    /// Whether that folder is a checkout whose head is that commit.
    pub is_checkout: bool,
}

/// What the host says of one process.
#[derive(Debug, Default, Clone)]
struct Facts {
    folder: String,
    script: String,
    /// The folder the kernel says it is in; empty when that may not be seen.
    now_in: String,
    /// The version in the `package.json` that pm2 reads for it.
    version: Option<String>,
}

const LOOK: &str = r#"
real() { readlink -f -- "$1" 2>/dev/null || echo; }
real "$1"
git -c safe.directory="$1" -c safe.directory="$(real "$1")" -C "$1" rev-parse --verify -q 'HEAD^{commit}' 2>/dev/null || echo
if [ -n "$2" ]; then stat -c %Y -- "$2/start" 2>/dev/null || echo; else echo; fi
shift 2
while [ "$#" -ge 3 ]; do
  real "$2"; real "$3"
  readlink "/proc/$1/cwd" 2>/dev/null || echo
  d=$(dirname -- "$3")
  while [ ! -f "$d/package.json" ] && [ "$d" != / ] && [ "$d" != . ]; do d=$(dirname -- "$d"); done
  if [ -f "$d/package.json" ]; then head -c 65536 -- "$d/package.json" | tr -d '\r\n'; fi
  echo
  shift 3
done
echo end"#;

/// Which of these run old code, in words. `job` is the folder of the release script.
pub(super) async fn old(
    host: &dyn Host,
    released: &Released,
    job: Option<&str>,
    apps: &[&App],
) -> Result<Vec<String>, StepError> {
    let folder = reach::absolute(&released.folder)?;
    let mut command = Command::script(LOOK).args(["sh", folder, job.unwrap_or_default()]);
    for app in apps {
        let path = |path: &Option<String>| {
            let path = path.as_deref().unwrap_or("/");
            // A path with a line break in it cannot be told from two.
            if path.contains(['\n', '\r']) {
                "/"
            } else {
                path
            }
            .to_owned()
        };
        command = command.args([app.pid.to_string(), path(&app.folder), path(&app.script)]);
    }
    let answer = reach::run(host, &command).await?;
    let lines: Vec<&str> = answer.split('\n').collect();
    if lines.len() != 3 + 4 * apps.len() + 1 || lines.last() != Some(&"end") {
        return Err(StepError::fail(format!(
            "`{}` did not say where the processes run from",
            host.name()
        )));
    }
    let folder = Folder {
        written: released.folder.trim_end_matches('/').to_owned(),
        real: lines[0].to_owned(),
    };
    let mut old = Vec::new();
    if released.is_checkout && lines[1] != released.commit {
        old.push(format!(
            "{} is at {}, not at {}",
            released.folder,
            or_none(lines[1]),
            released.commit
        ));
    }
    let begun: Option<u64> = lines[2].parse().ok();
    let facts = lines[3..].chunks_exact(4).map(|four| Facts {
        folder: four[0].into(),
        script: four[1].into(),
        now_in: four[2].into(),
        version: version(four[3]),
    });
    for (app, facts) in apps.iter().zip(facts) {
        let early = |since: &u64| begun.is_some_and(|begun| since / 1000 < begun);
        if app.since.as_ref().is_some_and(early) {
            old.push(format!(
                "{} was started before the release script began",
                app.in_words()
            ));
        } else if let Some(why) = judge(app, &facts, &folder, &released.commit) {
            old.push(format!("{} {why}", app.in_words()));
        }
    }
    old.extend(two_of_a_name(apps));
    Ok(old)
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "no commit" } else { text }
}

fn version(package: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(package).ok()?;
    json.get("version")?.as_str().map(str::to_owned)
}

/// Why this process runs old code, if it does.
fn judge(app: &App, facts: &Facts, folder: &Folder, commit: &str) -> Option<String> {
    if facts.now_in.ends_with(" (deleted)") {
        return Some(format!("runs in {}", facts.now_in));
    }
    let places = [&facts.now_in, &facts.folder, &facts.script];
    if let Some(place) = places.into_iter().find(|p| folder.other_release(p)) {
        return Some(format!(
            "runs from {place}, and {} leads to {}",
            folder.written, folder.real
        ));
    }
    if let Some(revision) = app.revision.as_deref().filter(|r| *r != commit) {
        return Some(format!("was started at commit {revision}"));
    }
    match (&app.version, &facts.version) {
        (Some(ran), Some(lies)) if ran != lies => Some(format!(
            "was started with version {ran}, and {lies} lies there now"
        )),
        _ => None,
    }
}

/// Processes of one name that run different scripts or in different folders: one of them is another release's.
fn two_of_a_name(apps: &[&App]) -> Vec<String> {
    let mut names: BTreeMap<&str, Vec<&App>> = BTreeMap::new();
    for app in apps {
        names.entry(&app.name).or_default().push(app);
    }
    let place = |a: &App| (a.folder.clone(), a.script.clone());
    let differ = names
        .into_iter()
        .filter(|(_, all)| all.iter().any(|a| place(a) != place(all[0])));
    differ
        .map(|(name, all)| {
            let words: Vec<String> = all
                .iter()
                .map(|a| format!("#{} in {}", a.id, a.folder.as_deref().unwrap_or("?")))
                .collect();
            format!(
                "{} processes of the name {name}: {}",
                all.len(),
                words.join(", ")
            )
        })
        .collect()
}
