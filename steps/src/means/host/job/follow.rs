//! Reading a job's output as it comes, over any number of connections.

use std::time::{Duration, Instant};

use super::call::{PIECE, look};
use super::{JobError, JobSpec, Probe};
use crate::means::host::{Host, HostError};

/// How a job is followed.
#[derive(Debug, Clone, Copy)]
pub struct Follow {
    /// Pause between two looks that find nothing new.
    pub interval: Duration,
    /// How long to follow in all; the job itself has no deadline.
    pub deadline: Duration,
    /// How long a claim without a start is waited for before it is the answer.
    pub patience: Duration,
}

impl Default for Follow {
    /// Every second, for an hour, with 10 s for a job to start.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            deadline: Duration::from_hours(1),
            patience: Duration::from_secs(10),
        }
    }
}

/// First and longest pause before a lost connection is tried again.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Follows a job from byte `offset` of its output until it has ended, one way or another.
///
/// `on_chunk` gets every byte once and in order, each time with the offset after it: store that with what was made of
/// the bytes, and following can go on from there in another process. A cut connection is opened again after a growing
/// pause. Ends with any state but `Running` (and `Claimed`, for a while); what a `Done` job wrote is complete.
///
/// [`JobError::Deadline`] when it still runs after `deadline`. Errors that another try cannot cure come at once.
pub async fn follow<F: FnMut(&[u8], u64) + Send>(
    host: &dyn Host,
    spec: &JobSpec,
    mut offset: u64,
    how: Follow,
    mut on_chunk: F,
) -> Result<Probe, JobError> {
    let begun = Instant::now();
    let mut pause = BACK_OFF.0;
    loop {
        let late = begun.elapsed() >= how.deadline;
        match look(host, spec, offset, PIECE).await {
            Ok((state, mut chunk)) => {
                pause = BACK_OFF.0;
                // A daemon the job left behind may write on; the job's own output ends where its result says.
                if let Probe::Done { log_len, .. } = state {
                    chunk.truncate(
                        usize::try_from(log_len.saturating_sub(offset)).unwrap_or(usize::MAX),
                    );
                }
                if !chunk.is_empty() {
                    offset += chunk.len() as u64;
                    on_chunk(&chunk, offset);
                    if !late {
                        continue;
                    }
                }
                match state {
                    Probe::Running { .. } => {}
                    Probe::Claimed if begun.elapsed() < how.patience => {}
                    Probe::Done { log_len, .. } if offset < log_len => {}
                    _ if chunk.is_empty() => return Ok(state),
                    _ => {}
                }
                if !late {
                    sleep(how.interval, begun, how.deadline).await;
                }
            }
            Err(JobError::Host(e)) if passing(&e) && !late => {
                tracing::info!(host = host.name(), error = %e, offset, "following a job: trying again");
                sleep(pause, begun, how.deadline).await;
                pause = (pause * 2).min(BACK_OFF.1);
            }
            Err(e) => return Err(e),
        }
        if late {
            let folder = spec.folder();
            return Err(JobError::Deadline {
                host: host.name().to_owned(),
                folder,
                offset,
            });
        }
    }
}

async fn sleep(pause: Duration, begun: Instant, deadline: Duration) {
    tokio::time::sleep(pause.min(deadline.saturating_sub(begun.elapsed()))).await;
}

/// Whether the next connection may fare better. A wrong key or a refused login will not.
fn passing(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Unreachable { .. }
            | HostError::Lost { .. }
            | HostError::Deadline { .. }
            | HostError::Spawn { .. }
    )
}
