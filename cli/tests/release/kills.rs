//! `kill -9`, twenty times in one release.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::driver::Driver;
use crate::random::Random;
use crate::world::{World, state_of};

/// How often `flow` is killed in one release.
const KILLS: usize = 20;
/// Nobody answers this one before the driver was killed while it waited for that.
const SIGNING: &str = "signoff/qa";
/// Steps that are hit while they run or wait, whatever else is hit.
const HIT: [(&str, u64); 5] = [
    ("prod/backup", 150),
    ("prod/backup-verified", 200),
    (SIGNING, 0),
    ("prod/deploy", 0),
    ("prod/watch", 1500),
];
/// Nobody answers this one before nearly all kills are used up: the release may be faster than the dice.
const LAST_WAIT: &str = "prod/smoke";

/// The release, and how often and where it was killed.
struct Release {
    world: World,
    random: Random,
    kills: usize,
    /// What the hit steps were right after the kill.
    hit: BTreeMap<&'static str, String>,
}

impl Release {
    /// Kills the driver at some moment: in one of the steps that must be hit once it begins, else at random.
    /// `Err` with the exit code when it ended instead.
    fn kill(&mut self, mut driver: Driver) -> Result<(), i32> {
        let at = Instant::now() + self.random.moment(50, 3500);
        let until = Instant::now() + crate::world::RELEASE_LIMIT;
        loop {
            if let Some(code) = driver.ended() {
                return Err(code);
            }
            assert!(Instant::now() < until, "it neither ended nor was it killed");
            if let Some((step, rest)) = self.begun(&driver) {
                std::thread::sleep(Duration::from_millis(rest));
                assert!(driver.kill(), "it ended by itself in `{step}`");
                self.kills += 1;
                let status = self.world.status();
                self.hit.insert(step, state_of(&status, step));
                return Ok(());
            }
            // The last kills are kept for the steps that must be hit.
            let left = HIT.len() - self.hit.len();
            if self.kills + left < KILLS && Instant::now() > at {
                assert!(driver.kill(), "it ended by itself");
                self.kills += 1;
                return Ok(());
            }
            let smoke = (self.kills + 1 < KILLS).then_some(LAST_WAIT);
            let signing = (!self.hit.contains_key(SIGNING)).then_some(SIGNING);
            let held: Vec<&str> = smoke.into_iter().chain(signing).collect();
            self.world.answer(&held);
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// A step that must be hit, has not been, and is in the middle of its work.
    fn begun(&self, driver: &Driver) -> Option<(&'static str, u64)> {
        if !driver.said().contains(" steps done\n") {
            return None;
        }
        // An earlier life may have said it: a killed driver's successor does not say again that a step began.
        let said = self.world.said();
        let mut due = HIT.iter().filter(|(step, _)| !self.hit.contains_key(step));
        due.find(|(step, _)| match *step {
            "prod/deploy" => self.world.deploying(),
            step if step.starts_with("signoff/") => said.contains(&format!(" {step} waits for ")),
            step => said.contains(&format!(" {step} started (")),
        })
        .copied()
    }
}

#[test]
fn a_release_killed_twenty_times_does_every_step_exactly_once() {
    let mut release = Release {
        world: World::new(),
        random: Random::seeded(),
        kills: 0,
        hit: BTreeMap::new(),
    };
    let mut driver = release.world.start("release", "good");
    let code = loop {
        match release.kill(driver) {
            Err(code) => break code,
            // Killed before the run was stored, there is nothing to go on with.
            Ok(()) if release.world.look().is_none() => {
                driver = release.world.start("release", "good");
            }
            Ok(()) => driver = release.world.drive(&["resume"]),
        }
    };
    assert_eq!(code, 0, "the release did not end well");
    assert_eq!(release.kills, KILLS);
    println!("hit: {:?}", release.hit);
    for (step, _) in HIT {
        let state = release.hit.get(step).map(String::as_str);
        assert!(
            matches!(state, Some("running" | "waiting")),
            "`{step}` was not hit in its middle but {state:?}"
        );
    }
    let world = &release.world;
    let run = world.run();
    assert_each_deploy_happened_once(world, &run);
    assert_each_step_is_done_once(&world.export(&run));
    world.assert_journal_is_whole();
    world.assert_online();
    assert_eq!(world.databases(), ["postgres"]);
    let rows = world
        .sandbox
        .sql("prod", "select count(*) from \"Customer\"");
    assert_eq!(rows.expect("rows"), "120");
}

/// The hosts' own ledgers: one begin and one end on each, of one attempt, and well.
pub(crate) fn assert_each_deploy_happened_once(world: &World, run: &str) {
    for host in flow_sandbox::HOSTS {
        let lines = world.ledger(host, run);
        let events: Vec<_> = lines.iter().map(|l| (l.event.as_str(), l.status)).collect();
        assert_eq!(
            events,
            [("begin", None), ("end", Some(0))],
            "the ledger of {host}: {lines:?}"
        );
        assert_eq!(lines[0].attempt, lines[1].attempt);
    }
}

/// The export: every planned step has one record that it is done, after one that it began, and none that it failed.
pub(crate) fn assert_each_step_is_done_once(export: &Value) {
    let steps = export["steps"].as_array().expect("steps");
    let records = export["records"].as_array().expect("records");
    let places = |kind: &str, step: usize| -> Vec<u64> {
        let of_kind = records
            .iter()
            .filter(|row| row["record"][kind]["step"] == step);
        of_kind
            .map(|row| row["seq"].as_u64().expect("a number"))
            .collect()
    };
    assert!(steps.len() > 30, "{} steps", steps.len());
    for (n, step) in steps.iter().enumerate() {
        let key = &step["key"];
        assert_eq!(step["state"], "done", "{key}");
        let (started, done) = (places("Started", n), places("Done", n));
        assert_eq!(done.len(), 1, "{key} is done at {done:?}");
        assert!(started.first() < done.first(), "{key}: {started:?}");
        assert!(started.iter().all(|at| at < &done[0]), "{key}: {started:?}");
        for kind in ["Failed", "Skipped", "UndoStarted"] {
            assert_eq!(places(kind, n), [] as [u64; 0], "{key}: {kind}");
        }
    }
    let seqs: Vec<u64> = records
        .iter()
        .filter_map(|row| row["seq"].as_u64())
        .collect();
    let all: Vec<u64> = (0..records.len() as u64).collect();
    assert_eq!(seqs, all, "a record is missing");
}
