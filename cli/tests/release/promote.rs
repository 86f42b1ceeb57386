//! Stage today, production tomorrow: runs as the workflow itself makes them, side by side.

use crate::world::World;

const SIGNATURES: [&str; 4] = [
    "signoff/developer",
    "signoff/qa",
    "signoff/devops",
    "signoff/tech-lead",
];

#[test]
fn what_passed_staging_is_promoted_though_its_run_waits_for_signatures_and_was_cancelled_then() {
    let mut world = World::new();
    let mut driver = world.start("release", "good");
    world.until("signatures", &mut driver, &SIGNATURES, |world, _| {
        let status = world.look()?;
        let asked = status["waiting"].as_array()?;
        let signs = |a: &serde_json::Value| {
            a["step"]
                .as_str()
                .is_some_and(|s| s.starts_with("signoff/"))
        };
        asked.iter().any(signs).then_some(())
    });
    let staged = world.run();
    assert!(driver.kill(), "it waits");
    assert_eq!(world.status()["state"], "waiting");
    assert_eq!(world.status()["driver"]["alive"], false);

    // It holds production's lease and nothing else: another run begins, and stops where production would begin.
    let mut driver = world.start("promote", "good");
    assert_eq!(world.finish(&mut driver), 3, "{}", world.said());
    let promoted = world.run();
    assert_ne!(promoted, staged);
    assert_eq!(world.state_of("gate/earlier-run"), "done");
    let why = world.status()["why_parked"].to_string();
    assert!(why.contains("prod/lease") && why.contains(&staged), "{why}");

    let cancel = ["cancel", &staged, "--reason", "promoted tomorrow"];
    world.flow(&cancel).expect(1);
    let mut driver = world.drive(&["retry", &promoted]);
    assert_eq!(world.finish(&mut driver), 0, "{}", world.said());
    assert_eq!(world.status()["state"], "completed");
    assert!(
        world.ledger("test", &promoted).is_empty(),
        "nothing is deployed to test again"
    );
    let lines = world.ledger("prod", &promoted);
    let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(events, ["begin", "end"]);
}
