//! What a demo showed, in words, at its end.

use crate::args::Fault;
use crate::exit::Exit;

/// How a demo is meant to end, and what that shows.
fn meant(fault: Option<Fault>) -> (Exit, &'static str) {
    match fault {
        None => (
            Exit::Done,
            "The release went through every phase of the protocol; every step, answer and signature is on record.",
        ),
        Some(Fault::Crash) => (
            Exit::Done,
            "The driver was killed in the middle of the production deploy. The deploy went on on its host, `flow resume` \
             attached to it again, and the ledger above shows that it ran once.",
        ),
        Some(Fault::LostRows) => (
            Exit::RolledBack,
            "The release lost rows in production. They were named, everything was undone, and production was verified to be \
             as it was before. It stays locked until somebody lifts the lock: flow unlock prod --reason …",
        ),
        Some(Fault::BadMigration) => (
            Exit::Failed,
            "The migration drops a column. The release was stopped in phase 1, before anything was touched: nothing was \
             deployed anywhere, and nobody had to test or sign.",
        ),
        Some(Fault::Health) => (
            Exit::RolledBack,
            "The new version was not healthy in production. Everything was undone, and production was verified to be as it \
             was before. It stays locked until somebody lifts the lock: flow unlock prod --reason …",
        ),
        Some(Fault::Sleep) => (
            Exit::Done,
            "The machine that drove was asleep while production was read-only. A timer on the host waited for the deploy to end \
             and let writers in; the release noticed, asked a person about the rows, and went on.",
        ),
        Some(Fault::Network) => (
            Exit::Done,
            "The way to production was cut for half a minute in the middle of the deploy. The script went on on its host, and \
             nothing was rolled back: what cannot be reached says nothing about a release.",
        ),
        Some(Fault::Drift) => (
            Exit::Failed,
            "The schema has a table and a column that no migration makes: deployed like that, the new code would ask for what \
             is not there. The release was stopped in phase 1, with the SQL that was forgotten.",
        ),
        Some(Fault::FullDisk) => (
            Exit::Failed,
            "Production's disk has no room for the backup. That was computed before a byte was written; production was not \
             touched.",
        ),
    }
}

/// The last words, for the exit code the run ended with.
pub(super) fn words(fault: Option<Fault>, code: i32) -> String {
    let (exit, words) = meant(fault);
    let expected = i32::from(exit as u8);
    if code == expected {
        return format!("\n{words} (exit code {code})\n");
    }
    format!(
        "\nThis demo was meant to end with exit code {expected}, and ended with {code}: what is above says why. \
         `flow demo --keep` leaves everything for a look around.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_fit_the_way_it_ended() {
        let bad = Some(Fault::BadMigration);
        assert!(words(bad, 1).contains("stopped in phase 1, before anything was touched"));
        assert!(words(bad, 5).contains("meant to end with exit code 1, and ended with 5"));
        assert!(words(Some(Fault::LostRows), 5).contains("flow unlock prod --reason …"));
    }
}
