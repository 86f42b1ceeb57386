//! A run that was parked by a file of the team goes on when the file was put right.

use crate::world::World;

#[test]
fn a_release_that_stopped_at_an_incomplete_data_policy_goes_on_once_the_file_is_complete() {
    let mut world = World::new();
    let file = world.project.join("flow.data.toml");
    let whole = std::fs::read_to_string(&file).expect("reads");
    let mut lines: Vec<&str> = whole.lines().collect();
    // A table of the application, not the list of migrations, which is never copied.
    let first = lines.iter().position(|line| line.ends_with("= \"keep\""));
    let lost = lines.remove(first.expect("a column that is kept"));
    let column = lost.split('"').nth(1).expect("a name");
    std::fs::write(&file, lines.join("\n")).expect("writes");

    let mut driver = world.start("release", "good");
    assert_eq!(world.finish(&mut driver), 3, "{}", world.said());
    let run = world.run();
    let why = world.status()["why_parked"].to_string();
    assert!(
        why.contains("gate/data-policy") && why.contains(column),
        "{why}"
    );

    std::fs::write(&file, &whole).expect("writes");
    let mut driver = world.drive(&["retry", &run]);
    world.until("the copy", &mut driver, &["stage/features"], |world, _| {
        (world.state_of("stage/copy-prod") == "done").then_some(())
    });
    let rows = world.status()["steps_detail"].clone();
    let rows = rows.as_array().expect("steps").clone();
    let copied = rows.iter().find(|row| row["key"] == "stage/copy-prod");
    let output = copied.expect("the step")["output"].to_string();
    assert!(
        output.contains("corrected"),
        "both digests are on record: {output}"
    );
    assert!(driver.kill(), "it goes on");
}
