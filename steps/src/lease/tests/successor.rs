//! Undoing what a run did, after others were there.

use async_trait::async_trait;
use flow_engine::driver::Stop;
use flow_engine::record::{Failure, ParkReason};
use flow_engine::run::Run;
use flow_engine::signal::Order;

use super::*;

/// Somebody takes the lease away, and then production looks wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Broken {
    dir: String,
}

#[async_trait]
impl Step for Broken {
    const KIND: &'static str = "test.broken";
    type Output = bool;

    fn summary(&self) -> String {
        "breaks the lease".into()
    }

    async fn run(&self, cx: &Cx) -> Result<bool, StepError> {
        let run = cx.run_id().as_str();
        break_lease(
            &Local::new("here"),
            &self.dir,
            run,
            ("devops", "lost"),
            Timestamp(1),
        )
        .await?;
        Err(StepError::fail("made to fail"))
    }
}

/// Why a step could not be undone.
fn refused(run: &Run, key: &str) -> Failure {
    let (index, _) = run.plan.node(key).unwrap();
    run.steps[index as usize].undo_failure.clone().unwrap().1
}

async fn elsewhere(dir: &tempfile::TempDir, changed: bool) {
    let here = Local::new("here");
    let claimed = claim(&here, &path(dir), &held("r-other", 1), false).await;
    assert!(matches!(claimed, Ok(Claim::Taken)));
    release(&here, &path(dir), ("r-other", 1), changed)
        .await
        .unwrap();
}

async fn give(dir: &tempfile::TempDir) {
    let by = ("devops", "nothing was released since");
    give_back(&Local::new("here"), &path(dir), "r-one", by, Timestamp(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_finished_run_is_not_undone_under_a_release_that_its_journal_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    bench.start("r-one", whole(&dir)).await;
    elsewhere(&dir, true).await;
    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert!(matches!(
        stop,
        Stop::Parked(ParkReason::UndoFailed { step: 2 })
    ));
    let said = refused(&run, "prod/release");
    assert!(
        said.message
            .contains("run r-other had `here` after run r-one"),
        "{said:?}"
    );
    assert!(said.hints[1].contains("flow lock here --for r-one"));
    give(&dir).await;
    bench.order("r-one", Order::Retry).await;
    let (_, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}

#[tokio::test]
async fn a_release_that_was_itself_undone_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(registry);
    bench.start("r-one", whole(&dir)).await;
    elsewhere(&dir, false).await;
    bench.order("r-one", Order::Rollback).await;
    let (_, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
}

#[tokio::test]
async fn a_lease_that_was_taken_from_a_run_is_not_taken_again_because_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(|| registry().with::<Broken>());
    let whole = plan(
        |p| {
            p.step("prep/lease", lease(&dir));
            p.step("prep/rest", back(&dir));
            let again = HostLease {
                again: true,
                ..lease(&dir)
            };
            p.step("prep/again", again);
        },
        |p| {
            p.step("prod/change", Change);
            p.step("prod/broken", Broken { dir: path(&dir) });
        },
    );
    let (run, stop) = bench.start("r-one", whole).await;
    assert_eq!(stop, Stop::Parked(ParkReason::UndoFailed { step: 1 }));
    let said = refused(&run, "prep/rest").message;
    assert!(
        said.contains("was taken from run r-one, and nobody has it"),
        "{said}"
    );
    // Another release came and went meanwhile.
    elsewhere(&dir, true).await;
    bench.order("r-one", Order::Retry).await;
    let (run, _) = bench.resume("r-one").await;
    let said = refused(&run, "prep/rest").message;
    assert!(
        said.contains("run r-other had `here` after run r-one"),
        "{said}"
    );
    give(&dir).await;
    bench.order("r-one", Order::Retry).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack));
    assert_eq!(undone(&run, "prep/rest"), "the lease is ours");
}
