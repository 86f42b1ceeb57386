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
    let (inserted, updated, deleted) =
        (sum(|a| a.inserted), sum(|a| a.updated), sum(|a| a.deleted));
    let _infallible = writeln!(
        text,
        "Written to {} since (by the release and by customers; kept in the replaced database):",
        clean(&found.database),
    );
    if (inserted, updated, deleted) != (0, 0, 0) {
        let _infallible = writeln!(
            text,
            "  {inserted} inserted and {updated} updated rows would be set aside, {deleted} deleted ones come back."
        );
    }
    if found.rows.iter().any(|table| !table.added.is_empty()) {
        text.push_str(
            "  Values in columns that the release added would be set aside, too; who wrote them, a migration or \
             customers, is not known.\n",
        );
    }
    for table in &found.rows {
        let _infallible = writeln!(text, "  {}", clean(&table.in_words()));
    }
    text
}
