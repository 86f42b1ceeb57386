//! `flow demo`: the whole protocol on three throw-away hosts, by the real binary.
//!
//! The hosts come from `flow-sandbox`. The commands that are shown are run exactly so, as processes of their own, some
//! of them while the driver runs: that is what people in other terminals would do. The people are played with keys made
//! for the demo, and the screen says so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flow_sandbox::{Options, Sandbox};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Demo, Fault};
use crate::diagnostic::Diagnostic;
use crate::drive::next_signal;
use crate::exit::Exit;
use crate::view;

mod child;
mod closing;
mod interactive;
mod play;
mod project;
mod trouble;

/// The longest the whole demo may take. It takes three to five minutes.
const LIMIT: Duration = Duration::from_mins(20);

/// MiB of production's backup disk that is too small for a backup.
const SMALL_DISK: u32 = 1;

/// Brings the hosts up, plays, shows what came of it, and ends everything it started.
pub(crate) async fn run(args: Demo) -> Result<Exit, Diagnostic> {
    let mut stop = Stop::listen();
    let own = folder(args.dir.as_deref())?;
    let dir = own.path().to_owned();
    view::out(&format!(
        "Everything lies in {} and ends with this demo.\n",
        dir.display()
    ));
    let (ground, keep, fault) = (dir.join("hosts"), args.keep, args.fault);
    let sandbox = tokio::task::spawn_blocking(move || {
        let options = Options {
            keep,
            ..Options::default()
        };
        let sandbox = Sandbox::up(&ground, &options, &mut |line| {
            view::out(&format!("… {line}\n"));
        })?;
        view::out("… moving in what real hosts have beside the application\n");
        sandbox.neighbours()?;
        if fault == Some(Fault::FullDisk) {
            sandbox.small_backup_disk("prod", SMALL_DISK)?;
        }
        Ok::<_, flow_sandbox::SandboxError>(sandbox)
    });
    let sandbox = sandbox.await.map_err(|e| failed("the hosts", &e))?;
    let sandbox = sandbox.map_err(|e| failed("the throw-away hosts did not come up", &e))?;
    view::out(&format!("Three hosts are up. {}\n", sandbox.explanation()));
    let played = tokio::select! {
        played = playing(&args, &sandbox, &dir) => played,
        () = stop.asked() => {
            view::note("\nStopped; ending the hosts.\n");
            Ok(Exit::Interrupted)
        }
    };
    let down = tokio::task::spawn_blocking(move || sandbox.down()).await;
    if let Ok(Err(error)) = down {
        tracing::warn!(%error, "the hosts did not end cleanly");
    }
    own.leave(args.keep);
    played
}

async fn playing(args: &Demo, sandbox: &Sandbox, dir: &Path) -> Result<Exit, Diagnostic> {
    if args.interactive {
        return interactive::play(sandbox, dir, args.fault).await;
    }
    let played = tokio::time::timeout(LIMIT, play::play(sandbox, dir, args.fault)).await;
    played.unwrap_or_else(|_| {
        let minutes = LIMIT.as_secs() / 60;
        let message = format!("the demo did not end within {minutes} min");
        Err(Diagnostic::new(Exit::Bug, message))
    })
}

/// Signals that end the demo. Listened to from the very beginning: one that comes while the hosts are coming up or
/// ending must not leave them behind.
struct Stop([Option<Signal>; 3]);

impl Stop {
    fn listen() -> Stop {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        Stop(kinds.map(|kind| signal(kind).ok()))
    }

    async fn asked(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            () = next_signal(a) => {}
            () = next_signal(b) => {}
            () = next_signal(c) => {}
        }
    }
}

/// The folder of the demo: one of its own that is removed afterwards, or the one that was named.
enum Folder {
    Own(tempfile::TempDir),
    Named(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Own(dir) => dir.path(),
            Folder::Named(dir) => dir,
        }
    }

    fn leave(self, keep: bool) {
        let kept = match self {
            Folder::Own(dir) if keep => dir.keep(),
            Folder::Named(dir) if keep => dir,
            Folder::Own(dir) => {
                let _gone = dir.close();
                return;
            }
            Folder::Named(dir) => {
                let _gone = std::fs::remove_dir_all(dir);
                return;
            }
        };
        view::out(&format!(
            "The folder is left for a look around: {}\n",
            kept.display()
        ));
    }
}

fn folder(named: Option<&Path>) -> Result<Folder, Diagnostic> {
    let Some(named) = named else {
        // Short: sockets of pm2 and PostgreSQL lie beneath it, and their paths are bounded.
        let own = tempfile::Builder::new()
            .prefix("flow-demo-")
            .tempdir_in("/tmp");
        let own = own.map_err(|e| failed("no folder for the demo", &e))?;
        open_to_all(own.path())?;
        return Ok(Folder::Own(own));
    };
    if named.exists() {
        return Err(
            Diagnostic::usage(format!("{} exists already", named.display()))
                .hint("name a folder that does not exist; the demo removes it afterwards"),
        );
    }
    std::fs::create_dir_all(named).map_err(|e| failed("no folder for the demo", &e))?;
    let full = named
        .canonicalize()
        .map_err(|e| failed("no folder for the demo", &e))?;
    Ok(Folder::Named(full))
}

/// The hosts' PostgreSQL runs as another user and must be able to pass through.
fn open_to_all(dir: &Path) -> Result<(), Diagnostic> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(dir, mode).map_err(|e| failed("no folder for the demo", &e))
}

pub(super) fn failed(what: &str, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::usage(what)
        .because(error)
        .world("The demo ended; nothing outside its folder was touched.")
}

/// The branch of the demo application that a fault is in.
pub(super) fn commit_of(fault: Option<Fault>) -> &'static str {
    match fault {
        None | Some(Fault::Crash | Fault::Sleep | Fault::Network | Fault::FullDisk) => "good",
        Some(Fault::LostRows) => "lost-rows",
        Some(Fault::BadMigration) => "bad-migration",
        Some(Fault::Health) => "health",
        Some(Fault::Drift) => "drift",
    }
}
