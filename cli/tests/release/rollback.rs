//! Releases that production does not survive, and what is left of them: nothing.

use std::time::Duration;

use crate::project::Wishes;
use crate::random::Random;
use crate::world::{World, assert_same, checked};

/// How often the driver is killed while it undoes.
const KILLS: usize = 6;
/// What production was before a release.
struct Before {
    dump: String,
    customers: String,
}

impl Before {
    fn of(world: &World) -> Before {
        let customers = customers(world);
        Before {
            dump: world.dump(),
            customers,
        }
    }

    /// Production is just that again: rows and schema, services and people told; and what the release left is kept.
    #[track_caller]
    fn assert_restored(&self, world: &World) {
        assert_eq!(customers(world), self.customers);
        assert_same(&world.dump(), &self.dump);
        let mut kept = world.databases();
        kept.retain(|name| name != "postgres");
        assert_eq!(kept.len(), 1, "the failed database is kept: {kept:?}");
        let commit = world.sandbox.commit("current").expect("a commit");
        assert_eq!(world.deployed(), commit);
        world.assert_online();
        world.assert_journal_is_whole();
        assert_eq!(world.status()["state"], "rolled-back");
        let write = "begin; update \"Customer\" set name = name; rollback";
        world.sandbox.sql("prod", write).expect("it is writable");
    }
}

fn customers(world: &World) -> String {
    world
        .sandbox
        .sql(
            "prod",
            "select id, name, email from \"Customer\" order by id",
        )
        .expect("customers")
}

/// The subjects of mails that say all of this.
fn mails(world: &World, words: &[&str]) -> usize {
    let mails = world.sandbox.mails().expect("mails");
    let says = |subject: &str| words.iter().all(|word| subject.contains(word));
    let count = mails.iter().filter(|mail| says(&mail.subject)).count();
    if count == 0 {
        let subjects: Vec<_> = mails.iter().map(|mail| &mail.subject).collect();
        println!("no {words:?} among {subjects:#?}");
    }
    count
}

#[test]
fn a_release_that_loses_rows_is_rolled_back_and_nothing_is_lost() {
    let mut world = World::new();
    let before = Before::of(&world);
    let mut driver = world.start("release", "lost-rows");
    world.until("the loss", &mut driver, &[], |world, _| {
        (customers(world).lines().count() == 117).then_some(())
    });
    assert_eq!(world.finish(&mut driver), 5);
    before.assert_restored(&world);
    let run = world.run();
    for word in ["started", "ROLLING BACK", "rolled back"] {
        assert_eq!(mails(&world, &[&run, word]), 1, "{word}");
    }
}

#[test]
fn a_rollback_killed_again_and_again_ends_as_if_it_had_not_been() {
    let mut world = World::new();
    let before = Before::of(&world);
    let mut random = Random::seeded();
    let mut driver = world.start("release", "lost-rows");
    world.until("the rollback", &mut driver, &[], |_, driver| {
        driver.said().contains("undoing everything").then_some(())
    });
    std::thread::sleep(random.moment(0, 500));
    assert!(driver.kill());
    let mut driver = world.drive(&["resume"]);
    world.until("the restore", &mut driver, &[], |world, _| {
        (undo_of(world, "prod/baseline") == "undoing").then_some(())
    });
    std::thread::sleep(Duration::from_millis(400));
    assert!(driver.kill());
    assert_eq!(undo_of(&world, "prod/baseline"), "undoing");
    for _ in 2..KILLS {
        let driver = world.drive(&["resume"]);
        std::thread::sleep(random.moment(100, 900));
        assert!(driver.kill(), "the rollback was over before the last kill");
    }
    let mut driver = world.drive(&["resume"]);
    assert_eq!(world.finish(&mut driver), 5);
    before.assert_restored(&world);
}

