//! Work on a host that outlives the connection that started it.
//!
//! A plain remote command dies, or goes on unseen, when its connection is cut. A job is started detached, writes its
//! output to a file and its result beside it, and can be found again by a name the client chose beforehand: the
//! folder `<dir>/<run>/<step>.<attempt>`. Making that folder is the claim, so that any number of racing or repeated
//! launches run the script once. The honest promise is *at most once per attempt, and the outcome is known or reported
//! as unknown*.
//!
//! All of the remote side is `job.sh`, POSIX shell that needs `flock` and `setsid` (util-linux) and `/proc`.

use serde::{Deserialize, Serialize};

use super::HostError;

mod call;
mod follow;

pub use call::{kill, launch, probe, read_log};
pub use follow::{Follow, follow};

/// What runs the script of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpreter {
    /// The POSIX shell of that machine.
    Sh,
    /// GNU bash, wherever `env` finds it.
    Bash,
}

/// One attempt at one step of one run, on one machine. The first four fields name it; nothing is kept on our side.
#[derive(Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Absolute folder on the host for the jobs of all runs, such as `/data/dap/flow`. Made (0700) when missing.
    pub dir: String,
    /// The run: letters, digits, `.`, `_`, `-`.
    pub run: String,
    /// The step, likewise.
    pub step: String,
    /// Counts from 1; another attempt is another execution.
    pub attempt: u16,
    /// The run's fencing epoch, at most `i64::MAX`. A host that has seen a larger one refuses the launch.
    pub epoch: u64,
    /// The text to run. It is sent on standard input and lies in the job's folder (0700) afterwards.
    pub script: String,
    /// What runs it.
    pub interpreter: Interpreter,
    /// The folder it starts in; when it does not exist, the job ends with status 126 and says so in its log.
    pub cwd: Option<String>,
    /// Variables. Sent on standard input, and deleted from the host before the script starts.
    pub env: Vec<(String, String)>,
    /// The machine this must be (see [`Identity`](super::Identity)), asserted in the same call that acts.
    pub expect_machine_id: Option<String>,
    /// The folder of the environment's lease on that host, absolute. The launch is refused unless the lease is this
    /// run's and no newer process's, looked at in the same call that claims the folder.
    pub lease: Option<String>,
    /// The folder of the lease beside which the timer of this run's freeze lies, when the script relies on read-only
    /// mode. The launch is refused once that was ended, looked at in the same call.
    pub frozen: Option<String>,
}

impl std::fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Script and variables may hold secrets.
        f.debug_struct("JobSpec")
            .field("folder", &self.folder())
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Longest run or step name; file systems allow 255 bytes.
const NAME_MAX: usize = 120;

impl JobSpec {
    /// The first attempt at a step, run by `sh`, with epoch 0.
    pub fn new(
        dir: impl Into<String>,
        run: impl Into<String>,
        step: impl Into<String>,
        script: impl Into<String>,
    ) -> Self {
        Self {
            dir: dir.into(),
            run: run.into(),
            step: step.into(),
            attempt: 1,
            epoch: 0,
            script: script.into(),
            interpreter: Interpreter::Sh,
            cwd: None,
            env: Vec::new(),
            expect_machine_id: None,
            lease: None,
            frozen: None,
        }
    }

    /// The job's folder on the host.
    pub fn folder(&self) -> String {
        format!("{}/{}/{}", self.dir, self.run, self.name())
    }

    fn name(&self) -> String {
        format!("{}.{}", self.step, self.attempt)
    }

    fn check(&self) -> Result<(), JobError> {
        let invalid = |why: String| {
            Err(JobError::Invalid {
                folder: self.folder(),
                why,
            })
        };
        for name in [&self.run, &self.step] {
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if name.is_empty()
                || name.len() > NAME_MAX
                || name.starts_with(['.', '-'])
                || !name.chars().all(good)
            {
                return invalid(format!(
                    "`{}` cannot be part of a folder's name",
                    name.escape_debug()
                ));
            }
        }
        if !self.dir.starts_with('/')
            || self.dir.contains(char::is_control)
            || self.dir.contains("/../")
        {
            return invalid("the base folder must be an absolute path".to_owned());
        }
        if self.lease.as_ref().is_some_and(|l| !l.starts_with('/')) {
            return invalid("the folder of the lease must be an absolute path".to_owned());
        }
        if i64::try_from(self.epoch).is_err() {
            return invalid("the epoch is too large for a shell".to_owned());
        }
        if self.script.contains('\0') {
            return invalid("the script contains a NUL byte".to_owned());
        }
        Ok(())
    }
}

