//! The operator's network goes away and comes back, in each step of phases 5 and 6.
//!
//! Between `flow` and production's sshd lies a wire of this test's own. A cut refuses connections and breaks open ones.
//! It lasts 2 s here, so that the sweep is cheap; `FLOW_CUT_SECONDS=30` is the same with the outage the protocol speaks of.

use std::collections::BTreeSet;
use std::time::Duration;

use flow_sandbox::Wire;

use crate::kills::assert_each_deploy_happened_once;
use crate::world::World;

/// Steps of phases 5 and 6 that speak to production.
const STEPS: [&str; 11] = [
    "prod/preflight",
    "prod/maintenance",
    "prod/baseline",
    "prod/deploy",
    "prod/migrations",
    "prod/restarted",
    "prod/integrity",
    "prod/online",
    "prod/writable",
    "prod/smoke",
    "prod/watch",
];

/// Leads `flow`, and nobody else, to production over a wire.
fn wired(world: &World) -> Wire {
    let dir = world.path("wire");
    std::fs::create_dir(&dir).expect("a folder");
    let wire = world.sandbox.wire("prod", &dir).expect("a wire");
    let settings = world.project.join("flow.toml");
    let text = std::fs::read_to_string(&settings).expect("flow.toml");
    let text = text.replace(
        &world.sandbox.ssh_config().display().to_string(),
        &wire.ssh_config().display().to_string(),
    );
    std::fs::write(&settings, text).expect("writes");
    wire
}

fn how_long() -> Duration {
    let seconds = std::env::var("FLOW_CUT_SECONDS").ok();
    Duration::from_secs(seconds.map_or(2, |s| s.parse().expect("a number")))
}

#[test]
fn a_network_that_goes_away_in_each_step_of_production_rolls_nothing_back() {
    let mut world = World::new();
    let wire = wired(&world);
    // A wait between two tries may be as long as the cut itself.
    world.limit += how_long() * 2 * u32::try_from(STEPS.len()).expect("few");
    let mut driver = world.start("release", "good");
    let mut left: BTreeSet<&str> = STEPS.into();
    world.until(
        "a cut in each step",
        &mut driver,
        &["prod/smoke"],
        |world, driver| {
            let said = driver.said();
            let begun = |step: &&&str| {
                let waits = format!(" {step} waits for ");
                said.contains(&format!(" {step} started (")) || said.contains(&waits)
            };
            if let Some(step) = left.iter().find(begun).copied() {
                left.remove(step);
                wire.cut(how_long());
            }
            let only_watch = left.len() == 1 && left.contains("prod/watch");
            let _ = world;
            (left.is_empty() || only_watch).then_some(())
        },
    );
    // What comes after the smoke test begins once that is answered.
    world.until("the watch", &mut driver, &[], |_, driver| {
        driver
            .said()
            .contains(" prod/watch started (")
            .then_some(())
    });
    wire.cut(how_long());
    let code = world.finish(&mut driver);
    let said = world.said();
    assert!(
        !said.contains("undoing everything"),
        "something was rolled back"
    );
    assert_eq!(code, 0, "it ended with {code}");
    assert!(said.contains(" got no answer: "), "no step noticed a cut");
    assert!(wire.broken() >= STEPS.len(), "nothing was cut");
    assert_eq!(world.status()["state"], "completed");
    let run = world.run();
    assert_each_deploy_happened_once(&world, &run);
    world.assert_online();
    assert_eq!(world.databases(), ["postgres"]);
}
