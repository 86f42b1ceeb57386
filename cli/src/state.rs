//! The folder where `flow` keeps what it knows: `.flow/` beside `flow.toml`.
//!
//! ```text
//! .flow/             0700
//! .flow/journal/     every run; see the engine's journal
//! .flow/control.sock while a run is driven: how other `flow` commands speak to the driver
//! .flow/mails        who has which mail, so that nobody gets one twice
//! .flow/logs/RUN/    output of steps, one file each, 0600
//! ```

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flow_engine::id::RunId;
use flow_workflows::guard;

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The state folder, `.flow` unless it is named.
    pub(crate) dir: PathBuf,
}

impl State {
    /// The state folder `dir`, made absolute. It need not exist.
    pub(crate) fn at(dir: &Path) -> Result<State, Diagnostic> {
        let absolute = std::path::absolute(dir).map_err(|e| unusable(dir, &e))?;
        Ok(State { dir: absolute })
    }

    /// Where runs are kept when nothing else is said: `.flow` beside the configuration file.
    pub(crate) fn beside(config: &Path) -> PathBuf {
        config.parent().unwrap_or(Path::new(".")).join(".flow")
    }

    /// Makes the folder, for its owner only. A folder that others may look into is refused.
    pub(crate) fn create(&self) -> Result<(), Diagnostic> {
        let created = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir);
        created.map_err(|e| unusable(&self.dir, &e))?;
        self.is_ours()?;
        self.keep_out_of_git()
    }

    /// Refuses a folder that another user owns or can look into: whoever can write it decides what a run was.
    #[expect(clippy::verbose_bit_mask, reason = "as chmod writes modes")]
    pub(crate) fn is_ours(&self) -> Result<(), Diagnostic> {
        let ours = |e: &dyn std::error::Error| {
            Diagnostic::usage("the state folder cannot be trusted")
                .because(e)
                .world("Nothing in it was read or changed.")
        };
        guard::only_ours(&self.dir).map_err(|e| ours(&e))?;
        let Ok(meta) = std::fs::metadata(&self.dir) else {
            return Ok(());
        };
        if meta.uid() != rustix::process::geteuid().as_raw() {
            let shown = self.dir.display();
            return Err(
                Diagnostic::usage(format!("the state folder {shown} is another user's"))
                    .world("Nothing in it was read or changed.")
                    .hint(
                        "run flow as that user, or name a folder of your own: flow --state DIR …",
                    ),
            );
        }
        let mode = meta.permissions().mode();
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let shown = self.dir.display();
        Err(Diagnostic::usage(format!(
            "the state folder {shown} is open to others (mode {:o})",
            mode & 0o777
        ))
        .hint(format!("chmod 700 {shown}")))
    }

    /// The folder must neither be committed nor make the checkout look changed.
    fn keep_out_of_git(&self) -> Result<(), Diagnostic> {
        let path = self.dir.join(".gitignore");
        if path.exists() {
            return Ok(());
        }
        std::fs::write(&path, "*\n").map_err(|e| unusable(&self.dir, &e))
    }

    /// The journal's folder.
    pub(crate) fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Who has which mail.
    pub(crate) fn mails(&self) -> PathBuf {
        self.dir.join("mails")
    }

    /// The folder of a run's output.
    pub(crate) fn logs(&self, run: &RunId) -> PathBuf {
        self.dir.join("logs").join(run.as_str())
    }

    /// The file of a step's output.
    pub(crate) fn log(&self, run: &RunId, step: &str) -> PathBuf {
        self.logs(run)
            .join(format!("{}.log", step.replace('/', "~")))
    }
}

fn unusable(dir: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(
        Exit::Usage,
        format!("the state folder {} cannot be used", dir.display()),
    )
    .because(error)
    .world("Nothing was changed.")
}
