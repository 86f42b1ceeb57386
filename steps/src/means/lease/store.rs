//! The two files of a lease, each changed by one short script on the host.

use bytes::Bytes;
use flow_engine::clock::Timestamp;
use flow_engine::step::StepError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::means::host::{Command, Host, HostError, HostExt as _, Stdin};
use crate::means::reach;

/// Who holds the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The run that has the environment.
    pub run: String,
    /// The process that drove it when the lease was last written.
    pub holder: String,
    /// Its fencing epoch.
    pub epoch: u64,
    /// Since when, by the clock of the machine that took it.
    pub since: Timestamp,
}

/// Why nobody may release, until someone lifts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The run that was rolled back; nothing when a person locked.
    pub run: Option<String>,
    /// Who locked, or who had started the run.
    pub by: String,
    /// Why it is locked, in the words of who did it.
    pub reason: String,
    /// When it was locked, by the clock of who did it.
    pub since: Timestamp,
}

/// What is true of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockState {
    /// The lease, when a run holds it.
    pub held: Option<Held>,
    /// The lock, when there is one.
    pub locked: Option<Locked>,
}

/// Why a lease could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The host did not answer, or said no.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The folder is no absolute path.
    #[error("`{0}` is no absolute path for a lease")]
    Path(String),
    /// A file of the lease cannot be understood; nothing was changed.
    #[error(
        "the file `{file}` of the lease cannot be read ({why}); look at it on the host before removing it by hand"
    )]
    Damaged {
        /// Which of them.
        file: &'static str,
        /// What was wrong, in words.
        why: String,
    },
    /// Another process drives this run by now; nothing was changed.
    #[error(
        "a newer process drives this run (epoch {seen} holds the lease, ours is {ours}): {holder}"
    )]
    Overtaken {
        /// The epoch in the lease.
        seen: u64,
        /// The epoch of the driver that asked.
        ours: u64,
        /// Who wrote the lease last.
        holder: String,
    },
    /// The database does not say which one it is: the place of its lease is not known.
    #[error("where the lease lies is not known, because the database does not answer: {0}")]
    Unknown(String),
    /// There is nothing to lift, or it is not what the caller expected.
    #[error("{0}")]
    NotSo(String),
}

impl From<LeaseError> for StepError {
    fn from(e: LeaseError) -> Self {
        match &e {
            LeaseError::Host(host) => reach::error(host),
            LeaseError::Unknown(_) => StepError::unreached(e.to_string()),
            LeaseError::Overtaken { .. } => StepError::refuse(e.to_string())
                .hint("leave this process; `flow status` shows the run"),
            _ => StepError::fail(e.to_string()),
        }
    }
}

pub(crate) enum Claim {
    Taken,
    Held(Held),
    Locked(Locked),
}

/// Prints one line for each file: its content, or an empty line. The content is one line of JSON by construction.
const LOOK: &str = r#"
for f in held locked; do
  if [ -e "$1/$f" ]; then tr -d '\n' < "$1/$f" || exit 1; fi
  echo
done"#;

/// Writes standard input to a file of its own, synced. `$1` folder, `$2` a name nobody else uses.
pub(crate) const WRITE: &str = r#"
set -eu
umask 077
mkdir -p -- "$1"
tmp="$1/.new.$2.$$"
trap 'rm -f -- "$tmp"' EXIT
cat > "$tmp"
sync -- "$tmp" 2>/dev/null || sync
"#;

pub(crate) async fn script(
    host: &dyn Host,
    text: &str,
    dir: &str,
    args: &[&str],
    stdin: String,
) -> Result<String, LeaseError> {
    let dir = reach::absolute(dir).map_err(|_| LeaseError::Path(dir.into()))?;
    let command = Command::script(text)
        .arg("sh")
        .arg(dir)
        .args(args.iter().copied())
        .stdin(Stdin::Bytes(Bytes::from(stdin)));
    Ok(host.run(&command).await?)
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a lease is plain data")
}

pub(crate) fn parse<T: DeserializeOwned>(
    file: &'static str,
    line: &str,
) -> Result<Option<T>, LeaseError> {
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(line)
        .map(Some)
        .map_err(|e| LeaseError::Damaged {
            file,
            why: e.to_string(),
        })
}

/// Changes one file if it still says what was read, all under one lock of the kernel: between a look and a change there
/// may be a process that slept, and whatever it saw need not be true any more. `$1` folder, `$2` file, `$3` what was
/// read; the words after it make the change. Prints `changed` when it was made.
pub(crate) const IF_UNCHANGED: &str = r#"
set -eu
umask 077
exec 9>>"$1/guard"
flock -w 20 9
[ -e "$1/$2" ] && [ "$(tr -d '\n' < "$1/$2")" = "$3" ] || exit 0
"#;

pub(crate) const CHANGED: &str = r#"
sync -- "$1" 2>/dev/null || sync
echo changed"#;

