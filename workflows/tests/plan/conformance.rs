//! Every shipped step is asked whether it conforms to its contract, or the reason why not stands here.

use std::collections::BTreeSet;

use flow_steps::testing::ASKED;

use super::*;

/// Needs two databases, a dump or a proven backup between lives: its own tests kill it between them and look at the rows.
const WHOLE_DATABASES: &str = "its world is whole databases and their dumps: steps/src/pg/tests";
/// Needs a process manager: its own tests start one, kill the step and look at the processes.
const PROCESSES: &str =
    "its world is a process manager: steps/src/pm2/tests, steps/src/watch/tests";
/// Reads a repository, a database and people's answers, and changes nothing.
const READS: &str =
    "it reads, and its own tests cut every answer: steps/src/schema, drift, gate, people";
/// Needs the lease step before it, whose lease would be part of the world.
const UNDER_LEASE: &str = "what it gives back another step took: steps/src/lease/tests";

const EXCEPT: [(&str, &str); 32] = [
    ("gate.backup-fresh", READS),
    ("gate.preflight", READS),
    ("host.lease-release", UNDER_LEASE),
    ("people.keys", READS),
    ("people.starter", READS),
    ("pg.backup", WHOLE_DATABASES),
    ("pg.baseline", WHOLE_DATABASES),
    ("pg.copy-safe", WHOLE_DATABASES),
    ("pg.counts-match", WHOLE_DATABASES),
    ("pg.data-policy", WHOLE_DATABASES),
    ("pg.expected-shape", WHOLE_DATABASES),
    ("pg.integrity", WHOLE_DATABASES),
    ("pg.migrations-applied", WHOLE_DATABASES),
    ("pg.rehearsal", WHOLE_DATABASES),
    ("pg.restore-proof", WHOLE_DATABASES),
    ("pg.rights", WHOLE_DATABASES),
    ("pg.state", WHOLE_DATABASES),
    ("pg.take-back", WHOLE_DATABASES),
    ("pm2.online", PROCESSES),
    ("pm2.processes", PROCESSES),
    ("pm2.restarted", PROCESSES),
    ("schema.drift", READS),
    ("schema.drift-deployed", READS),
    ("schema.enum-usage", READS),
    ("schema.migration-review", READS),
    ("schema.migration-safety", READS),
    ("schema.migrations-again", READS),
    ("schema.nullable-access", READS),
    ("schema.replay", READS),
    ("schema.unique-safe", READS),
    ("watch.logs", PROCESSES),
    ("watch.reconnect", PROCESSES),
];

#[test]
fn every_kind_is_asked_whether_it_conforms_or_says_why_not() {
    let all = registry();
    let all: BTreeSet<&str> = all.kinds().collect();
    let asked: BTreeSet<&str> = ASKED.into_iter().collect();
    let except: BTreeSet<&str> = EXCEPT.into_iter().map(|(kind, _)| kind).collect();
    assert!(EXCEPT.iter().all(|(_, why)| !why.is_empty()));
    let both: Vec<_> = asked.intersection(&except).collect();
    assert!(
        both.is_empty(),
        "asked, and excepted all the same: {both:?}"
    );
    let unknown: Vec<_> = asked
        .union(&except)
        .filter(|kind| !all.contains(*kind))
        .collect();
    assert!(unknown.is_empty(), "no such step: {unknown:?}");
    let open: Vec<_> = all
        .iter()
        .filter(|kind| !asked.contains(*kind) && !except.contains(*kind))
        .collect();
    assert!(
        open.is_empty(),
        "ask them (steps/src/testing/tests.rs), or say why not: {open:?}"
    );
}
