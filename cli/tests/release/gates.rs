//! What production is kept from: commits that were not tested, and sign-offs that are none.

use std::path::{Path, PathBuf};
use std::process::Command;

use flow_steps::means::signature::roster::NAMESPACE;

use crate::world::{World, checked};

/// What asks people before production is changed.
const SIGN_OFFS: [&str; 4] = [
    "signoff/developer",
    "signoff/qa",
    "signoff/devops",
    "signoff/tech-lead",
];

#[test]
fn production_takes_only_a_commit_that_passed_test_and_staging_and_was_signed_by_the_right_people()
{
    let mut world = World::new();
    assert_refused(&mut world, "good", "phase `test` has not passed");
    staging_fails(&mut world);
    assert_refused(&mut world, "good", "has not passed");

    let mut driver = world.start("release", "good");
    world.until("the sign-offs", &mut driver, &SIGN_OFFS, all_asked);
    let earlier = wrong_signatures_are_refused(&world);
    assert_eq!(world.finish(&mut driver), 0);

    let mut driver = world.start("promote", "good");
    world.until("the sign-offs", &mut driver, &SIGN_OFFS, all_asked);
    let run = world.run();
    assert_eq!(world.state_of("gate/earlier-run"), "done");
    let said = import(&world, &run, "developer", &earlier);
    said.expect(3).says(&["it was signed for run"]);
    assert_nobody_signed(&world, &run);
    world
        .flow(&["cancel", &run, "--reason", "seen enough"])
        .expect(1);
    assert_eq!(world.finish(&mut driver), 1);
    assert!(world.ledger("prod", &run).is_empty());

    assert_refused(&mut world, "health", "phase `test` has not passed");
    world.assert_journal_is_whole();
}

/// Promoting this commit ends with exit code 3, says what is missing, and touches nothing.
fn assert_refused(world: &mut World, commit: &str, why: &str) {
    let deployed = world.deployed();
    let mut driver = world.start("promote", commit);
    assert_eq!(world.finish(&mut driver), 3);
    let said = driver.said();
    let short = &world.sandbox.commit(commit).expect("a commit")[..12];
    for words in [why, short, "or in an earlier one"] {
        assert!(said.contains(words), "no `{words}` in: {said}");
    }
    let run = world.run();
    let status = world.status();
    assert_eq!(status["steps_done"], 0, "{status}");
    // Going on changes nothing about it, and the gate cannot be left out.
    let mut driver = world.drive(&["resume", &run]);
    assert_eq!(world.finish(&mut driver), 3);
    let skip = ["skip", &run, "gate/earlier-run", "--reason", "in a hurry"];
    world.flow(&skip).expect(3);
    assert!(world.ledger("prod", &run).is_empty());
    assert_eq!(world.deployed(), deployed);
    world
        .flow(&["cancel", &run, "--reason", "refused"])
        .expect(1);
}

/// A release whose staging did not pass does not reach production, whatever is tried.
fn staging_fails(world: &mut World) {
    let mut driver = world.start("release", "good");
    let list = "stage/features";
    world.until("staging", &mut driver, &[list], |world, driver| {
        let asks = format!(" {list} waits for ");
        driver.said().contains(&asks).then(|| world.run())
    });
    let run = world.run();
    let note = ["--note", "two customers are gone"];
    let fail = [
        "check",
        &run,
        list,
        "--item",
        "customers=fail",
        note[0],
        note[1],
    ];
    world.flow(&fail).expect(0);
    assert_eq!(world.finish(&mut driver), 1);
    world
        .flow(&["skip", &run, list, "--reason", "in a hurry"])
        .expect(3);
    let sign = world.sign(&run, "qa", "qa").expect(3);
    assert!(sign.err.contains("is not finished"), "{}", sign.err);
    world
        .flow(&["cancel", &run, "--reason", "it failed"])
        .expect(1);
    assert!(world.ledger("prod", &run).is_empty());
}

fn all_asked(world: &World, driver: &crate::driver::Driver) -> Option<()> {
    if !driver.said().contains(" signoff/tech-lead waits for ") {
        return None;
    }
    let status = world.look()?;
    (status["waiting"].as_array()?.len() == SIGN_OFFS.len()).then_some(())
}

/// Every sign-off that is not one; returns a good signature of the developer for this run, not handed in.
fn wrong_signatures_are_refused(world: &World) -> PathBuf {
    let run = world.run();
    let said = world.sign(&run, "qa", "developer");
    said.expect(3).says(&["this needs a key of role `qa`"]);

    let review = "schema/migration-review";
    let said = world.approve_migrations(&run, "tech-lead", "qa");
    said.expect(3)
        .says(&["nobody asks for it", "the step is over"]);
    let said = world.flow(&["check", &run, review, "--json"]).expect(0);
    let shown: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(
        shown["files"][0]["sql"][0].is_string(),
        "{shown}: what was approved can still be read"
    );

    let stranger = world.path("stranger");
    let mut keygen = Command::new("ssh-keygen");
    checked(
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&stranger),
    );
    let key = stranger.display().to_string();
    let said = world.flow(&["sign", &run, "--role", "qa", "--key", &key, "--yes"]);
    said.expect(3).says(&["is in no role of the roster"]);

    let other = export(world, &run, "qa", "other");
    sign_by_hand("file", world.key("qa"), &other);
    let said = import(world, &run, "qa", &other);
    said.expect(3).says(&["namespace `file`"]);

    let changed = export(world, &run, "qa", "changed");
    sign_by_hand(NAMESPACE, world.key("qa"), &changed);
    let text = std::fs::read_to_string(&changed).expect("reads");
    let hurried = text.replace("\"note\": \"\"", "\"note\": \"all is well\"");
    assert_ne!(text, hurried, "{text}");
    std::fs::write(&changed, hurried).expect("writes");
    let said = import(world, &run, "qa", &changed);
    said.expect(3)
        .says(&["the signature does not fit the text"]);

    let stolen = export(world, &run, "qa", "stolen");
    sign_by_hand(NAMESPACE, world.key("developer"), &stolen);
    let said = import(world, &run, "qa", &stolen);
    said.expect(3).says(&["this needs a key of role `qa`"]);
    assert_nobody_signed(world, &run);

    let right = export(world, &run, "qa", "right");
    sign_by_hand(NAMESPACE, world.key("qa"), &right);
    import(world, &run, "qa", &right).expect(0);
    let earlier = export(world, &run, "developer", "earlier");
    sign_by_hand(NAMESPACE, world.key("developer"), &earlier);
    earlier
}

fn export(world: &World, run: &str, role: &str, name: &str) -> PathBuf {
    let file = world.path(name);
    let shown = file.display().to_string();
    let said = world.flow(&["sign", run, "--role", role, "--export", &shown]);
    said.expect(0);
    file
}

fn import(world: &World, run: &str, role: &str, file: &Path) -> crate::driver::Said {
    let signature = format!("{}.sig", file.display());
    world.flow(&["sign", run, "--role", role, "--import", &signature])
}

fn sign_by_hand(namespace: &str, key: &Path, file: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen
        .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key);
    checked(keygen.arg(file));
}

#[track_caller]
fn assert_nobody_signed(world: &World, run: &str) {
    let export = world.export(run);
    let signals = export["signals"].as_array().expect("signals");
    let mut steps = signals.iter().filter_map(|s| s["step"].as_str());
    assert_eq!(steps.find(|step| step.starts_with("signoff/")), None);
    for step in SIGN_OFFS {
        assert_eq!(world.state_of(step), "waiting", "{step}");
    }
}
