//! Who may touch which environment, and when.

use crate::world::World;

/// Waits until QA is asked this.
fn asked(world: &mut World, driver: &mut crate::driver::Driver, step: &str) {
    world.until(step, driver, &[step], |world, _| {
        let status = world.look()?;
        (status["waiting"][0]["step"] == step).then_some(())
    });
}

#[test]
fn a_run_whose_lease_was_taken_touches_production_no_more_until_it_is_given_back() {
    let mut world = World::new();
    let mut driver = world.start("release", "good");
    asked(&mut world, &mut driver, "prod/smoke");
    assert!(driver.kill());
    let run = world.run();
    let lost = ["unlock", "prod", "--lost", &run, "--reason", "a test"];
    world.flow(&lost).expect(0);
    let before = world.dump();

    let mut driver = world.drive(&["resume"]);
    assert_eq!(world.finish(&mut driver), 75);
    let said = driver.said();
    assert!(said.contains("nobody holds it"), "{said}");
    let mut driver = world.drive(&["rollback", &run, "--reason", "a test", "--yes"]);
    assert_eq!(world.finish(&mut driver), 6);
    crate::world::assert_same(&world.dump(), &before);
    world.assert_online();

    let give = [
        "lock",
        "prod",
        "--for",
        &run,
        "--reason",
        "nothing was released",
    ];
    world.flow(&give).expect(0);
    let mut driver = world.drive(&["retry", &run, "--reason", "given back"]);
    assert_eq!(world.finish(&mut driver), 5);
    world.assert_online();
    world.assert_journal_is_whole();
}

#[test]
fn test_is_locked_by_hand_and_nobody_else_deploys_there_until_people_have_looked() {
    let mut world = World::new();
    world
        .flow(&["lock", "test", "--reason", "the auditors look"])
        .expect(0);
    let mut driver = world.start("release", "good");
    assert_eq!(world.finish(&mut driver), 3);
    assert!(
        driver.said().contains("the auditors look"),
        "{}",
        driver.said()
    );
    world
        .flow(&["unlock", "test", "--reason", "they are done"])
        .expect(0);
    let run = world.run();
    let mut driver = world.drive(&["retry", &run, "--reason", "unlocked"]);
    asked(&mut world, &mut driver, "test/features");
    let shown = world.flow(&["lock", "test", "--show"]).expect(0).out;
    let holder = format!("Run {run} releases to it");
    assert!(shown.contains(&holder), "{shown}");
    // Somebody deploys by hand what this run has not tested.
    let app = &world.sandbox.host("test").expect("a host").app;
    let git = std::process::Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(app)
        .args(["checkout", "-q", "HEAD~1"])
        .status();
    assert!(git.expect("git runs").success());
    assert_eq!(world.finish(&mut driver), 1);
    let said = driver.said();
    assert!(said.contains("somebody deployed there"), "{said}");
    world
        .flow(&["cancel", &run, "--reason", "begin again"])
        .expect(1);
    let shown = world.flow(&["lock", "test", "--show"]).expect(0).out;
    assert_eq!(shown, "test is not locked.\n");
}
