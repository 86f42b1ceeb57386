//! Whether the migration check misses harm: random migrations on a real PostgreSQL with rows in it. Harm is a row or value
//! lost or changed, a migration that the rows make fail, or a query of the version before it that no longer works.
//!
//! `FLOW_SOUNDNESS=5000` tries more than the few of `make test`, `FLOW_SOUNDNESS_SEED` others.

#[path = "migration/soundness/random.rs"]
mod random;
#[path = "migration/server.rs"]
#[expect(dead_code, reason = "the corpus measurement uses the rest")]
mod server;

use std::collections::BTreeSet;

use flow_lint::migration::{Finding, Level, check, from_pairs};

use random::Random;
use server::Server;

const CONTEXT: &str = include_str!("migration/context.sql");
const HARNESS: &str = include_str!("migration/soundness/harness.sql");

/// What became of one history.
enum Outcome {
    /// Not a migration at all: it names what is not there, or makes what is.
    Nonsense,
    Harmless,
    Harm(Vec<String>),
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Histories that are tried in one session.
const BATCH: usize = 20;

/// An earlier migration, and the one that is judged.
type History = (String, String);

fn try_out(server: &Server, histories: &[History]) -> Vec<Outcome> {
    let mut texts = Vec::new();
    for (earlier, judged) in histories {
        texts.extend([
            "\\warn history",
            "SELECT 'history'",
            "BEGIN",
            earlier,
            "SELECT was.remember()",
        ]);
        // What does not work beforehand cannot be broken.
        texts.extend([
            "SAVEPOINT s",
            "SELECT was.harm()",
            "ROLLBACK TO s",
            "\\warn judged",
            "SELECT 'judged'",
        ]);
        texts.extend([judged, "SELECT was.harm()", "ROLLBACK"]);
    }
    let said = server.run("lab", &texts);
    let outs: Vec<&str> = said.stdout.split("history\n").skip(1).collect();
    let errors: Vec<&str> = said.stderr.split("history\n").skip(1).collect();
    assert_eq!(
        (outs.len(), errors.len()),
        (histories.len(), histories.len()),
        "{}",
        said.stderr
    );
    outs.iter()
        .zip(errors)
        .map(|(out, error)| outcome(out, error))
        .collect()
}

fn outcome(stdout: &str, stderr: &str) -> Outcome {
    let Some((before, after)) = stdout.split_once("judged\n") else {
        return Outcome::Nonsense;
    };
    let harm = |lines: &str| -> Option<Vec<String>> {
        let mut lines = lines.lines().skip_while(|line| *line != "survived");
        lines.next().map(|_| lines.map(str::to_owned).collect())
    };
    let (Some(before), after) = (harm(before), harm(after)) else {
        return Outcome::Nonsense;
    };
    let Some(mut after) = after else {
        let errors = stderr.split("judged\n").nth(1).unwrap_or_default();
        let error = errors.lines().find_map(|line| line.split_once("ERROR:  "));
        let error = error.map_or("", |(_, error)| error);
        // Undefined, duplicate, or not allowed, whatever the rows are: such a migration fails wherever it is tried first.
        return if ["42", "0A", "2B"]
            .iter()
            .any(|class| error.starts_with(class))
        {
            Outcome::Nonsense
        } else {
            Outcome::Harm(vec![format!("the migration fails: {error}")])
        };
    };
    let what = |line: &str| line.split(": ").next().unwrap_or_default().to_owned();
    let before: BTreeSet<String> = before.iter().map(|line| what(line)).collect();
    after.retain(|line| !before.contains(&what(line)));
    if after.is_empty() {
        Outcome::Harmless
    } else {
        Outcome::Harm(after)
    }
}

fn flagged(earlier: &str, judged: &str) -> Vec<Finding> {
    let texts = [CONTEXT, earlier, judged];
    let pairs = texts
        .iter()
        .enumerate()
        .map(|(at, sql)| (format!("{at}"), (*sql).to_owned()));
    let all = from_pairs(pairs).expect("names differ");
    let mut findings = check(&all, &BTreeSet::from(["2".to_owned()])).findings;
    findings.retain(|finding| finding.level > Level::Note);
    findings
}

fn history(seed: u64) -> History {
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
fn whatever_does_harm_is_flagged() {
    let Some(server) = Server::start() else {
        panic!("this test needs PostgreSQL's programs");
    };
    server.create("lab");
    let made = server.run("lab", &["CREATE SCHEMA audit", CONTEXT, HARNESS]);
    assert!(made.good, "{}", made.stderr);
    let (count, seed) = (
        number("FLOW_SOUNDNESS", 60),
        number("FLOW_SOUNDNESS_SEED", 1),
    );
    let histories: Vec<History> = (0..count)
        .map(|at| history(seed.wrapping_mul(1_000_003) + at))
        .collect();
    let (mut tried, mut harmful, mut harmless, mut alarms) = (0_u32, 0_u32, 0_u32, 0_u32);
    let mut misses = Vec::new();
    for batch in histories.chunks(BATCH) {
        for ((earlier, judged), outcome) in batch.iter().zip(try_out(&server, batch)) {
            let findings = flagged(earlier, judged);
            match outcome {
                Outcome::Nonsense => continue,
                Outcome::Harm(what) => {
                    harmful += 1;
                    if findings.is_empty() {
                        misses.push(format!(
                            "-- earlier\n{earlier}-- judged\n{judged}-- harm: {what:#?}"
                        ));
                    }
                }
                Outcome::Harmless => {
                    harmless += 1;
                    alarms += u32::from(!findings.is_empty());
                    if !findings.is_empty() && std::env::var_os("SHOW").is_some() {
                        let rules: Vec<&str> =
                            findings.iter().map(|each| each.rule.as_str()).collect();
                        println!("-- earlier\n{earlier}-- false alarm {rules:?}\n{judged}");
                    }
                }
            }
            tried += 1;
        }
    }
    let rate = f64::from(alarms) * 100.0 / f64::from(harmless.max(1));
    println!(
        "histories={tried} harmful={harmful} misses={} harmless={harmless} false_alarms={alarms} ({rate:.0}%)",
        misses.len()
    );
    assert!(harmful > 0 && harmless > 0, "the experiment shows nothing");
    assert!(
        misses.is_empty(),
        "{} missed:\n{}",
        misses.len(),
        misses.join("\n\n")
    );
}
