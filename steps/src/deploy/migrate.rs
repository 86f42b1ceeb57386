//! How a migration writes while the database is read-only for everybody else.

use super::Deploy;

/// Options for the session of the migration, as libpq reads them in `PGOPTIONS`.
pub const MIGRATE: &str = "FLOW_MIGRATE_PGOPTIONS";
/// The same, as a parameter of a connection URL: for clients that read no `PG*` variables, such as Prisma's own engine.
pub(super) const QUERY: &str = "FLOW_MIGRATE_QUERY";
const OPTIONS: &str = "-c default_transaction_read_only=off";
const AS_QUERY: &str = "options=-c%20default_transaction_read_only%3Doff";

/// Puts `flow-migrate` before every other program for the script, in the job's own folder. The script is the second of
/// these texts; `$0` is its path.
const ON_PATH: &str = r#"
bin=${0%/*}/bin
mkdir -p -- "$bin" && cat >"$bin/flow-migrate" <<'FLOW_MIGRATE_END' && chmod 700 "$bin/flow-migrate" || exit 126
"#;
pub(super) const WRAPPER: &str = include_str!("flow-migrate.sh");
const AND_EXPORT: &str = "FLOW_MIGRATE_END\nPATH=$bin:$PATH\nexport PATH\n";

/// Its variables, beside the configured ones.
pub(super) fn env() -> [(&'static str, &'static str); 2] {
    [(MIGRATE, OPTIONS), (QUERY, AS_QUERY)]
}

/// A job's script that makes `flow-migrate` and then becomes the configured one.
pub(super) fn with_wrapper(script: &str) -> String {
    format!("{ON_PATH}{WRAPPER}{AND_EXPORT}{script}")
}

/// What to do about a script that ran into the frozen database, judged by what it said.
pub(super) fn hint<'a>(step: &Deploy, said: impl Iterator<Item = &'a String>) -> Option<String> {
    if !step.may_migrate {
        return None;
    }
    let said: Vec<&String> = said.collect();
    let says = |word: &str| said.iter().any(|line| line.contains(word));
    if says("unsupported startup parameter") {
        return Some(
            "a connection pooler refuses the options of the migration: let the migration connect to PostgreSQL itself \
             (`DIRECT_URL` in schema.prisma, not the pooler's port)"
                .into(),
        );
    }
    (says("read-only transaction") || says("25006")).then(|| {
        format!(
            "the database is read-only during every deploy, as it is in production: only the migration may write. Run it as \
             `flow-migrate npx prisma migrate deploy`, or hand it {MIGRATE}; nothing else in the script may write"
        )
    })
}
