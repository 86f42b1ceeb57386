//! A machine on which every command looks at the lease first, in the same call.
//!
//! A look made in a call of its own says what was true a moment ago. A run whose lease was taken from it, or a process
//! that slept while another took its run over, would go on into the middle of somebody else's release. So the host
//! itself compares the lease and then becomes the command, or does not start it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use flow_engine::plan::Node;
use flow_engine::run::{Life, Run, Status, StepState, Undo};
use flow_engine::step::{Cx, StepError};
use tokio::sync::{mpsc, oneshot};

use crate::means::host::{Command, Exit, Host, HostError, Lapse, Process, quote};
use crate::means::kinds;
use crate::means::lease::Lease;
use crate::means::lease::store::{Held, json};

/// `$1` folder of the lease, `$2` run, `$3` epoch, `$4` the lease as this process would write it up to its epoch,
/// `$5` machine id; then the command. Standard input is the command's and is left alone.
///
/// A lease of an older epoch of this run is raised to this one, so that the process that had it is refused from then
/// on. Where that cannot be written (a full disk must not keep a rollback from opening the database), the command runs
/// all the same: the lease is this run's.
const GUARD: &str = r#"
lost() { printf 'flow-lease: %s\n' "$*" >&2; exit 94; }
look() {
  held=
  [ -e "$1/held" ] || lost nobody
  IFS= read -r held <"$1/held" || [ -n "$held" ] || lost unreadable
  case $held in
  "{\"run\":\"$2\","*) ;;
  "{\"run\":\""*) held=${held#*:\"}; lost "other ${held%%\"*}" ;;
  *) lost unreadable ;;
  esac
  seen=${held##*\",\"epoch\":}
  seen=${seen%%[!0-9]*}
  [ -n "$seen" ] || lost unreadable
  [ "$3" -ge "$seen" ] || lost "newer $seen"
}
raise() (
  umask 077
  exec 9>>"$1/guard"
  flock -w 20 9 || exit
  now=
  IFS= read -r now <"$1/held"
  [ "$now" = "$held" ] || exit
  new=$1/.new.$2.$$
  printf '%s' "$4,\"since\":${held##*,\"since\":}" >"$new" && { sync -- "$new" 2>/dev/null || sync; } \
    && mv -f -- "$new" "$1/held" || rm -f -- "$new"
) </dev/null >/dev/null 2>&1
if [ -n "$5" ]; then
  machine=
  { IFS= read -r machine </etc/machine-id; } 2>/dev/null
  [ "$machine" = "$5" ] || lost "machine ${machine:-none}"
fi
look "$@"
[ "$3" -eq "$seen" ] || { raise "$@"; look "$@"; }
shift 5
exec "$@""#;

/// The status of a refusal; only with [`MARK`] on standard error does it count as one.
const REFUSED: i32 = 94;
const MARK: &str = "flow-lease: ";
/// How much of an error output is searched for the mark: what a login shell prints may precede it.
const SEARCHED: usize = 16 * 1024;
/// Pieces of error output that wait for a slow reader.
const PIECES: usize = 16;

/// A host as a run may use it that holds its lease: see the module.
pub(crate) struct Guard {
    inner: Arc<dyn Host>,
    lease: Lease,
    run: String,
    epoch: u64,
    head: String,
}

impl Guard {
    pub(crate) fn new(inner: Arc<dyn Host>, lease: Lease, cx: &Cx) -> Self {
        let held = Held {
            run: cx.run_id().to_string(),
            holder: cx.run().holder.clone(),
            epoch: cx.epoch(),
            since: cx.now(),
        };
        Self::holding(inner, lease, &held)
    }

    pub(crate) fn holding(inner: Arc<dyn Host>, lease: Lease, held: &Held) -> Self {
        let whole = json(held);
        let (beginning, _) = whole.rsplit_once(",\"since\":").unwrap_or((&whole, ""));
        Self {
            inner,
            lease,
            run: held.run.clone(),
            epoch: held.epoch,
            head: beginning.to_owned(),
        }
    }

    fn wrap(&self, command: &Command) -> Command {
        let own = [
            "-c",
            GUARD,
            "flow-lease",
            &self.lease.dir,
            &self.run,
            &self.epoch.to_string(),
            &self.head,
            &self.lease.machine_id,
            &command.program,
        ];
        let args = own.into_iter().map(str::to_owned);
        Command {
            program: "sh".into(),
            args: args.chain(command.args.iter().cloned()).collect(),
            ..command.clone()
        }
    }

    /// What the host said instead of starting the command, if it did.
    fn lapse(&self, exit: &Exit, said: &[u8]) -> Option<Lapse> {
        if *exit != Exit::Code(REFUSED) {
            return None;
        }
        let said = String::from_utf8_lossy(said);
        let line = said.lines().find_map(|line| line.strip_prefix(MARK))?;
        Some(match line.split_once(' ') {
            Some(("other", run)) => Lapse::Other(run.escape_default().to_string()),
            Some(("newer", epoch)) => Lapse::Newer(epoch.parse().unwrap_or(u64::MAX)),
            Some(("machine", found)) => Lapse::Machine(found.escape_default().to_string()),
            _ if line == "nobody" => Lapse::Nobody,
            _ => Lapse::Unreadable(self.lease.dir.clone()),
        })
    }