/// What came of a launch. Neither is an error: the claim is held either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// This call started it.
    Started,
    /// An earlier call did; look with [`probe`].
    Exists,
}

/// What a look at a job finds. No clock and no heartbeat is involved: a lock of the kernel tells whether it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Never launched: launching it is safe.
    Absent,
    /// The folder is there, the script has not begun. For more than some seconds: the launch died, and nothing was
    /// executed; a person decides on another attempt, because a very slow machine may still begin.
    Claimed,
    /// Stopped before the script began; it never will. Another attempt is safe.
    Never,
    /// Its keeper lives and writes on.
    Running {
        /// Bytes of output so far.
        log_len: u64,
    },
    /// Ended by itself. 128 + *n* stands for signal *n*.
    Done {
        /// The script's status.
        code: u8,
        /// Bytes of output in all.
        log_len: u64,
    },
    /// The wrapper is gone, its processes are not: never launch another attempt; wait, or [`kill`].
    Orphaned {
        /// Its processes that still run.
        pids: Vec<u32>,
    },
    /// Everything is gone and there is no result: the outcome is unknown.
    Lost,
    /// The machine was restarted in the middle: the outcome is unknown.
    LostByReboot,
}

/// Why a job could not be launched, looked at or ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobError {
    /// The host did not answer; a launch may have happened. [`probe`] tells, and launching again is safe.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Somebody has taken this run over since. Nothing was started; stop acting for it.
    #[error(
        "the host has seen epoch {seen} of `flow`, this process has {ours}: another one has taken over; nothing was started"
    )]
    Fenced {
        /// The newest epoch the host knows.
        seen: u64,
        /// The epoch of this launch.
        ours: u64,
    },
    /// The environment's lease is not this run's. Nothing was started.
    #[error(
        "the lease of `{host}` is held by {}, not by this run; nothing was started",
        held_by.as_ref().map_or("nobody".to_owned(), |run| format!("run {run}"))
    )]
    NotLeased {
        /// The host's name.
        host: String,
        /// The run that holds it, when one does.
        held_by: Option<String>,
    },
    /// Read-only mode, which the script relies on, was ended. Nothing was started.
    #[error(
        "the database is not read-only any more: the timer on `{host}`, or a person, let writers in; nothing was started"
    )]
    Thawed {
        /// The host's name.
        host: String,
    },
    /// The name leads to another machine than it did. Nothing was done.
    #[error(
        "the machine has the id {found}, not {expected} as recorded; nothing was done. Check its address in DNS and ssh's configuration"
    )]
    WrongHost {
        /// What was recorded.
        expected: String,
        /// What answered; `none` when it has no id.
        found: String,
    },
    /// The job cannot be described to a host. Nothing was sent.
    #[error("job {folder}: {why}")]
    Invalid {
        /// The job's folder.
        folder: String,
        /// What was wrong, in words.
        why: String,
    },
    /// The host refused; nothing was started.
    #[error("job {folder} on host `{host}`: {why}")]
    Refused {
        /// The host's name.
        host: String,
        /// The job's folder.
        folder: String,
        /// In the words of the host.
        why: String,
    },
    /// The answer of the host makes no sense.
    #[error("job {folder} on host `{host}` gave an answer that is none: `{answer}`")]
    Answer {
        /// The host's name.
        host: String,
        /// The job's folder.
        folder: String,
        /// The beginning of the answer.
        answer: String,
    },
    /// Following took too long. The job itself goes on.
    #[error(
        "job {folder} on host `{host}` has not ended in time; it still runs, and can be followed from byte {offset} on"
    )]
    Deadline {
        /// The host's name.
        host: String,
        /// The job's folder.
        folder: String,
        /// How far its output was read.
        offset: u64,
    },
}

#[cfg(test)]
mod tests;
