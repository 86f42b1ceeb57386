//! `flow` is killed in each step while production is frozen, and nobody comes back.

use std::time::{Duration, Instant};

use crate::driver::Driver;
use crate::kills::assert_each_deploy_happened_once;
use crate::project::Wishes;
use crate::world::World;

/// How long nobody may drive before the timer acts, in seconds. Ten minutes in earnest.
const SECONDS: u64 = 5;
/// Generously bounded: nothing here is about speed.
const SOON: Duration = Duration::from_mins(2);

fn world() -> World {
    World::with(&Wishes {
        unattended: Some(SECONDS),
        ..Wishes::default()
    })
}

/// A customer writes, and takes it back: the release has no part in it.
fn is_writable(world: &World) -> bool {
    let write = "begin; create table flow_probe (); rollback";
    world.sandbox.sql("prod", write).is_ok()
}

/// Kills the driver once it is in this step, and waits until writes are possible again though nobody drives.
fn left_alone_in(world: &mut World, mut driver: Driver, step: &str) {
    world.until(step, &mut driver, &[], |world, driver| {
        let begun = match step {
            // In the middle of the script, not before it.
            "prod/deploy" => world.deploying(),
            step => driver.said().contains(&format!(" {step} started (")),
        };
        begun.then_some(())
    });
    assert!(driver.kill(), "it ended by itself in {step}");
    let until = Instant::now() + SOON;
    // It may have been killed before it froze: then there is nothing to wait for but the timer, which finds that out.
    std::thread::sleep(Duration::from_secs(1));
    while !is_writable(world) {
        assert!(Instant::now() < until, "killed in {step}: still read-only");
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(!world.deploying(), "the deploy has ended");
    let told = world.flow(&["doctor", "prod"]);
    assert!(told.out.contains("lets writers in"), "{}", told.out);
}

/// Drives to the end. Where writers were let in before the rows were compared, a person is asked once.
fn goes_on(world: &mut World, mut driver: Driver) -> i32 {
    let code = world.finish(&mut driver);
    if code != 75 {
        return code;
    }
    let why = world.status()["why_parked"].to_string();
    assert!(why.contains("prod/integrity"), "{why}");
    let run = world.run();
    let mut driver = world.drive(&["retry", &run]);
    world.finish(&mut driver)
}

#[test]
fn a_frozen_production_that_lost_its_driver_lets_writers_in_and_the_release_goes_on_from_there() {
    let mut world = world();
    let mut driver = world.start("release", "good");
    for step in ["prod/maintenance", "prod/baseline", "prod/deploy"] {
        left_alone_in(&mut world, driver, step);
        driver = world.drive(&["resume"]);
    }
    let code = goes_on(&mut world, driver);
    let said = world.said();
    assert!(
        !said.contains("undoing everything"),
        "nothing was rolled back"
    );
    assert_eq!(code, 0, "it ended with {code}");
    assert!(
        said.contains("let writers in at"),
        "the timer's word was not passed on"
    );
    assert_each_deploy_happened_once(&world, &world.run());
    world.assert_online();
    for step in ["prod/migrations", "prod/integrity", "prod/online"] {
        let driver = world.start("promote", "good");
        left_alone_in(&mut world, driver, step);
        let driver = world.drive(&["resume"]);
        let code = goes_on(&mut world, driver);
        assert_eq!(code, 0, "killed in {step}, resumed: {code}");
        assert!(is_writable(&world));
    }
    world.assert_online();
}

#[test]
fn a_production_left_read_only_is_found_and_opened_without_a_journal() {
    let mut world = World::new();
    let mut driver = world.start("release", "good");
    world.until("the deploy", &mut driver, &[], |world, _| {
        world.deploying().then_some(())
    });
    let run = world.run();
    assert!(driver.kill(), "it deploys");
    let refused = world.flow(&["thaw", "prod", "--reason", "nobody can write"]);
    refused.expect(7).says(&[&run, "opens the database itself"]);
    assert!(!is_writable(&world));
    std::fs::remove_dir_all(world.project.join(".flow")).expect("the journal is gone");
    let lost = ["unlock", "prod", "--lost", &run, "--reason", "gone"];
    let said = world.flow(&lost).expect(0);
    assert!(said.out.contains("is still READ-ONLY"), "{}", said.out);
    let other = ["thaw", "prod", "--run", "r-other", "--reason", "x"];
    world.flow(&other).expect(7);
    let ours = [
        "thaw",
        "prod",
        "--run",
        &run,
        "--reason",
        "its journal is gone",
    ];
    let said = world.flow(&ours).expect(0);
    assert!(said.out.contains("Now it lets writers in"), "{}", said.out);
    assert!(is_writable(&world));
    let said = world.flow(&ours).expect(0);
    assert!(said.out.contains("there is nothing to do"), "{}", said.out);
}