    fn refused(&self, lapse: Lapse, program: &str) -> HostError {
        HostError::NotLeased {
            host: self.inner.name().to_owned(),
            program: program.to_owned(),
            run: self.run.clone(),
            lapse,
        }
    }
}

#[async_trait]
impl Host for Guard {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn greeting(&self) -> Option<&str> {
        self.inner.greeting()
    }

    async fn spawn(&self, command: &Command) -> Result<Process, HostError> {
        quote::check(command).map_err(|why| HostError::Spawn {
            host: self.name().to_owned(),
            program: command.program.clone(),
            why: why.to_string(),
        })?;
        let program = command.program.clone();
        let started = self.inner.spawn(&self.wrap(command)).await;
        let process = started.map_err(|e| named(e, &program))?;
        let (stderr_tx, stderr) = mpsc::channel(PIECES);
        let (exit_tx, exit) = oneshot::channel();
        let own = Self {
            inner: Arc::clone(&self.inner),
            lease: self.lease.clone(),
            run: self.run.clone(),
            head: String::new(),
            ..*self
        };
        tokio::spawn(async move {
            let (said, ended) = tokio::join!(
                pass_on(process.stderr, stderr_tx),
                outcome(process.exit, exit_tx)
            );
            let Some((ended, to)) = ended else { return };
            let ended = match ended {
                Ok(exit) => match own.lapse(&exit, &said) {
                    Some(lapse) => Err(own.refused(lapse, &program)),
                    None => Ok(exit),
                },
                Err(e) => Err(named(e, &program)),
            };
            // Nobody waiting for the outcome is fine.
            drop(to.send(ended));
        });
        Ok(Process {
            stdin: process.stdin,
            stdout: process.stdout,
            stderr,
            exit,
        })
    }
}

type Outcome = Result<Exit, HostError>;

/// How the process ended; nothing when whoever started it gave it up, which then holds for the process too.
async fn outcome(
    exit: oneshot::Receiver<Outcome>,
    mut to: oneshot::Sender<Outcome>,
) -> Option<(Outcome, oneshot::Sender<Outcome>)> {
    tokio::select! {
        ended = exit => ended.ok().map(|ended| (ended, to)),
        () = to.closed() => None,
    }
}

/// Hands error output on as it comes, and gives its beginning.
async fn pass_on(mut from: mpsc::Receiver<Bytes>, to: mpsc::Sender<Bytes>) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(piece) = from.recv().await {
        let room = SEARCHED.saturating_sub(said.len()).min(piece.len());
        said.extend_from_slice(&piece[..room]);
        // Nobody listens any more: read on, so that the process does not block.
        drop(to.send(piece).await);
    }
    said
}

/// An error names the command that was asked for, not the shell around it.
fn named(e: HostError, asked: &str) -> HostError {
    let mut e = e;
    match &mut e {
        HostError::Lost { program, .. }
        | HostError::Deadline { program, .. }
        | HostError::TooMuch { program, .. }
        | HostError::Failed { program, .. }
        | HostError::Spawn { program, .. } => asked.clone_into(program),
        HostError::Unreachable { .. }
        | HostError::HostKey { .. }
        | HostError::Auth { .. }
        | HostError::Config { .. }
        | HostError::NotLeased { .. } => {}
    }
    e
}

/// The lease that a run holds on a host by its own journal: what every command there must be checked against.
///
/// It is in force from the step that took it to the one that gave it back. A rollback of a run that changed production goes
/// by it to the last, also where taking it again was given up: then nothing may be touched. What was done under a lease
/// that was given back for good needs none to be undone.
pub(crate) fn in_force(run: &Run, host: &str) -> Result<Option<Lease>, StepError> {
    let forward = matches!(run.life, Life::Forward) || !run.production_changed();
    let mut found = None;
    for (node, state) in run.plan.nodes.iter().zip(&run.steps) {
        if node.params.get("host").and_then(|h| h.as_str()) != Some(host) {
            continue;
        }
        if node.kind == kinds::LEASE && !is_undone(node, state) {
            if let Some(output) = &state.output {
                let lease: Lease = serde_json::from_str(output).map_err(|e| {
                    StepError::fail(format!("the stored lease of `{host}` cannot be read"))
                        .because(&e)
                })?;
                found = Some(lease);
            }
        } else if node.kind == kinds::LEASE_RELEASE
            && state.status == Status::Done
            // Where production was not changed, the undo of giving it back takes nothing.
            && (forward || node.undo.is_none())
        {
            found = None;
        }
    }
    Ok(found)
}

/// Whether a run that is undone has, by its own journal, had the lease of a host to the last: it took it again after every
/// time it had given it back for a while.
pub(crate) fn was_kept(run: &Run, host: &str) -> bool {
    let mut kept = false;
    for (node, state) in run.plan.nodes.iter().zip(&run.steps) {
        if node.params.get("host").and_then(|h| h.as_str()) != Some(host) {
            continue;
        }
        if node.kind == kinds::LEASE && state.output.is_some() {
            kept = true;
        } else if node.kind == kinds::LEASE_RELEASE && state.output.is_some() {
            kept = false;
        }
    }
    kept
}

fn is_undone(node: &Node, state: &StepState) -> bool {
    node.undo.is_some() && state.undo == Undo::Undone
}

#[cfg(test)]
mod tests;