/// Both files as they lie there, each on one line; empty where there is none.
pub(crate) async fn look(host: &dyn Host, dir: &str) -> Result<(String, String), LeaseError> {
    let text = script(host, LOOK, dir, &[], String::new()).await?;
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default().to_owned();
    Ok((line(), line()))
}

/// Who holds the lease in `dir` on this host, and whether it is locked. Changes nothing.
pub async fn lock_state(host: &dyn Host, dir: &str) -> Result<LockState, LeaseError> {
    let (held, locked) = look(host, dir).await?;
    Ok(LockState {
        held: parse("held", &held)?,
        locked: parse("locked", &locked)?,
    })
}

/// How often a change is tried anew because somebody else was faster.
const TRIES: usize = 5;

fn restless(dir: &str) -> LeaseError {
    LeaseError::NotSo(format!(
        "the lease in {dir} keeps changing under our hands: somebody else works on it; look at the host, then retry"
    ))
}

/// Takes the lease for a run, or says what stands in the way. Taken again by its own run it gets the newer epoch.
///
/// Two processes with one epoch are two copies of one journal: the first to come has the lease.
pub(crate) async fn claim(
    host: &dyn Host,
    dir: &str,
    ours: &Held,
    in_spite_of_lock: bool,
) -> Result<Claim, LeaseError> {
    // The lock is looked at again after the link, by the same script: a lock set in between wins.
    let text = format!(
        "{WRITE}
if [ \"$3\" = heed ] && [ -e \"$1/locked\" ]; then exit 0; fi
if ln -- \"$tmp\" \"$1/held\" 2>/dev/null; then
  if [ \"$3\" = heed ] && [ -e \"$1/locked\" ]; then rm -f -- \"$1/held\"; exit 0; fi
  sync -- \"$1\" 2>/dev/null || sync
fi"
    );
    let lock = if in_spite_of_lock { "ignore" } else { "heed" };
    script(host, &text, dir, &[&ours.run, lock], json(ours)).await?;
    for _ in 0..TRIES {
        let (held, locked) = look(host, dir).await?;
        if let Some(locked) = parse("locked", &locked)?
            && !in_spite_of_lock
        {
            return Ok(Claim::Locked(locked));
        }
        let found: Held = match parse("held", &held)? {
            Some(found) => found,
            None => {
                return Err(LeaseError::NotSo(format!(
                    "the lease in {dir} was taken and is gone again: somebody else removed it; look at the host, then retry"
                )));
            }
        };
        if found.run != ours.run || found.epoch > ours.epoch {
            return Ok(Claim::Held(found));
        }
        if found.epoch == ours.epoch {
            return Ok(if found.holder == ours.holder {
                Claim::Taken
            } else {
                Claim::Held(found)
            });
        }
        let newer = Held {
            since: found.since,
            ..ours.clone()
        };
        renew(host, dir, &held, &newer).await?;
    }
    Err(restless(dir))
}

/// Puts a newer lease in the place of the one that was read.
pub(crate) async fn renew(
    host: &dyn Host,
    dir: &str,
    read: &str,
    ours: &Held,
) -> Result<(), LeaseError> {
    let text = format!(
        "{IF_UNCHANGED}
tmp=\"$1/.new.$4.$$\"
trap 'rm -f -- \"$tmp\"' EXIT
cat > \"$tmp\"
sync -- \"$tmp\" 2>/dev/null || sync
mv -f -- \"$tmp\" \"$1/held\"{CHANGED}"
    );
    script(host, &text, dir, &["held", read, &ours.run], json(ours)).await?;
    Ok(())
}

/// Keeps the lease that goes as the `last` one.
pub(crate) const KEEP_AS_LAST: &str = r#"
last="$1/.new.last.$$"
cat < "$1/held" > "$last"
sync -- "$last" 2>/dev/null || sync
mv -f -- "$last" "$1/last"
"#;

/// Removes the lease when it is this run's. Answers what was found. Of a run that `changed` production it stays as the
/// last one.
///
/// [`LeaseError::Overtaken`] when a newer process of the same run holds it.
pub(crate) async fn release(
    host: &dyn Host,
    dir: &str,
    (run, epoch): (&str, u64),
    changed: bool,
) -> Result<Option<Held>, LeaseError> {
    for _ in 0..TRIES {
        let (line, _) = look(host, dir).await?;
        let found: Option<Held> = parse("held", &line)?;
        let Some(held) = found.as_ref().filter(|held| held.run == run) else {
            return Ok(found);
        };
        if held.epoch > epoch {
            return Err(LeaseError::Overtaken {
                seen: held.epoch,
                ours: epoch,
                holder: held.holder.clone(),
            });
        }
        let keep = if changed { KEEP_AS_LAST } else { "" };
        let text = format!("{IF_UNCHANGED}{keep}rm -f -- \"$1/held\"{CHANGED}");
        let done = script(host, &text, dir, &["held", &line], String::new()).await?;
        if done.trim() == "changed" {
            return Ok(found);
        }
    }
    Err(restless(dir))
}
