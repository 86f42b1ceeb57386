//! `flow resume --take-over`: the journal of a process that does not go on.

use std::time::Duration;

use flow_engine::clock::Stopwatch;
use flow_engine::journal::JournalError;
use flow_engine::journal::sled::{Holder, SledJournal, TakeOver, TakeOverError};

use super::{Client, PATIENCE, PAUSE, driven_elsewhere};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::state::State;
use crate::view;

/// How long a process that was killed may take to let go. The kernel needs milliseconds, unless a disk hangs.
const DYING: Duration = Duration::from_secs(20);

/// Says at once what waiting would not change: the holder stands still, and cannot answer its socket.
pub(super) fn no_use_waiting(state: &State) -> Result<(), JournalError> {
    match SledJournal::holder(&state.journal()) {
        Some(holder) if holder.is_stopped() => Err(JournalError::Locked {
            holder: holder.in_words(),
        }),
        _ => Ok(()),
    }
}

/// Fences off and ends the process that holds the journal, when it stands still or does not answer. One that answers is
/// asked to stop by a person instead. Where nobody holds it there is nothing to do.
pub(crate) async fn take_over(state: &State) -> Result<(), Diagnostic> {
    if !is_idle(state).await? {
        return Ok(());
    }
    let dir = state.journal();
    let taken = tokio::task::spawn_blocking(move || SledJournal::take_over(&dir, DYING)).await;
    let taken = taken.map_err(|e| JournalError::Broken(format!("taking over did not end: {e}")))?;
    match taken.map_err(|e| refused(&e))? {
        TakeOver::Free => {}
        TakeOver::Ended(holder) => view::note(&format!(
            "taken over from {}: it was fenced off and ended; its jobs on remote hosts go on\n\n",
            holder.in_words()
        )),
    }
    Ok(())
}

/// Whether somebody holds the journal and does not go on. A command that has it open for a moment is waited for.
async fn is_idle(state: &State) -> Result<bool, Diagnostic> {
    let began = Stopwatch::start();
    loop {
        let Some(holder) = SledJournal::holder(&state.journal()) else {
            return Ok(false);
        };
        if holder.is_stopped() {
            return Ok(true);
        }
        if let Some(client) = Client::connect(state).await {
            return Err(answers(&client, &holder));
        }
        if began.elapsed() >= PATIENCE {
            return busy(state).await.map_or(Ok(true), Err);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How long a process may take to take a connection at all: the kernel does it for it.
const TAKING: Duration = Duration::from_secs(2);

/// Says that the holder of the journal goes on, when its socket takes connections: many may be connected. Such a process
/// is never ended for being slow.
pub(super) async fn busy(state: &State) -> Option<Diagnostic> {
    let connect = tokio::net::UnixStream::connect(state.socket());
    let taken = tokio::time::timeout(TAKING, connect).await;
    if !matches!(taken, Ok(Ok(_))) {
        return None;
    }
    let holder = SledJournal::holder(&state.journal())?;
    if holder.is_stopped() {
        // The kernel goes on taking connections for it.
        return None;
    }
    let message = format!(
        "{} has the journal, takes connections, and has not answered yet",
        holder.in_words()
    );
    Some(
        Diagnostic::new(Exit::Locked, message)
            .world("It goes on; this command changed nothing.")
            .hint("try again: it answers at most 64 at once")
            .hint(format!(
                "kill -INT {}     only if it never answers: it stops in order, and loses nothing",
                holder.pid
            )),
    )
}

fn answers(client: &Client, holder: &Holder) -> Diagnostic {
    driven_elsewhere(client)
        .hint(format!(
            "kill -INT {}     stop it first: it answers, and loses nothing",
            holder.pid
        ))
        .hint("flow resume     then go on from here")
}

fn refused(error: &TakeOverError) -> Diagnostic {
    let diagnostic = Diagnostic::new(Exit::Locked, error.to_string());
    match error {
        TakeOverError::Unproven { .. } => diagnostic
            .world("Only a process that is proven to be the holder is ended. Nothing was changed.")
            .hint("end it where it runs, then: flow resume"),
        TakeOverError::Stuck { .. } => diagnostic
            .world("No run goes on, and nothing is lost.")
            .hint("when that process is gone: flow resume"),
        TakeOverError::Unusable(_) => diagnostic.world("Nothing was changed."),
    }
}
