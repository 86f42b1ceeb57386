//! Stage today, production tomorrow: runs as the workflow itself makes them, side by side.

use crate::world::World;

const SIGNATURES: [&str; 4] = [
    "signoff/developer",
    "signoff/qa",
    "signoff/devops",
    "signoff/tech-lead",
];

#[test]
fn what_passed_staging_is_promoted_while_its_run_waits_for_signatures_and_that_one_does_not_go_on_over_it()
 {
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

    // Nothing keeps another run out but the lease of production, where the waiting one still holds it.
    let mut driver = world.start("promote", "good");
    let code = world.finish(&mut driver);
    let promoted = world.run();
    assert_ne!(promoted, staged);
    assert_eq!(world.state_of("gate/earlier-run"), "done");
    if code == 3 {
        let why = world.status()["why_parked"].to_string();
        assert!(why.contains("prod/lease") && why.contains(&staged), "{why}");
        let cancel = ["cancel", &staged, "--reason", "promoted instead"];
        world.flow(&cancel).expect(1);
        let mut driver = world.drive(&["retry", &promoted]);
        assert_eq!(world.finish(&mut driver), 0, "{}", world.said());
    } else {
        assert_eq!(code, 0, "{}", world.said());
        overtaken(&mut world, &staged);
    }
    assert_eq!(world.status()["state"], "completed");
    assert!(
        world.ledger("test", &promoted).is_empty(),
        "nothing is deployed to test again"
    );
    let lines = world.ledger("prod", &promoted);
    let events: Vec<&str> = lines.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(events, ["begin", "end"]);
}

/// The run that waited all the time is signed for now, and does not go on over what the other one made of production.
fn overtaken(world: &mut World, staged: &str) {
    for step in SIGNATURES {
        let role = step.strip_prefix("signoff/").expect("a role");
        world.sign(staged, role, role).expect(0);
    }
    let mut driver = world.drive(&["resume", staged]);
    assert_eq!(world.finish(&mut driver), 3, "{}", world.said());
    assert!(
        driver.said().contains("is applied by now"),
        "{}",
        driver.said()
    );
}
