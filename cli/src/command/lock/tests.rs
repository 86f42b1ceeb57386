use flow_steps::means::host::Local;

use super::*;
use crate::testing::{NOON, actor};

pub(super) fn place(dir: &tempfile::TempDir, minutes: i64) -> Place {
    Place {
        env: "prod".into(),
        host: Arc::new(Local::new("prod")),
        dirs: ["flow", "older"]
            .map(|name| dir.path().join(name).display().to_string())
            .into(),
        beside: Beside::default(),
        me: actor(),
        now: Timestamp(NOON.0 + minutes * 60_000),
    }
}

#[tokio::test]
async fn a_lock_names_its_holder_age_and_reason_until_it_is_lifted_with_a_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = place(&dir, 0).lock("disk is full").await.expect("locks");
    assert!(said.starts_with("prod is now locked: by anna"), "{said}");
    let again = place(&dir, 5).lock("another").await.expect("stays");
    assert!(
        again.contains("already locked: by anna from box since"),
        "{again}"
    );
    assert!(again.contains("(5 min ago), disk is full"), "{again}");
    let none = place(&dir, 5).unlock(" ", None).await.expect_err("refused");
    assert_eq!(none.exit, Exit::Usage);
    let said = place(&dir, 9).unlock("made room", None).await;
    let said = said.expect("lifts");
    assert!(said.contains("(9 min ago), disk is full"), "{said}");
    let twice = place(&dir, 9).unlock("made room", None).await;
    assert_eq!(twice.expect("once"), "prod is not locked.\n");
    let history = std::fs::read_to_string(dir.path().join("flow/history")).expect("kept");
    assert!(history.contains("made room") && history.lines().count() == 1);
}

#[tokio::test]
async fn a_run_that_the_lock_stopped_is_what_goes_on_once_it_is_lifted() {
    use crate::testing;
    use flow_engine::driver::Engine;
    use flow_engine::journal::memory::MemoryJournal;
    use flow_engine::plan::OnFailure;
    use flow_engine::planner::Planner;
    use flow_engine::registry::Registry;
    use flow_engine::step::Resources;
    use flow_steps::means::host::Hosts;

    let dir = tempfile::tempdir().expect("a folder");
    let at = place(&dir, 0);
    at.lock("disk is full").await.expect("locks");
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        let folder = dir.path().join("flow").display().to_string();
        p.step("prod/lease", HostLease::in_folder("prod", folder));
    });
    let registry = Registry::default().with::<HostLease>();
    let engine = Engine {
        resources: Resources::default().with(Hosts::new().with(Local::new("prod"))),
        ..testing::engine(Arc::new(MemoryJournal::default()), registry)
    };
    let new = testing::new_of("r-one", planner.finish().expect("plans"));
    let (driver, _handle) = engine.start(new).await.expect("starts");
    let (run, _) = driver.drive().await.expect("drives");
    assert!(waits_for(&run, "prod"), "{:?}", run.life);
    assert!(!waits_for(&run, "stage"));
    assert_eq!(go_on(Some(&run.id)), "  flow retry r-one\n");
    assert_eq!(go_on(None), "  flow start\n");
    // A person's lock is not the one a rollback of this run left.
    assert!(!is_left_by(&run, &at.look().await.expect("seen")));
}

#[tokio::test]
async fn what_an_older_flow_locked_or_holds_counts_and_is_lifted_as_well() {
    let dir = tempfile::tempdir().expect("a folder");
    let older = Place {
        dirs: place(&dir, 0).dirs.split_off(1),
        ..place(&dir, 0)
    };
    older.lock("disk is full").await.expect("locks");
    let at = place(&dir, 3);
    let shown = at.in_words(&at.look().await.expect("seen"));
    assert!(shown.contains("prod is locked: by anna"), "{shown}");
    at.unlock("made room", None).await.expect("lifts");
    assert_eq!(at.look().await.expect("seen").locked, None);
}

#[tokio::test]
async fn a_lease_is_given_back_by_name_with_a_reason_and_to_nobody_while_another_has_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = place(&dir, 3);
    let [one, two]: [RunId; 2] = ["r-one", "r-two"].map(|run| run.parse().expect("an id"));
    let none = at
        .give_back(&one, " ", |_| true)
        .await
        .expect_err("refused");
    assert_eq!(none.exit, Exit::Usage);
    let said = at.give_back(&one, "nothing happened", |_| true).await;
    assert!(said.expect("given").contains("flow retry r-one"));
    let held = at.look().await.expect("seen").held.expect("held");
    assert_eq!((held.run.as_str(), held.epoch), ("r-one", 0));
    let other = at
        .give_back(&two, "mine", |_| true)
        .await
        .expect_err("refused");
    assert_eq!(other.exit, Exit::Refused);
    at.unlock("lost", Some("r-one")).await.expect("broken");
    at.lock("look first").await.expect("locks");
    let locked = at
        .give_back(&two, "mine", |_| true)
        .await
        .expect_err("refused");
    assert!(locked.message.contains("look first"), "{locked:?}");
}

#[tokio::test]
async fn a_lease_is_only_taken_from_the_run_that_is_named_as_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = place(&dir, 3);
    std::fs::create_dir(dir.path().join("flow")).expect("made");
    let held = serde_json::to_string(&Held {
        run: "r-one".into(),
        holder: "process 7 on box".into(),
        epoch: 1,
        since: NOON,
    });
    let file = dir.path().join("flow/held");
    std::fs::write(&file, held.expect("JSON")).expect("written");
    for refused in [
        at.unlock("why", None).await,
        at.unlock("why", Some("r-two")).await,
        at.lock("why").await,
    ] {
        let refused = refused.expect_err("a release is under way");
        assert_eq!(refused.exit, Exit::Refused);
        assert!(refused.message.contains("r-one since"), "{refused:?}");
    }
    assert!(file.exists());
    let said = at.unlock("its disk burnt", Some("r-one")).await;
    let said = said.expect("broken");
    assert_eq!(
        said,
        "The lease of run r-one is gone.\nprod is not locked.\n"
    );
    assert!(!file.exists());
}

#[test]
fn a_run_is_given_the_leases_that_it_took_and_has_not_undone() {
    use crate::testing;
    use flow_engine::plan::OnFailure;
    use flow_engine::planner::Planner;

    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        for host in ["prod", "prod/web-2", "prod/worker"] {
            let lease = HostLease::in_folder(host, "/flow");
            p.step(&format!("{host}/lease"), lease);
        }
        let again = HostLease {
            again: true,
            ..HostLease::in_folder("prod/worker", "/flow")
        };
        p.step("prod/worker/lease-again", again);
    });
    let plan = planner.finish().expect("plans");
    let records: Vec<_> = (0..4).flat_map(testing::done).collect();
    let mut run = testing::run_of("r-one", &plan, &records);
    run.steps[2].undo = Undo::Undone;
    let takes = ["prod/web-2", "prod/worker", "prod/new"].map(|host| takes(&run, host));
    assert_eq!(takes, [true, false, false]);
}
