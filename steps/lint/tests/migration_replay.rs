//! Whether the text check and a replay in PostgreSQL agree: on every case of the table, and on random histories.
//!
//! `FLOW_REPLAY=2000` tries more histories than the few of `make test`, `FLOW_REPLAY_SEED` others.

#[path = "migration/soundness/random.rs"]
mod random;
#[path = "migration/server.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod server;

use std::collections::BTreeSet;

use flow_lint::migration::{Migration, Report, RuleId, check, from_pairs};
use flow_lint::replay::{Options, Place, ReplayOutcome, replay};

use random::Random;
use server::Server;

const CONTEXT: &str = include_str!("migration/context.sql");

/// A history whose last migration is judged.
struct History {
    all: Vec<Migration>,
    pending: BTreeSet<String>,
}

impl History {
    fn new(texts: &[&str]) -> Self {
        let pairs = std::iter::once(&CONTEXT).chain(texts).enumerate();
        let all = from_pairs(pairs.map(|(at, sql)| (format!("{at:03}_m"), (*sql).to_owned())));
        let all = all.expect("names differ");
        let pending = BTreeSet::from([all.last().expect("a file").name.clone()]);
        Self { all, pending }
    }

    fn check(&self) -> Report {
        check(&self.all, &self.pending)
    }

    fn replay(&self, server: &Server, report: &Report) -> ReplayOutcome {
        let options = Options {
            place: Place::Server(format!(
                "postgres://postgres@/postgres?host={}",
                server.socket()
            )),
            setup: Some("CREATE SCHEMA IF NOT EXISTS audit;".into()),
            ..Options::default()
        };
        replay(&self.all, &self.pending, report, &options).expect("a server")
    }

    /// What differs; nothing where a migration does not apply at all.
    fn differences(&self, server: &Server, report: &Report) -> Option<Vec<String>> {
        let done = self.replay(server, report);
        let failed = done
            .findings
            .iter()
            .any(|each| each.rule == RuleId::ReplayFailed);
        let words = done.findings.iter().map(|each| each.message.clone());
        (!failed).then(|| words.collect())
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().expect("a number"))
}

fn random_history(seed: u64) -> (String, String) {
    let mut random = Random::new(seed);
    let (before, now) = (random.below(3), 1 + random.below(3));
    let earlier = random::migration(&mut random, before, false);
    (earlier, random::migration(&mut random, now, true))
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "the numbers are the result of the experiment"
)]
fn text_check_and_replay_agree_on_random_histories() {
    let server = Server::start().expect("this test needs PostgreSQL's programs");
    let (count, seed) = (number("FLOW_REPLAY", 40), number("FLOW_REPLAY_SEED", 1));
    let (mut compared, mut changed, mut differing) = (0, 0, Vec::new());
    for at in 0..count {
        let (earlier, judged) = random_history(seed.wrapping_mul(1_000_003) + at);
        let history = History::new(&[&earlier, &judged]);
        let report = history.check();
        let done = history.replay(&server, &report);
        if done
            .findings
            .iter()
            .any(|each| each.rule == RuleId::ReplayFailed)
        {
            continue;
        }
        compared += 1;
        changed += u32::from(!done.changes.is_empty());
        for finding in &done.findings {
            differing.push(format!(
                "-- earlier\n{earlier}-- judged\n{judged}-- {}",
                finding.message
            ));
        }
    }
    println!(
        "histories={compared} changed={changed} differences={}",
        differing.len()
    );
    assert!(changed > 0, "the experiment shows nothing");
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

const CASES: &[&str] = &[
    include_str!("migration/cases/columns.sql"),
    include_str!("migration/cases/constraints.sql"),
    include_str!("migration/cases/enums.sql"),
    include_str!("migration/cases/hidden.sql"),
    include_str!("migration/cases/histories.sql"),
    include_str!("migration/cases/keys.sql"),
    include_str!("migration/cases/not_null.sql"),
    include_str!("migration/cases/tables.sql"),
    include_str!("migration/cases/types.sql"),
];

/// Where both are right and differ: what may happen and does not here, and what no text shows.
const KNOWN: &[&str] = &[
    "a constraint no migration made goes",
    "a drop in an exception handler",
    "SQL made at run time",
    "a function that drops, only defined",
];

#[test]
fn text_check_and_replay_agree_on_the_table_of_cases() {
    let server = Server::start().expect("this test needs PostgreSQL's programs");
    let (mut compared, mut differing, mut unknown) = (0, Vec::new(), Vec::new());
    for part in CASES.iter().flat_map(|text| text.split("=== ").skip(1)) {
        let (name, body) = part.split_once('\n').expect("a case has a name");
        let sql: Vec<&str> = body
            .lines()
            .filter(|line| !line.starts_with("=> "))
            .collect();
        let sql = sql.join("\n");
        let texts: Vec<&str> = sql.split("\n---\n").collect();
        let history = History::new(&texts);
        let Some(differences) = history.differences(&server, &history.check()) else {
            continue;
        };
        compared += 1;
        if !differences.is_empty() {
            differing.push(name);
        }
        if !KNOWN.contains(&name) && !differences.is_empty() {
            unknown.push(format!("{name}: {}", differences.join("; ")));
        }
    }
    assert!(compared >= 100, "only {compared} cases apply");
    assert!(unknown.is_empty(), "of {compared}:\n{}", unknown.join("\n"));
    assert_eq!(differing, KNOWN);
}

#[test]
fn a_fault_of_the_text_check_in_either_direction_is_reported() {
    let server = Server::start().expect("this test needs PostgreSQL's programs");
    let hidden = r#"DO $$ BEGIN ALTER TABLE "Book" DROP COLUMN "isbn" CASCADE; END $$;"#;
    let history = History::new(&[hidden]);
    let mut report = history.check();
    assert_eq!(history.differences(&server, &report), Some(Vec::new()));
    // The fault: what stands in a body is not seen.
    report
        .findings
        .retain(|each| each.rule != RuleId::DropColumn);
    let found = history.differences(&server, &report).expect("it applies");
    assert!(
        found
            .iter()
            .any(|each| each.contains("column \"Book\".\"isbn\" is gone")),
        "{found:?}"
    );
    let history = History::new(&[r#"ALTER TABLE "Book" ADD COLUMN "extra2" TEXT;"#]);
    let mut report = history.check();
    let mut invented = History::new(&[hidden]).check().findings;
    invented.retain(|each| each.rule == RuleId::DropColumn);
    report.findings.extend(invented);
    let found = history.differences(&server, &report).expect("it applies");
    assert!(
        found.len() == 1 && found[0].contains("the catalog shows nothing of it"),
        "{found:?}"
    );
}

#[test]
fn what_sql_made_at_run_time_does_is_told_although_the_text_check_only_warns() {
    let server = Server::start().expect("this test needs PostgreSQL's programs");
    let sql =
        r#"DO $$ BEGIN EXECUTE 'ALTER TABLE "Book" DROP COLUMN "' || 'isbn" CASCADE'; END $$;"#;
    let history = History::new(&[sql]);
    let done = history.replay(&server, &history.check());
    let told = done
        .findings
        .iter()
        .find(|each| each.object == "\"Book\".\"isbn\"");
    let told = told.expect("the dropped column");
    assert_eq!(told.rule, RuleId::ReplayDiffers);
    assert!(told.message.contains("(dynamic-sql)"), "{}", told.message);
}
