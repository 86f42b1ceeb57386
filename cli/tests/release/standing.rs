//! What production is in, said while nobody is there to do anything about it.

use crate::world::World;

#[test]
fn the_status_of_a_run_that_died_while_production_was_frozen_says_so_and_what_the_host_says() {
    let mut world = World::new();
    let mut driver = world.start("release", "good");
    world.until("the deploy", &mut driver, &[], |world, _| {
        world.deploying().then_some(())
    });
    assert!(driver.kill(), "it is deploying");

    let said = world.flow(&["status"]).expect(0).out;
    for words in [
        "is INTERRUPTED; nobody drives it",
        "!! production: PRODUCTION'S DATABASE IS READ-ONLY",
        "the host says: the database `postgres` is READ-ONLY",
        "the host says: pm2: ",
        "flow resume ",
    ] {
        assert!(said.contains(words), "no `{words}` in: {said}");
    }
    let status = world.status();
    assert_eq!(status["state"], "interrupted");
    assert_eq!(status["driver"]["alive"], false);
    assert_eq!(
        status["standing"].as_array().map(Vec::len),
        Some(1),
        "{status:#}"
    );
    assert_eq!(
        status["host_says"].as_array().map(Vec::len),
        Some(2),
        "{status:#}"
    );

    let mut driver = world.drive(&["resume"]);
    assert_eq!(world.finish(&mut driver), 0, "{}", world.said());
    let said = world.flow(&["status"]).expect(0).out;
    assert!(
        !said.contains("READ-ONLY") && !said.contains("the host says"),
        "{said}"
    );
    assert!(
        said.contains("flow rollback "),
        "a completed run says how to undo it: {said}"
    );
}
