//! What a rollback would take back and set aside, for whoever is about to order it.

use std::fmt::Write as _;

use flow_engine::clock::Timestamp;
use flow_engine::run::{Life, Run};
use flow_steps::pg::{Aside, Outlook};

use super::{age, clean};

/// How long ago the run ended, the backup, and each table whose rows differ.
pub(crate) fn in_words(run: &Run, found: &Outlook, now: Timestamp) -> String {
    let mut text = String::new();
    if let Life::Finished { at, .. } = run.life {
        let _infallible = writeln!(text, "The run ended {} ago.", age(now.since(at)));
    }
    let _infallible = writeln!(
        text,
        "The backup is {}, taken {} ago.",
        clean(&found.backup),
        age(now.since(found.taken_at))
    );
    if let Some(why) = &found.unknown {
        let _infallible = writeln!(
            text,
            "WHICH ROWS WOULD BE SET ASIDE IS NOT KNOWN: {}",
            clean(why)
        );
        return text;
    }
    let same = "Rows and schema are as in the backup: there is nothing to restore.\n";
    if found.is_same {
        return format!("{text}{same}");
    }
    text.push_str("It is there, whole, restores, and fits beside the database.\n");
    if found.rows.is_empty() {
        text.push_str("No row was written since; only the schema differs.\n");
        return text;
    }
    let sum = |of: fn(&Aside) -> u64| found.rows.iter().map(of).sum::<u64>();
    let _infallible = writeln!(
        text,
        "Written to {} since (by the release and by customers; they are kept in the replaced database):\n  \
         {} inserted and {} updated rows would be set aside, {} deleted ones come back.",
        clean(&found.database),
        sum(|a| a.inserted),
        sum(|a| a.updated),
        sum(|a| a.deleted)
    );
    for table in &found.rows {
        let _infallible = writeln!(text, "  {}", clean(&table.in_words()));
    }
    text
}
