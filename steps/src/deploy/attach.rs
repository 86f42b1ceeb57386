//! Following a job and showing what it writes: every byte once, over any number of lives of this step.

use std::time::Duration;

use flow_engine::step::{Cx, StepError};
use tokio::sync::mpsc;

use super::kept::{PATIENCE, kept, of_job};
use crate::means::host::Host;
use crate::means::host::job::{self, Follow, JobError, JobSpec, Probe};
use crate::means::notes::ScriptNotes;

/// Follows a job to its end, from where its output was shown last.
///
/// The offset is stored after the bytes were shown. A crash in between, a matter of a millisecond, shows those bytes
/// again; the other order would lose them. Answers how it ended, and up to where its output was seen. With `hidden`, which says
/// why, nothing of it is shown.
pub(super) async fn follow(
    cx: &Cx,
    host: &dyn Host,
    spec: &JobSpec,
    limit: Duration,
    hidden: Option<&str>,
) -> Result<(Probe, u64), StepError> {
    let mut kept = kept(cx)?;
    if kept.attempt != spec.attempt {
        kept = ScriptNotes {
            attempt: spec.attempt,
            offset: 0,
            ..kept
        };
    }
    let how = Follow {
        interval: Duration::from_millis(500),
        deadline: limit,
        patience: PATIENCE,
    };
    let (sender, receiver) = mpsc::unbounded_channel();
    let offset = kept.offset;
    let following = async {
        // Moved in, so that the channel closes when following ends.
        let sender = sender;
        job::follow(host, spec, offset, how, |bytes, after| {
            // The other end is polled by the same future and outlives this one.
            let _ = sender.send((bytes.to_vec(), after));
        })
        .await
    };
    let joined = async {
        let (probe, shown) = tokio::join!(following, show(cx, kept, receiver, hidden));
        Ok::<_, StepError>((probe, shown?))
    };
    let (probe, shown) = tokio::select! {
        joined = joined => joined?,
        () = cx.cancelled() => return Err(StepError::Stopped),
    };
    let probe = probe.map_err(|e| match e {
        JobError::Deadline { .. } => StepError::ask(format!(
            "the release script still runs after {} min; it was not ended",
            limit.as_secs() / 60
        ))
        .hint(format!("go on waiting: flow retry {}", cx.run_id()))
        .hint(format!(
            "end it and undo everything: flow rollback {} --reason …",
            cx.run_id()
        )),
        other => of_job(cx, &other),
    })?;
    Ok((probe, shown))
}

/// Shows whole characters, and stores how far. What is `hidden` is counted, and not stored as shown.
async fn show(
    cx: &Cx,
    mut kept: ScriptNotes,
    mut chunks: mpsc::UnboundedReceiver<(Vec<u8>, u64)>,
    hidden: Option<&str>,
) -> Result<u64, StepError> {
    if let Some(why) = hidden {
        cx.log(format!("its output is not shown from here on: {why}"));
        let from = kept.offset;
        while let Some((_, after)) = chunks.recv().await {
            kept.offset = after;
        }
        cx.log(format!(
            "{} bytes of output are not shown",
            kept.offset - from
        ));
        return Ok(kept.offset);
    }
    let mut held = Vec::new();
    while let Some((bytes, after)) = chunks.recv().await {
        held.extend_from_slice(&bytes);
        let rest = held.split_off(whole(&held));
        cx.output_bytes(&held);
        kept.offset = after - rest.len() as u64;
        held = rest;
        cx.note(&kept).await?;
    }
    if !held.is_empty() {
        cx.output_bytes(&held);
    }
    Ok(kept.offset)
}

/// How many of these bytes make whole characters: a character cut in two is shown with its other half.
fn whole(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        // Whole, or not UTF-8 at all, which waiting cannot mend.
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_character_cut_in_two_is_held_back_and_rubbish_is_not() {
        assert_eq!(whole("aü".as_bytes()), 3);
        assert_eq!(whole(&"aü".as_bytes()[..2]), 1);
        assert_eq!(whole(&[b'a', 0xff, b'b']), 3);
    }
}
