//! What each kind of record is called in the envelope. Numbers are for ever.

use crate::record::{FailureKind, ParkReason, Record};

/// How a stored record names itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The kind of record; see [`name`].
    pub(super) tag: u8,
    /// Counts from 1, and is raised whenever anything within the record changes: a field, or a variant of something it
    /// holds. Decoding must go on reading the layouts before.
    pub(super) layout: u8,
}

/// The number of [`Record::Waiting`], here and as a variant.
pub(super) const WAITING: u8 = 4;

/// The shape this version writes.
pub(super) fn of(record: &Record) -> Shape {
    let tag = match record {
        Record::Created { .. } => 0,
        Record::Acquired { .. } => 1,
        Record::Started { .. } => 2,
        Record::Noted { .. } => 3,
        Record::Waiting { .. } => WAITING,
        Record::Done { .. } => 5,
        Record::Failed { .. } => 6,
        Record::Skipped { .. } => 7,
        Record::Signalled(_) => 8,
        Record::Ordered { .. } => 9,
        Record::Unwinding { .. } => 10,
        Record::UndoStarted { .. } => 11,
        Record::Undone { .. } => 12,
        Record::UndoFailed { .. } => 13,
        Record::Parked { .. } => 14,
        Record::Finished { .. } => 15,
        Record::Queued { .. } => 16,
        Record::Sent { .. } => 17,
        Record::Undeliverable { .. } => 18,
    };
    Shape {
        tag,
        layout: layout(record),
    }
}

/// The oldest layout that has all of this record, so that an older version reads whatever it can understand.
fn layout(record: &Record) -> u8 {
    match record {
        Record::Failed {
            kind: FailureKind::Unreached,
            ..
        }
        | Record::UndoFailed {
            kind: FailureKind::Unreached,
            ..
        }
        | Record::Parked {
            why: ParkReason::Unreached { .. } | ParkReason::UndoUnreached { .. },
        } => 2,
        Record::Waiting { wait, .. } if !wait.is_first_layout() => 2,
        _ => 1,
    }
}

/// The newest layout of a kind of record. Layout 2 of `Failed`, `UndoFailed` and `Parked` has what could not be reached;
/// that of `Waiting` has the answer as data, where layout 1 has a command line.
pub(super) fn newest(tag: u8) -> u8 {
    match tag {
        WAITING | 6 | 13 | 14 => 2,
        _ => 1,
    }
}

/// What a kind of record is called; nothing when this version does not know it.
pub(super) fn name(tag: u8) -> Option<&'static str> {
    const NAMES: [&str; 19] = [
        "Created",
        "Acquired",
        "Started",
        "Noted",
        "Waiting",
        "Done",
        "Failed",
        "Skipped",
        "Signalled",
        "Ordered",
        "Unwinding",
        "UndoStarted",
        "Undone",
        "UndoFailed",
        "Parked",
        "Finished",
        "Queued",
        "Sent",
        "Undeliverable",
    ];
    NAMES.get(usize::from(tag)).copied()
}
