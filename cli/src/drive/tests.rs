use std::fmt::Write as _;
use std::sync::Mutex;

use flow_engine::event::{Event, Observer};
use flow_engine::journal::memory::MemoryJournal;
use flow_engine::plan::OnFailure;
use flow_engine::planner::Planner;
use flow_steps::lease::HostLease;
use flow_steps::means::host::{Hosts, Local};

use super::*;
use crate::testing;

/// Remembers everything it is shown.
#[derive(Default)]
struct Screen(Mutex<String>);

impl Observer for Screen {
    fn see(&self, event: &Event) {
        let mut seen = self.0.lock().expect("no panic");
        let _infallible = writeln!(seen, "{event:?}");
    }
}

impl Show for Screen {
    fn begin(&self, _: &Arc<Run>) {}
    fn end(&self, _: &Arc<Run>) {}
}

#[tokio::test]
async fn a_secret_that_a_step_puts_out_is_in_no_log_on_no_screen_and_in_no_export() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = State {
        dir: dir.path().to_owned(),
    };
    // What the test's step says when it runs and when it fails.
    let secrets = ["looked around", "nothing to see", "connection refused"];
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let screen = Arc::new(Screen::default());
    let parts = Parts {
        masked: Masked::new(secrets.map(str::to_owned)),
        ..testing::parts()
    };
    let drive = Drive::new(&state, journal.clone(), parts, Wait::default(), true);
    let exit = drive
        .shown(screen.clone())
        .start(testing::new_run("r-one", true))
        .await;
    assert_eq!(exit.expect("drives"), Exit::Failed);
    let id: RunId = "r-one".parse().expect("an id");
    let run = Run::load(&*journal, &id).await.expect("loads");
    let entries = Run::entries(&*journal, &id).await.expect("reads");
    let export = view::export::Export::of(&run, &entries);
    let bodies: Vec<u8> = entries.iter().flat_map(|(s, _)| s.body.clone()).collect();
    let log = std::fs::read_to_string(state.log(&id, "prep/look")).expect("kept");
    assert_eq!(log, "••••\n");
    for (place, text) in [
        ("the screen", screen.0.lock().expect("no panic").clone()),
        ("the export", view::to_json(&export)),
        ("the report", view::export::markdown(&run, &entries)),
        ("the journal", String::from_utf8_lossy(&bodies).into_owned()),
    ] {
        assert!(text.contains("••••"), "{place}: {text}");
        for secret in secrets {
            assert!(!text.contains(secret), "{place} shows {secret}: {text}");
        }
    }
}

/// Takes the lease of `prod`, changes it and fails.
fn rolls_back(id: &str, dir: &std::path::Path) -> NewRun {
    let mut planner = Planner::new("release", "test-1", "prod", "flow test");
    let lease = HostLease::in_folder("prod", dir.join("flow").display().to_string());
    planner.phase("prep", "Preparation", OnFailure::Park, |p| {
        p.step("prod/lease", lease);
    });
    planner.phase("prod", "Production", OnFailure::Rollback, |p| {
        p.step("prod/change", testing::Change);
        p.step("prod/look", testing::Look { fails: true });
    });
    NewRun {
        plan: planner.finish().expect("the plan is sound"),
        ..testing::new_run(id, false)
    }
}

#[tokio::test]
async fn a_rollback_ends_with_how_to_lift_the_lock_it_left_and_so_does_the_next_release() {
    let dir = tempfile::tempdir().expect("a folder");
    let state = State {
        dir: dir.path().to_owned(),
    };
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let drive = |id: &'static str| {
        let parts = Parts {
            registry: Arc::new(testing::registry().with::<HostLease>()),
            resources: Resources::default().with(Hosts::new().with(Local::new("prod"))),
            ..testing::parts()
        };
        Drive::new(&state, journal.clone(), parts, Wait::default(), true)
            .shown(Arc::new(Screen::default()))
            .start(rolls_back(id, dir.path()))
    };
    assert_eq!(drive("r-one").await.expect("drives"), Exit::RolledBack);
    let id: RunId = "r-one".parse().expect("an id");
    let run = Run::load(&*journal, &id).await.expect("loads");
    let stop = Stop::Finished(run.verdict().expect("over"));
    let said = ending(&run, &stop);
    let last = said.lines().last().expect("a line");
    assert!(last.starts_with("  flow unlock prod --reason …"), "{said}");
    // Until it is lifted.
    for (unlocked, offered) in [(false, true), (true, false)] {
        let world = view::beside::Beside {
            unlocked,
            ..Default::default()
        };
        let commands = world.commands(&run, &crate::driver::Driver::Unasked);
        let unlock = commands
            .iter()
            .any(|n| n.command.starts_with("flow unlock prod"));
        assert_eq!(unlock, offered, "{commands:?}");
    }
    assert_eq!(drive("r-two").await.expect("drives"), Exit::Refused);
    let id: RunId = "r-two".parse().expect("an id");
    let run = Run::load(&*journal, &id).await.expect("loads");
    let why = next::why_parked(&run).expect("parked");
    assert!(why.contains("`flow unlock prod --reason …`"), "{why}");
}

/// A run whose production is frozen, in the middle of the deploy behind that.
fn frozen() -> Run {
    use flow_engine::record::Record;
    use flow_engine::step::Step as _;

    let mut plan = testing::plan(false);
    plan.nodes[1].kind = flow_steps::means::read_only::freeze::Freeze::KIND.into();
    let begun = Record::Started {
        step: 2,
        attempt: 1,
    };
    testing::run_of(
        "r-one",
        &plan,
        &[testing::done(0), testing::done(1), vec![begun]].concat(),
    )
}

#[test]
fn who_leaves_a_run_while_production_is_frozen_is_told_so_and_not_that_nothing_is_lost() {
    let said = ending(&frozen(), &Stop::Interrupted);
    assert!(
        said.contains("!! PRODUCTION'S DATABASE IS READ-ONLY"),
        "{said}"
    );
    assert!(
        said.contains("It STAYS SO until somebody goes on"),
        "{said}"
    );
    assert!(!said.contains("Nothing is lost"), "{said}");
    assert!(!said.contains("under way"), "{said}");
    assert!(said.contains("flow resume r-one"), "{said}");

    let untouched = testing::run_of("r-one", &testing::plan(false), &testing::done(0));
    let said = ending(&untouched, &Stop::Interrupted);
    assert!(said.contains("Nothing is lost."), "{said}");
    assert!(
        said.contains("production: not touched by this run"),
        "{said}"
    );
}

#[test]
fn what_production_is_in_stands_in_the_live_view_in_the_status_and_in_its_json() {
    let run = frozen();
    let driver = crate::driver::Driver::Unasked;
    let now = testing::NOON;
    let status = view::text::status(&run, &driver, now);
    assert!(
        status.contains("!! production: PRODUCTION'S DATABASE IS READ-ONLY"),
        "{status}"
    );
    assert!(status.contains("as far as the journal knows"), "{status}");
    let json = view::to_json(&view::json::Status::of(&run, &driver, now));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(
        json["standing"][0]
            .as_str()
            .is_some_and(|w| w.contains("READ-ONLY")),
        "{json:#}"
    );
    assert_eq!(json["production_changed"], true);
    let live = live::frame(&run, &std::collections::BTreeMap::new(), testing::NOON);
    assert!(
        live.contains("\nproduction: PRODUCTION'S DATABASE IS READ-ONLY"),
        "{live}"
    );
}
