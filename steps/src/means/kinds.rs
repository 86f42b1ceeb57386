//! The kinds of steps that are looked for in a run, by whoever asks what the run has come to. A stored plan has them: none
//! is ever another.

/// Keeps the code that is deployed now.
pub const CODE: &str = "git.code";
/// Runs the release script.
pub const DEPLOY: &str = "deploy.script";
/// Takes the release lease.
pub const LEASE: &str = "host.lease";
/// Gives the release lease back.
pub const LEASE_RELEASE: &str = "host.lease-release";
/// Asks for a checklist.
pub const CHECKLIST: &str = "people.checklist";
/// Names whose keys count.
pub const KEYS: &str = "people.keys";
/// Asks for a sign-off.
pub const SIGN_OFF: &str = "people.signoff";
/// Names who started the run.
pub const STARTER: &str = "people.starter";
/// Makes sure of the backup that a rollback restores.
pub const BASELINE: &str = "pg.baseline";
/// Makes a database read-only.
pub const FREEZE: &str = "pg.freeze";
/// Lets writers in again.
pub const THAW: &str = "pg.thaw";
/// Keeps which processes run, and starts them again.
pub const PROCESSES: &str = "pm2.processes";
/// Asks for the approval of the pending migrations.
pub const MIGRATION_REVIEW: &str = "schema.migration-review";
/// Judges the pending migrations.
pub const MIGRATION_SAFETY: &str = "schema.migration-safety";

/// All of them.
pub const ALL: [&str; 14] = [
    CODE,
    DEPLOY,
    LEASE,
    LEASE_RELEASE,
    CHECKLIST,
    KEYS,
    SIGN_OFF,
    STARTER,
    BASELINE,
    FREEZE,
    THAW,
    PROCESSES,
    MIGRATION_REVIEW,
    MIGRATION_SAFETY,
];
