//! Running a script of the dependencies: bounded in time and output, without the environment of this process.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::NotChecked;
use super::tree::Scratch;
use crate::clock::Deadline;

/// More output than this is not read. 800 files with 500 errors are below 1 MiB.
const OUTPUT: u64 = 8 * 1024 * 1024;

/// Node's own limit depends on the machine's memory, and 2 GiB were too little for large projects.
const MEMORY: &str = "--max-old-space-size=4096";

/// The interpreter and what its scripts get to see.
#[derive(Debug)]
pub(super) struct Node {
    program: PathBuf,
    /// Empty, and so without a configuration that would be loaded and executed.
    pub(super) empty: PathBuf,
    home: PathBuf,
    scratch: PathBuf,
    until: Deadline,
}

/// What the scratch folder is called in all that is said: its own name is another one each time, and what is accepted by
/// signature must read the same each time.
const SHOWN: &str = "/code";

/// How a script ended.
#[derive(Debug)]
pub(super) struct ProcessEnd {
    /// `None` when it was killed by a signal.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl ProcessEnd {
    /// How it ended and the last it said, in one line.
    pub(super) fn last_words(&self) -> String {
        let how = self
            .code
            .map_or("was killed".to_owned(), |code| format!("ended with {code}"));
        let said = [&self.stderr, &self.stdout]
            .into_iter()
            .find(|text| !text.trim().is_empty())
            .map(|text| {
                let lines: Vec<_> = text
                    .lines()
                    .map(str::trim)
                    .filter(|l| {
                        !(l.is_empty() || l.starts_with("at ") || l.starts_with("Node.js v"))
                    })
                    .collect();
                // What Node says when it runs out of memory ends in addresses that differ each time.
                let fatal = lines.iter().find(|line| line.starts_with("FATAL ERROR:"));
                let mut last = fatal.map_or_else(
                    || lines[lines.len().saturating_sub(6)..].join(" "),
                    |line| (*line).to_owned(),
                );
                if let Some((end, _)) = last.char_indices().nth(400) {
                    last.truncate(end);
                }
                last
            });
        said.map_or(how.clone(), |said| format!("{how}: {said}"))
    }
}

/// Kills the group when dropped: what a script started goes with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is as good as killed.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Node {
    pub(super) fn new(scratch: &Scratch, until: Deadline) -> Result<Self, NotChecked> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join("node"))
            .find(|file| file.is_absolute() && file.is_file())
            .ok_or_else(|| NotChecked("there is no `node` on this machine's PATH".to_owned()))?;
        Ok(Self {
            program,
            empty: scratch.folder("empty")?,
            home: scratch.folder("home")?,
            scratch: scratch.path().to_owned(),
            until,
        })
    }

    /// A path in the scratch folder as scripts are quoted to have named it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.scratch)
            .map_or_else(|_| path.to_owned(), |inside| Path::new(SHOWN).join(inside))
    }

    /// Runs a script to its end.
    pub(super) async fn run(
        &self,
        what: &str,
        script: &Path,
        args: &[&OsStr],
        dir: &Path,
    ) -> Result<ProcessEnd, NotChecked> {
        let failed = |error: &std::io::Error| NotChecked(format!("{what} could not run: {error}"));
        let mut child = self
            .command(script, args, dir)
            .spawn()
            .map_err(|e| failed(&e))?;
        let mut group = Group(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        );
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let read = tokio::try_join!(bounded(stdout, what), bounded(stderr, what));
            let (stdout, stderr) = read?;
            let status = child.wait().await.map_err(|e| failed(&e))?;
            let scratch = self.scratch.to_string_lossy();
            Ok(ProcessEnd {
                code: status.code(),
                stdout: stdout.replace(&*scratch, SHOWN),
                stderr: stderr.replace(&*scratch, SHOWN),
            })
        };
        let left = self.until.left();
        let ended = tokio::time::timeout(left, whole).await.unwrap_or_else(|_| {
            Err(NotChecked(format!(
                "{what} had not ended when the time limit was reached"
            )))
        });
        if ended.is_ok() {
            // Reaped, with its output closed by all who had it: the number may be another's by now.
            group.0 = None;
        }
        drop(group);
        // Reaped here when it was killed; not for long, it cannot refuse.
        let _reaped = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        ended
    }

    fn command(&self, script: &Path, args: &[&OsStr], dir: &Path) -> tokio::process::Command {
        let mut it = tokio::process::Command::new(&self.program);
        let node = self.program.parent().unwrap_or(Path::new("/usr/bin"));
        it.arg(MEMORY)
            .arg(script)
            .args(args)
            .current_dir(dir)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", node.display()))
            .env("HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env("NODE_OPTIONS", MEMORY)
            .env("LC_ALL", "C.UTF-8")
            .env("CI", "1")
            .env("NO_COLOR", "1")
            // No question of a newer version, nothing installed in passing, no engine downloaded: generating a client
            // needs none, and only looks whether they are there.
            .env("CHECKPOINT_DISABLE", "1")
            .env("PRISMA_HIDE_UPDATE_MESSAGE", "1")
            .env("PRISMA_GENERATE_SKIP_AUTOINSTALL", "1")
            .env("PRISMA_SKIP_POSTINSTALL_GENERATE", "1")
            .env("PRISMA_SCHEMA_ENGINE_BINARY", "/bin/true")
            .env("PRISMA_QUERY_ENGINE_BINARY", "/bin/true")
            .env("PRISMA_QUERY_ENGINE_LIBRARY", "/bin/true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        it
    }
}

async fn bounded(pipe: Option<impl AsyncRead + Unpin>, what: &str) -> Result<String, NotChecked> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| NotChecked(format!("the output of {what} cannot be read: {error}")))?;
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > OUTPUT) {
        return Err(NotChecked(format!("{what} printed more than 8 MiB")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