/// How far the undo of a step is.
fn undo_of(world: &World, step: &str) -> String {
    let status = world.status();
    let rows = status["steps_detail"].as_array().expect("steps");
    let row = rows.iter().find(|row| row["key"] == step).expect("a step");
    row["undo"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_rollback_ordered_in_another_terminal_while_production_is_watched_is_carried_out_at_once() {
    let mut world = World::with(&Wishes {
        watch: 600,
        ..Wishes::default()
    });
    let before = Before::of(&world);
    let mut driver = world.start("release", "good");
    world.until("a question", &mut driver, &["test/features"], |world, _| {
        let status = world.look()?;
        (status["waiting"][0]["step"] == "test/features").then_some(())
    });
    let run = world.run();
    assert_driven(&world, &run);
    world.until("the watch", &mut driver, &[], |_, driver| {
        driver.said().contains(" prod/watch started").then_some(())
    });
    assert_eq!(world.state_of("prod/watch"), "running");
    let reason = "users report missing data";
    let order = ["rollback", &run, "--reason", reason, "--yes", "--no-drive"];
    world.flow(&order).expect(0);
    assert_eq!(world.finish(&mut driver), 5);
    before.assert_restored(&world);
    let orders = &world.export(&run)["orders"];
    assert_eq!(orders[0]["reason"], reason, "{orders}");
    assert_eq!(mails(&world, &[&run, "ROLLING BACK"]), 1);
}

/// A second terminal can look, and is told who drives when it tries to drive.
fn assert_driven(world: &World, run: &str) {
    let status = world.flow(&["status"]).expect(0);
    assert!(status.out.contains(run), "{}", status.out);
    let commit = world.sandbox.commit("good").expect("a commit");
    let start = world.flow(&["start", "--commit", commit, "--yes"]);
    start
        .expect(7)
        .says(&[run, "an environment has one run at a time"]);
    let resume = world.flow(&["resume", run]);
    assert!(resume.err.contains("is being driven already"), "{resume:?}");
    assert_eq!(resume.code, 4, "people are waited for: {resume:?}");
    let list = world.flow(&["list", "--json"]).expect(0);
    let list: serde_json::Value = serde_json::from_str(&list.out).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
}

#[test]
fn a_completed_release_is_taken_back_only_when_it_can_be_and_its_rows_are_told_before() {
    let mut world = World::new();
    let before = Before::of(&world);
    let mut driver = world.start("release", "good");
    assert_eq!(world.finish(&mut driver), 0);
    let run = world.run();
    let first = "(select min(id) from \"Customer\")";
    let edit = format!("update \"Customer\" set name = 'EDITED' where id = {first}");
    world.sandbox.sql("prod", &edit).expect("an edit");
    let backups = world
        .sandbox
        .host("prod")
        .expect("prod")
        .data
        .join("backups");
    let hidden = backups.with_file_name("elsewhere");
    let mv = |from: &std::path::Path, to: &std::path::Path| {
        let mv = format!("mv {} {}", from.display(), to.display());
        checked(world.sandbox.ssh("prod").arg(mv));
    };
    mv(&backups, &hidden);
    let order = ["rollback", &run, "--reason", "a wrong price", "--yes"];
    let refused = world.flow(&order).expect(3);
    assert!(refused.err.contains("is not there any more"), "{refused:?}");
    assert!(
        refused.err.contains("production serves as before"),
        "{refused:?}"
    );
    world.assert_online();
    assert_eq!(world.status()["state"], "completed", "no order was stored");
    mv(&hidden, &backups);
    let taken = world.flow(&order).expect(5);
    let words = "1 inserted and 1 updated rows would be set aside, 0 deleted ones come back";
    assert!(taken.err.contains("The run ended"), "{taken:?}");
    assert!(taken.err.contains(words), "{taken:?}");
    assert!(
        taken.err.contains("public.Customer: 1 updated"),
        "{taken:?}"
    );
    before.assert_restored(&world);
    let rows = world.flow(&["rows", &run, "--table", "Customer"]).expect(0);
    assert!(
        rows.out
            .contains("0 only in the backup, 1 changed, 0 only there"),
        "{rows:?}"
    );
}
